"""The user's line of an operation, noted in a fraction of a microsecond and decoded late."""

from __future__ import annotations

import dis
import sys
from types import CodeType, FrameType
from typing import TypeAlias

from ..ir.location import Location, is_internal

Place: TypeAlias = tuple[CodeType, int] | None
"""A code object and the position of the instruction in it; None where no user's code runs."""

_INTERNAL: dict[str, bool] = {}
"""By file name; a dictionary of our own, as `is_internal` would cost several times as much."""


def place(depth: int = 2) -> Place:
    """Where the user's innermost frame is now; the first `depth` frames are known to be ours."""
    frame = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        internal = _INTERNAL.get(code.co_filename)
        if internal is None:
            internal = _INTERNAL[code.co_filename] = is_internal(code.co_filename)
        if not internal:
            return code, frame.f_lasti
        frame = frame.f_back  # type: ignore[assignment]
    return None


def location(where: Place) -> Location | None:
    """The line that a place is on."""
    if where is None:
        return None
    code, position = where
    line = next(
        (line for start, end, line in code.co_lines() if start <= position < end and line), 0
    )
    return Location(code.co_filename, line, code.co_name)


_STORE_ITEM = dis.opmap["STORE_SUBSCR"]


def stores_item(frame: FrameType) -> bool:
    """Whether the code of `frame` is at `a[i] = …`, rather than at a call."""
    return frame.f_code.co_code[frame.f_lasti] == _STORE_ITEM
