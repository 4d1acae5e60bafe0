"""What convolution and pooling share: windows of an image, and the arguments that describe them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from ..ir.errors import ArgumentError, ShapeError
from ..ir.ops import convolution
from .arrays import Array, windows_along


def per_axis(value: Any, count: int, least: int, name: str) -> tuple[int, ...]:
    """An int, or one int per axis, as a tuple; each at least `least`.

    Raises `ArgumentError` for anything else.
    """
    try:
        numbers = tuple(map(index, value)) if np.iterable(value) else (index(value),) * count
    except TypeError:
        numbers = ()
    if len(numbers) != count or any(number < least for number in numbers):
        kind = "one int" if count == 1 else f"an int or {count} of them"
        raise ArgumentError(f"{name} is {kind}, {least} or more", given=repr(value))
    return numbers


def padded(x: Array, padding: Sequence[int], fill: Any) -> Array:
    """`padding` elements of `fill` before and after each of the last axes."""
    if not any(padding):
        return x
    widths = [(0, 0)] * (x.ndim - len(padding)) + [(count, count) for count in padding]
    return np.pad(x, widths, constant_values=fill)


def windows(
    x: Array, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int], name: str
) -> Array:
    """The windows along the last axes: (…, positions, elements, positions, elements).

    Raises `ShapeError` if a window does not fit.
    """
    axes = tuple(range(x.ndim - len(sizes), x.ndim))
    for axis, size, dilation in zip(axes, sizes, dilations, strict=True):
        span = convolution.window_span(size, dilation)
        if span > x.shape[axis]:
            raise ShapeError(
                f"{name}: the window, dilated, fits into the padded input",
                given=f"{span} elements along an axis of {x.shape[axis]}",
                hint="give it a larger padding",
            )
    return windows_along(x, axes, tuple(sizes), tuple(strides), tuple(dilations))


def positions(
    extents: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    paddings: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """How many positions windows have along each axis; `ShapeError` where one does not fit."""
    padded_extents = [extent + 2 * margin for extent, margin in zip(extents, paddings, strict=True)]
    counts = tuple(
        map(convolution.window_count, padded_extents, sizes, strides, dilations)  # one per axis
    )
    if any(count < 1 for count in counts):
        spans = tuple(map(convolution.window_span, sizes, dilations))
        raise ShapeError(
            "the window, dilated, fits into the padded input",
            given=f"a window of {spans} elements in an input of {tuple(padded_extents)}",
            hint="give it a larger padding",
        )
    return counts
