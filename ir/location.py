"""Where in the user's source an operation was written."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np

_PACKAGE_DIRECTORIES = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.dirname(os.path.abspath(np.__file__)) + os.sep,
)
"""Frames below these directories are ours or NumPy's, never the user's."""

_OUR_FOLDERS = ("ir", "compiler", "runtime", "tapeless")
_IS_CHECKOUT = os.path.isdir(os.path.join(_PACKAGE_DIRECTORIES[0], "tapeless"))
"""In a checkout, tests/ and examples/ lie beside our folders as users; installed, all is ours."""


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the user's program."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


@cache
def is_internal(filename: str) -> bool:
    """Whether a file is this package's or NumPy's, so that no line of it is the user's."""
    ours, numpys = _PACKAGE_DIRECTORIES
    if filename.startswith(numpys) or filename.startswith("<frozen"):
        return True
    if not filename.startswith(ours):
        return False
    return not _IS_CHECKOUT or filename[len(ours) :].split(os.sep)[0] in _OUR_FOLDERS


def user_location() -> Location | None:
    """The innermost frame on the stack that is neither this package's nor NumPy's."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not is_internal(code.co_filename):
            return Location(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return None
