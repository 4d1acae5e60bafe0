"""Which layer every box is in, and the cells that wires run through on their way.

After Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical system
structures" (1981): layers by longest path, and a bend wherever a wire crosses a layer. A value with
several readers is one tree of bends, not one wire for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .measure import Size
from .scene import PORT, Net, Reader, Scene

BEND = Size(2.0, 0.0, 2.0, 2.0, 0.0, (0.0,), (0.0,))
"""The room of a wire that passes through a row."""


@dataclass(frozen=True, eq=False)
class Link:
    """A piece of a net between cells of adjacent layers; `leaves` and `enters` are across."""

    upper: Cell
    lower: Cell
    leaves: float
    enters: float
    net: Net


@dataclass(eq=False)
class Cell:
    """What occupies a place in a layer: a box, or a bend of a wire (`box` is None)."""

    layer: int
    size: Size
    box: int | None = None
    above: list[Link] = field(default_factory=list, repr=False)
    below: list[Link] = field(default_factory=list, repr=False)
    position: int = 0
    centre: float = 0.0

    @property
    def is_bend(self) -> bool:
        """True for a place that a wire only passes through."""
        return self.box is None


@dataclass
class Layers:
    """The rows of cells, and all links between them."""

    rows: list[list[Cell]]
    links: list[Link]


def arrange(scene: Scene, sizes: Sequence[Size]) -> Layers:
    """Rows and links for a scene; the order within rows is that of the boxes."""
    levels = levels_of(scene)
    boxes = [Cell(levels[i], size, box=i) for i, size in enumerate(sizes)]
    cells = list(boxes)
    links: list[Link] = []
    for net in scene.nets:
        bends: dict[int, Cell] = {levels[net.source]: boxes[net.source]}
        for reader in sorted(net.readers, key=lambda reader: levels[reader.box]):
            end = boxes[reader.box]
            for layer in range(max(bends) + 1, end.layer):
                bends[layer] = Cell(layer, BEND)
                cells.append(bends[layer])
                links.append(_link(net, bends[layer - 1], bends[layer], None))
            links.append(_link(net, bends[end.layer - 1], end, reader))
    rows: list[list[Cell]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for cell in cells:
        rows[cell.layer].append(cell)
    return Layers(rows, links)


def _link(net: Net, upper: Cell, lower: Cell, reader: Reader | None) -> Link:
    leaves = 0.0 if upper.is_bend else upper.size.exits[net.exit]
    enters = 0.0 if reader is None else lower.size.entries[reader.entry]
    link = Link(upper, lower, leaves, enters, net)
    upper.below.append(link)
    lower.above.append(link)
    return link


def levels_of(scene: Scene) -> list[int]:
    """Longest path from the top; then boxes sink towards their readers where that saves wire.

    Ports of a group lie in its first and last layer, where nothing else is; they pull nothing down.
    """
    above: list[list[int]] = [[] for _ in scene.boxes]
    below: list[list[int]] = [[] for _ in scene.boxes]
    for net in scene.nets:
        for reader in net.readers:
            above[reader.box].append(net.source)
            if scene.boxes[reader.box].kind != PORT:
                below[net.source].append(reader.box)
    inside = any(box.kind == PORT for box in scene.boxes)
    levels: list[int] = []
    for box, sources in zip(scene.boxes, above, strict=True):
        top = 1 if inside and box.kind != PORT else 0
        levels.append(max((levels[j] + 1 for j in sources), default=top))
    others = (level for level, box in zip(levels, scene.boxes, strict=True) if box.kind != PORT)
    bottom = 1 + max(others, default=0)
    for i in reversed(range(len(levels))):
        box = scene.boxes[i]
        if box.kind == PORT:
            levels[i] = bottom if box.entries else 0
        elif below[i] and len(set(above[i])) <= len(set(below[i])):
            levels[i] = min(levels[j] for j in below[i]) - 1
    number = {level: i for i, level in enumerate(sorted(set(levels)))}  # none is empty
    return [number[level] for level in levels]
