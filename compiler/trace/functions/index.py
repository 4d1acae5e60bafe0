"""Functions that read or write by position."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from ....ir.types import BOOL, INT64
from ..array import Kind, TracedArray
from ..lift import broadcast_to, convert, emit, lift
from ..reductions import as_target, into, normalized_axis
from ..views import as_array, fresh, iota, reshaped
from .understood import Table


def _placed(indices: Any, extent: int, mode: str) -> Any:
    """Indices made valid as `mode` says; out of bounds raises in the mode "raise"."""
    if mode == "raise":
        return indices
    if mode == "wrap":
        return np.remainder(lift(indices), extent)
    if mode == "clip":
        return np.clip(lift(indices), 0, extent - 1)
    raise UnsupportedError("mode is 'raise', 'wrap' or 'clip'", given=repr(mode))


def take(
    a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    """`np.take`: elements, or slices along an axis, at positions."""
    x = as_array(a)
    if axis is None:
        x, axis = reshaped(x, -1), 0
    axis = normalized_axis(axis, x.ndim)
    at = _placed(indices, x.shape[axis], mode)
    if isinstance(at, list | tuple):
        at = np.asarray(at, dtype=None if len(at) else np.int64)
    if isinstance(at, np.ndarray) and at.ndim == 0:
        at = int(at)
    taken = x[(*(slice(None),) * axis, at)]
    if isinstance(taken, TracedArray) and taken.lens is not None:
        taken = fresh(taken)
    return taken if out is None else into(out, taken)


def _along(x: TracedArray, indices: TracedArray, axis: int) -> tuple[Any, ...]:
    """The key that picks `indices` along `axis` and the same position along all others."""
    if indices.ndim != x.ndim:
        raise ShapeError(
            "indices along an axis have as many axes as the array",
            given=f"shapes {indices.shape} and {x.shape}",
        )
    key: list[Any] = []
    for other, extent in enumerate(x.shape):
        line = (1,) * other + (-1,) + (1,) * (x.ndim - other - 1)
        key.append(indices if other == axis else reshaped(iota(extent), line))
    return tuple(key)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """`np.take_along_axis`: one position along an axis for every line of the array."""
    x, at = as_array(arr), lift(indices)
    if axis is None:
        x, axis = reshaped(x, -1), 0
    axis = normalized_axis(axis, x.ndim)
    return x[_along(x, at, axis)]


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    """`np.put_along_axis`: writes what `take_along_axis` would read."""
    x, at = as_target(arr), lift(indices)
    if axis is None:
        x, axis = reshaped(x, -1), 0
    axis = normalized_axis(axis, x.ndim)
    x[_along(x, at, axis)] = values


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """`np.compress` by a condition that is known while tracing."""
    if isinstance(condition, TracedArray):
        raise UnsupportedError(
            "np.compress needs a condition known while tracing, as the shape depends on it",
            given="a traced condition",
            hint="np.where(condition, x, 0) keeps the shape",
        )
    return take(a, np.flatnonzero(condition), axis, out)


def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """`np.putmask` with one value, or values of the array's own shape."""
    x, new = as_target(a), lift(values)
    if new.ndim and new.shape != x.shape:
        raise UnsupportedError(
            "np.putmask takes a number or values of the array's shape", given=f"{new.shape}"
        )
    chosen = broadcast_to(convert(lift(mask), BOOL), x.shape)
    converted = broadcast_to(convert(new, x.dtype), x.shape)
    x[...] = emit("select", chosen, converted, x, kind=Kind.ARRAY)


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """`np.put`: writes at positions of the flattened array; one value, or one per position."""
    x = as_target(a)
    at = as_array(_placed(ind, x.size, mode))
    value = as_array(v)
    if value.size not in (1, at.size):
        raise UnsupportedError(
            "np.put takes one value or one per position", given=f"{value.size} for {at.size}"
        )
    flat = reshaped(value, (1,) if value.size == 1 else at.shape)
    if x.ndim == 1:
        x[at] = flat
        return
    index: Any = convert(at, INT64)
    coordinates = []
    for extent in reversed(x.shape):
        coordinates.append(np.remainder(index, extent))
        index = np.floor_divide(index, extent)
    x[tuple(reversed(coordinates))] = flat


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """`np.fill_diagonal` of an array whose axes are alike, or of a matrix."""
    x = as_target(a)
    if wrap or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise UnsupportedError(
            "np.fill_diagonal fills matrices, or arrays with equal axes, without wrapping",
            given=f"shape {x.shape}, wrap={wrap}",
        )
    if x.ndim < 2:
        raise ShapeError("a diagonal needs two axes", given=f"shape {x.shape}")
    at = iota(min(x.shape))
    x[(at,) * x.ndim] = val


TABLE: Table = {
    np.take: take,
    np.take_along_axis: take_along_axis,
    np.put_along_axis: put_along_axis,
    np.compress: compress,
    np.put: put,
    np.putmask: putmask,
    np.fill_diagonal: fill_diagonal,
}
"""Functions by position."""
