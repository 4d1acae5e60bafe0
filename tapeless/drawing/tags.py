"""Tags: names in place of wires that are too long to follow by eye, or that leave the column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .layers import levels_of
from .scene import CONSTANT, INPUT, PARAMETER, PORT, TAG, Box, Line, Net, Reader, Scene
from .text import TYPE

MAX_SPAN = {INPUT: 3, PARAMETER: 3, CONSTANT: 3, TAG: 3, PORT: 10**9}
"""A wire from a box of this kind over more layers than this is cut and tagged."""

OTHER_SPAN = 6

NAMED = frozenset({INPUT, PARAMETER, CONSTANT, PORT, TAG})
"""Boxes that show the name of their value themselves."""


def tag_long_wires(scene: Scene) -> Scene:
    """The scene with a tag above each box that a value reaches over many layers."""
    levels = levels_of(scene)
    ports = {i for i, box in enumerate(scene.boxes) if box.kind == PORT}
    tags: list[Box] = []
    cuts: list[Net] = []
    kept: list[Net] = []
    for net in scene.nets:
        kind = scene.boxes[net.source].kind
        reach = levels[net.source] + MAX_SPAN.get(kind, OTHER_SPAN)
        far = [r for r in net.readers if levels[r.box] > reach and r.box not in ports]
        near = tuple(reader for reader in net.readers if reader not in far)
        named = replace(net, lines=_with_name(net)) if far and kind not in NAMED else net
        kept.append(replace(named, readers=near))
        for box in dict.fromkeys(reader.box for reader in far):
            readers = tuple(reader for reader in far if reader.box == box)
            cuts.append(replace(net, source=len(tags), exit=0, readers=readers, lines=()))
            tags.append(Box(TAG, net.name))
    own = [_moved(net, lambda i: i + len(tags), net.source + len(tags)) for net in kept]
    arriving = [_moved(net, lambda i: i + len(tags), net.source) for net in cuts]
    return Scene([*tags, *scene.boxes], own + arriving)


def in_columns(scene: Scene, columns: Sequence[int]) -> list[Scene]:
    """The scene cut into several, box `i` in number `columns[i]`; tags stand where it is cut."""
    return [_column(scene, columns, number) for number in sorted(set(columns))]


def _column(scene: Scene, columns: Sequence[int], number: int) -> Scene:
    def is_here(reader: Reader) -> bool:
        return columns[reader.box] == number

    arriving = [
        net
        for net in scene.nets
        if columns[net.source] != number and any(map(is_here, net.readers))
    ]
    members = [i for i, column in enumerate(columns) if column == number]
    place = {box: i + len(arriving) for i, box in enumerate(members)}
    made = Scene([Box(TAG, net.name) for net in arriving] + [scene.boxes[i] for i in members])
    for i, net in enumerate(arriving):
        here = replace(net, readers=tuple(filter(is_here, net.readers)), exit=0, lines=())
        made.nets.append(_moved(here, place.__getitem__, i))
    for net in scene.nets:
        if columns[net.source] != number:
            continue
        here = replace(net, readers=tuple(filter(is_here, net.readers)))
        here = _moved(here, place.__getitem__, place[net.source])
        leaves = len(here.readers) < len(net.readers)
        if leaves and scene.boxes[net.source].kind not in NAMED:
            here = replace(here, readers=(*here.readers, Reader(len(made.boxes), 0)))
            made.boxes.append(Box(TAG, net.name, entries=1, exits=0))
        made.nets.append(here)
    return made


def _moved(net: Net, place: Callable[[int], int], source: int) -> Net:
    """The net with its source at `source`, and every reader where `place` says."""
    readers = tuple(Reader(place(reader.box), reader.entry) for reader in net.readers)
    return replace(net, source=source, readers=readers)


def _with_name(net: Net) -> tuple[Line, ...]:
    if net.lines and net.lines[0].font is TYPE:
        return (Line(f"{net.name}: {net.lines[0].text}", TYPE), *net.lines[1:])
    return (Line(net.name, TYPE), *net.lines)
