"""The general matrix product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import TensorType
from .registry import Family, declare, require

Array = np.ndarray[Any, Any]
AxisPair = tuple[tuple[int, ...], tuple[int, ...]]


def free_axes(rank: int, batch: Sequence[int], contract: Sequence[int]) -> tuple[int, ...]:
    """The axes of one operand that are neither batched nor contracted."""
    return tuple(axis for axis in range(rank) if axis not in batch and axis not in contract)


def _rule(operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
    x, y = operands
    batch: AxisPair = attrs["batch"]
    contract: AxisPair = attrs["contract"]
    for axes_x, axes_y in (batch, contract):
        require(
            len(axes_x) == len(axes_y)
            and all(0 <= a < x.rank for a in axes_x)
            and all(0 <= a < y.rank for a in axes_y)
            and [x.shape[a] for a in axes_x] == [y.shape[a] for a in axes_y],
            f"dot pairs axes {axes_x} and {axes_y} of equal extents",
            operands,
        )
    for side, rank in ((0, x.rank), (1, y.rank)):
        used = (*batch[side], *contract[side])
        require(len(set(used)) == len(used) <= rank, "dot uses every axis once", operands)
    require(x.dtype == y.dtype and x.dtype.kind in "iuf", "dot needs numbers of one type", operands)
    shape = (
        *(x.shape[a] for a in batch[0]),
        *(x.shape[a] for a in free_axes(x.rank, batch[0], contract[0])),
        *(y.shape[a] for a in free_axes(y.rank, batch[1], contract[1])),
    )
    return (x.with_shape(shape),)


def _reference(x: Array, y: Array, batch: AxisPair, contract: AxisPair) -> Array:
    free_x = free_axes(x.ndim, batch[0], contract[0])
    free_y = free_axes(y.ndim, batch[1], contract[1])
    lead = tuple(x.shape[a] for a in batch[0])
    inner = int(np.prod([x.shape[a] for a in contract[0]], dtype=np.int64))
    shape_x = tuple(x.shape[a] for a in free_x)
    shape_y = tuple(y.shape[a] for a in free_y)
    rows, columns = (int(np.prod(shape, dtype=np.int64)) for shape in (shape_x, shape_y))
    left = x.transpose(*batch[0], *free_x, *contract[0]).reshape(*lead, rows, inner)
    right = y.transpose(*batch[1], *contract[1], *free_y).reshape(*lead, inner, columns)
    product: Array = np.matmul(left, right)
    return product.reshape((*lead, *shape_x, *shape_y))


dot = declare(
    "dot",
    Family.CONTRACTION,
    2,
    _rule,
    _reference,
    "sums of products over paired axes; the result has the batch axes, then the free axes of "
    "the first operand, then those of the second. batch = (axes of x, axes of y), contract alike",
    attrs=("batch", "contract"),
)
