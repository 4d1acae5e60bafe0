"""Products of vectors and matrices, norms, and what is read off a matrix by position."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from .. import contraction
from ..array import TracedArray
from ..lift import convert, emit
from ..promotion import result_type
from ..reductions import into, normalized_axis
from ..views import as_array, fresh, iota, rearranged, reshaped
from .understood import Handler, Table


def _pair(a: Any, b: Any) -> tuple[TracedArray, TracedArray]:
    """Two operands in the element type of their product."""
    x, y = as_array(a), as_array(b)
    dtype = result_type(x, y)
    return convert(x, dtype), convert(y, dtype)


def _misfit(name: str, x: TracedArray, y: TracedArray) -> ShapeError:
    return ShapeError(
        f"{name} sums over axes of one extent", given=f"shapes {x.shape} and {y.shape}"
    )


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """`np.dot`: sums over the last axis of a and the last but one of b; scalars multiply."""
    x, y = _pair(a, b)
    if x.ndim == 0 or y.ndim == 0:
        product: Any = np.multiply(x, y)
    else:
        inner = max(y.ndim - 2, 0)
        if x.shape[-1] != y.shape[inner]:
            raise _misfit("np.dot", x, y)
        product = contraction.dot(x, y, ((x.ndim - 1,), (inner,)))
    return product if out is None else into(out, product)


def inner(a: Any, b: Any, /) -> Any:
    """`np.inner`: sums over the last axes; scalars multiply."""
    x, y = _pair(a, b)
    if x.ndim == 0 or y.ndim == 0:
        return np.multiply(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise _misfit("np.inner", x, y)
    return contraction.dot(x, y, ((x.ndim - 1,), (y.ndim - 1,)))


def vdot(a: Any, b: Any, /) -> Any:
    """`np.vdot`: the sum of products of all elements."""
    x, y = _pair(a, b)
    if x.size != y.size:
        raise _misfit("np.vdot", x, y)
    return contraction.dot(_flat(x), _flat(y), ((0,), (0,)))


def _flat(x: TracedArray) -> TracedArray:
    return x if x.ndim == 1 else reshaped(fresh(x), -1)


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """`np.outer`: all products of elements of a with elements of b."""
    x, y = _flat(as_array(a)), _flat(as_array(b))
    product: Any = np.multiply(reshaped(x, (x.size, 1)), y)
    return product if out is None else into(out, product)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """`np.tensordot`: sums over paired axes, the rest of a then the rest of b; always an array."""
    x, y = _pair(a, b)
    if isinstance(axes, int):
        left, right = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        left, right = (list(np.atleast_1d(side)) for side in axes)
    over_x = tuple(normalized_axis(int(axis), x.ndim) for axis in left)
    over_y = tuple(normalized_axis(int(axis), y.ndim) for axis in right)
    if [x.shape[axis] for axis in over_x] != [y.shape[axis] for axis in over_y]:
        raise _misfit(f"np.tensordot over axes {over_x} and {over_y}", x, y)
    return fresh(contraction.dot(x, y, (over_x, over_y)))


def kron(a: Any, b: Any) -> Any:
    """`np.kron`: b scaled by every element of a, laid out as blocks."""
    x, y = as_array(a), as_array(b)
    rank = max(x.ndim, y.ndim)
    if rank == 0:
        return np.multiply(x, y)
    shape_x = (1,) * (rank - x.ndim) + x.shape
    shape_y = (1,) * (rank - y.ndim) + y.shape
    apart_x = tuple(n for extent in shape_x for n in (extent, 1))
    apart_y = tuple(n for extent in shape_y for n in (1, extent))
    product: Any = np.multiply(reshaped(x, apart_x), reshaped(y, apart_y))
    return fresh(reshaped(product, tuple(m * n for m, n in zip(shape_x, shape_y, strict=True))))


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """`np.linalg.multi_dot`, from left to right."""
    product = as_array(arrays[0])
    for factor in arrays[1:]:
        product = dot(product, factor)
    return product if out is None else into(out, product)


def matrix_power(a: Any, n: int) -> Any:
    """`np.linalg.matrix_power` for a known exponent that is not negative, by squaring."""
    x = as_array(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError("a matrix power needs square matrices", given=f"shape {x.shape}")
    if isinstance(n, TracedArray) or n < 0:
        raise UnsupportedError(
            "np.linalg.matrix_power takes a known exponent that is not negative", given=f"{n}"
        )
    if n == 0:
        eye = np.eye(x.shape[-1], dtype=x.dtype)
        whole: Any = np.broadcast_to(convert(eye, x.dtype), x.shape)
        return fresh(whole, contiguous=x.contiguous)
    if n == 1:
        return x
    result, square = None, x
    while n:
        if n & 1:
            result = square if result is None else result @ square
        n >>= 1
        square = square @ square if n else square
    return fresh(result)


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """`np.cross` of vectors of three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (
        rearranged(v, partial(np.moveaxis, source=at, destination=-1))
        for v, at in ((a, axisa), (b, axisb))
    )
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise UnsupportedError(
            "np.cross takes vectors of three components",
            given=f"{x.shape[-1]} and {y.shape[-1]}",
            hint="in the plane, write x[0] * y[1] - x[1] * y[0]",
        )
    (x0, x1, x2), (y0, y1, y2) = ([v[..., i] for i in range(3)] for v in (x, y))
    parts = [x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0]
    return np.stack(parts, axis=axisc)


# -- by position --------


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """`np.trace`: the sum along a diagonal."""
    return np.sum(np.diagonal(as_array(a), offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


def diag(v: Any, k: int = 0) -> Any:
    """`np.diag`: a matrix with a diagonal, or the diagonal of a matrix."""
    x = as_array(v)
    if x.ndim == 2:
        return np.diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError("np.diag takes a vector or a matrix", given=f"shape {x.shape}")
    side = x.size + abs(k)
    # One more zero after each element makes a row: the last one is cut off again.
    start = k if k >= 0 else -k * side
    used = x.size * (side + 1) - side if x.size else 0
    spaced = emit(
        "pad",
        x,
        low=(start,),
        high=(side * side - start - used,),
        interior=(side,),
        fill=x.dtype.type(0).item(),
    )
    result: TracedArray = emit("reshape", spaced, shape=(side, side))
    return result


def diagflat(v: Any, k: int = 0) -> Any:
    """`np.diagflat`: all elements on the diagonal of a matrix."""
    return diag(reshaped(v, -1), k)


def _triangle(keeps: np.ufunc) -> Handler:
    """The elements where `keeps(column, row + k)`; zeros elsewhere."""

    def handler(m: Any, k: int = 0) -> Any:
        x = as_array(m)
        if x.ndim == 0:
            raise ShapeError("a triangle is taken of a matrix", given="a scalar")
        rows, columns = x.shape[-2:] if x.ndim > 1 else (x.shape[0], x.shape[0])
        kept = keeps(iota(columns), reshaped(iota(rows), (rows, 1)) + k)
        return np.where(kept, x, x.dtype.type(0))

    return handler


# -- norms --------


def _floating(x: Any) -> TracedArray:
    array = as_array(x)
    return array if array.dtype.kind == "f" else convert(array, np.float64)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.linalg.norm`: vector norms, and of matrices the Frobenius, 1 and infinity norms."""
    array = _floating(x)
    if axis is None and ord is None:
        flat = _flat(array)
        result: Any = np.sqrt(contraction.dot(flat, flat, ((0,), (0,))))
        return reshaped(result, (1,) * array.ndim) if keepdims else result
    axes = tuple(range(array.ndim)) if axis is None else axis
    axes = axes if isinstance(axes, tuple) else (axes,)
    axes = tuple(normalized_axis(a, array.ndim) for a in axes)
    if len(axes) == 1:
        return _vector_norm(array, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(array, ord, axes, keepdims)
    raise ShapeError("a norm is of vectors or matrices", given=f"{len(axes)} axes")


def _vector_norm(x: TracedArray, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    options: dict[str, Any] = {"axis": axes, "keepdims": keepdims}
    if ord is None or ord == 2:
        return np.sqrt(np.sum(x * x, **options))
    if isinstance(ord, str):
        raise UnsupportedError("the order of a vector norm is a number", given=repr(ord))
    if ord == np.inf:
        return np.max(np.abs(x), **options)
    if ord == -np.inf:
        return np.min(np.abs(x), **options)
    if ord == 0:
        return np.sum((x != 0).astype(x.dtype), **options)
    if ord == 1:
        return np.sum(np.abs(x), **options)
    scalar = x.dtype.type
    return np.power(np.sum(np.power(np.abs(x), ord), **options), scalar(1) / scalar(ord))


_MATRIX_NORMS = {1: (np.max, 0), -1: (np.min, 0), np.inf: (np.max, 1), -np.inf: (np.min, 1)}
"""Order to (which of the sums is taken, the axis that is summed) for norms by columns or rows."""


def _matrix_norm(x: TracedArray, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord in (None, "fro", "f"):
        return np.sqrt(np.sum(x * x, axis=axes, keepdims=keepdims))
    if ord not in _MATRIX_NORMS:
        raise UnsupportedError(
            "matrix norms are the Frobenius norm and those of order 1, -1, inf and -inf",
            given=f"ord={ord!r}, which needs singular values",
        )
    extreme, summed = _MATRIX_NORMS[ord]
    sums = np.sum(np.abs(x), axis=axes[summed], keepdims=True)
    result = extreme(sums, axis=axes, keepdims=True)
    return result if keepdims else np.squeeze(result, axis=axes)[()]


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """`np.linalg.vector_norm`: over all elements unless axes are given."""
    array = _floating(x)
    axes = tuple(range(array.ndim)) if axis is None else axis
    axes = tuple(normalized_axis(a, array.ndim) for a in np.atleast_1d(axes).astype(int).tolist())
    return _vector_norm(array, ord, axes, keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """`np.linalg.matrix_norm`: over the last two axes."""
    array = _floating(x)
    return _matrix_norm(array, ord, (array.ndim - 2, array.ndim - 1), keepdims)


def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.vecdot(x1, x2, axis=axis)  # type: ignore[call-overload]


TABLE: Table = {
    np.dot: dot,
    np.inner: inner,
    np.vdot: vdot,
    np.outer: outer,
    np.tensordot: tensordot,
    np.kron: kron,
    np.cross: cross,
    np.trace: trace,
    np.diag: diag,
    np.diagflat: diagflat,
    np.tril: _triangle(np.less_equal),
    np.triu: _triangle(np.greater_equal),
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: matrix_norm,
    np.linalg.multi_dot: multi_dot,
    np.linalg.matrix_power: matrix_power,
    np.linalg.matmul: lambda x1, x2, /: np.matmul(x1, x2),
    np.linalg.vecdot: _vecdot,
    np.linalg.tensordot: lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes),
    np.linalg.outer: lambda x1, x2, /: outer(x1, x2),
    np.linalg.cross: lambda x1, x2, /, *, axis=-1: cross(x1, x2, axis=axis),
    np.linalg.trace: lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype),
}
"""Products, norms and diagonals."""
