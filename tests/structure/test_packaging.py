"""pyproject.toml, the built wheel and the tracked files agree with the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILD_FILES = ("pyproject.toml", "README.md", "LICENSE")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home/(?!me/)|root/|Users/|work/|mnt/)\w")
"""Paths below the folders where people work; `/home/me/` is nobody's, tests make up files there."""


@pytest.fixture(scope="module")
def pyproject(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel_files(root, package_folders, tmp_path_factory) -> set[str]:
    """The names inside a wheel built from a copy of the tree, as builds write into it."""
    copy: Path = tmp_path_factory.mktemp("checkout")
    for name in BUILD_FILES:
        shutil.copy(root / name, copy)
    for folder in package_folders:
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_exactly_the_modules_of_the_tree(wheel_files, package_sources) -> None:
    expected = {
        source.module.replace(".", "/")
        + ("/__init__.py" if source.path.endswith("__init__.py") else ".py")
        for source in package_sources
    }
    in_wheel = {name for name in wheel_files if ".dist-info/" not in name}
    assert in_wheel == expected | {"tapeless/py.typed"}


def test_wheel_carries_licence_and_command(wheel_files) -> None:
    metadata = {name.split("/", 1)[1] for name in wheel_files if ".dist-info/" in name}
    assert {"licenses/LICENSE", "entry_points.txt", "METADATA"} <= metadata


def test_packages_are_listed_as_they_are(pyproject, package_sources) -> None:
    in_tree = {s.module for s in package_sources if s.path.endswith("/__init__.py")}
    assert set(pyproject["tool"]["setuptools"]["packages"]) == in_tree


def test_every_source_folder_is_a_package(package_sources) -> None:
    packages = {s.package for s in package_sources if s.path.endswith("/__init__.py")}
    assert {s.package for s in package_sources} == packages


def test_every_dependency_has_a_lower_bound(pyproject) -> None:
    project = pyproject["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
        *pyproject["build-system"]["requires"],
    ]
    unbounded = [r for r in requirements if ">=" not in r and not r.startswith("tapeless[")]
    assert not unbounded
    assert project["requires-python"] == ">=3.10"


def _tracked_files(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, timeout=60
    )
    if listed.returncode:  # an unpacked archive: everything in it is meant to be there
        return [path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts]
    return [root / name for name in listed.stdout.split("\0") if name]


def test_no_tracked_file_names_a_path_of_one_machine(root) -> None:
    violations = []
    for path in _tracked_files(root):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        violations += [f"{path.name}: {m.group()}" for m in MACHINE_PATH.finditer(text)]
    assert not violations, "\n".join(violations)
