"""Views of traced arrays, made by letting NumPy make the same view of a stand-in.

`rearranged` covers everything that keeps one step per axis (basic indexing, transpose, flip,
split, …), `reshaped` the reshapes, which NumPy makes views or copies depending on the strides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...ir.errors import OutOfBoundsError, ShapeError, TapelessError, TraceError
from ...ir.types import INT64
from .array import Concrete, Handle, Kind, TracedArray, with_kind
from .lift import convert, emit, emit_handles, lift
from .strided import Rearrangement, decode, stand_in

Recipe = Callable[[Concrete], Concrete]


def fresh(x: Any, kind: Kind = Kind.ARRAY, *, contiguous: bool | None = None) -> TracedArray:
    """A new array with the value of `x`: an update of one is not seen by the other.

    NumPy's copy has the axis order of `x` unless `contiguous` says that it is row-major.
    """
    return with_kind(lift(x), kind, contiguous=contiguous)


def as_array(x: Any) -> TracedArray:
    """`x` as NumPy's `asarray` sees it: Python numbers become float64, int64 or bool."""
    array = lift(x)
    return convert(array, array.dtype) if array.kind.weak else array


def iota(extent: int) -> TracedArray:
    """The positions 0, 1, … extent - 1 of an axis, made when the program runs."""
    positions: TracedArray = emit("iota", size=extent, dtype=INT64)
    return positions


def _storage(x: Any) -> TracedArray:
    """An array that views can be made of: numbers and scalars are put into one of their own."""
    array = lift(x)
    return array if array.kind is Kind.ARRAY else fresh(as_array(array))


def by_numpy(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What NumPy's own `function` gives for stand-ins, its errors turned into ours."""
    try:
        return function(*arguments, **options)
    except TapelessError:
        raise
    except IndexError as error:
        if isinstance(error, np.exceptions.AxisError):
            raise ShapeError("axes lie within the array", given=str(error)) from None
        raise OutOfBoundsError("indices fit the array", given=str(error)) from None
    except ValueError as error:
        raise ShapeError("shapes and axes fit together", given=str(error)) from None
    except TypeError as error:
        raise TraceError("arguments are of the types that NumPy takes", given=str(error)) from None


def rearranged(x: Any, recipe: Recipe) -> TracedArray:
    """The view that `recipe` makes of an array, which keeps one step along one axis per axis."""
    array = _storage(x)
    source = stand_in(array.shape)
    how = decode(source, by_numpy(recipe, source))
    return array.make_view(partial(read, how), partial(write, how), recipe)


def read(how: Rearrangement, handle: Handle) -> Handle:
    """The elements that a view shows, from those of its source."""
    if how.cuts:
        handle = emit_handles(
            "slice", handle, starts=how.starts, limits=how.limits, steps=how.steps
        )
    if how.reversed_axes:
        handle = emit_handles("reverse", handle, axes=how.reversed_axes)
    if how.permutes:
        handle = emit_handles("transpose", handle, axes=how.permutation)
    return _with_shape(handle, how.shape)


def write(how: Rearrangement, handle: Handle, new: Handle) -> Handle:
    """The source with the elements that a view shows replaced by `new`."""
    new = _with_shape(new, how.permuted)
    if how.permutes:
        inverse = tuple(int(axis) for axis in np.argsort(how.permutation))
        new = emit_handles("transpose", new, axes=inverse)
    if how.reversed_axes:
        new = emit_handles("reverse", new, axes=how.reversed_axes)
    if not how.cuts:
        return new
    return emit_handles(
        "update", handle, new, starts=how.starts, limits=how.limits, steps=how.steps
    )


def _with_shape(handle: Handle, shape: tuple[int, ...]) -> Handle:
    if handle.type.shape == shape:
        return handle
    return emit_handles("reshape", handle, shape=shape)


def reshaped(x: Any, shape: int | tuple[int, ...]) -> TracedArray:
    """`x.reshape(shape)`: a view where NumPy makes one, else a copy."""
    array = _storage(x)
    target = by_numpy(np.reshape, stand_in(array.shape), shape).shape
    recipe = partial(np.reshape, shape=target, copy=False)
    strided, known = array.stand_in()
    try:
        recipe(strided)
    except ValueError:  # it takes a copy, with these strides
        if known:
            return _copied_with_shape(array, target)
        return _reshape_view(array, target, recipe, sure=False)
    return _reshape_view(array, target, recipe, sure=True)


def _reshape_view(
    array: TracedArray, target: tuple[int, ...], recipe: Recipe, *, sure: bool
) -> TracedArray:
    shape = array.shape
    return array.make_view(
        lambda handle: _with_shape(handle, target),
        lambda handle, new: _with_shape(new, shape),
        recipe,
        sure=sure,
    )


def _copied_with_shape(array: TracedArray, target: tuple[int, ...]) -> TracedArray:
    return fresh(_reshape_view(array, target, lambda source: source.reshape(target), sure=True))


def spread(x: Any, shape: tuple[int, ...]) -> TracedArray:
    """`np.broadcast_to(x, shape)`: a view that cannot be written through."""
    array = _storage(x)
    target = by_numpy(np.broadcast_to, stand_in(array.shape), shape).shape
    offset = len(target) - array.ndim
    axes = tuple(
        offset + axis for axis, extent in enumerate(array.shape) if extent == target[offset + axis]
    )
    kept = tuple(target[axis] for axis in axes)

    def reader(handle: Handle) -> Handle:
        handle = _with_shape(handle, kept)
        if kept == target:
            return handle
        return emit_handles("broadcast", handle, shape=target, axes=axes)

    return array.make_view(reader, None, partial(np.broadcast_to, shape=target))
