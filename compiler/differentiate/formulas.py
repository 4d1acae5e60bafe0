"""The derivative formulas that do not fit on one line of the table in `rules.py`.

Each function here is one rule: `(g, ans, *operands, **attributes)` to the cotangent of one operand,
where `g` is the cotangent of the result `ans`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ...ir.ops.contraction import AxisPair, free_axes
from ...ir.ops.convolution import window_axes
from ...ir.types import INT64, TensorType
from ..trace.array import TracedArray
from ..trace.lift import emit

Result: TypeAlias = Any
"""A `TracedArray`; the stubs of NumPy's functions promise ndarrays, which are not seen here."""


def full(type: TensorType, value: float) -> Result:
    """An array of `type` filled with a constant, as the broadcast of a scalar."""
    scalar = emit("constant", value=np.asarray(value, type.dtype))
    return emit("broadcast", scalar, shape=type.shape, axes=()) if type.rank else scalar


def spread(g: TracedArray, shape: Sequence[int], axes: Sequence[int]) -> Result:
    """Repeat `g` along the `axes` that a reduction removed from `shape`."""
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)
    return emit("broadcast", g, shape=tuple(shape), axes=kept) if axes else g


def fold(g: TracedArray, axes: Sequence[int]) -> Result:
    """Sum over every axis that a broadcast along `axes` added: the transpose of `spread`."""
    added = tuple(axis for axis in range(g.ndim) if axis not in axes)
    return emit("sum", g, axes=added) if added else g


def permute(x: TracedArray, axes: Sequence[int]) -> Result:
    """Transpose, unless `axes` is the identity."""
    return x if list(axes) == list(range(x.ndim)) else emit("transpose", x, axes=tuple(axes))


def reshape(x: TracedArray, shape: Sequence[int]) -> Result:
    """The elements in row-major order under another shape."""
    return x if x.shape == tuple(shape) else emit("reshape", x, shape=tuple(shape))


def inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `permutation`."""
    return tuple(permutation.index(axis) for axis in range(len(permutation)))


# -- powers ---------------------------------------------------------------------------------------


def power_base(g: TracedArray, ans: TracedArray, x: TracedArray, y: TracedArray) -> Result:
    """y x**(y-1), and 0 for y = 0 even where x = 0 (the exponent is kept away from -1 there)."""
    return g * (y * np.power(x, np.where(y == 0, 0, y - 1)))


def power_to_literal(g: TracedArray, ans: TracedArray, x: TracedArray, n: float) -> Result:
    """n x**(n-1) for an exponent that is written in the program."""
    if n == 0:
        return full(x.type, 0)
    if n in (1, 2):
        return g if n == 1 else g * (2 * x)
    return g * (n * np.power(x, n - 1))


def power_exponent(g: TracedArray, ans: TracedArray, x: TracedArray, y: TracedArray) -> Result:
    """x**y log(x), and 0 where x = 0 and y >= 0 (the logarithm is kept away from 0 there)."""
    return g * (ans * np.log(np.where((x == 0) & (y >= 0), 1, x)))


def power_of_literal(g: TracedArray, ans: TracedArray, c: float, y: TracedArray) -> Result:
    """c**y log(c) for a base that is written in the program."""
    if c > 0:
        return g * (math.log(c) * ans)
    return power_exponent(g, ans, full(y.type, c), y)


# -- angles ---------------------------------------------------------------------------------------


def angle_gradient(y: TracedArray, x: TracedArray) -> tuple[Result, Result]:
    """(x / r², -y / r²) with r² = x² + y², without overflow or underflow of the squares.

    Both coordinates are scaled by the larger one. The quotients do not depend on the scale, so it
    may count as constant when they are differentiated in turn.
    """
    scale = emit("stop_gradient", np.maximum(np.abs(x), np.abs(y)))
    u, v = x / scale, y / scale
    squares = scale * (u * u + v * v)
    return u / squares, -v / squares


# -- moving elements ------------------------------------------------------------------------------


def slice_operand(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    starts: Sequence[int],
    limits: Sequence[int],
    steps: Sequence[int],
) -> Result:
    """Zeros around and between the elements that the slice took."""
    spans = [max(0, (n - 1) * step + 1) for n, step in zip(g.shape, steps, strict=True)]
    # An empty slice has no span: all of the axis is put after it.
    high = (n - a - span for n, a, span in zip(x.shape, starts, spans, strict=True))
    return emit(
        "pad",
        g,
        low=tuple(starts),
        high=tuple(high),
        interior=tuple(step - 1 for step in steps),
        fill=0.0,
    )


def pad_operand(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int],
    fill: float,
) -> Result:
    """The elements of `g` that are not padding."""
    spans = [n + max(0, n - 1) * k for n, k in zip(x.shape, interior, strict=True)]
    return emit(
        "slice",
        g,
        starts=tuple(low),
        limits=tuple(a + span for a, span in zip(low, spans, strict=True)),
        steps=tuple(k + 1 for k in interior),
    )


def concatenate_operand(
    position: int, g: TracedArray, operands: Sequence[TracedArray], axis: int
) -> Result:
    """The part of `g` that operand `position` filled."""
    start = sum(x.shape[axis] for x in operands[:position])
    starts = [0] * g.ndim
    limits = list(g.shape)
    starts[axis], limits[axis] = start, start + operands[position].shape[axis]
    return emit("slice", g, starts=tuple(starts), limits=tuple(limits), steps=(1,) * g.ndim)


def update_operand(
    g: TracedArray, ans: TracedArray, x: TracedArray, new: TracedArray, **bounds: Any
) -> Result:
    """`g` with zeros where elements were replaced."""
    return emit("update", g, full(new.type, 0), **bounds)


def windows_operand(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    axes: Sequence[int],
    sizes: Sequence[int],
    **steps: Any,
) -> Result:
    """Every element gathers the cotangents of the windows that it lies in."""
    extents = tuple(x.shape[axis] for axis in axes)
    return emit("unwindow", g, axes=tuple(axes), extents=extents, **steps)


def unwindow_operand(
    g: TracedArray,
    ans: TracedArray,
    y: TracedArray,
    axes: Sequence[int],
    extents: Sequence[int],
    **steps: Any,
) -> Result:
    """Every window element counts once."""
    _, elements = window_axes(g.ndim, axes)
    sizes = tuple(y.shape[axis] for axis in elements)
    return emit("windows", g, axes=tuple(axes), sizes=sizes, **steps)


# -- reductions -----------------------------------------------------------------------------------


def prod_operand(g: TracedArray, ans: TracedArray, x: TracedArray, axes: Sequence[int]) -> Result:
    """`g` times the product of all other factors, right for any number of zeros.

    The factors are multiplied pairwise in a tree; going down it again, the cotangent of each node
    is that of its parent times its sibling. No division, 3 n multiplications.
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    layout = (*kept, *axes)
    rows = tuple(x.shape[axis] for axis in kept)
    moved = permute(x, layout)
    if moved.size == 0:
        return full(x.type, 0)
    factors = reshape(moved, (*rows, moved.size // math.prod(rows)))
    levels: list[tuple[TracedArray, int]] = []
    while (count := factors.shape[-1]) > 1:
        factors = _append_one(factors) if count % 2 else factors
        pairs = reshape(factors, (*rows, -(-count // 2), 2))
        levels.append((pairs, count))
        factors = pairs[..., 0] * pairs[..., 1]
    result = reshape(g, (*rows, 1))
    for pairs, count in reversed(levels):
        children = result[..., None] * pairs[..., ::-1]
        result = reshape(children, (*rows, 2 * pairs.shape[-2]))[..., :count]
    return permute(reshape(result, moved.shape), inverse(layout))


def _append_one(factors: TracedArray) -> Result:
    none = (0,) * factors.ndim
    high = (*none[:-1], 1)
    return emit("pad", factors, low=none, high=high, interior=none, fill=1.0)


def extreme_operand(
    g: TracedArray, ans: TracedArray, x: TracedArray, axes: Sequence[int]
) -> Result:
    """`g` shared evenly among the elements that are equal to the largest (smallest)."""
    hit = x == spread(ans, x.shape, axes)
    ties = emit("sum", hit.astype(x.dtype), axes=tuple(axes))
    return np.where(hit, spread(g / ties, x.shape, axes), 0)


# -- products of matrices -------------------------------------------------------------------------


def dot_left(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    y: TracedArray,
    batch: AxisPair,
    contract: AxisPair,
) -> Result:
    """`g` contracted with `y` over the free axes of `y`."""
    free_x = free_axes(x.ndim, batch[0], contract[0])
    free_y = free_axes(y.ndim, batch[1], contract[1])
    lead = tuple(range(len(batch[0])))
    last = tuple(range(len(lead) + len(free_x), g.ndim))
    product = emit("dot", g, y, batch=(lead, batch[1]), contract=(last, free_y))
    layout = (*batch[0], *free_x, *_partners(contract[1], contract[0]))
    return permute(product, inverse(layout))


def dot_right(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    y: TracedArray,
    batch: AxisPair,
    contract: AxisPair,
) -> Result:
    """`x` contracted with `g` over the free axes of `x`."""
    free_x = free_axes(x.ndim, batch[0], contract[0])
    free_y = free_axes(y.ndim, batch[1], contract[1])
    lead = tuple(range(len(batch[0])))
    middle = tuple(range(len(lead), len(lead) + len(free_x)))
    product = emit("dot", x, g, batch=(batch[0], lead), contract=(free_x, middle))
    layout = (*batch[1], *_partners(contract[0], contract[1]), *free_y)
    return permute(product, inverse(layout))


def _partners(axes: Sequence[int], partners: Sequence[int]) -> list[int]:
    """`partners` in the increasing order of the `axes` that they are paired with."""
    return [partner for _, partner in sorted(zip(axes, partners, strict=True))]


# -- reads and writes at run-time positions -------------------------------------------------------


def gather_operand(
    g: TracedArray, ans: TracedArray, x: TracedArray, *indices: TracedArray, axes: Sequence[int]
) -> Result:
    """Zeros with `g` added at the positions that were read."""
    return emit("scatter_add", full(x.type, 0), g, *indices, axes=tuple(axes))


def scatter_operand(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    updates: TracedArray,
    *indices: TracedArray,
    axes: Sequence[int],
) -> Result:
    """`g` with zeros where elements were replaced."""
    return emit("scatter", g, full(updates.type, 0), *indices, axes=tuple(axes))


def scatter_updates(
    g: TracedArray,
    ans: TracedArray,
    x: TracedArray,
    updates: TracedArray,
    *indices: TracedArray,
    axes: Sequence[int],
) -> Result:
    """`g` read back at the positions that were written, for the write that lasted.

    Where a position is written twice only the last write counts; writing the serial number of
    each update in its place tells which that was.
    """
    serial = reshape(emit("iota", size=updates.size, dtype=INT64), updates.shape)
    nobody = full(TensorType(INT64, x.shape), 0)
    written = emit("scatter", nobody, serial, *indices, axes=tuple(axes))
    lasted = emit("gather", written, *indices, axes=tuple(axes)) == serial
    return np.where(lasted, emit("gather", g, *indices, axes=tuple(axes)), 0)
