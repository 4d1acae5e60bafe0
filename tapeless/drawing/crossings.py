"""The order of the cells within their rows, with few crossings between the wires.

Barycentres swept down and up (Sugiyama, Tagawa & Toda 1981), each sweep followed by exchanges of
neighbours while that saves crossings (Gansner, Koutsofios, North & Vo, "A technique for drawing
directed graphs", 1993, section 3). The best order that was met is kept.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise
from math import fsum

from .layers import Cell, Link

SWEEPS = 14
"""Passes over all rows, alternately down and up, from each of the initial orders."""

EXCHANGE_LIMIT = 4000
"""Links beyond which neighbours are not exchanged any more: barycentres alone have to do."""

Rows = list[list[Cell]]


def order(rows: Rows) -> Rows:
    """The rows, each in its order."""
    many = sum(len(cell.below) for row in rows for cell in row) > EXCHANGE_LIMIT
    starts = (rows,) if many else (rows, [row[::-1] for row in rows], _depth_first(rows))
    best, fewest = rows, -1
    for start in starts:
        found, count = _swept([list(row) for row in start], exchange=not many)
        if fewest < 0 or count < fewest:
            best, fewest = found, count
    for row in best:
        _number(row)
    return best


def _depth_first(rows: Rows) -> Rows:
    """Cells in the order in which a walk from the last row upwards meets them."""
    met: dict[Cell, None] = {}
    stack = [cell for row in rows for cell in reversed(row)]
    while stack:
        cell = stack.pop()
        if cell not in met:
            met[cell] = None
            links = sorted(cell.above, key=lambda link: -link.enters)
            stack.extend(link.upper for link in links if link.upper not in met)
    ordered: Rows = [[] for _ in rows]
    for cell in met:
        ordered[cell.layer].append(cell)
    return ordered


def _swept(rows: Rows, exchange: bool) -> tuple[Rows, int]:
    for row in rows:
        _number(row)
    best, fewest = [list(row) for row in rows], crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            keys = {cell: _barycentre(cell, down) for cell in row}
            row.sort(key=keys.__getitem__)
            _number(row)
        if exchange:
            _exchange(rows)
        count = crossings(rows)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
        if not count:
            break
    return best, fewest


def _number(row: Sequence[Cell]) -> None:
    for position, cell in enumerate(row):
        cell.position = position


def _upper_end(link: Link) -> tuple[int, float]:
    return link.upper.position, link.leaves


def _lower_end(link: Link) -> tuple[int, float]:
    return link.lower.position, link.enters


def _barycentre(cell: Cell, down: bool) -> float:
    """The mean place of the neighbours in the row before, entries counted as parts of a cell."""
    if down:
        ends = [_place(link.upper, link.leaves) for link in cell.above]
    else:
        ends = [_place(link.lower, link.enters) for link in cell.below]
    return fsum(ends) / len(ends) if ends else float(cell.position)


def _place(cell: Cell, across: float) -> float:
    return cell.position + across / (2 * cell.size.half + 1)


def _exchange(rows: Rows) -> None:
    improved = True
    while improved:
        improved = False
        for row in rows:
            for i in range(len(row) - 1):
                left, right = row[i], row[i + 1]
                if _between(left, right) > _between(right, left):
                    row[i], row[i + 1] = right, left
                    left.position, right.position = i + 1, i
                    improved = True


def _between(left: Cell, right: Cell) -> int:
    """Crossings of the links of two neighbours, with `left` on the left."""
    above = ([_upper_end(k) for k in left.above], [_upper_end(k) for k in right.above])
    below = ([_lower_end(k) for k in left.below], [_lower_end(k) for k in right.below])
    return sum(a > b for lefts, rights in (above, below) for a in lefts for b in rights)


def crossings(rows: Rows) -> int:
    """How many pairs of links cross: inversions between their ends, row by row."""
    total = 0
    for upper, _ in pairwise(rows):
        seen: list[tuple[int, float]] = []
        links = sorted((link for cell in upper for link in cell.below), key=_upper_end)
        start = 0
        while start < len(links):
            stop = start
            while stop < len(links) and _upper_end(links[stop]) == _upper_end(links[start]):
                stop += 1
            ends = [_lower_end(link) for link in links[start:stop]]
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
            start = stop
    return total
