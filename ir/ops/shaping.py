"""Ops that move elements without computing: views, and joins of several pieces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import DType, TensorType
from .registry import Family, declare, require

Array = np.ndarray[Any, Any]
Types = tuple[TensorType, ...]
Attrs = Mapping[str, Any]


def _broadcast_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (x,), shape, axes = operands, attrs["shape"], attrs["axes"]
    require(
        len(axes) == x.rank
        and list(axes) == sorted(set(axes))
        and all(0 <= axis < len(shape) for axis in axes)
        and tuple(shape[axis] for axis in axes) == x.shape,
        f"broadcast to {shape} along axes {axes}: operand axis i becomes result axis axes[i], "
        "of the same extent",
        operands,
    )
    return (x.with_shape(shape),)


def _broadcast(x: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    kept = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
    return np.broadcast_to(np.reshape(x, kept), shape)


broadcast = declare(
    "broadcast",
    Family.VIEW,
    1,
    _broadcast_rule,
    _broadcast,
    "operand axis i is result axis axes[i]; all other result axes repeat",
    attrs=("shape", "axes"),
    cost=0,
)


def _reshape_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    require(
        operands[0].size == math.prod(attrs["shape"]) and all(n >= 0 for n in attrs["shape"]),
        f"reshape to {attrs['shape']} keeps the number of elements",
        operands,
    )
    return (operands[0].with_shape(attrs["shape"]),)


reshape = declare(
    "reshape",
    Family.VIEW,
    1,
    _reshape_rule,
    lambda x, shape: np.reshape(x, shape),
    "the elements in row-major order under another shape",
    attrs=("shape",),
    cost=0,
)


def _transpose_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (x,), axes = operands, attrs["axes"]
    require(sorted(axes) == list(range(x.rank)), f"transpose by the permutation {axes}", operands)
    return (x.with_shape(tuple(x.shape[axis] for axis in axes)),)


transpose = declare(
    "transpose",
    Family.VIEW,
    1,
    _transpose_rule,
    lambda x, axes: np.transpose(x, axes),
    "result axis i is operand axis axes[i]",
    attrs=("axes",),
    cost=0,
)


def slice_shape(
    starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]
) -> tuple[int, ...]:
    """The shape of x[start:limit:step, ...] for in-range bounds and positive steps."""
    return tuple(
        max(0, -(-(limit - start) // step))
        for start, limit, step in zip(starts, limits, steps, strict=True)
    )


def _check_slice(operands: Sequence[TensorType], attrs: Attrs) -> tuple[int, ...]:
    x = operands[0]
    starts, limits, steps = attrs["starts"], attrs["limits"], attrs["steps"]
    require(
        len(starts) == len(limits) == len(steps) == x.rank
        and all(0 <= a <= b <= n for a, b, n in zip(starts, limits, x.shape, strict=True))
        and all(step > 0 for step in steps),
        f"bounds {starts} to {limits} by {steps} lie within the operand",
        operands,
    )
    return slice_shape(starts, limits, steps)


def _slice_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    return (operands[0].with_shape(_check_slice(operands, attrs)),)


def _slices(
    starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]
) -> tuple[slice, ...]:
    return tuple(map(slice, starts, limits, steps))


_SLICE_ATTRS = ("starts", "limits", "steps")

slice_ = declare(
    "slice",
    Family.VIEW,
    1,
    _slice_rule,
    lambda x, starts, limits, steps: x[_slices(starts, limits, steps)],
    "x[start:limit:step] along every axis, steps positive",
    attrs=_SLICE_ATTRS,
    cost=0,
)


def _reverse_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (x,), axes = operands, attrs["axes"]
    require(
        len(set(axes)) == len(axes) and all(0 <= axis < x.rank for axis in axes),
        f"reverse along distinct axes {axes}",
        operands,
    )
    return (x,)


reverse = declare(
    "reverse",
    Family.VIEW,
    1,
    _reverse_rule,
    lambda x, axes: np.flip(x, axes),
    "the order of elements along the axes turned round",
    attrs=("axes",),
    cost=0,
)


def _can_hold(dtype: DType, fill: float) -> bool:
    if dtype.kind == "f":
        return True
    if dtype.kind == "b":
        return fill in (0, 1)
    limits = np.iinfo(dtype)
    return fill == fill and limits.min <= fill <= limits.max and fill == int(fill)


def _padded(
    shape: Sequence[int], low: Sequence[int], high: Sequence[int], interior: Sequence[int]
) -> tuple[int, ...]:
    """The shape after padding."""
    return tuple(
        a + n + max(0, n - 1) * k + b for a, n, k, b in zip(low, shape, interior, high, strict=True)
    )


def _pad_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (x,), low, high, interior = operands, attrs["low"], attrs["high"], attrs["interior"]
    require(
        _can_hold(x.dtype, attrs["fill"]),
        f"pad fills with a value of the operand's type, {attrs['fill']!r}",
        operands,
    )
    require(
        len(low) == len(high) == len(interior) == x.rank
        and all(n >= 0 for n in (*low, *high, *interior)),
        "pad takes one non-negative low, high and interior count per axis",
        operands,
    )
    return (x.with_shape(_padded(x.shape, low, high, interior)),)


def _pad(
    x: Array,
    low: tuple[int, ...],
    high: tuple[int, ...],
    interior: tuple[int, ...],
    fill: float,
) -> Array:
    out = np.full(_padded(x.shape, low, high, interior), fill, x.dtype)
    out[
        tuple(
            slice(a, a + n + max(0, n - 1) * k, k + 1)
            for a, n, k in zip(low, x.shape, interior, strict=True)
        )
    ] = x
    return out


pad = declare(
    "pad",
    Family.JOIN,
    1,
    _pad_rule,
    _pad,
    "the constant `fill` put before, after and (interior) between the elements of every axis",
    attrs=("low", "high", "interior", "fill"),
)


def _concatenate_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    axis = attrs["axis"]
    require(
        bool(operands)
        and all(0 <= axis < x.rank for x in operands)
        and len({(x.dtype, x.shape[:axis], x.shape[axis + 1 :]) for x in operands}) == 1,
        f"concatenate along axis {axis} needs operands that agree everywhere else",
        operands,
    )
    shape = list(operands[0].shape)
    shape[axis] = sum(x.shape[axis] for x in operands)
    return (operands[0].with_shape(tuple(shape)),)


concatenate = declare(
    "concatenate",
    Family.JOIN,
    None,
    _concatenate_rule,
    lambda *xs, axis: np.concatenate(xs, axis),
    "the operands one after another along an axis",
    attrs=("axis",),
)


def _update_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    x, new = operands
    shape = _check_slice(operands, attrs)
    require(
        new == x.with_shape(shape), "update writes exactly the elements that it names", operands
    )
    return (x,)


def _update(
    x: Array, new: Array, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]
) -> Array:
    out = np.array(x)
    out[_slices(starts, limits, steps)] = new
    return out


update = declare(
    "update",
    Family.JOIN,
    2,
    _update_rule,
    _update,
    "x with x[start:limit:step] replaced by the second operand",
    attrs=_SLICE_ATTRS,
)
