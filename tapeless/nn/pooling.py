"""Pooling: one number for each window of an image (Goodfellow et al., "Deep Learning", §9.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ArgumentError, ShapeError
from .arrays import Array, as_array, one_call
from .windows import padded, per_axis, windows


@one_call
def max_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """The largest element of each window of images `x` (n, c, h, w); NaN wins.

    `size`, `stride` (None: the size) and `padding` (less than the size) are ints or pairs. Outside
    of x there are no elements. Gradients flow as those of `np.max`: equal maxima share evenly.
    The shape is (n, c, p, q) with p = (h + 2 padding - size) // stride + 1.

    Raises `ShapeError` for shapes that do not fit and `ArgumentError` for other arguments.
    """
    x = as_array(x)
    lowest = -np.inf if x.dtype.kind == "f" else _least(x.dtype)
    return np.max(_pooled("max_pool2d", x, size, stride, padding, lowest), axis=(-3, -1))


@one_call
def avg_pool2d(x: Array, size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """The mean of each window of images `x` (n, c, h, w), zeros of the padding included.

    Arguments, shape and errors as `max_pool2d`.
    """
    x = as_array(x)
    return np.mean(_pooled("avg_pool2d", x, size, stride, padding, 0), axis=(-3, -1))


def _least(dtype: np.dtype[Any]) -> int:
    return 0 if dtype.kind == "b" else int(np.iinfo(dtype).min)


def _pooled(name: str, x: Array, size: Any, stride: Any, padding: Any, fill: Any) -> Array:
    sizes = per_axis(size, 2, 1, f"{name}: size")
    strides = sizes if stride is None else per_axis(stride, 2, 1, f"{name}: stride")
    margins = per_axis(padding, 2, 0, f"{name}: padding")
    if x.ndim != 4:
        raise ShapeError(f"{name} takes x of the axes (n, c, h, w)", given=f"shape {x.shape}")
    if any(margin >= extent for margin, extent in zip(margins, sizes, strict=True)):
        raise ArgumentError(
            f"{name}: padding is less than the size, so that no window is empty",
            given=f"padding={padding!r}, size={size!r}",
        )
    return windows(padded(x, margins, fill), sizes, strides, (1, 1), name)
