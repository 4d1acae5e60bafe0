"""What a picture shows: boxes, and the values that flow between them.

A scene knows nothing of graphs or tapes, of sizes or places. `graph_scene.py` and `tape.py` make
scenes, `placement.py` lays them out, `svg.py` and `dot.py` write them down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .text import Font

INPUT, PARAMETER, OUTPUT, CONSTANT = "input", "parameter", "output", "constant"
"""Kinds of boxes at the edge of a graph; a parameter is an input that is learnt."""

FORWARD_BOX, BACKWARD_BOX, UPDATE = "forward", "backward", "update"
"""Kinds of operations. `UPDATE` is what the user wrote that depends on gradients."""

KERNEL, TRANSFORM, PORT = "kernel", "transform", "port"
"""Frames around operations: what runs as one, and a transformation that is yet to be expanded; and
where a value enters or leaves such a frame."""

TAG = "tag"
"""A name in place of a wire: where a value leaves for far away, and where it arrives."""


@dataclass(frozen=True)
class Line:
    """A line of text beside a wire."""

    text: str
    font: Font


@dataclass(frozen=True)
class Box:
    """A node, an input or an output.

    `entries` and `exits` count the wires that may end and start here. `detail` is written smaller,
    behind the title; `tooltip` is shown by a viewer that points at the box. `small` marks
    operations that move no data. A frame holds the scene `inner`, whose boxes of kind `PORT` are,
    in order, its entries (those that start wires) and exits.
    """

    kind: str
    title: str
    detail: str = ""
    tooltip: str = ""
    entries: int = 0
    exits: int = 1
    small: bool = False
    inner: Scene | None = None


@dataclass(frozen=True)
class Reader:
    """Where a value arrives: a box and the number of its entry."""

    box: int
    entry: int


@dataclass(frozen=True)
class Net:
    """A value on its way from an exit of box `source` to everything that reads it.

    `kind` is the kind of the operation that computed it, `lines` what is written beside the wire,
    and `name` what tags stand for it where the way is long.
    """

    source: int
    exit: int
    readers: tuple[Reader, ...]
    name: str
    kind: str
    lines: tuple[Line, ...] = ()


@dataclass
class Scene:
    """Boxes in an order that respects dependence, and the values between them."""

    boxes: list[Box] = field(default_factory=list)
    nets: list[Net] = field(default_factory=list)
