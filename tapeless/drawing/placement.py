"""Coordinates: the size of each box, and a place for it that keeps wires short and straight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .layers import Cell, Layers, arrange
from .scene import INPUT, Box, Scene

CHARACTER, LINE = 7.25, 16.0
"""Width and height of a character of the picture's 12-pixel monospaced font."""

PADDING, GAP, LAYER_GAP = 10.0, 22.0, 44.0
"""Inside a box; between neighbours in a row; between rows (room for the types on the wires)."""

ROUNDS = 24
"""Relaxation passes over the rows, alternately down and up."""


@dataclass(frozen=True)
class Rectangle:
    """A placed box, in pixels from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        """Horizontal middle."""
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height


@dataclass(frozen=True)
class Picture:
    """A scene with all places decided: `place` of each cell, size of the whole."""

    scene: Scene
    layers: Layers
    place: dict[Cell, Rectangle]
    width: float
    height: float


def box_size(box: Box) -> tuple[float, float]:
    """Width and height that hold a box's text, with room below it for its results' types."""
    heading = len(box.title) + (len(box.detail) + 2 if box.detail else 0)
    longest = max([heading, *(len(row.text) + 2 for row in box.rows)])
    ports = sum(len(port) + 2 for port in box.ports)
    results = sum(len(result) + 3 for result in box.results) if box.kind != INPUT else 0
    width = max(longest, ports, results, 4) * CHARACTER + 2 * PADDING
    port_line = LINE - 2 if any(box.ports) else 0.0
    return width, LINE * (1 + len(box.rows)) + PADDING + port_line


def place_scene(scene: Scene) -> Picture:
    """Decide every coordinate of a scene."""
    layers = arrange(scene)
    sizes = {cell: _size(cell, scene) for row in layers.rows for cell in row}
    _relax(layers.rows, lambda cell: sizes[cell][0])
    left = min((c.centre - sizes[c][0] / 2 for row in layers.rows for c in row), default=0.0)
    place: dict[Cell, Rectangle] = {}
    top = 0.0
    for row in layers.rows:
        height = max(sizes[cell][1] for cell in row)
        for cell in row:
            width, own = sizes[cell]
            own = height if cell.is_bend else own
            start = cell.centre - width / 2 - left
            place[cell] = Rectangle(start, top + (height - own) / 2, width, own)
        top += height + LAYER_GAP
    right = max((r.left + r.width for r in place.values()), default=0.0)
    return Picture(scene, layers, place, right, max(0.0, top - LAYER_GAP))


def _size(cell: Cell, scene: Scene) -> tuple[float, float]:
    if cell.box is not None:
        return box_size(scene.boxes[cell.box])
    if cell.tag:
        return len(cell.tag) * CHARACTER + PADDING, LINE + 2
    return 2.0, 0.0


def _relax(rows: Sequence[Sequence[Cell]], width: Callable[[Cell], float]) -> None:
    """Pull every cell towards the mean of its neighbours, keeping the order and the gaps."""
    for row in rows:
        edge = 0.0
        for cell in row:
            cell.centre = edge + width(cell) / 2
            edge += width(cell) + GAP
    for sweep in range(ROUNDS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_pull(cell, sweep, width) for cell in row]
            weights = [8.0 if cell.is_bend else 1.0 + len(cell.above + cell.below) for cell in row]
            gaps = [(width(a) + width(b)) / 2 + GAP for a, b in pairwise(row)]
            for cell, centre in zip(row, spread(wanted, weights, gaps), strict=True):
                cell.centre = centre


def _pull(cell: Cell, sweep: int, width: Callable[[Cell], float]) -> float:
    """Where a cell would have its wires vertical: on average over the side swept from."""
    sides = (cell.above, cell.below) if sweep % 2 == 0 else (cell.below, cell.above)
    links = sides[0] if sweep < ROUNDS - 4 and sides[0] else cell.above + cell.below
    if not links:
        return cell.centre
    ends = (link.cell.centre + link.other_shift * width(link.cell) for link in links)
    starts = (link.own_shift * width(cell) for link in links)
    return (sum(ends) - sum(starts)) / len(links)


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The positions nearest to `wanted` (weighted least squares) that keep `gaps` between them.

    With the gaps subtracted this is isotonic regression, solved by pooling adjacent violators
    (Barlow et al. 1972).
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, members
    for x, weight, offset in zip(wanted, weights, offsets[: len(wanted)], strict=True):
        mean, members = x - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, count = blocks.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, members = weight + heavy, members + count
        blocks.append((mean, weight, members))
    flat = [mean for mean, _, members in blocks for _ in range(members)]
    return [x + offset for x, offset in zip(flat, offsets, strict=False)]
