"""A picture: a place for every cell, and the curves of the wires.

A row occupies a *band* of its own along the flow. Inside a band wires run straight along the flow,
each in the column of its own cell; they bend only between bands, where nothing else is. So no wire
passes through a box or through the text beside another wire, whatever the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

from .coordinates import relax
from .crossings import order
from .layers import Cell, Layers, Link, arrange
from .measure import DOWN, FRAME, SPINE, Size, box_size, group_title_length, labelled
from .scene import PORT, Net, Scene
from .tags import tag_long_wires

LAYER_GAP, STEEPNESS, MAX_LAYER_GAP = 24.0, 0.11, 80.0
"""Room between bands: at least; more per pixel that a wire moves across there; at most."""

Point = tuple[float, float]
"""(along, across)."""


@dataclass(frozen=True)
class Place:
    """Where a cell lies: the extent of its own box along, its centre across, and its band."""

    start: float
    end: float
    centre: float
    band_start: float
    band_end: float


@dataclass(frozen=True)
class Picture:
    """A scene with all places decided.

    `length` and `breadth` are its extents along and across; `inner` are the pictures inside of
    groups, by box.
    """

    scene: Scene
    direction: str
    layers: Layers
    places: Mapping[Cell, Place]
    inner: Mapping[int, Picture]
    length: float
    breadth: float

    def kinds(self) -> set[str]:
        """The kinds of all boxes, those inside of frames included."""
        own = {box.kind for box in self.scene.boxes}
        return own.union(*(picture.kinds() for picture in self.inner.values()))

    def curve(self, link: Link) -> tuple[Point, Point, Point, Point]:
        """A link's start, end of the upper band, start of the lower band, and end.

        Between the middle two it is a cubic with tangents along the flow, else it is straight.
        """
        upper, lower = self.places[link.upper], self.places[link.lower]
        leaves, enters = upper.centre + link.leaves, lower.centre + link.enters
        start = upper.band_start if link.upper.is_bend else upper.end
        return (
            (start, leaves),
            (upper.band_end, leaves),
            (lower.band_start, enters),
            (lower.start, enters),
        )


def place_scene(
    scene: Scene,
    direction: str = DOWN,
    least: float = 0.0,
    placed: dict[int, Picture] | None = None,
) -> Picture:
    """Decide every coordinate of a scene; it will be at least `least` long.

    `placed` has the pictures inside of frames that are known, by `id` of the scene, and keeps those
    that are not.
    """
    placed = {} if placed is None else placed
    scene = tag_long_wires(scene)
    inner: dict[int, Picture] = {}
    for i, box in enumerate(scene.boxes):
        if box.inner is not None:
            if id(box.inner) not in placed:
                title = group_title_length(box)
                placed[id(box.inner)] = place_scene(box.inner, direction, title, placed)
            inner[i] = placed[id(box.inner)]
    layers = arrange(scene, _sizes(scene, inner, direction))
    layers.rows = order(layers.rows)
    breadth = relax(layers.rows)
    places, length = _bands(scene, layers.rows, least)
    return Picture(scene, direction, layers, places, inner, length, breadth)


def _sizes(scene: Scene, inner: Mapping[int, Picture], direction: str) -> list[Size]:
    leaving: list[dict[int, Net]] = [{} for _ in scene.boxes]
    for net in scene.nets:
        leaving[net.source][net.exit] = net
    return [
        labelled(_group_size(inner[i]), leaving[i], direction)
        if i in inner
        else box_size(box, leaving[i], direction)
        for i, box in enumerate(scene.boxes)
    ]


def inner_offset(picture: Picture) -> float:
    """Where, relative to the centre of its group, a picture starts across the flow."""
    return SPINE / 2 - picture.breadth / 2


def _group_size(picture: Picture) -> Size:
    half = (picture.breadth + SPINE) / 2 + FRAME
    offset = inner_offset(picture)
    centres = {cell.box: cell.centre for cell in picture.places}
    ports = [(i, box) for i, box in enumerate(picture.scene.boxes) if box.kind == PORT]
    entries = tuple(offset + centres[i] for i, box in ports if box.exits)
    exits = tuple(offset + centres[i] for i, box in ports if box.entries)
    return Size(half, picture.length, half, half, 0.0, entries, exits)


def _bands(
    scene: Scene, rows: Sequence[Sequence[Cell]], least: float
) -> tuple[dict[Cell, Place], float]:
    """The places of all cells, and the length of the whole."""
    depths = [max(cell.size.depth + cell.size.strip for cell in row) for row in rows]
    gaps = [_layer_gap(upper) for upper, _ in pairwise(rows)]
    missing = least - fsum(depths) - fsum(gaps)
    if missing > 0 and gaps:
        gaps = [gap + missing / len(gaps) for gap in gaps]
    places: dict[Cell, Place] = {}
    along = 0.0
    for row, depth, gap in zip(rows, depths, [*gaps, 0.0][: len(rows)], strict=True):
        for cell in row:
            start = along + _lead(scene, cell, depth)
            end = along + depth if cell.is_bend else start + cell.size.depth
            places[cell] = Place(start, end, cell.centre, along, along + depth)
        along += depth + gap
    return places, along


def _layer_gap(upper: Sequence[Cell]) -> float:
    links = (link for cell in upper for link in cell.below)
    moves = [
        abs(link.upper.centre + link.leaves - link.lower.centre - link.enters) for link in links
    ]
    return min(MAX_LAYER_GAP, LAYER_GAP + STEEPNESS * max(moves, default=0.0))


def _lead(scene: Scene, cell: Cell, band: float) -> float:
    """Free room in its band before a cell: sources lie near their readers, results near theirs."""
    if cell.box is None:
        return 0.0
    room = band - cell.size.depth - cell.size.strip
    box = scene.boxes[cell.box]
    return room * (0.0 if not box.exits else 1.0 if not box.entries else 0.5)
