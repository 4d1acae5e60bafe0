"""Functions that look values up among others, by comparing with all of them.

Where NumPy searches by bisection these compare with every element: the cost is a product of the
two sizes, but one fused loop, and the comparisons are vector code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from ....ir.types import FLOAT64, INT64
from ..array import TracedArray
from ..lift import convert
from ..views import as_array, reshaped
from .understood import Table


def _against_all(x: TracedArray, others: TracedArray) -> tuple[TracedArray, TracedArray]:
    """`x` with a new last axis, and `others` along it."""
    return reshaped(x, (*x.shape, 1)), reshaped(others, -1)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """`np.searchsorted`: how many elements of a sorted vector come before each value.

    NaNs come last, as NumPy sorts them.
    """
    edges, values = as_array(a), as_array(v)
    if sorter is not None or side not in ("left", "right"):
        raise UnsupportedError(
            "np.searchsorted takes a sorted vector and a side, 'left' or 'right'",
            given=f"side={side!r}, sorter={'none' if sorter is None else 'given'}",
        )
    if edges.ndim != 1:
        raise ShapeError("np.searchsorted searches a vector", given=f"shape {edges.shape}")
    each, along = _against_all(values, edges)
    before: Any = np.less(along, each) if side == "left" else np.less_equal(along, each)
    if values.dtype.kind == "f":
        last = np.isnan(each)
        before = before | (last if side == "right" else last & ~np.isnan(along))
    return np.sum(before, axis=-1, dtype=INT64)


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """`np.isin`: whether each element equals one of the others."""
    each, along = _against_all(as_array(element), as_array(test_elements))
    found: Any = np.any(np.equal(each, along), axis=-1)
    return ~found if invert else found


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """`np.interp`: the piecewise linear function through points with increasing abscissas."""
    if period is not None:
        raise UnsupportedError("np.interp takes no period", given=f"period={period!r}")
    at, knots, heights = (convert(as_array(v), FLOAT64) for v in (x, xp, fp))
    if knots.ndim != 1 or knots.shape != heights.shape or not knots.size:
        raise ShapeError(
            "np.interp takes as many abscissas as ordinates, in vectors with elements",
            given=f"shapes {knots.shape} and {heights.shape}",
        )
    first, last = heights[0], heights[-1]
    low, high = first if left is None else left, last if right is None else right
    inside = first
    if knots.size > 1:
        below = np.clip(searchsorted(knots, at, "right") - 1, 0, knots.size - 2)
        x0, x1, y0, y1 = knots[below], knots[below + 1], heights[below], heights[below + 1]
        inside = (y1 - y0) / (x1 - x0) * (at - x0) + y0
    inside = np.where(at == knots[-1], last, inside)
    result: Any = np.where(at < knots[0], low, np.where(at > knots[-1], high, inside))
    result = np.where(np.isnan(at), at, result)
    return result if result.ndim else result[()]


TABLE: Table = {
    np.searchsorted: searchsorted,
    np.isin: isin,
    np.interp: interp,
}
"""Looking up."""
