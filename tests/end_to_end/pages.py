"""The blocks of a page of documentation: what they run, what they show, whether that is so.

A fence says what it holds:

    python           code; the blocks of a page are one program, in order, in one namespace
    python raises    code that ends in an exception, which is shown below as its last lines
    output           what the block above printed, to the letter
    console          lines `$ command`, each with what it printed; nothing shown is not compared
    console x86      the same for generated code: x86-64 with AVX2, and the LLVM that wrote it
    by-hand          commands that the reader runs and the tests do not
    text             anything else: drawings, formulas

A block whose first line is a comment `# name.py` is that file, for later commands and in messages.
A number behind `~` varies from run to run: any number may stand there. A command that ends in
`# varies` is run, and what is shown below it came from one run; `?` there asks an update for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

FENCES = ("python", "python raises", "output", "console", "console x86", "by-hand", "text")

NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d*)?(?:e[-+]?\d+)?"
UNITS = r"(?: ?(?:ns|µs|ms|s)\b)?"
MARKED = re.compile(rf"~{NUMBER}{UNITS}|\s+")
FENCE = re.compile(r"^```(.*)$")
COMMAND = re.compile(r"^\$ (.*)$")
FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: the lines of its page from `start` to `stop`, fences excluded, from 0."""

    kind: str
    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Step:
    """Something to run, and the lines of the page that show its output (`None`: it shows none).

    `kind` is that of its block. `line` counts from 1, as editors do.
    """

    kind: str
    line: int
    source: str
    start: int | None = None
    stop: int | None = None

    @property
    def varies(self) -> bool:
        """Whether what it prints is another thing each time."""
        return self.kind.startswith("console") and self.source.endswith("# varies")

    @property
    def file_name(self) -> str:
        """The file that the code is, for messages; `example.py` if it does not say."""
        named = FILE_NAME.match(self.source)
        return named[1] if named else "example.py"


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines(keepends=True)
    opened: tuple[str, int] | None = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = fence[1].strip(), number + 1
        else:
            kind, start = opened
            found.append(Block(kind, start, number, "".join(lines[start:number])))
            opened = None
    assert opened is None, f"the fence of line {opened and opened[1]} is never closed"
    return found


def steps(text: str) -> list[Step]:
    """Everything on a page that runs, in order."""
    found: list[Step] = []
    for block in blocks(text):
        if block.kind.startswith("python"):
            found.append(Step(block.kind, block.start + 1, block.text))
        elif block.kind.startswith("console"):
            found += _commands(block)
        elif block.kind == "output":
            assert found, f"line {block.start}: output of nothing"
            is_free = found[-1].kind.startswith("python") and found[-1].start is None
            assert is_free, f"line {block.start}: the output of this is shown elsewhere"
            found[-1] = replace(found[-1], start=block.start, stop=block.stop)
    return found


def _commands(block: Block) -> Iterator[Step]:
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if COMMAND.match(line)]
    assert starts, f"line {block.start}: a console block without a command"
    assert starts[0] == 0, f"line {block.start}: a console block starts with a command"
    for at, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = (block.start + at + 1, block.start + end) if end > at + 1 else (None, None)
        yield Step(block.kind, block.start + at + 1, lines[at][2:], *shown)


def shown_lines(text: str, step: Step) -> list[str] | None:
    """The output that the page shows for `step`."""
    return None if step.start is None else text.splitlines()[step.start : step.stop]


def agrees(shown: str, printed: str) -> bool:
    """Whether a line of a page shows what was printed, marked numbers apart."""
    if "~" not in shown:
        return shown == printed
    parts: list[str] = []
    end = 0
    for match in MARKED.finditer(shown):
        varies = match[0].startswith("~")
        parts += [re.escape(shown[end : match.start()]), NUMBER + UNITS if varies else r"\s+"]
        end = match.end()
    return re.fullmatch("".join([*parts, re.escape(shown[end:])]), printed) is not None


def difference(shown: Sequence[str], printed: Sequence[str]) -> str | None:
    """The first line in which a page is wrong about an output; None if it is right."""
    for number, (old, new) in enumerate(zip(shown, printed, strict=False), 1):
        if not agrees(old, new):
            return f"line {number} of the output\n  shown    {old}\n  printed  {new}"
    if len(shown) != len(printed):
        return f"{len(shown)} lines are shown, {len(printed)} were printed"
    return None


def updated(text: str, page_steps: Sequence[Step], printed: Sequence[str]) -> str:
    """The page with the outputs of a run; lines that agree keep their marks."""
    lines = text.splitlines()
    for step, output in reversed(list(zip(page_steps, printed, strict=True))):
        if step.start is None:
            continue
        old = lines[step.start : step.stop]
        if step.varies and old != ["?"]:
            continue
        lines[step.start : step.stop] = [
            next((shown for shown in [*old[i : i + 1], *old] if agrees(shown, line)), line)
            for i, line in enumerate(output.splitlines())
        ]
    return "\n".join(lines) + "\n"


def links(text: str) -> list[str]:
    """The targets of links and pictures outside of blocks, without what is on other machines."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target for target in targets if "://" not in target]


def anchors(path: Path) -> set[str]:
    """The names by which the headings of a page can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}
