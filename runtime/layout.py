"""Arguments that do not lie in memory as the program wants them: copies, aliases, overlaps.

Everything here is off the common path. What the program cannot be given as it lies is copied to
dense memory before the run and, if it was updated, copied back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.errors import ArgumentError
from .pointers import Array

Groups = tuple[tuple[int, ...], ...]
"""Leaves that are the same memory, seen in the same way: each group has at least two."""

_OVERLAP_WORK = 10_000
"""Bound on the search for a common element; beyond it arrays count as overlapping."""


def dense_copy(array: Array) -> Array:
    """The elements in row-major order in memory of their own."""
    return np.array(array, order="C", copy=True)


def alias_groups(leaves: Sequence[Any]) -> Groups:
    """Which array leaves are one and the same memory with the same shape, strides and dtype."""
    groups: dict[object, list[int]] = {}
    for i, leaf in enumerate(leaves):
        if type(leaf) is np.ndarray and leaf.size:
            start = leaf.__array_interface__["data"][0]
            groups.setdefault((start, leaf.shape, leaf.strides, leaf.dtype), []).append(i)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def share_memory(x: Array, y: Array) -> bool:
    """Whether any element belongs to both arrays (True if that is too hard to tell)."""
    try:
        return np.shares_memory(x, y, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(array: Array) -> bool:
    """Whether two indices may lead to the same element, as with a stride of zero."""
    reach = array.itemsize
    axes = [(abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
    for stride, extent in sorted(axes):
        if stride < reach:
            return array.size > 0
        reach += stride * (extent - 1)
    return False


def require_updatable(array: Array, name: str) -> None:
    """Raise `ArgumentError` unless `array` can be updated in place."""
    if not array.flags.writeable:
        raise ArgumentError(
            f"{name} is updated in place and must be writable",
            given="a read-only array",
            hint="pass a copy, or set array.flags.writeable = True",
        )
    if overlaps_itself(array):
        raise ArgumentError(
            f"{name} is updated in place and must have memory of its own for every element",
            given=f"an array of shape {array.shape} with strides {array.strides}",
            hint="pass a copy: np.array(x)",
        )


def first_overlap(arrays: Sequence[Array], written: Sequence[int]) -> tuple[int, int] | None:
    """Positions of an array in `written` and another array that share memory, if any do."""
    for updated in written:
        for other, array in enumerate(arrays):
            if other != updated and share_memory(arrays[updated], array):
                return updated, other
    return None
