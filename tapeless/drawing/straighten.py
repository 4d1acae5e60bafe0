"""The last step of `coordinates.py`: cells that straight links hold together move as one.

Where two links of a chain cannot both be straight by moving single cells, a whole block of them
often can: a long wire is aligned with what it leads to. (The blocks of Brandes & Köpf, "Fast and
simple horizontal coordinate assignment", 2001, here moved by the pulls on their other links.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import fsum, inf

from .layers import Cell, Link

PASSES = 24
"""Blocks grow when they have moved; nothing is left to gain after a few passes."""

STRAIGHT = 0.5
"""Pixels that a straight link may deviate."""

Pull = tuple[float, float]
Distance = Callable[[Cell, Cell], float]
Strength = Callable[[Link, Cell], float]
Median = Callable[[Sequence[Pull]], float]


def deviation(link: Link) -> float:
    """How far the lower end of a link is to the left of its upper end."""
    return link.upper.centre + link.leaves - link.lower.centre - link.enters


def left_edge(cell: Cell) -> float:
    """Where the room of a cell starts."""
    return cell.centre - cell.size.before


class Straightener:
    """Moves blocks of the cells in `rows`, which keep their `distance`s.

    `strength` says how much a link matters, `median` where pulls of given weight balance.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Cell]],
        distance: Distance,
        strength: Strength,
        median: Median,
    ) -> None:
        self.rows = rows
        self.links = [link for row in rows for cell in row for link in cell.above]
        self.distance = distance
        self.strength = strength
        self.median = median

    def run(self) -> None:
        """Move blocks until nothing is gained; then parts without connection close up."""
        for _ in range(PASSES):
            moves = [self._move(block) for block in self._blocks(within=STRAIGHT)]
            if not any(moves):
                break
        self._close_gaps()

    def _close_gaps(self) -> None:
        """Move everything that is connected to the left, as far as there is room."""
        edge = min((left_edge(cell) for row in self.rows for cell in row), default=0.0)
        parts = sorted(self._blocks(within=inf), key=lambda part: min(map(left_edge, part)))
        for part in parts:
            room = self._room(part, set(part))[0]
            shift = min(room, min(map(left_edge, part)) - edge)
            for cell in part:
                cell.centre -= shift

    def _blocks(self, within: float) -> Iterable[list[Cell]]:
        """Cells connected by links that deviate by less than `within`."""
        parent: dict[Cell, Cell] = {cell: cell for row in self.rows for cell in row}

        def root(cell: Cell) -> Cell:
            while parent[cell] is not cell:
                parent[cell] = parent[parent[cell]]
                cell = parent[cell]
            return cell

        for link in self.links:
            if abs(deviation(link)) < within:
                parent[root(link.upper)] = root(link.lower)
        blocks: dict[Cell, list[Cell]] = {}
        for cell in parent:
            blocks.setdefault(root(cell), []).append(cell)
        return blocks.values()

    def _move(self, block: Sequence[Cell]) -> bool:
        """Move a block to where its links to other cells are shortest; whether that gained."""
        members = set(block)
        pulls = list(self._pulls(block, members))
        if not pulls:
            return False
        left, right = self._room(block, members)
        shift = min(max(self.median(pulls), -left), right)
        gained = fsum(weight * (abs(x) - abs(x - shift)) for x, weight in pulls)
        if gained < 1.0:
            return False
        for cell in block:
            cell.centre += shift
        return True

    def _pulls(self, block: Iterable[Cell], members: set[Cell]) -> Iterator[Pull]:
        for cell in block:
            for link in cell.above:
                if link.upper not in members:
                    yield deviation(link), self.strength(link, cell)
            for link in cell.below:
                if link.lower not in members:
                    yield -deviation(link), self.strength(link, link.lower)

    def _room(self, block: Iterable[Cell], members: set[Cell]) -> tuple[float, float]:
        """How far a block can move to the left and to the right."""
        left = right = inf
        for cell in block:
            row, i = self.rows[cell.layer], cell.position
            if i > 0 and row[i - 1] not in members:
                neighbour = row[i - 1]
                left = min(left, cell.centre - neighbour.centre - self.distance(neighbour, cell))
            if i + 1 < len(row) and row[i + 1] not in members:
                neighbour = row[i + 1]
                right = min(right, neighbour.centre - cell.centre - self.distance(cell, neighbour))
        return max(left, 0.0), max(right, 0.0)
