"""What goes to the terminal: colour where it is wanted, results to standard output or a file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TextIO

from .failure import CommandError

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"

_COMMENT = re.compile(r"( {2,}# .*)$")


def wants_colour(stream: TextIO) -> bool:
    """True for a terminal, unless `NO_COLOR` is set to anything (no-color.org) or it is dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, code: str) -> str:
    """`text` in one colour."""
    return f"\033[{code}m{text}\033[0m" if text else text


def paint_program(text: str) -> str:
    """Printed IR: headers bold, comments dim, backward operations yellow."""
    return "\n".join(_paint_line(line) for line in text.split("\n"))


def _paint_line(line: str) -> str:
    if line.startswith(("graph ", "# ")):
        return paint(line, BOLD)
    code, comment, _ = (*_COMMENT.split(line, maxsplit=1), "", "")[:3]
    if "# backward" in comment:
        code = paint(code, YELLOW)
    return code + paint(comment, DIM)


def paint_difference(text: str) -> str:
    """A unified diff: added lines green, removed ones red."""
    colours = {"+": GREEN, "-": RED, "@": CYAN}
    lines = text.split("\n")
    return "\n".join(paint(x, colours[x[0]]) if x[:1] in colours else x for x in lines)


def write_result(text: str, output: str | None) -> None:
    """Write to the file `output`, or to standard output when it is None or `-`."""
    if not text.endswith("\n"):
        text += "\n"
    if output in (None, "-"):
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}") from None
