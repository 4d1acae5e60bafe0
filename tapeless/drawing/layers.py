"""Which row every box stands in, and in which order along the row.

After Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical system
structures" (1981): layers by longest path, a bend wherever a wire crosses a layer, orders by
barycentres swept down and up. Wires that would cross many layers are cut instead, and end in a
small tag with the value's name (`Cell.tag`): a long wire cannot be followed by eye.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .scene import Scene, Wire

MAX_SPAN = 3
"""A wire over more layers than this is cut and tagged."""

SWEEPS = 12
"""Passes over all layers, alternately down and up; the best order met is kept."""


@dataclass(frozen=True)
class Link:
    """A wire seen from one of its ends: the cell at the other end, and where it meets the two.

    Shifts are fractions of a cell's width, from -1/2 at its left edge to 1/2 at its right.
    """

    cell: Cell
    own_shift: float
    other_shift: float


@dataclass(eq=False)
class Cell:
    """What occupies a place in a layer: a box, a bend of a wire, or the tag of a cut wire."""

    layer: int
    box: int | None = None
    tag: str = ""
    above: list[Link] = field(default_factory=list, repr=False)
    below: list[Link] = field(default_factory=list, repr=False)
    centre: float = 0.0

    @property
    def is_bend(self) -> bool:
        """True for a place that a wire only passes through."""
        return self.box is None and not self.tag


@dataclass
class Layers:
    """Rows of cells from top to bottom, and the cells that each wire runs through, ends included.

    A cut wire starts at its tag.
    """

    rows: list[list[Cell]]
    routes: dict[Wire, list[Cell]]


def arrange(scene: Scene) -> Layers:
    """Rows and orders for all boxes of a scene."""
    levels = _levels(scene)
    cells = [Cell(level, box=i) for i, level in enumerate(levels)]
    every = list(cells)
    routes = {wire: _route(wire, scene, cells, every) for wire in scene.wires}
    rows: list[list[Cell]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for cell in every:
        rows[cell.layer].append(cell)
    return Layers(_ordered(rows), routes)


def _levels(scene: Scene) -> list[int]:
    """Longest path from the top; then boxes sink towards their readers where that saves wire."""
    above: list[list[int]] = [[] for _ in scene.boxes]
    below: list[list[int]] = [[] for _ in scene.boxes]
    for wire in scene.wires:
        above[wire.target].append(wire.source)
        below[wire.source].append(wire.target)
    levels = [0] * len(scene.boxes)
    for i in range(len(scene.boxes)):
        levels[i] = 1 + max((levels[j] for j in above[i]), default=-1)
    for i in reversed(range(len(scene.boxes))):
        if below[i] and len(above[i]) <= len(below[i]):
            levels[i] = min(levels[j] for j in below[i]) - 1
    return levels


def _route(wire: Wire, scene: Scene, cells: Sequence[Cell], every: list[Cell]) -> list[Cell]:
    start, end = cells[wire.source], cells[wire.target]
    route = [start]
    if end.layer - start.layer > MAX_SPAN:
        tag = Cell(end.layer - 1, tag=wire.name)
        every.append(tag)
        route = [tag]
    for layer in range(route[0].layer + 1, end.layer):
        bend = Cell(layer)
        every.append(bend)
        route.append(bend)
    route.append(end)
    starts, ends = [0.0] * (len(route) - 1), [0.0] * (len(route) - 1)
    if route[0] is start:
        starts[0] = scene.boxes[wire.source].result_shift(wire.result)
    ends[-1] = scene.boxes[wire.target].port_shift(wire.port)
    for (upper, lower), leaves, enters in zip(pairwise(route), starts, ends, strict=True):
        upper.below.append(Link(lower, leaves, enters))
        lower.above.append(Link(upper, enters, leaves))
    return route


def _ordered(rows: list[list[Cell]]) -> list[list[Cell]]:
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        position = {cell: i for row in rows for i, cell in enumerate(row)}
        for row in rows if down else reversed(rows):
            weights = {cell: _barycentre(cell, position, down) for cell in row}
            row.sort(key=weights.__getitem__)
            position.update((cell, i) for i, cell in enumerate(row))
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _barycentre(cell: Cell, position: dict[Cell, int], down: bool) -> float:
    links = cell.above if down else cell.below
    if not links:
        return float(position[cell])
    return sum(position[link.cell] + link.other_shift for link in links) / len(links)


def _crossings(rows: Sequence[Sequence[Cell]]) -> int:
    """How many pairs of wires cross: inversions between the ends of the wires of each gap."""
    total = 0
    for upper, lower in pairwise(rows):
        position = {cell: i for i, cell in enumerate(lower)}
        seen: list[float] = []
        for cell in upper:
            ends = sorted(position[link.cell] + link.other_shift for link in cell.below)
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
