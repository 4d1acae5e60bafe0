"""Windows: every position of a window that slides over an array, as axes of their own.

A convolution is a `dot` over the windows of an image, pooling a reduction over them; `unwindow`
adds windows back to where they came from. The two are each other's transpose, so that all
derivatives of convolutions and pooling follow from theirs and those of `dot` and the reductions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, product
from typing import Any

import numpy as np

from ..types import Shape, TensorType
from .registry import Family, declare, require

Array = np.ndarray[Any, Any]
Types = tuple[TensorType, ...]
Attrs = Mapping[str, Any]


def window_span(size: int, dilation: int) -> int:
    """Elements from the first to the last of a window, both included."""
    return (size - 1) * dilation + 1


def window_count(extent: int, size: int, stride: int, dilation: int) -> int:
    """Positions of a window that lies wholly inside an axis; 0 or less if it does not fit."""
    return (extent - window_span(size, dilation)) // stride + 1


def window_axes(rank: int, axes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the axes of windows of an array of `rank` axes lie: for each axis of the array that of
    the positions along it, and for each of the windowed `axes` that of the elements."""
    before = [sum(other < axis for other in axes) for axis in range(rank)]
    positions = tuple(axis + extra for axis, extra in enumerate(before))
    return positions, tuple(positions[axis] + 1 for axis in axes)


def _check_axes(rank: int, attrs: Attrs, operands: Sequence[TensorType]) -> None:
    axes, strides, dilations = attrs["axes"], attrs["strides"], attrs["dilations"]
    require(
        list(axes) == sorted(set(axes)) and all(0 <= axis < rank for axis in axes),
        f"windows slide along increasing axes {axes} of {rank}",
        operands,
    )
    require(
        len(axes) == len(strides) == len(dilations)
        and all(step >= 1 for step in (*strides, *dilations)),
        f"windows have a positive stride and dilation per axis: {strides}, {dilations}",
        operands,
    )


def _windows_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (x,), axes, sizes = operands, attrs["axes"], attrs["sizes"]
    _check_axes(x.rank, attrs, operands)
    require(
        len(sizes) == len(axes) and all(size >= 1 for size in sizes),
        f"windows have a positive size per axis: {sizes}",
        operands,
    )
    shape: list[tuple[int, ...]] = [(extent,) for extent in x.shape]
    for axis, size, stride, dilation in zip(
        axes, sizes, attrs["strides"], attrs["dilations"], strict=True
    ):
        count = window_count(x.shape[axis], size, stride, dilation)
        require(
            count >= 1,
            f"a window of {size} elements, {dilation} apart, fits along axis {axis}",
            operands,
        )
        shape[axis] = (count, size)
    return (x.with_shape(tuple(chain.from_iterable(shape))),)


def _element_slices(
    rank: int, offsets: Sequence[int], counts: Shape, attrs: Attrs
) -> tuple[slice, ...]:
    """Where the elements with the given offsets in their windows lie in the array."""
    found = [slice(None)] * rank
    for axis, offset, stride, dilation in zip(
        attrs["axes"], offsets, attrs["strides"], attrs["dilations"], strict=True
    ):
        start = offset * dilation
        found[axis] = slice(start, start + (counts[axis] - 1) * stride + 1, stride)
    return tuple(found)


def _windows(x: Array, **attrs: Any) -> Array:
    (type,) = _windows_rule([TensorType(x.dtype, x.shape)], attrs)
    steps: list[tuple[int, ...]] = [(step,) for step in x.strides]
    for axis, stride, dilation in zip(
        attrs["axes"], attrs["strides"], attrs["dilations"], strict=True
    ):
        steps[axis] = (x.strides[axis] * stride, x.strides[axis] * dilation)
    strides = tuple(chain.from_iterable(steps))
    return np.lib.stride_tricks.as_strided(x, type.shape, strides, writeable=False)


windows = declare(
    "windows",
    Family.VIEW,
    1,
    _windows_rule,
    _windows,
    "element (…, p, k, …) is x[…, p stride + k dilation, …] for each of `axes`: behind the axis of "
    "positions comes that of the elements, whose extent is in `sizes`",
    attrs=("axes", "sizes", "strides", "dilations"),
    cost=0,
)


def _unwindow_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    (y,), axes, extents = operands, attrs["axes"], attrs["extents"]
    rank = y.rank - len(axes)
    _check_axes(rank, attrs, operands)
    require(y.dtype.kind in "iuf", "unwindow adds numbers", operands)
    require(len(extents) == len(axes), "unwindow takes an extent per axis", operands)
    positions, elements = window_axes(rank, axes)
    shape = [y.shape[axis] for axis in positions]
    for axis, extent in zip(axes, extents, strict=True):
        shape[axis] = extent
    result = y.with_shape(tuple(shape))
    forward = {name: attrs[name] for name in ("axes", "strides", "dilations")}
    sizes = tuple(y.shape[axis] for axis in elements)
    require(
        _windows_rule([result], {**forward, "sizes": sizes}) == (y,),
        f"unwindow takes all windows of an array of extents {extents} along axes {axes}",
        operands,
    )
    return (result,)


def _at(fixed: Mapping[int, int], rank: int) -> tuple[int | slice, ...]:
    """The index of all elements at the `fixed` positions along some axes."""
    return tuple(fixed.get(axis, slice(None)) for axis in range(rank))


def _unwindow(y: Array, **attrs: Any) -> Array:
    (type,) = _unwindow_rule([TensorType(y.dtype, y.shape)], attrs)
    out = np.zeros(type.shape, y.dtype)
    _, elements = window_axes(type.rank, attrs["axes"])
    for offsets in product(*(range(y.shape[axis]) for axis in elements)):
        part = y[_at(dict(zip(elements, offsets, strict=True)), y.ndim)]
        out[_element_slices(type.rank, offsets, part.shape, attrs)] += part
    return out


unwindow = declare(
    "unwindow",
    Family.OVERLAP,
    1,
    _unwindow_rule,
    _unwindow,
    "the transpose of `windows`: every element of the result is the sum of the window elements "
    "that lie there, added in row-major order of their offsets; 0 where none does",
    attrs=("axes", "extents", "strides", "dilations"),
)
