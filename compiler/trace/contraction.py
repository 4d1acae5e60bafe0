"""Matrix products of traced arrays of one element type, in terms of the op `dot`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.errors import ShapeError
from ...ir.types import BOOL, INT64, Shape
from .array import TracedArray
from .lift import broadcast_to, convert, emit
from .views import rearranged, reshaped


def dot(
    x: TracedArray,
    y: TracedArray,
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> TracedArray:
    """Sums of products over paired axes: batch axes, free axes of x, free axes of y.

    Of booleans: whether any product is true, as NumPy's products of booleans.
    """
    if x.dtype == BOOL:
        return convert(dot(convert(x, INT64), convert(y, INT64), contract, batch), BOOL)
    batched = tuple(map(tuple, batch))
    result: TracedArray = emit("dot", x, y, batch=batched, contract=tuple(map(tuple, contract)))
    return result


def matmul(x: TracedArray, y: TracedArray) -> TracedArray:
    """NumPy's `@`: vectors are rows or columns for its duration, leading axes broadcast."""
    _check_matmul(x, y)
    if x.ndim == 1:
        return dot(x, y, ((0,), (max(y.ndim - 2, 0),)))
    if y.ndim <= 2:
        return dot(x, y, ((x.ndim - 1,), (0,)))
    if x.ndim == 2:
        product = dot(x, y, ((1,), (y.ndim - 2,)))  # rows first: they go behind the batch
        return rearranged(product, lambda array: np.moveaxis(array, 0, -2))
    lead = broadcast_shapes("matmul", x.shape[:-2], y.shape[:-2])
    x = broadcast_to(x, lead + x.shape[-2:])
    y = broadcast_to(y, lead + y.shape[-2:])
    axes = tuple(range(len(lead)))
    return dot(x, y, ((len(lead) + 1,), (len(lead),)), (axes, axes))


def _check_matmul(x: TracedArray, y: TracedArray) -> None:
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(
            "a matrix product needs operands with at least one axis",
            given=f"shapes {x.shape} and {y.shape}",
            hint="multiply by a scalar with *",
        )
    inner = y.shape[max(y.ndim - 2, 0)]
    if x.shape[-1] != inner:
        raise ShapeError(
            "a matrix product needs as many columns on its left as rows on its right",
            given=f"shapes {x.shape} and {y.shape}: {x.shape[-1]} against {inner}",
        )


def vecdot(x: TracedArray, y: TracedArray) -> TracedArray:
    """Sums of products along the last axes; the others broadcast."""
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(
            "vecdot needs last axes of one extent", given=f"shapes {x.shape} and {y.shape}"
        )
    shape = broadcast_shapes("vecdot", x.shape, y.shape)
    axes = tuple(range(len(shape) - 1))
    pair = (axes, axes)
    last = ((len(shape) - 1,), (len(shape) - 1,))
    return dot(broadcast_to(x, shape), broadcast_to(y, shape), last, pair)


def matvec(x: TracedArray, y: TracedArray) -> TracedArray:
    """Matrices times vectors along the last axes; the others broadcast."""
    product = matmul(x, reshaped(y, (*y.shape, 1)))
    return reshaped(product, product.shape[:-1])


def vecmat(x: TracedArray, y: TracedArray) -> TracedArray:
    """Vectors times matrices along the last axes; the others broadcast."""
    product = matmul(reshaped(x, (*x.shape[:-1], 1, *x.shape[-1:])), y)
    return reshaped(product, (*product.shape[:-2], *product.shape[-1:]))


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The shape that all broadcast to; `ShapeError` naming them for one that does not exist."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"operands of {name} have shapes that broadcast together",
            given=" and ".join(map(str, shapes)),
            hint="extents from the last axis on must be equal, or one of them 1",
        ) from None
