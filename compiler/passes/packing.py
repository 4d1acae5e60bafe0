"""Offsets for blocks of memory whose lifetimes are known.

Finding the smallest arena is NP-hard (dynamic storage allocation); two greedy orders are tried
and the better one is kept: by time with best fit, as an allocator would at run time, and by
falling size, which packs better but takes quadratic time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.program import ARENA_ALIGNMENT

MAX_SORTED = 300
"""More blocks than this are packed by time alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """`size` bytes needed from position `start` to position `end`, both included."""

    size: int
    start: int
    end: int


def aligned(size: int) -> int:
    """`size` rounded up to the alignment of the arena."""
    return -(-size // ARENA_ALIGNMENT) * ARENA_ALIGNMENT


def pack(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """An aligned offset for every block, and the size of the arena.

    `blocks` are in order of their start. Blocks that live at the same time do not overlap.
    """
    by_time = _pack_by_time(blocks)
    if len(blocks) > MAX_SORTED or by_time[1] == peak(blocks):
        return by_time
    return min(by_time, _pack_by_size(blocks), key=lambda packed: packed[1])


def peak(blocks: Sequence[Block]) -> int:
    """The most bytes in use at one position: no arena can be smaller."""
    changes: dict[int, int] = {}
    for block in blocks:
        size = aligned(block.size)
        changes[block.start] = changes.get(block.start, 0) + size
        changes[block.end + 1] = changes.get(block.end + 1, 0) - size
    level = highest = 0
    for position in sorted(changes):
        level += changes[position]
        highest = max(highest, level)
    return highest


class _FreeList:
    """The holes of an arena that grows at its end: by offset, and by size for the best fit."""

    def __init__(self) -> None:
        self.end = 0
        self.holes: list[tuple[int, int]] = []  # (offset, size), apart from each other
        self.sizes: list[tuple[int, int]] = []  # (size, offset)

    def take(self, size: int) -> int:
        """The smallest hole that holds `size` bytes, the first of equals; else the end."""
        place = bisect_left(self.sizes, (size, -1))
        if place < len(self.sizes):
            hole, offset = self.sizes[place]
            self._remove(offset, hole)
            if hole > size:
                self._insert(offset + size, hole - size)
            return offset
        offset = self.end
        if self.holes and sum(self.holes[-1]) == self.end:
            offset, hole = self.holes[-1]
            self._remove(offset, hole)
        self.end = offset + size
        return offset

    def release(self, offset: int, size: int) -> None:
        """Give a piece back, merged with the holes at its sides."""
        place = bisect_left(self.holes, (offset, 0))
        if place < len(self.holes) and self.holes[place][0] == offset + size:
            after = self.holes[place]
            self._remove(*after)
            size += after[1]
        if place > 0 and sum(self.holes[place - 1]) == offset:
            before = self.holes[place - 1]
            self._remove(*before)
            offset, size = before[0], before[1] + size
        self._insert(offset, size)

    def _insert(self, offset: int, size: int) -> None:
        insort(self.holes, (offset, size))
        insort(self.sizes, (size, offset))

    def _remove(self, offset: int, size: int) -> None:
        del self.holes[bisect_left(self.holes, (offset, size))]
        del self.sizes[bisect_left(self.sizes, (size, offset))]


def _pack_by_time(blocks: Sequence[Block]) -> tuple[list[int], int]:
    free = _FreeList()
    offsets: list[int] = []
    ending: dict[int, list[int]] = {}
    clock = 0
    for index, block in enumerate(blocks):
        while clock < block.start:
            for ended in ending.pop(clock, ()):
                free.release(offsets[ended], aligned(blocks[ended].size))
            clock += 1
        size = aligned(block.size)
        offsets.append(free.take(size) if size else 0)
        if size:
            ending.setdefault(block.end, []).append(index)
    return offsets, free.end


def _pack_by_size(blocks: Sequence[Block]) -> tuple[list[int], int]:
    order = sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].start, i))
    offsets = [0] * len(blocks)
    placed: list[int] = []
    total = 0
    for index in order:
        block = blocks[index]
        size = aligned(block.size)
        if size == 0:
            continue
        taken = sorted(
            (offsets[i], aligned(blocks[i].size))
            for i in placed
            if blocks[i].start <= block.end and block.start <= blocks[i].end
        )
        offsets[index] = _best_gap(taken, size)
        placed.append(index)
        total = max(total, offsets[index] + size)
    return offsets, total


def _best_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The smallest gap between the taken pieces that holds `size` bytes; else after the last."""
    best: tuple[int, int] | None = None
    end = 0
    for offset, length in taken:
        gap = offset - end
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, end)
        end = max(end, offset + length)
    return end if best is None else best[1]
