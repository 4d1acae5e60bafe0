"""The source tree as the structural tests see it: every Python file, parsed once."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE_FOLDERS = {
    "ir": "tapeless.ir",
    "compiler": "tapeless.compiler",
    "runtime": "tapeless.runtime",
    "tapeless": "tapeless",
}
OTHER_FOLDERS = ("tests", "examples", "benchmarks", "tools")
SKIPPED_FOLDERS = {"__pycache__"}


@dataclass(frozen=True)
class Source:
    """One Python file: `path` relative to the checkout, `module` its installed dotted name."""

    path: str
    module: str
    text: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The folder at the root of the checkout that the file belongs to."""
        return self.path.split("/", 1)[0]

    @property
    def package(self) -> str:
        """The package that relative imports of this file start from."""
        return self.module if self.path.endswith("/__init__.py") else self.module.rpartition(".")[0]


def _python_files(folder: str) -> Iterator[Path]:
    for directory, subfolders, files in os.walk(ROOT / folder):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        yield from (Path(directory, name) for name in sorted(files) if name.endswith(".py"))


def _read(path: Path) -> Source:
    relative = path.relative_to(ROOT)
    layer, *rest = relative.with_suffix("").parts
    parts = [PACKAGE_FOLDERS.get(layer, layer), *rest]
    if parts[-1] == "__init__":
        parts.pop()
    text = path.read_text(encoding="utf-8")
    return Source(relative.as_posix(), ".".join(parts), text, ast.parse(text, str(relative)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def package_folders() -> dict[str, str]:
    """The folders that are installed, and the package that each installs as."""
    return PACKAGE_FOLDERS


@pytest.fixture(scope="session")
def package_sources() -> list[Source]:
    """Every Python file of the installed package."""
    return [_read(path) for folder in PACKAGE_FOLDERS for path in _python_files(folder)]


@pytest.fixture(scope="session")
def all_sources(package_sources: list[Source]) -> list[Source]:
    """Every Python file of the project, tests and examples included."""
    others = [_read(path) for folder in OTHER_FOLDERS for path in _python_files(folder)]
    return package_sources + others
