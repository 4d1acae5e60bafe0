"""How large every box is, and where its wires enter and leave.

Layout is done in two abstract directions: *along* the flow, from one layer to the next, and
*across* it, within a layer. `DOWN` flows from top to bottom, `RIGHT` from left to right. Only the
sizes in this file and the last step of `svg.py` know which is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from .scene import CONSTANT, INPUT, OUTPUT, PARAMETER, PORT, TAG, Box, Line, Net
from .text import GRADIENT, NAME, OPERATION, SMALL, TYPE

DOWN, RIGHT = "down", "right"
"""Directions of flow."""

ROUND, PADDING, HEIGHT, SMALL_HEIGHT = 27.0, 10.0, 25.0, 17.0
"""Diameter of a one-symbol operation; room beside a title; heights of boxes."""

LABEL_GAP = 5.0
"""Between a wire and the text beside it."""

SPINE, FRAME = 20.0, 9.0
"""Of a group: the strip with its title, and the room between its edge and what is inside."""

PILLS = frozenset({INPUT, PARAMETER, OUTPUT, CONSTANT})


@dataclass(frozen=True)
class Size:
    """The room of a box, in pixels, relative to its centre across and to its start along.

    `half` is half its own extent across and `depth` its extent along. With the text on its outgoing
    wires it reaches from `-before` to `after` across, and `strip` further along. `entries` and
    `exits` are positions across.
    """

    half: float
    depth: float
    before: float
    after: float
    strip: float = 0.0
    entries: tuple[float, ...] = ()
    exits: tuple[float, ...] = ()


def is_round(box: Box) -> bool:
    """Whether an operation is drawn as a circle: its title is a symbol."""
    return box.kind not in PILLS | {TAG, PORT} and not box.small and len(box.title) <= 2


def title_size(box: Box) -> tuple[float, float]:
    """Width and height of a box on the page, text horizontal; not for groups and ports."""
    if box.kind == TAG:
        return TYPE.width(box.title) + PADDING, SMALL_HEIGHT
    if box.small:
        return SMALL.width(box.title) + PADDING, SMALL_HEIGHT
    if is_round(box):
        return ROUND, ROUND
    font = NAME if box.kind in PILLS else OPERATION
    width = font.width(box.title) + 2 * PADDING
    if box.detail:
        width += TYPE.width(box.detail) + PADDING
    return max(width, ROUND), HEIGHT if box.kind not in PILLS else HEIGHT - 2


def box_size(box: Box, nets: Mapping[int, Net], direction: str) -> Size:
    """The room of a box without scene inside; `nets` are those that leave it, by exit."""
    if box.kind == PORT:
        return _port_size(box, direction)
    width, height = title_size(box)
    half, depth = (width / 2, height) if direction == DOWN else (height / 2, width)
    entries, exits = spread_evenly(box.entries, half), _exits(box, nets, direction, half)
    half = max(half, -min(exits, default=0.0) + 4)
    return labelled(Size(half, depth, half, half, 0.0, entries, exits), nets, direction)


def _port_size(box: Box, direction: str) -> Size:
    """A point, with room beside it for the text that stands outside of the group."""
    before = after = 3.0
    if box.detail and direction == DOWN:
        after = LABEL_GAP + TYPE.width(box.detail)
    elif box.detail:
        before, after = 2 * TYPE.height, TYPE.height
    return Size(0.0, 0.0, before, after, 0.0, (0.0,) * box.entries, (0.0,) * box.exits)


def _exits(box: Box, nets: Mapping[int, Net], direction: str, half: float) -> tuple[float, ...]:
    """Positions of the outgoing wires, far enough from each other for the text between them."""
    if box.exits < 2:
        return spread_evenly(box.exits, half)
    place, places = 0.0, []
    for exit in range(box.exits):
        wide, above, below = text_extent(nets[exit].lines if exit in nets else ())
        lead, room = (0.0, wide) if direction == DOWN else (above, below)
        places.append(place + lead)
        place += lead + room + 3 * LABEL_GAP
    middle = (places[0] + places[-1]) / 2
    return tuple(place - middle for place in places)


def spread_evenly(count: int, half: float) -> tuple[float, ...]:
    """Positions of `count` wires along an edge from `-half` to `half`, symmetric."""
    reach = min(0.6 * half, 9.0 * (count - 1)) if count > 1 else 0.0
    step = 2 * reach / (count - 1) if count > 1 else 0.0
    return tuple(i * step - reach for i in range(count))


def labelled(size: Size, nets: Mapping[int, Net], direction: str) -> Size:
    """`size` with room for the text on the outgoing wires."""
    before, after, strip = size.before, size.after, 0.0
    for exit, net in nets.items():
        if not net.lines:
            continue
        wide, above, below = text_extent(net.lines)
        if direction == DOWN:
            after = max(after, size.exits[exit] + LABEL_GAP + wide)
            strip = max(strip, above + below + LABEL_GAP)
        else:
            before = max(before, above + 2 - size.exits[exit])
            after = max(after, below + 2 + size.exits[exit])
            strip = max(strip, wide + 2 * LABEL_GAP)
    return Size(size.half, size.depth, before, after, strip, size.entries, size.exits)


def text_extent(lines: Sequence[Line]) -> tuple[float, float, float]:
    """Width of a label, and the heights of what stands above and below a wire to the right."""
    wide = max((line.font.width(line.text) for line in lines), default=0.0)
    above = fsum(line.font.height for line in lines if line.font is not GRADIENT)
    below = fsum(line.font.height for line in lines if line.font is GRADIENT)
    return wide, above, below


def group_title_length(box: Box) -> float:
    """Extent along the flow that the title of a group needs."""
    return SMALL.width(box.title) + 2 * PADDING
