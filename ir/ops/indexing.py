"""Reads and writes at positions that are known only when the program runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import INT64, TensorType
from .registry import Family, declare, require

Array = np.ndarray[Any, Any]


def _gathered(
    x: TensorType,
    indices: Sequence[TensorType],
    axes: Sequence[int],
    operands: Sequence[TensorType],
) -> TensorType:
    require(
        len(indices) == len(axes) > 0
        and list(axes) == sorted(set(axes))
        and all(0 <= axis < x.rank for axis in axes),
        f"indices for the increasing axes {axes}, one operand each",
        operands,
    )
    require(
        all(index.dtype == INT64 and index.shape == indices[0].shape for index in indices),
        "indices are i64 and of one shape",
        operands,
    )
    rest = tuple(extent for axis, extent in enumerate(x.shape) if axis not in axes)
    return x.with_shape(indices[0].shape + rest)


def _gather_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    return (_gathered(operands[0], operands[1:], attrs["axes"], operands),)


def _scatter_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    x, updates, *indices = operands
    require(
        updates == _gathered(x, indices, attrs["axes"], operands),
        "scatter takes updates of the type that gather would give",
        operands,
    )
    return (x,)


def _front(x: Array, axes: tuple[int, ...]) -> Array:
    """A view with `axes` moved to the front, the rest in order."""
    return np.moveaxis(x, axes, range(len(axes)))


def _gather(x: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(_front(x, axes)[indices])


def _scatter(x: Array, updates: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
    out = np.array(x)
    _front(out, axes)[indices] = updates
    return out


def _scatter_add(x: Array, updates: Array, *indices: Array, axes: tuple[int, ...]) -> Array:
    out = np.array(x)
    np.add.at(_front(out, axes), indices, updates)
    return out


gather = declare(
    "gather",
    Family.INDEXING,
    None,
    _gather_rule,
    _gather,
    "x at index arrays along `axes`: the result has the shape of the indices, then the other "
    "axes of x. Negative indices count from the end; an index out of bounds raises",
    attrs=("axes",),
    fails=True,
)
scatter = declare(
    "scatter",
    Family.INDEXING,
    None,
    _scatter_rule,
    _scatter,
    "x with the elements that gather would read replaced by the updates; the last one wins",
    attrs=("axes",),
    fails=True,
)
scatter_add = declare(
    "scatter_add",
    Family.INDEXING,
    None,
    _scatter_rule,
    _scatter_add,
    "x with the updates added to the elements that gather would read, in row-major order",
    attrs=("axes",),
    fails=True,
)
