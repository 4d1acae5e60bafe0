"""Convolutions as deep learning has them: cross-correlations, channels before positions.

Goodfellow, Bengio & Courville, "Deep Learning" (2016), §9.1 and §9.5; dilation: Yu & Koltun,
"Multi-scale context aggregation by dilated convolutions" (2016); groups: Krizhevsky et al. (2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ShapeError
from .arrays import Array, as_array, one_call
from .windows import padded, per_axis, windows


@one_call
def conv2d(
    x: Array,
    w: Array,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Two-dimensional convolution of images `x` (n, c, h, w), kernels `w` (o, c / groups, i, j).

    out[n, o, p, q] = Σ x[n, c, p stride + i dilation - padding, …] w[o, c, i, j] over c, i and j,
    where x is 0 outside; its shape is (n, o, p, q) with p = (h + 2 padding - (i - 1) dilation - 1)
    // stride + 1. `stride`, `padding` and `dilation` are ints or pairs. With `groups`, each group
    of o / groups results sees only its own c / groups channels. The dtype is that of `x * w`.

    Raises `ShapeError` for shapes that do not fit and `ArgumentError` for other arguments.
    """
    return _convolve("conv2d", 2, x, w, stride, padding, dilation, groups)


@one_call
def conv1d(
    x: Array,
    w: Array,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """One-dimensional convolution of signals `x` (n, c, h) with kernels `w` (o, c / groups, i).

    As `conv2d` with one axis of positions.
    """
    return _convolve("conv1d", 1, x, w, stride, padding, dilation, groups)


def _convolve(
    name: str, rank: int, x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> Array:
    x, w = as_array(x), as_array(w)
    strides = per_axis(stride, rank, 1, f"{name}: stride")
    margins = per_axis(padding, rank, 0, f"{name}: padding")
    dilations = per_axis(dilation, rank, 1, f"{name}: dilation")
    (parts,) = per_axis(groups, 1, 1, f"{name}: groups")
    _check_shapes(name, rank, x.shape, w.shape, parts)
    count, (results, depth) = x.shape[0], w.shape[:2]
    image = padded(x, margins, 0)
    positions, elements, slid = "pq"[:rank], "ij"[:rank], "piqj"[: 2 * rank]
    if parts == 1:
        shown = windows(image, w.shape[2:], strides, dilations, name)
        rule = f"oc{elements},nc{slid}->no{positions}"
        return np.einsum(rule, w, shown, optimize=True)
    image = image.reshape(count, parts, depth, *image.shape[2:])
    kernels = w.reshape(parts, results // parts, *w.shape[1:])
    shown = windows(image, w.shape[2:], strides, dilations, name)
    rule = f"goc{elements},ngc{slid}->ngo{positions}"
    product = np.einsum(rule, kernels, shown, optimize=True)
    return product.reshape(count, results, *product.shape[3:])


def _check_shapes(
    name: str, rank: int, x: tuple[int, ...], w: tuple[int, ...], groups: int
) -> None:
    if len(x) != rank + 2 or len(w) != rank + 2:
        axes = ("h", "w")[:rank]
        raise ShapeError(
            f"{name} takes x of the axes (n, c, {', '.join(axes)}) and w of {rank + 2} axes",
            given=f"shapes {x} and {w}",
        )
    if x[1] != w[1] * groups or w[0] % groups:
        raise ShapeError(
            f"{name}: w has shape (o, c / groups, …) for the c channels of x, and groups divides o",
            given=f"x of shape {x}, w of shape {w}, groups={groups}",
        )
    if 0 in w:
        raise ShapeError(f"{name}: w has elements", given=f"shape {w}")
