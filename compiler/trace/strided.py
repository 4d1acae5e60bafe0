"""What a NumPy view shows of its source, found by letting NumPy make the view.

Basic indexing, transposition, flipping, splitting and the like are computed by NumPy itself on a
*stand-in*: an uninitialized byte array of the source's shape. `decode` reads the strides of the
result and says how the same elements are reached by ops: cut a box out of every axis, turn axes
round, permute them, then add or drop axes of extent one. So axes, errors and shapes are NumPy's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import GraphError

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def stand_in(shape: Shape) -> Array:
    """An array of `shape` whose elements are never read; its memory is never touched."""
    return np.empty(shape, np.int8)


@dataclass(frozen=True, slots=True)
class Rearrangement:
    """A view in terms of ops on a source of shape `source`, in the order of the fields.

    Every source axis is sliced from `starts` to `limits` by `steps` (positive), those in
    `reversed_axes` are turned round, all are permuted, and the result is reshaped to `shape`,
    which differs from the permuted one by axes of extent one only.
    """

    source: Shape
    starts: Shape
    limits: Shape
    steps: Shape
    reversed_axes: tuple[int, ...]
    permutation: tuple[int, ...]
    shape: Shape

    @property
    def cuts(self) -> bool:
        """Whether the slice leaves anything out."""
        whole = zip(self.starts, self.limits, self.steps, self.source, strict=True)
        return any((a, b, k) != (0, n, 1) for a, b, k, n in whole)

    @property
    def permutes(self) -> bool:
        """Whether the permutation changes the order."""
        return self.permutation != tuple(range(len(self.permutation)))

    @property
    def sliced(self) -> Shape:
        """The shape after slicing."""
        bounds = zip(self.starts, self.limits, self.steps, strict=True)
        return tuple(max(0, -(-(limit - start) // step)) for start, limit, step in bounds)

    @property
    def permuted(self) -> Shape:
        """The shape after slicing and permuting."""
        return tuple(self.sliced[axis] for axis in self.permutation)


def decode(source: Array, view: Array) -> Rearrangement:
    """How `view`, made by NumPy from the contiguous stand-in `source`, is made by ops."""
    if view.size == 0:
        return _empty(source.shape, view.shape)
    starts = _start(source, view)
    limits = [start + 1 for start in starts]
    steps = [1] * source.ndim
    turned: list[int] = []
    order: list[int] = []
    for extent, stride in zip(view.shape, view.strides, strict=True):
        if extent == 1:
            continue
        axis, step = _axis_of(source, stride)
        span = (extent - 1) * step
        if stride < 0:
            starts[axis] -= span
            turned.append(axis)
        limits[axis] = starts[axis] + span + 1
        steps[axis] = step
        order.append(axis)
    dropped = [axis for axis in range(source.ndim) if axis not in order]
    permutation = _merge(order, dropped)
    return Rearrangement(
        source.shape,
        tuple(starts),
        tuple(limits),
        tuple(steps),
        tuple(sorted(turned)),
        permutation,
        view.shape,
    )


def _empty(source: Shape, shape: Shape) -> Rearrangement:
    zeros = (0,) * len(source)
    limits = source if math.prod(source) == 0 else zeros
    return Rearrangement(
        source, zeros, limits, (1,) * len(source), (), tuple(range(len(source))), shape
    )


def _start(source: Array, view: Array) -> list[int]:
    """The index in `source` of the first element of `view`."""
    offset = view.__array_interface__["data"][0] - source.__array_interface__["data"][0]
    if source.ndim == 0:
        return []
    return [int(i) for i in np.unravel_index(offset, source.shape)]


def _axis_of(source: Array, stride: int) -> tuple[int, int]:
    """The source axis and the step along it that one stride of a view stands for."""
    for axis in range(source.ndim):
        unit = source.strides[axis]
        if source.shape[axis] > 1 and unit <= abs(stride):
            step, rest = divmod(abs(stride), unit)
            if rest == 0:
                return axis, step
            break
    raise GraphError(
        "a view steps along one axis of its source for each of its own",
        given=f"stride {stride} of a source with strides {source.strides}",
    )


def _merge(order: list[int], dropped: list[int]) -> tuple[int, ...]:
    """All axes: `order` kept, and the dropped ones (of extent one) put back where they were.

    Axes of extent one may stand anywhere; standing in place keeps needless permutations away.
    """
    merged = list(order)
    for axis in dropped:
        merged.insert(axis, axis)
    return tuple(merged)
