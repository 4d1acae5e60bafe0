"""Functions that make arrays like a given one, copies, and grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.errors import UnsupportedError
from ....ir.types import FLOAT64, DType, Shape
from ..array import TracedArray
from ..lift import broadcast_to, convert, emit, lift
from ..promotion import check_cast, result_type
from ..reductions import as_target
from ..views import as_array, fresh, reshaped
from .understood import Handler, Table


def _like(a: Any, dtype: Any, shape: Any) -> tuple[DType, Shape]:
    x = as_array(a)
    wanted = x.shape if shape is None else shape
    return (
        x.dtype if dtype is None else np.dtype(dtype),
        (int(wanted),) if isinstance(wanted, int | np.integer) else tuple(map(int, wanted)),
    )


def _filled(value: Any, a: Any, dtype: Any, order: str, shape: Any) -> TracedArray:
    new_dtype, new_shape = _like(a, dtype, shape)
    row_major = order == "C" or (order != "F" and lift(a).contiguous)
    return fresh(broadcast_to(convert(value, new_dtype), new_shape), contiguous=row_major)


def _filled_like(value: float) -> Handler:
    def handler(
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> TracedArray:
        return _filled(value, a, dtype, order, shape)

    return handler


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> TracedArray:
    """`np.full_like`: the value, converted without restraint, everywhere."""
    return _filled(fill_value, a, dtype, order, shape)


def copy(a: Any, order: str = "K", subok: bool = False) -> TracedArray:
    """`np.copy`."""
    return fresh(as_array(a), contiguous=True if order == "C" else None)


def astype(
    x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None, casting: str = "unsafe"
) -> TracedArray:
    """`np.astype`: the elements converted; a copy unless told otherwise."""
    array = as_array(x)
    check_cast(array.dtype, np.dtype(dtype), casting, "an array")
    converted = convert(array, dtype)
    return fresh(converted, array.kind) if copy else converted


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`np.linspace` between traced ends: start + i step, the last element exactly `stop`."""
    low, high = lift(start), lift(stop)
    real = result_type(low, high)
    real = real if real.kind == "f" else FLOAT64
    low, high = np.broadcast_arrays(convert(low, real), convert(high, real))  # type: ignore
    divisions = num - 1 if endpoint else num
    delta: Any = np.subtract(high, low)
    step = delta / divisions if divisions > 0 else delta * np.nan
    index = convert(emit("iota", size=num, dtype=np.dtype(np.int64)), real)
    counts = reshaped(index, (num,) + (1,) * low.ndim)
    points = low + (counts * step if divisions > 0 else counts * delta)
    if endpoint and num > 1:
        points[-1, ...] = high
    points = np.moveaxis(points, 0, axis)
    if dtype is not None:
        target = np.dtype(dtype)
        points = convert(np.floor(points) if target.kind in "iu" else points, target)
    return (fresh(points), step) if retstep else fresh(points)


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`np.logspace`: powers of one base with evenly spaced exponents."""
    if lift(base).ndim:
        raise UnsupportedError("np.logspace takes one base", given=f"shape {lift(base).shape}")
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    powers: Any = np.power(base, exponents)
    return powers if dtype is None else convert(powers, dtype)


def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[TracedArray, ...]:
    """`np.meshgrid`: coordinate arrays of a grid."""
    if not copy:
        raise UnsupportedError("np.meshgrid makes copies", given="copy=False")
    rank = len(xi)
    axes = list(range(rank))
    if indexing == "xy" and rank > 1:
        axes[:2] = [1, 0]
    flat = [reshaped(x, -1) for x in xi]
    lines = [
        reshaped(x, (1,) * axis + (x.size,) + (1,) * (rank - axis - 1))
        for x, axis in zip(flat, axes, strict=True)
    ]
    if sparse:
        return tuple(fresh(x) for x in lines)
    shape = np.broadcast_shapes(*(x.shape for x in lines))
    return tuple(fresh(broadcast_to(x, shape)) for x in lines)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """`np.copyto`: `dst[...] = src`, where a condition holds."""
    target, source = as_target(dst), lift(src)
    if not source.kind.weak:
        check_cast(source.dtype, target.dtype, casting, "the source of np.copyto")
    if where is not True:
        source = np.where(where, convert(source, target.dtype), target)  # type: ignore
    target[...] = source


def vander(x: Any, N: int | None = None, increasing: bool = False) -> TracedArray:
    """`np.vander`: the powers of each element as a row."""
    column = as_array(x)
    count = column.size if N is None else N
    powers: list[Any] = [np.ones_like(column)]
    while len(powers) < count:
        powers.append(powers[-1] * column)
    rows = powers[:count] if increasing else powers[:count][::-1]
    return np.stack(rows, axis=1)  # type: ignore[return-value]


_zeros_like = _filled_like(0)

TABLE: Table = {
    np.zeros_like: _zeros_like,
    np.empty_like: _zeros_like,
    np.ones_like: _filled_like(1),
    np.full_like: full_like,
    np.copy: copy,
    np.astype: astype,
    np.linspace: linspace,
    np.logspace: logspace,
    np.meshgrid: meshgrid,
    np.copyto: copyto,
    np.vander: vander,
}
"""Creating functions. `np.empty_like` gives zeros, so that results never depend on chance."""
