"""Reductions, arg-reductions and running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import INT64, TensorType
from .registry import Family, Op, TypeRule, declare, require

Array = np.ndarray[Any, Any]


def reduced_shape(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    """`shape` without `axes`."""
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def _rule(name: str, kinds: str, needs_elements: bool) -> TypeRule:
    def rule(operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
        (x,), axes = operands, attrs["axes"]
        require(
            list(axes) == sorted(set(axes)) and all(0 <= axis < x.rank for axis in axes),
            f"{name} along increasing axes {axes}",
            operands,
        )
        require(x.dtype.kind in kinds, f"{name} is defined on kinds {kinds!r}", operands)
        require(
            not needs_elements or all(x.shape[axis] > 0 for axis in axes),
            f"{name} needs at least one element",
            operands,
        )
        return (x.with_shape(reduced_shape(x.shape, axes)),)

    return rule


def _reduction(name: str, ufunc: np.ufunc, kinds: str, doc: str, needs_elements: bool) -> Op:
    def reference(x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(ufunc.reduce(x, axis=axes, dtype=x.dtype))

    rule = _rule(name, kinds, needs_elements)
    return declare(name, Family.REDUCTION, 1, rule, reference, doc, attrs=("axes",))


sum_ = _reduction("sum", np.add, "iuf", "sum along axes; integers wrap around", False)
prod = _reduction("prod", np.multiply, "iuf", "product along axes", False)
reduce_max = _reduction("reduce_max", np.maximum, "biuf", "largest along axes; NaN wins", True)
reduce_min = _reduction("reduce_min", np.minimum, "biuf", "smallest along axes; NaN wins", True)


def _arg_rule(operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
    (x,), axis = operands, attrs["axis"]
    require(
        0 <= axis < x.rank and x.shape[axis] > 0,
        f"an arg-reduction along axis {axis} needs at least one element there",
        operands,
    )
    return (TensorType(INT64, reduced_shape(x.shape, (axis,))),)


argmax = declare(
    "argmax",
    Family.REDUCTION,
    1,
    _arg_rule,
    lambda x, axis: np.asarray(np.argmax(x, axis)),
    "position of the first largest element; of the first NaN if there is one",
    attrs=("axis",),
)
argmin = declare(
    "argmin",
    Family.REDUCTION,
    1,
    _arg_rule,
    lambda x, axis: np.asarray(np.argmin(x, axis)),
    "position of the first smallest element; of the first NaN if there is one",
    attrs=("axis",),
)


def _cumsum_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    (x,) = operands
    require(
        0 <= attrs["axis"] < x.rank and x.dtype.kind in "iuf",
        f"cumsum of numbers along axis {attrs['axis']}",
        operands,
    )
    return (x,)


def _cumsum(x: Array, axis: int, reverse: bool) -> Array:
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)
    return np.cumsum(x, axis, dtype=x.dtype)


cumsum = declare(
    "cumsum",
    Family.CUMULATIVE,
    1,
    _cumsum_rule,
    _cumsum,
    "running sum along an axis, from the end if reversed",
    attrs=("axis", "reverse"),
)
