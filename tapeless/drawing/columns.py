"""A long picture cut into columns, as prose is, so that it fits a page."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from .layers import levels_of
from .measure import DOWN, PILLS, RIGHT
from .placement import Picture, place_scene
from .scene import TAG, Scene
from .tags import in_columns

LONG = {DOWN: 1300.0, RIGHT: 1800.0}
"""A picture of at most this length, in pixels, is one column (or, to the right, one row)."""

ASPECT = {DOWN: 1.4, RIGHT: 1 / 1.4}
"""Extent of a page across the flow to that along it."""

TRIED = 3
"""Numbers of columns that are laid out, from the smallest that may fill a page on."""

COLUMN_GAP = 48.0
"""Between columns."""


def place_in_columns(scene: Scene, direction: str, panels: int = 1) -> tuple[Picture, ...]:
    """The scene as one picture, or in columns if it is long and fits a page better so.

    `panels` pictures share the page. Cuts are made where few values cross them.
    """
    placed: dict[int, Picture] = {}
    whole = (place_scene(scene, direction, placed=placed),)
    if whole[0].length <= LONG[direction]:
        return whole
    candidates: list[tuple[Picture, ...]] = [whole]
    breadth = (whole[0].breadth + COLUMN_GAP) * (panels if direction == DOWN else 1)
    fewest = max(2, round((ASPECT[direction] * whole[0].length / breadth) ** 0.5))
    for count in range(fewest, fewest + TRIED):
        columns = _columns_of_boxes(scene, whole[0], count)
        pieces = in_columns(scene, columns)
        candidates.append(tuple(place_scene(piece, direction, placed=placed) for piece in pieces))
    return min(candidates, key=lambda pictures: _page_size(pictures, panels, ASPECT[direction]))


def _page_size(pictures: Sequence[Picture], panels: int, aspect: float) -> float:
    """Length of the smallest page of the usual shape that holds all panels."""
    panels = panels if aspect > 1 else 1
    breadth = fsum(picture.breadth + COLUMN_GAP for picture in pictures) * panels
    return max(breadth / aspect, *(picture.length for picture in pictures))


def _columns_of_boxes(scene: Scene, whole: Picture, count: int) -> list[int]:
    """The column of every box: cuts near even parts of the whole, where few values cross."""
    starts: dict[int, float] = {}
    for cell, place in whole.places.items():
        starts[cell.layer] = place.band_start
    levels = levels_of(scene)
    crossing = _crossing_values(scene, levels, len(starts))
    reach = 0.3 * whole.length / count
    cuts = []
    for part in range(1, count):
        ideal = whole.length * part / count
        near = [k for k in starts if k and abs(starts[k] - ideal) <= reach]
        cuts.append(min(near, key=lambda k: (crossing[k], abs(starts[k] - ideal)), default=0))
    columns = [sum(level >= cut for cut in cuts if cut) for level in levels]
    for net in scene.nets:  # what is given stands in the column where it is read first
        if scene.boxes[net.source].kind in PILLS and net.readers:
            columns[net.source] = min(columns[reader.box] for reader in net.readers)
    return columns


def _crossing_values(scene: Scene, levels: Sequence[int], count: int) -> list[int]:
    """For every layer, how many values computed above it are read in it or below."""
    crossing = [0] * count
    for net in scene.nets:
        if scene.boxes[net.source].kind in PILLS | {TAG}:
            continue
        last = max((levels[reader.box] for reader in net.readers), default=0)
        for level in range(levels[net.source] + 1, last + 1):
            crossing[level] += 1
    return crossing
