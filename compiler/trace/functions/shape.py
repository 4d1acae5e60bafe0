"""Functions that rearrange elements: views where NumPy gives views, copies where it copies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ....ir.errors import UnsupportedError
from ..array import Concrete, Handle, Kind, TracedArray
from ..context import require_trace
from ..contraction import broadcast_shapes
from ..lift import emit, lift
from ..reductions import normalized_axes, normalized_axis
from ..strided import stand_in
from ..views import as_array, by_numpy, fresh, iota, rearranged, reshaped, spread
from .understood import Handler, Table


def _view(function: Callable[..., Any]) -> Handler:
    """The handler of a NumPy function that makes one view of its first argument."""

    def handler(array: Any, *args: Any, **kwargs: Any) -> TracedArray:
        def recipe(source: Concrete) -> Concrete:
            return function(source, *args, **kwargs)  # type: ignore[no-any-return]

        return _as_numpy_gives(array, rearranged(array, recipe), recipe)

    return _with_parameters_of(function, handler)


def _as_numpy_gives(x: Any, result: TracedArray, function: Callable[[Any], Any]) -> TracedArray:
    """A result without axes as the scalar or array that NumPy makes of such an `x`."""
    array = lift(x)
    if array.ndim or result.ndim:
        return result
    probes = {Kind.ARRAY: np.zeros(()), Kind.SCALAR: np.float64(0)}
    given = by_numpy(function, probes.get(array.kind, 0.0))
    return fresh(result, Kind.SCALAR) if isinstance(given, np.generic) else result


def _views(function: Callable[..., Any]) -> Handler:
    """The handler of a NumPy function that makes a list of views of its first argument."""

    def handler(array: Any, *args: Any, **kwargs: Any) -> Any:
        x = lift(array)
        parts = by_numpy(function, stand_in(x.shape), *args, **kwargs)

        def piece(number: int, source: Concrete) -> Concrete:
            return function(source, *args, **kwargs)[number]  # type: ignore[no-any-return]

        views = [rearranged(x, partial(piece, number)) for number in range(len(parts))]
        return type(parts)(views)

    return _with_parameters_of(function, handler)


def _with_parameters_of(function: Callable[..., Any], handler: Handler) -> Handler:
    """`handler` taking its arguments under the names that `function` gives them."""
    signature = inspect.signature(function)

    def bound(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        return handler(*given.args, **given.kwargs)

    bound.__signature__ = signature  # type: ignore[attr-defined]
    return bound


def _reordered(x: Any, order: str | None, function: Callable[[Any], Any]) -> TracedArray:
    """`function` of `x` read row by row ("C"), or of its transpose read column by column ("F")."""
    array = as_array(x)
    if order in ("C", None) or (order in ("A", "K") and array.contiguous):
        return function(array)  # type: ignore[no-any-return]
    if order == "F":
        return function(rearranged(array, np.transpose))  # type: ignore[no-any-return]
    raise UnsupportedError(
        "the order of elements is 'C' or 'F'", given=f"order={order!r} for unknown strides"
    )


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> TracedArray:
    """`np.reshape`; of a column-major order, the transpose of a reshape of the transpose."""
    if order == "F":
        target = by_numpy(np.reshape, stand_in(lift(a).shape), shape).shape
        flat = reshaped(rearranged(a, np.transpose), target[::-1])
        result = rearranged(flat, np.transpose)
    else:
        result = _reordered(a, order, lambda array: reshaped(array, shape))
    if copy is False and result.lens is None:
        raise UnsupportedError("copy=False needs a reshape that is a view", given=f"{shape}")
    result = fresh(result) if copy else result
    return _as_numpy_gives(a, result, lambda x: np.reshape(x, shape))


def ravel(a: Any, order: str = "C") -> TracedArray:
    """`np.ravel`: a view where the elements lie one after another."""
    return _reordered(a, order, lambda array: reshaped(array, -1))


def squeeze(a: Any, axis: Any = None) -> TracedArray:
    """`np.squeeze`: a view without axes of extent one."""
    return _as_numpy_gives(
        a, rearranged(a, lambda source: np.squeeze(source, axis)), lambda x: np.squeeze(x, axis)
    )


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> TracedArray:
    """`np.broadcast_to`: a read-only view."""
    return spread(
        array, shape if isinstance(shape, tuple) else tuple(np.atleast_1d(shape).tolist())
    )


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[TracedArray, ...]:
    """`np.broadcast_arrays`."""
    arrays = [as_array(x) for x in args]
    shape = broadcast_shapes("np.broadcast_arrays", *(x.shape for x in arrays))
    return tuple(x if x.shape == shape and x.shape else spread(x, shape) for x in arrays)


def _at_least(function: Callable[..., Any]) -> Handler:
    def handler(*arys: Any) -> Any:
        views = tuple(rearranged(x, function) for x in arys)
        return views[0] if len(views) == 1 else views

    return handler


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TracedArray:
    """`np.diagonal`: a view that cannot be written through."""
    recipe = partial(np.diagonal, offset=offset, axis1=axis1, axis2=axis2)
    x = as_array(a)
    by_numpy(recipe, stand_in(x.shape))

    def reader(handle: Handle) -> Handle:
        matrix = TracedArray(require_trace(), handle)
        return _diagonal_of(
            rearranged(matrix, lambda s: np.moveaxis(s, (axis1, axis2), (-2, -1))), offset
        ).value

    return x.make_view(reader, None, recipe)


def _diagonal_of(matrix: TracedArray, offset: int) -> TracedArray:
    """Every (columns + 1)-th element of the rows laid end to end."""
    rows, columns = matrix.shape[-2:]
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    start = max(offset, 0) + max(-offset, 0) * columns
    flat = emit("reshape", matrix, shape=(*matrix.shape[:-2], rows * columns))
    last = start + (count - 1) * (columns + 1) + 1 if count else 0
    part = slice(start if count else 0, last, columns + 1)
    return rearranged(flat, lambda source: source[..., part])


def tile(A: Any, reps: Any) -> TracedArray:
    """`np.tile`: the array repeated as a whole along each axis."""
    x = as_array(A)
    times = tuple(int(n) for n in np.atleast_1d(reps))
    rank = max(x.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    apart = tuple(n for extent in shape for n in (1, extent))
    repeated = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
    joined = tuple(n * extent for n, extent in zip(times, shape, strict=True))
    return fresh(reshaped(fresh(spread(reshaped(x, apart), repeated)), joined))


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """`np.repeat`: each element repeated a number of times that is known while tracing."""
    if isinstance(repeats, TracedArray):
        raise UnsupportedError(
            "np.repeat needs counts known while tracing, as the shape depends on them",
            given="traced repeats",
            hint="declare the argument static in tl.compile(static=...)",
        )
    x = ravel(a) if axis is None else as_array(a)
    axis = normalized_axis(0 if axis is None else axis, x.ndim)
    counts = np.asarray(repeats)
    if counts.size != 1:
        positions = by_numpy(np.repeat, np.arange(x.shape[axis]), counts)
        return np.take(x, positions, axis)
    count, extent = int(counts.reshape(())), x.shape[axis]
    apart = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    spaced = (*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
    joined = (*x.shape[:axis], extent * count, *x.shape[axis + 1 :])
    return fresh(reshaped(fresh(spread(reshaped(x, apart), spaced)), joined))


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """`np.roll`: elements pushed along axes and put back in at the other end."""
    x = as_array(a)
    if axis is None:
        return fresh(reshaped(roll(reshaped(x, -1), shift, 0), x.shape))
    axes = axis if isinstance(axis, tuple) else (axis,)
    if isinstance(shift, tuple | list | np.ndarray):
        shifts: Sequence[Any] = list(shift)
    else:
        shifts = [shift] * len(axes)
    if len(shifts) != len(axes):
        axes = axes * len(shifts)
    result: Any = fresh(x)
    for one, along in zip(shifts, axes, strict=True):
        result = _rolled(result, one, normalized_axis(along, x.ndim))
    return result


def _rolled(x: TracedArray, shift: Any, axis: int) -> Any:
    extent = x.shape[axis]
    if isinstance(shift, TracedArray):
        return np.take(x, np.remainder(iota(extent) - shift, extent), axis)
    cut = -int(shift) % extent if extent else 0
    if cut == 0:
        return x
    before = (slice(None),) * axis
    return np.concatenate(
        [x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]],
        axis=axis,
    )


_ONE_VIEW = (
    np.transpose,
    np.matrix_transpose,
    np.linalg.matrix_transpose,
    np.swapaxes,
    np.moveaxis,
    np.rollaxis,
    np.expand_dims,
    np.flip,
    np.fliplr,
    np.flipud,
    np.rot90,
)
_SEVERAL_VIEWS = (
    np.split,
    np.array_split,
    np.hsplit,
    np.vsplit,
    np.dsplit,
    np.unstack,
)


def _shifted(amount: Callable[[int], int]) -> Handler:
    """`roll` of every axis by `amount` of its extent."""

    def handler(x: Any, axes: Any = None) -> Any:
        array = as_array(x)
        along = normalized_axes(axes, array.ndim)
        return roll(array, tuple(amount(array.shape[axis]) for axis in along), along)

    return handler


TABLE: Table = {
    **{function: _view(function) for function in _ONE_VIEW},
    **{function: _views(function) for function in _SEVERAL_VIEWS},
    **{f: _at_least(f) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d)},
    np.reshape: reshape,
    np.ravel: ravel,
    np.squeeze: squeeze,
    np.broadcast_to: broadcast_to,
    np.broadcast_arrays: broadcast_arrays,
    np.diagonal: diagonal,
    np.linalg.diagonal: lambda x, /, *, offset=0: diagonal(x, offset, -2, -1),
    np.tile: tile,
    np.repeat: repeat,
    np.roll: roll,
    np.fft.fftshift: _shifted(lambda extent: extent // 2),
    np.fft.ifftshift: _shifted(lambda extent: -(extent // 2)),
}
"""Rearranging functions."""
