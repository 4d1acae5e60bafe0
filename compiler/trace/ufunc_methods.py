"""Methods of ufuncs on traced arrays: reduce, accumulate, outer, at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir.errors import ShapeError, UnsupportedError
from .array import TracedArray
from .indexing import add_at
from .lift import convert, emit, lift
from .promotion import reduction_type
from .reductions import FOLDS, fold, into, normalized_axis
from .views import fresh, rearranged, reshaped


def reduce(
    ufunc: np.ufunc,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> TracedArray:
    """`ufunc.reduce`, which folds axis 0 unless told otherwise."""
    target = out[0] if isinstance(out, tuple) else out
    return fold(ufunc, array, axis, dtype, target, keepdims, initial, where)


def accumulate(
    ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None, out: Any = None
) -> TracedArray:
    """`ufunc.accumulate`: the running fold along one axis."""
    if ufunc not in FOLDS:
        raise UnsupportedError(
            f"running folds are by {', '.join('np.' + known.__name__ for known in FOLDS)}",
            given=f"np.{ufunc.__name__}.accumulate",
        )
    x = lift(array)
    if x.ndim == 0:
        raise ShapeError("accumulate needs at least one axis", given="a scalar")
    axis = normalized_axis(axis, x.ndim)
    x = convert(x, reduction_type(ufunc, x.dtype, None if dtype is None else np.dtype(dtype)))
    if ufunc is np.add and x.dtype.kind != "b":
        result = emit("cumsum", x, axis=axis, reverse=False)
    else:
        result = _scan(ufunc, x, axis)
    return result if out is None else into(out, result)


def _scan(ufunc: np.ufunc, x: TracedArray, axis: int) -> TracedArray:
    """The running fold in log₂(n) steps; after k, elements cover 2ᵏ (Hillis and Steele 1986)."""
    covered = 1
    x = fresh(x)
    while covered < x.shape[axis]:
        head = _cut(x, axis, slice(None, covered))
        combined = ufunc(_cut(x, axis, slice(covered, None)), _cut(x, axis, slice(None, -covered)))
        x = emit("concatenate", head, combined, axis=axis)
        covered *= 2
    return x


def _cut(x: TracedArray, axis: int, part: slice) -> TracedArray:
    return rearranged(x, lambda array: array[(slice(None),) * axis + (part,)])


def outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """`ufunc.outer`: the ufunc on all pairs of elements, axes of `a` first."""
    x, y = lift(a), lift(b)
    return ufunc(reshaped(x, x.shape + (1,) * y.ndim), y, **options)


def at(ufunc: np.ufunc, array: Any, indices: Any, values: Any) -> None:
    """`np.add.at` and `np.subtract.at`: repeated positions accumulate."""
    if ufunc is np.add:
        add_at(lift(array), indices, values)
    elif ufunc is np.subtract:
        add_at(lift(array), indices, np.negative(lift(values)))
    else:
        raise UnsupportedError(
            "accumulating at repeated positions is by np.add or np.subtract",
            given=f"np.{ufunc.__name__}.at",
        )


METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "at": at,
}
"""Every ufunc method that is understood."""
