"""Folding axes away: what `ufunc.reduce` and the functions built on it share.

One row per ufunc that can be folded; `np.sum`, `np.max`, `np.all`, … are its callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import DTypeError, ShapeError, TraceError, UnsupportedError
from ...ir.types import BOOL, DType, Shape
from .array import Kind, TracedArray, with_kind
from .lift import broadcast_to, convert, emit, lift
from .promotion import check_cast, reduction_type
from .views import by_numpy, fresh, reshaped

Axis = int | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Fold:
    """How a ufunc is folded: the op for each element kind, and the result of no elements."""

    ops: Mapping[str, str]
    identity: float | bool | None


_NUMBERS = "iuf"
FOLDS: dict[np.ufunc, Fold] = {
    np.add: Fold(dict.fromkeys(_NUMBERS, "sum") | {"b": "reduce_max"}, 0),
    np.multiply: Fold(dict.fromkeys(_NUMBERS, "prod") | {"b": "reduce_min"}, 1),
    np.maximum: Fold(dict.fromkeys("biuf", "reduce_max"), None),
    np.minimum: Fold(dict.fromkeys("biuf", "reduce_min"), None),
    np.logical_and: Fold({"b": "reduce_min"}, True),
    np.logical_or: Fold({"b": "reduce_max"}, False),
}
"""Every ufunc that can be folded along axes."""


def normalized_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Increasing non-negative axes; None stands for all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = by_numpy(np.lib.array_utils.normalize_axis_tuple, axis, ndim, "axis")
    return tuple(sorted(axes))


def normalized_axis(axis: int, ndim: int) -> int:
    """One non-negative axis."""
    return int(by_numpy(np.lib.array_utils.normalize_axis_index, axis, ndim))


def fold(
    ufunc: np.ufunc,
    x: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> TracedArray:
    """`ufunc.reduce(x, axis, dtype, out, keepdims, initial, where)`, a scalar when all axes go."""
    if ufunc not in FOLDS:
        raise UnsupportedError(
            f"reductions are by {', '.join('np.' + known.__name__ for known in FOLDS)}",
            given=f"np.{ufunc.__name__}.reduce",
        )
    array = lift(x)
    axes = normalized_axes(axis, array.ndim)
    array = convert(array, _accumulator(ufunc, array, dtype, out))
    array = _masked(ufunc, array, where, initial)
    folded = _folded(ufunc, array, axes, initial)
    if initial is not None:
        folded = ufunc(folded, convert(initial, folded.dtype))
    return finish(folded, array.shape, axes, keepdims, out)


def _accumulator(ufunc: np.ufunc, x: TracedArray, dtype: Any, out: Any) -> DType:
    if dtype is None and out is not None and ufunc in (np.add, np.multiply):
        dtype = np.promote_types(lift(out).dtype, reduction_type(ufunc, x.dtype))
    return reduction_type(ufunc, x.dtype, None if dtype is None else np.dtype(dtype))


def _masked(ufunc: np.ufunc, x: TracedArray, where: Any, initial: Any) -> TracedArray:
    """`x` with the elements that do not count replaced by ones without effect."""
    if where is True:
        return x
    neutral = FOLDS[ufunc].identity if initial is None else initial
    if neutral is None:
        raise ShapeError(
            f"np.{ufunc.__name__}.reduce(where=) needs initial=, as there is no smallest element",
            given="where without initial",
        )
    mask = lift(where)
    if mask.dtype != BOOL:
        raise DTypeError("where= is a boolean array", given=str(mask.dtype))
    kept: TracedArray = emit(
        "select",
        broadcast_to(mask, x.shape),
        x,
        broadcast_to(convert(neutral, x.dtype), x.shape),
        kind=Kind.ARRAY,
    )
    return kept


def _folded(ufunc: np.ufunc, x: TracedArray, axes: tuple[int, ...], initial: Any) -> TracedArray:
    row = FOLDS[ufunc]
    if x.dtype.kind not in row.ops:
        raise DTypeError(f"np.{ufunc.__name__}.reduce takes numbers", given=str(x.dtype))
    empty = any(x.shape[axis] == 0 for axis in axes)
    if not axes or (empty and row.identity is None and initial is not None):
        return _not_folded(x, axes, initial)
    if empty and row.identity is None:
        raise ShapeError(
            f"np.{ufunc.__name__}.reduce needs at least one element, as it has no identity",
            given=f"shape {x.shape} along axes {axes}",
            hint="pass initial=",
        )
    op = row.ops[x.dtype.kind]
    if empty and x.dtype == BOOL:
        shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
        return broadcast_to(convert(bool(row.identity), BOOL), shape)
    folded: TracedArray = emit(op, x, axes=axes)
    return folded


def _not_folded(x: TracedArray, axes: tuple[int, ...], initial: Any) -> TracedArray:
    """Without axes, the elements themselves; along empty axes, the initial value everywhere."""
    if not axes:
        return fresh(x)
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    return broadcast_to(convert(initial, x.dtype), shape)


def finish(
    folded: TracedArray, shape: Shape, axes: tuple[int, ...], keepdims: bool, out: Any
) -> TracedArray:
    """Put folded axes back with extent one if asked to, and the result into `out` or its kind."""
    if keepdims:
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
        folded = fresh(reshaped(folded, kept))
    if out is None:
        return with_kind(folded, Kind.ARRAY if folded.shape else Kind.SCALAR)
    return into(out, folded)


def into(out: Any, result: TracedArray, casting: str = "same_kind") -> TracedArray:
    """Write a result to `out`, as `out=` does; returns `out`."""
    target = as_target(out[0] if isinstance(out, tuple) else out)
    if target.shape != result.shape:
        raise ShapeError(
            "out= has the shape of the result",
            given=f"out of shape {target.shape}, result of shape {result.shape}",
        )
    check_cast(result.dtype, target.dtype, casting, "the result put into out=")
    store(target, result)
    return target


def store(target: TracedArray, value: TracedArray) -> None:
    """Write `value`, of the target's shape, into `target` in its element type."""
    as_target(target).write(convert(value, target.dtype).value)


def as_target(x: Any) -> TracedArray:
    """`x` as an array that can be updated in place; numbers cannot."""
    target = lift(x)
    if target.kind is not Kind.ARRAY:
        raise TraceError(
            "what is updated in place is an array",
            given=f"a NumPy {target.kind.value}" if target.kind is Kind.SCALAR else "a number",
            hint="bind the name anew: x = x + y",
        )
    return target
