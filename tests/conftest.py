"""Golden files: `assert str(result) == golden("name.txt")`, rewritten by `--update-golden`.

They lie in a folder `golden/` beside the test file and are compared as text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden files with what the tests produce, to be reviewed as a diff",
    )


@dataclass(frozen=True)
class Golden:
    """What a result should read; with `--update-golden` the comparison writes the file."""

    path: Path
    update: bool

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        if self.update:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(other, encoding="utf-8")
        return self.read() == other

    def read(self) -> str:
        """The text of the file; a missing file is a failure that says how to make it."""
        if not self.path.exists():
            pytest.fail(f"{self.path} is missing: run this test with --update-golden")
        return self.path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return repr(self.read())


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], Golden]:
    """`golden(name)`: the text of `golden/<name>` beside the test file."""
    update = request.config.getoption("--update-golden")
    folder = request.path.parent / "golden"
    return lambda name: Golden(folder / name, update)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show the difference of two texts line by line."""
    if op != "==" or not isinstance(right, Golden) or not isinstance(left, str):
        return None
    want, got = right.read().splitlines(), left.splitlines()
    rows = [f"result differs from {right.path} (--update-golden accepts it)"]
    for number, (a, b) in enumerate(zip(want, got, strict=False), 1):
        if a != b:
            return [*rows, f"line {number}: golden  {a}", f"line {number}: result  {b}"]
    return [*rows, f"golden has {len(want)} lines, the result {len(got)}"]
