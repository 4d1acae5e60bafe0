"""Every block of the README and of docs/ runs, and prints what the page shows (see `pages`).

`--update-golden` writes the outputs into the pages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llvmlite.binding
import pytest

from tapeless.compiler.target import host_target

from .pages import FENCES, Step, agrees, anchors, blocks, difference, links, shown_lines, steps
from .pages import updated as updated_page

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_page.py")
WARNINGS = ("-W", "error::UserWarning", "-W", "error::RuntimeWarning")
PAGES_WITH_TESTS_OF_THEIR_OWN = {"adding-an-op.md": "test_adding_an_op.py"}
"""Pages whose blocks are not programs, and who follows them instead."""

PAGES = [
    ROOT / "README.md",
    *(
        path
        for path in sorted((ROOT / "docs").glob("*.md"))
        if path.name not in PAGES_WITH_TESTS_OF_THEIR_OWN
    ),
]
BY_HAND = [
    "python -m venv .venv && . .venv/bin/activate && pip install -e '.[examples]'"
    " && python examples/digits.py",
    "python -m venv .venv && . .venv/bin/activate && pip install -e '.[test,examples]' && pytest",
]
"""Commands that no test runs, because they install from the network; `.ci/run` does the same."""


LINKED = ("compiler", "examples")
"""Folders of the checkout that commands on the pages name."""

SHOWN_LLVM = 22
"""The major version of LLVM whose code the pages show."""


def _shows_this_machine() -> bool:
    """Whether generated code reads here as on the pages: narrowed to AVX2, by the same LLVM."""
    target = host_target()
    is_wide = target.triple.startswith("x86_64") and target.vector_bytes >= 32
    return is_wide and llvmlite.binding.llvm_version_info[0] == SHOWN_LLVM


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _runnable(page: str) -> list[Step]:
    every = steps(page)
    return every if _shows_this_machine() else [s for s in every if s.kind != "console x86"]


def _cases() -> list[object]:
    return [
        pytest.param(path, number, id=f"{path.name}:{step.line}")
        for path in PAGES
        for number, step in enumerate(_runnable(_text(path)))
    ]


Results = list[dict[str, str | None]]


@dataclass(frozen=True)
class Run:
    """What running a page gave: the result of each step reached, and the folder with its files."""

    results: Results
    folder: Path


@pytest.fixture(scope="module")
def run_of(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Path], Run]:
    """The run of a page; with `--update-golden` the page and its pictures are written anew."""
    update = request.config.getoption("--update-golden")

    @cache
    def run(path: Path) -> Run:
        folder = tmp_path_factory.mktemp(path.stem)
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name, target_is_directory=True)
        page = _text(path)
        page_steps = _runnable(page)
        found = _run_steps(page_steps, folder)
        if update:
            printed = [result["printed"] or "" for result in found if result["failure"] is None]
            new = updated_page(page, page_steps[: len(printed)], printed)
            path.write_text(new, encoding="utf-8")
            for picture in _pictures(path):
                shutil.copyfile(folder / picture.name, picture)
        return Run(found, folder)

    return run


def _pictures(path: Path) -> list[Path]:
    """The pictures that a page shows; it draws them itself, under the same names."""
    return [path.parent / target for target in links(_text(path)) if target.endswith(".svg")]


def _run_steps(page_steps: list[Step], folder: Path) -> Results:
    given = [
        {"kind": step.kind, "source": step.source, "file_name": step.file_name}
        for step in page_steps
    ]
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, *WARNINGS, str(RUNNER)],
        cwd=folder,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env={
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "100",
        },
    )
    assert done.returncode == 0, done.stderr
    found: Results = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("path", "number"), _cases())
def test_block_does_what_the_page_shows(
    path: Path, number: int, run_of: Callable[[Path], Run]
) -> None:
    found = run_of(path).results
    if number >= len(found):
        pytest.fail("not reached: a block before it failed")
    result = found[number]
    assert result["failure"] is None, result["failure"]
    page = _text(path)
    step = _runnable(page)[number]
    shown = shown_lines(page, step)
    if step.varies or (shown is None and step.kind.startswith("console")):
        return
    wrong = difference(shown or [], (result["printed"] or "").splitlines())
    assert wrong is None, f"{path.name}:{step.start or step.line}: {wrong}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pictures_are_what_the_page_draws(path: Path, run_of: Callable[[Path], Run]) -> None:
    for picture in _pictures(path):
        drawn = run_of(path).folder / picture.name
        assert drawn.exists(), f"{path.name} shows {picture.name}, which no block of it draws"
        assert _text(picture) == _text(drawn), f"{picture.name} changed: --update-golden"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_fence_says_what_it_is(path: Path) -> None:
    unknown = [
        f"{path.name}:{block.start}: {block.kind!r}"
        for block in blocks(_text(path))
        if block.kind not in FENCES
    ]
    assert not unknown


def test_what_is_left_to_the_reader_is_known() -> None:
    found = [
        line
        for path in PAGES
        for block in blocks(_text(path))
        if block.kind == "by-hand"
        for line in block.text.splitlines()
    ]
    assert found == BY_HAND


def test_ci_installs_and_tests_as_the_readme_says() -> None:
    ci = _text(ROOT / ".ci" / "run")
    (install,) = re.findall(r"pip install -e '\S+'", BY_HAND[1])
    assert install in ci
    assert ci.rstrip().endswith("\npytest")


def test_pages_with_tests_of_their_own_have_them() -> None:
    for page, test in PAGES_WITH_TESTS_OF_THEIR_OWN.items():
        assert (ROOT / "docs" / page).exists() == Path(__file__).with_name(test).exists()


TEXTS = [
    path
    for folder in (".", "docs", "examples/lecture", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.md"))
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(_text(path)):
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


@pytest.mark.parametrize(
    ("shown", "printed", "agree"),
    [
        ("a 1.5", "a 1.5", True),
        ("a 1.5", "a 1.6", False),
        ("a ~1.5 b", "a 1,203.6 b", True),
        ("a ~1.5 µs, ~3", "a   20 ms, 1e-07", True),
        ("a ~1.5 µs", "a fast", False),
        ("a ~1.5 b", "a 1.5 c", False),
    ],
)
def test_marked_numbers_vary_and_nothing_else(shown: str, printed: str, agree: bool) -> None:
    assert agrees(shown, printed) is agree


def test_an_update_keeps_marks_and_replaces_the_rest() -> None:
    page = "```python\nf()\n```\n```output\na ~1 b\nold\n```\n```console\n$ ls\nx\n$ true\n```\n"
    new = updated_page(page, steps(page), ["new\na 2 b\nmore\n", "y\nz\n", "ignored\n"])
    shown = page.replace("a ~1 b\nold\n", "new\na ~1 b\nmore\n").replace("ls\nx\n", "ls\ny\nz\n")
    assert new == shown
