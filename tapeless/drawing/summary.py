"""An array in a few characters, to stand beside a wire."""

from __future__ import annotations

from typing import Any

import numpy as np

from .scene import Line
from .text import GRADIENT, VALUE

FEW = 4
"""Elements of an array that are all written out."""


def lines_of(value: Any, gradient: Any = None) -> tuple[Line, ...]:
    """The lines for a value (None: not known) and its gradient."""
    lines = () if value is None else (Line(summary(value), VALUE),)
    return lines if gradient is None else (*lines, Line(summary(gradient), GRADIENT))


def summary(array: Any) -> str:
    """A number, a few numbers, or the range of many, with four digits."""
    array = np.asarray(array)
    if array.dtype == np.bool_ and array.size > FEW:
        return f"{np.count_nonzero(array)} of {array.size} true"
    if array.size <= FEW:
        text = ", ".join(_number(x) for x in array.ravel())
        return text if array.ndim == 0 else f"[{text}]"
    if np.isnan(array).any():
        return "nan"
    low, high = _number(array.min()), _number(array.max())
    return f"all {low}" if low == high else f"{low} … {high}"


def _number(x: Any) -> str:
    if x.dtype.kind == "f":
        return f"{float(x):.4g}".replace("-", "−")
    return str(x).replace("-", "−")
