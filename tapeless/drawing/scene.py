"""What a picture of a graph shows: boxes with ports, and wires that carry typed values.

Scalar constants (and broadcasts of them) are written into the box that reads them instead of being
drawn: half of the nodes of a typical graph are nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir.graph import BACKWARD, Graph, Node, Value
from ..ir.printer import DataSection, attribute_text, value_names
from ..ir.types import dtype_name

INPUT, OUTPUT, FORWARD_BOX, BACKWARD_BOX, MIXED = "input", "output", "forward", "backward", "mixed"
"""The kinds of boxes, told apart by colour; `mixed` holds forward and backward operations."""

MAX_ROWS = 28
"""Operations listed in one box; the rest are counted."""

MAX_ATTRIBUTE = 24
"""Characters of an attribute; longer ones are cut."""

_IMPLIED = frozenset({"shape"})
"""Attributes that the result's type already says."""


@dataclass(frozen=True)
class Row:
    """One operation inside a box."""

    text: str
    phase: str


@dataclass(frozen=True)
class Box:
    """A node, an input or an output of the graph.

    `ports` label its incoming wires and `results` its outgoing values (name and type).
    """

    kind: str
    title: str
    detail: str = ""
    rows: tuple[Row, ...] = ()
    ports: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    tooltip: str = ""

    def port_shift(self, index: int) -> float:
        """Where a port lies along the top edge: -1/2 at the left end, 1/2 at the right.

        Ports share the edge in proportion to their labels.
        """
        weights = [len(port) + 2 for port in self.ports]
        return (sum(weights[:index]) + weights[index] / 2) / sum(weights) - 0.5

    def result_shift(self, index: int) -> float:
        """Where a result leaves the bottom edge, as in `port_shift`; its label is to the right."""
        if len(self.results) == 1:
            return 0.0
        weights = [len(result) + 3 for result in self.results]
        return (sum(weights[:index]) + 1) / sum(weights) - 0.5


@dataclass(frozen=True)
class Wire:
    """A value on its way: from result `result` of box `source` to port `port` of box `target`."""

    source: int
    result: int
    target: int
    port: int
    name: str


@dataclass
class Scene:
    """Boxes in an order that respects dependence, and the wires between them."""

    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)


def scene_of(graph: Graph) -> Scene:
    """The picture of a whole graph: its inputs, nodes and outputs."""
    scene = Scene()
    names = value_names(graph)
    inline = inline_constants(graph)
    origin: dict[Value, tuple[int, int]] = {}
    for value in graph.inputs:
        origin[value] = (len(scene.boxes), 0)
        result = f"{names[value]}: {value.type}"
        scene.boxes.append(Box(INPUT, names[value], str(value.type), results=(result,)))
    for node in graph.nodes:
        if node.outputs[0] in inline:
            continue
        index = len(scene.boxes)
        origin.update((value, (index, i)) for i, value in enumerate(node.outputs))
        wired = [value for value in node.inputs if value not in inline]
        scene.boxes.append(_node_box(node, names, inline, wired))
        _connect(scene, wired, origin, names)
    for value in graph.outputs:
        scene.boxes.append(Box(OUTPUT, names[value], ports=("",)))
        _connect(scene, [value], origin, names)
    return scene


def _connect(
    scene: Scene,
    values: list[Value],
    origin: Mapping[Value, tuple[int, int]],
    names: Mapping[Value, str],
) -> None:
    target = len(scene.boxes) - 1
    for port, value in enumerate(values):
        source, result = origin[value]
        scene.wires.append(Wire(source, result, target, port, names[value]))


def inline_constants(graph: Graph) -> dict[Value, str]:
    """The values that are one number throughout, and how to write it; outputs are never inline."""
    texts: dict[Value, str] = {}
    for node in graph.nodes:
        number = _constant_text(node, texts)
        if number is not None and node.output not in graph.outputs:
            texts[node.output] = number
    return texts


def _constant_text(node: Node, texts: Mapping[Value, str]) -> str | None:
    if node.op.name == "broadcast":
        return texts.get(node.inputs[0])
    if node.op.name != "constant":
        return None
    (array,) = (np.asarray(value) for value in node.attrs.values())
    return f"{array.flat[0]:.6g}" if array.size == 1 else None


def _node_box(
    node: Node, names: Mapping[Value, str], inline: Mapping[Value, str], wired: list[Value]
) -> Box:
    body = next((a for a in node.attrs.values() if isinstance(a, Graph)), None)
    tooltip = f"{node.op.name}: {node.op.doc}" + (f" ({node.loc})" if node.loc else "")
    results = tuple(f"{names[value]}: {value.type}" for value in node.outputs)
    kind = BACKWARD_BOX if node.phase == BACKWARD else FORWARD_BOX
    if body is None:
        title = operation_text(node, inline)
        where = str(node.loc) if node.loc else ""
        return Box(kind, title, where, (), ("",) * len(wired), results, tooltip)
    rows = tuple(_body_rows(body))
    phases = {row.phase for row in rows if row.phase}
    kind = MIXED if len(phases) > 1 else BACKWARD_BOX if phases == {BACKWARD} else kind
    inner = value_names(body)
    ports = tuple(inner[value] for value in body.inputs[: len(wired)])
    ports += ("",) * (len(wired) - len(ports))
    detail = str(node.attrs.get("kind", ""))
    return Box(kind, node.op.name, detail, rows, ports, results, tooltip)


def _body_rows(body: Graph) -> Iterator[Row]:
    names, inline = value_names(body), inline_constants(body)
    shown = [node for node in body.nodes if node.outputs[0] not in inline]
    for node in shown[:MAX_ROWS]:
        results = ", ".join(names[value] for value in node.outputs)
        operands = "".join(f" {inline.get(value) or names[value]}" for value in node.inputs)
        attributes = _attributes_text(node)
        space = " " if attributes else ""
        yield Row(f"{results} = {node.op.name}{space}{attributes}{operands}", node.phase)
    if len(shown) > MAX_ROWS:
        yield Row(f"… and {len(shown) - MAX_ROWS} more", "")
    yield Row("return " + ", ".join(names[value] for value in body.outputs), "")


def operation_text(node: Node, inline: Mapping[Value, str]) -> str:
    """The op with its attributes; where a number is written inline, `·` stands for a wire."""
    parts = [node.op.name, _attributes_text(node)]
    if any(value in inline for value in node.inputs):
        parts += [inline.get(value, "·") for value in node.inputs]
    return " ".join(part for part in parts if part)


def _attributes_text(node: Node) -> str:
    attributes = {
        name: _short(value)
        for name, value in node.attrs.items()
        if name not in _IMPLIED and not isinstance(value, Graph)
    }
    attributes = {name: text for name, text in attributes.items() if text.strip("(),")}
    if len(attributes) == 1:
        return next(iter(attributes.values()))
    return " ".join(f"{name}={text}" for name, text in attributes.items())


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{dtype_name(value.dtype)}{list(value.shape)}"
    text = attribute_text(value, DataSection())
    return text if len(text) <= MAX_ATTRIBUTE else text[: MAX_ATTRIBUTE - 1] + "…"
