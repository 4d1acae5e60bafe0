"""docs/adding-an-op.md, followed to the letter on a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-an-op.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """A copy of the sources, in the layout in which they install, that Python prefers."""

    folder: Path

    def path(self, name: str) -> Path:
        """Where a file of the checkout is in the copy."""
        installed = name.split("/")[0] in ("ir", "compiler", "runtime")
        return self.folder / "tapeless" / name if installed else self.folder / name

    def apply(self, name: str, edit: str) -> None:
        """Make an edit of the page: its lines with ' ' and '-' must be there, once."""
        lines = edit.splitlines()
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        text = self.path(name).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} does not have once:\n{before}"
        self.path(name).write_text(text.replace(before, after), encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A Python command in the copy; its result, whatever it is."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
        )

    def pytest(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command `pytest …` of the page."""
        program, *arguments = command.split()
        assert program == "pytest"
        return self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Sources:
    folder = tmp_path_factory.mktemp("sources")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("tapeless", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("ir", "compiler", "runtime"):
        shutil.copytree(ROOT / name, folder / "tapeless" / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return Sources(folder)


def test_every_file_in_the_table_of_places_is_edited() -> None:
    places = re.findall(r"^\| \d \| `([^`]+)`", PAGE, re.MULTILINE)
    edited = [name for _, name, _ in BLOCKS if name]
    assert places
    assert [place for place in places if not any(name.startswith(place) for name in edited)] == []


def test_following_the_page_adds_the_op(sources) -> None:
    results = []
    for kind, name, text in BLOCKS:
        if kind == "diff":
            sources.apply(name, text)
        elif name:
            sources.path(name).write_text(text, encoding="utf-8")
        elif kind == "console":
            results.append(sources.pytest(text))
        else:
            results.append(sources.run("-W", "error", "-c", text))
    missing, generated, tried = results
    tables = "differentiable|record|code_for_every_dtype"
    assert len(re.findall(rf"^FAILED .*({tables}).*\[hypot\]", missing.stdout, re.MULTILINE)) == 3
    assert generated.returncode == 0, generated.stdout + generated.stderr
    assert int(re.search(r"(\d+) passed", generated.stdout).group(1)) >= 20
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "= hypot x y" in tried.stdout
