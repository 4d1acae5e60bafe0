"""Functions that put arrays together: concatenate, stack, pad, append, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from ....ir.types import BOOL
from ..array import Kind, TracedArray
from ..lift import convert, emit, lift
from ..promotion import check_cast, result_type
from ..reductions import into, normalized_axis
from ..views import as_array, by_numpy, fresh, rearranged, reshaped
from .understood import Handler, Table


def concatenate(
    arrays: Sequence[Any],
    /,
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> TracedArray:
    """`np.concatenate`: the arrays one after another along an axis; flattened for axis None."""
    parts = [as_array(x) for x in arrays]
    if axis is None:
        parts, axis = [reshaped(x, -1) for x in parts], 0
    if not parts or any(x.ndim == 0 for x in parts):
        raise ShapeError(
            "np.concatenate joins one array or more, each with at least one axis",
            given=f"shapes {[x.shape for x in parts]}",
            hint="join scalars with np.stack",
        )
    axis = normalized_axis(axis, parts[0].ndim)
    others = {x.shape[:axis] + x.shape[axis + 1 :] for x in parts}
    if len(others) > 1 or len({x.ndim for x in parts}) > 1:
        raise ShapeError(
            f"arrays joined along axis {axis} agree in all other extents",
            given=" and ".join(str(x.shape) for x in parts),
        )
    target = result_type(*parts) if dtype is None else np.dtype(dtype)
    for x in parts:
        check_cast(x.dtype, target, casting, "an array to be joined")
    joined = emit("concatenate", *(convert(x, target) for x in parts), axis=axis)
    return joined if out is None else into(out, joined, casting)


def stack(
    arrays: Sequence[Any],
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> TracedArray:
    """`np.stack`: the arrays side by side along a new axis."""
    parts = [as_array(x) for x in arrays]
    if len({x.shape for x in parts}) != 1:
        raise ShapeError(
            "np.stack joins arrays of one shape", given=" and ".join(str(x.shape) for x in parts)
        )
    axis = normalized_axis(axis, parts[0].ndim + 1)
    shape = (*parts[0].shape[:axis], 1, *parts[0].shape[axis:])
    rows = [reshaped(x, shape) for x in parts]
    return concatenate(rows, axis, out, dtype=dtype, casting=casting)


def _stacked(at_least: Any, axis: int) -> Handler:
    def handler(
        tup: Sequence[Any], *, dtype: Any = None, casting: str = "same_kind"
    ) -> TracedArray:
        parts = [rearranged(x, at_least) for x in tup]
        along = 0 if axis == 1 and parts and parts[0].ndim == 1 else axis
        return concatenate(parts, along, dtype=dtype, casting=casting)

    return handler


def column_stack(tup: Sequence[Any]) -> TracedArray:
    """`np.column_stack`: vectors become columns."""
    parts = [as_array(x) for x in tup]
    columns = [reshaped(x, (x.size, 1)) if x.ndim < 2 else x for x in parts]
    return concatenate(columns, 1)


def append(arr: Any, values: Any, axis: int | None = None) -> TracedArray:
    """`np.append`."""
    return concatenate([arr, values], axis)


def block(arrays: Any) -> TracedArray:
    """`np.block`: innermost lists joined along the last axis, outer ones along those before."""
    depth = _depth(arrays)
    rank = max([depth, *(x.ndim for x in _leaves(arrays))])
    return fresh(_joined(arrays, depth, rank))


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays)) if isinstance(arrays, list) else 0


def _leaves(arrays: Any) -> list[TracedArray]:
    if isinstance(arrays, list):
        return [leaf for item in arrays for leaf in _leaves(item)]
    return [as_array(arrays)]


def _joined(arrays: Any, depth: int, rank: int) -> TracedArray:
    if not isinstance(arrays, list):
        x = as_array(arrays)
        return reshaped(x, (1,) * (rank - x.ndim) + x.shape)
    return concatenate([_joined(item, depth - 1, rank) for item in arrays], -depth)


# -- padding --------

_BY_POSITION = ("edge", "reflect", "symmetric", "wrap")
"""Modes of `np.pad` whose new elements are copies of old ones."""


def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> TracedArray:
    """`np.pad` with a constant, or with elements of the array itself."""
    x = as_array(array)
    if isinstance(pad_width, dict):
        given = pad_width
        pairs: list[Any] = [given.get(n, given.get(n - x.ndim, 0)) for n in range(x.ndim)]
        pad_width = [(pair, pair) if np.ndim(pair) == 0 else pair for pair in pairs]
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    if mode == "constant" and options.keys() <= {"constant_values"}:
        return _pad_with(x, widths, options.get("constant_values", 0))
    if mode in _BY_POSITION and not options.keys() - {"reflect_type"}:
        return _pad_from(x, widths, mode, options)
    raise UnsupportedError(
        f"np.pad is understood in the modes constant, {', '.join(_BY_POSITION)}",
        given=f"mode={mode!r} with {options}",
    )


def _pad_with(x: TracedArray, widths: list[list[int]], fill: Any) -> TracedArray:
    if any(low < 0 or high < 0 for low, high in widths):
        raise ShapeError("pad widths are not negative", given=str(widths))
    value = lift(fill)
    if value.ndim:
        raise UnsupportedError("np.pad fills with one number", given=f"shape {value.shape}")
    if value.literal is not None:
        return _padded(x, widths, convert(value, x.dtype).dtype.type(value.literal).item())
    zeros = np.zeros_like(x, dtype=BOOL)
    added = _padded(lift(zeros), widths, True)
    return np.where(added, convert(value, x.dtype), _padded(x, widths, 0))  # type: ignore


def _padded(x: TracedArray, widths: list[list[int]], fill: float) -> TracedArray:
    low, high = tuple(a for a, _ in widths), tuple(b for _, b in widths)
    number = x.dtype.type(fill).item()
    padded: TracedArray = emit(
        "pad", x, low=low, high=high, interior=(0,) * x.ndim, fill=number, kind=Kind.ARRAY
    )
    return padded


def _pad_from(
    x: TracedArray, widths: list[list[int]], mode: str, options: dict[str, Any]
) -> TracedArray:
    if options.get("reflect_type", "even") != "even":
        raise UnsupportedError("np.pad reflects evenly", given=str(options))
    result = fresh(x)
    for axis, (low, high) in enumerate(widths):
        if low or high:
            positions = np.pad(np.arange(x.shape[axis]), (low, high), mode=mode)  # type: ignore
            result = np.take(result, positions, axis)
    return result


def delete(arr: Any, obj: Any, axis: int | None = None) -> TracedArray:
    """`np.delete` of positions that are known while tracing."""
    x = reshaped(arr, -1) if axis is None else as_array(arr)
    along = normalized_axis(0 if axis is None else axis, x.ndim)
    if isinstance(obj, TracedArray):
        raise UnsupportedError(
            "np.delete needs positions known while tracing", given="a traced one"
        )
    return np.take(x, np.delete(np.arange(x.shape[along]), obj), along)  # type: ignore


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """`np.insert` at positions that are known while tracing."""
    x = reshaped(arr, -1) if axis is None else as_array(arr)
    along = normalized_axis(0 if axis is None else axis, x.ndim)
    if isinstance(obj, TracedArray):
        raise UnsupportedError("np.insert needs positions known while tracing", given="traced ones")
    new = convert(lift(values), x.dtype)
    if np.ndim(obj) == 0 and not isinstance(obj, slice) and new.ndim == x.ndim:
        count = new.shape[along]
    else:
        count = np.arange(x.shape[along])[obj].size if isinstance(obj, slice) else np.size(obj)
        if np.ndim(obj) == 0 and not isinstance(obj, slice) and new.ndim:
            new = rearranged(new, lambda source: np.expand_dims(source, along))
    shape = (*x.shape[:along], count, *x.shape[along + 1 :])
    extent = x.shape[along]
    added = np.arange(extent, extent + count)
    order = by_numpy(np.insert, np.arange(extent), obj, added if count != 1 else added[0])
    both = np.concatenate([x, np.broadcast_to(new, shape)], axis=along)
    return np.take(both, order, along)


def resize(a: Any, new_shape: Any) -> Any:
    """`np.resize`: the elements again and again until the shape is full."""
    flat = reshaped(fresh(as_array(a)), -1)
    return flat[np.resize(np.arange(flat.size), new_shape)]


TABLE: Table = {
    np.concatenate: concatenate,
    np.stack: stack,
    np.vstack: _stacked(np.atleast_2d, 0),
    np.hstack: _stacked(np.atleast_1d, 1),
    np.dstack: _stacked(np.atleast_3d, 2),
    np.column_stack: column_stack,
    np.append: append,
    np.block: block,
    np.pad: pad,
    np.delete: delete,
    np.insert: insert,
    np.resize: resize,
}
"""Joining functions."""
