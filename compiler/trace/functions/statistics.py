"""Averages, differences, integrals, polynomials, convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from ....ir.types import BOOL
from ..array import TracedArray
from ..lift import convert, lift
from ..reductions import normalized_axes, normalized_axis
from ..views import as_array, reshaped
from .understood import Table


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """`np.average`: the mean, or the sum of weighted elements over the sum of weights."""
    x = as_array(a)
    if weights is None:
        mean: Any = np.mean(x, axis=axis, keepdims=keepdims)
        if not returned:
            return mean
        return mean, np.full_like(mean, x.size // max(lift(mean).size, 1))
    weight = as_array(weights)
    dtypes = [x.dtype, weight.dtype] + ([] if x.dtype.kind == "f" else [np.dtype(np.float64)])
    dtype = np.result_type(*dtypes)
    if weight.shape != x.shape:
        weight = _weights_along(x, weight, axis)
    total: Any = np.sum(weight, axis=axis, dtype=dtype, keepdims=keepdims)
    products: Any = np.multiply(x, weight, dtype=dtype)
    mean = np.sum(products, axis=axis, keepdims=keepdims) / total
    if not returned:
        return mean
    return mean, total if total.shape == mean.shape else np.broadcast_to(total, mean.shape).copy()


def _weights_along(x: TracedArray, weight: TracedArray, axis: Any) -> TracedArray:
    """Weights given for the averaged axes only, laid out along them."""
    axes = normalized_axes(axis, x.ndim)
    if axis is None or weight.shape != tuple(x.shape[n] for n in axes):
        raise ShapeError(
            "weights have the shape of the array, or of the axes that are averaged",
            given=f"weights of shape {weight.shape} for {x.shape} along {axis}",
        )
    shape = tuple(n if at in axes else 1 for at, n in enumerate(x.shape))
    return np.broadcast_to(reshaped(weight, shape), x.shape)  # type: ignore


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """`np.diff`: differences of neighbours, n times; of booleans, whether they differ."""
    x = as_array(a)
    axis = normalized_axis(axis, x.ndim)
    if n < 0:
        raise ShapeError("np.diff is applied zero times or more", given=f"n={n}")
    parts = [_edge(x, prepend, axis), x, _edge(x, append, axis)]
    present = [part for part in parts if part is not None]
    if len(present) > 1:
        x = np.concatenate(present, axis=axis)  # type: ignore
    before = (slice(None),) * axis
    for _ in range(n):
        late, early = x[(*before, slice(1, None))], x[(*before, slice(None, -1))]
        x = late != early if x.dtype == BOOL else late - early
    return x


def _edge(x: TracedArray, edge: Any, axis: int) -> TracedArray | None:
    if edge is None:
        return None
    values = as_array(edge)
    if values.ndim == 0:
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return np.broadcast_to(values, shape)  # type: ignore
    return values


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """`np.ediff1d`: differences of neighbours of the flattened array."""
    flat = reshaped(ary, -1)
    ends = [
        None if end is None else reshaped(convert(end, flat.dtype), -1)
        for end in (to_begin, to_end)
    ]
    parts = [ends[0], diff(flat), ends[1]]
    return np.concatenate([part for part in parts if part is not None])


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """`np.trapezoid`: the integral by the trapezoidal rule."""
    values = as_array(y)
    axis = normalized_axis(axis, values.ndim)
    before = (slice(None),) * axis
    step: Any = dx
    if x is not None:
        step = np.diff(as_array(x), axis=-1 if np.ndim(x) == 1 else axis)
        if step.ndim == 1:
            step = reshaped(step, (-1,) + (1,) * (values.ndim - axis - 1))
    late, early = values[(*before, slice(1, None))], values[(*before, slice(None, -1))]
    return np.sum(step * (late + early) / 2.0, axis=axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """`np.gradient` on evenly spaced points: central differences, one-sided at the ends."""
    x = as_array(f)
    if x.dtype.kind != "f":
        x = convert(x, np.float64)
    axes = list(range(x.ndim)) if axis is None else list(np.atleast_1d(axis))
    axes = [normalized_axis(int(a), x.ndim) for a in axes]
    spacings = list(varargs) or [1.0]
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    if edge_order != 1 or any(lift(h).ndim for h in spacings) or len(spacings) != len(axes):
        raise UnsupportedError(
            "np.gradient is understood for even spacings and edge_order=1",
            given=f"spacings {varargs}, edge_order={edge_order}",
        )
    slopes = [_slope(x, h, a) for h, a in zip(spacings, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(x: TracedArray, h: Any, axis: int) -> Any:
    if x.shape[axis] < 2:
        raise ShapeError("np.gradient needs two points or more", given=f"shape {x.shape}")
    before = (slice(None),) * axis

    def at(start: int | None, stop: int | None) -> Any:
        return x[(*before, slice(start, stop))]

    inside = (at(2, None) - at(None, -2)) / (2.0 * h)
    first, last = (at(1, 2) - at(0, 1)) / h, (at(-1, None) - at(-2, -1)) / h
    return np.concatenate([first, inside, last], axis=axis)


def polyval(p: Any, x: Any) -> Any:
    """`np.polyval`: Horner's rule, highest power first."""
    coefficients, at = as_array(p), as_array(x)
    value: Any = np.zeros_like(at)
    for index in range(coefficients.shape[0]):
        value = value * at + coefficients[index]
    return value


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """`np.convolve`: every window of the longer one times the shorter one, reversed."""
    x, y = as_array(a), as_array(v)
    if y.size > x.size:
        x, y = y, x
    return _slide(x, np.flip(y), mode)  # type: ignore


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """`np.correlate`: every window of a times v."""
    x, y = as_array(a), as_array(v)
    if y.size > x.size:
        return np.flip(_slide(y, x, mode))
    return _slide(x, y, mode)


def _slide(x: TracedArray, kernel: TracedArray, mode: str) -> Any:
    if x.ndim != 1 or kernel.ndim != 1 or not kernel.size:
        raise ShapeError(
            "a convolution is of two vectors with elements",
            given=f"shapes {x.shape} and {kernel.shape}",
        )
    width = kernel.size
    half = width // 2
    edges = {"full": (width - 1, width - 1), "same": (half, width - 1 - half), "valid": (0, 0)}
    if mode not in edges:
        raise UnsupportedError("the mode is 'full', 'same' or 'valid'", given=repr(mode))
    padded: Any = np.pad(x, edges[mode])
    count = padded.shape[0] - width + 1
    windows = padded[np.arange(count)[:, None] + np.arange(width)]
    return np.dot(windows, kernel)


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    """`np.cov`: the covariance matrix of variables in rows (or columns)."""
    x = as_array(m)
    if y is not None:
        raise UnsupportedError("np.cov takes all variables in one array", given="y")
    if x.dtype.kind != "f" or x.dtype == np.float32:
        x = convert(x, np.float64)
    rows = reshaped(x, (1, -1)) if x.ndim < 2 else x
    if not rowvar and x.ndim == 2:
        rows = rows.T
    freedom = (0 if bias else 1) if ddof is None else ddof
    centred = rows - np.mean(rows, axis=1, keepdims=True)
    matrix = np.dot(centred, centred.T) / max(rows.shape[1] - freedom, 0)
    return np.squeeze(matrix)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """`np.corrcoef`: the covariance matrix scaled to ones on its diagonal, clipped to [-1, 1]."""
    matrix = cov(x, y, rowvar)
    if matrix.ndim == 0:
        return matrix / matrix
    scale = np.sqrt(np.diagonal(matrix))
    return np.clip(matrix / scale[:, None] / scale[None, :], -1, 1)


TABLE: Table = {
    np.average: average,
    np.diff: diff,
    np.ediff1d: ediff1d,
    np.trapezoid: trapezoid,
    np.gradient: gradient,
    np.polyval: polyval,
    np.convolve: convolve,
    np.correlate: correlate,
    np.cov: cov,
    np.corrcoef: corrcoef,
}
"""Functions of statistics and numerical analysis."""
