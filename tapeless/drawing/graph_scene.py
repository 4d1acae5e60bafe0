"""The scene of a graph: operations as boxes, kernels as frames with their operations inside.

Left out are constants that are one number (written into the formula that reads them) and the
broadcasts that only elementwise operations read, as NumPy does them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ..ir.graph import BACKWARD, Graph, Node, Value
from ..ir.ops import Family
from ..ir.printer import value_names
from .operations import inline_constants, is_view, title_of
from .scene import (
    BACKWARD_BOX,
    CONSTANT,
    FORWARD_BOX,
    INPUT,
    KERNEL,
    OUTPUT,
    PARAMETER,
    PORT,
    TRANSFORM,
    UPDATE,
    Box,
    Line,
    Net,
    Reader,
    Scene,
)
from .text import TYPE

Lines = Mapping[Value, tuple[Line, ...]]
EMPTY: Mapping[Value, str] = MappingProxyType({})


@dataclass(frozen=True)
class Labels:
    """What a picture says about a graph besides its operations.

    `parameters` are positions of inputs that are learnt; `outputs` name the outputs, if given;
    `notes` are lines about values; without `scalars` the types of scalars are left out.
    """

    parameters: frozenset[int] = frozenset()
    outputs: tuple[str, ...] = ()
    notes: Lines = field(default_factory=dict)
    scalars: bool = True


def graph_scene(graph: Graph, labels: Labels | None = None) -> Scene:
    """The picture of a whole graph: its inputs, operations and outputs."""
    labels = labels or Labels()
    maker = _Maker(graph, labels)
    for i, value in enumerate(graph.inputs):
        kind = PARAMETER if i in labels.parameters else INPUT
        box = Box(kind, maker.names[value], "".join(line.text for line in maker.type_lines(value)))
        maker.add_source(value, box, kind)
    maker.add_nodes()
    names = labels.outputs or tuple(maker.names[value] for value in graph.outputs)
    named: dict[Value, list[str]] = {}
    for value, name in zip(graph.outputs, names, strict=True):
        named.setdefault(value, []).append(name)
    for value, parts in named.items():
        maker.add_reader(Box(OUTPUT, ", ".join(dict.fromkeys(parts)), entries=1, exits=0), [value])
    return maker.scene()


@dataclass
class _Source:
    """A value that has left its box, and who has read it so far."""

    box: int
    exit: int
    name: str
    kind: str
    lines: tuple[Line, ...]
    readers: list[Reader] = field(default_factory=list)


class _Maker:
    """Turns one graph into a scene, node after node.

    `inline` are values that are one number, `folded` broadcasts and what they repeat, `tainted`
    the values that depend on gradients. With `inside`, the graph is that of a kernel, where types
    are written only where they change.
    """

    def __init__(
        self,
        graph: Graph,
        labels: Labels,
        inline: Mapping[Value, str] = EMPTY,
        inside: bool = False,
    ) -> None:
        self.graph = graph
        self.labels = labels
        self.notes = labels.notes
        self.inside = inside
        self.names = readable_names(graph)
        self.inline = inline_constants(graph, inline)
        self.folded = _folded(graph, self.inline)
        self.tainted: set[Value] = set()
        self.boxes: list[Box] = []
        self.sources: dict[Value, _Source] = {}
        self.kernels = 0

    def scene(self) -> Scene:
        """What was added so far."""
        nets = [
            Net(s.box, s.exit, tuple(s.readers), s.name, s.kind, s.lines)
            for s in self.sources.values()
        ]
        return Scene(self.boxes, nets)

    def add_source(self, value: Value, box: Box, kind: str) -> None:
        """A box that a value comes from."""
        lines = () if box.kind == PORT else self.notes.get(value, ())
        self.sources[value] = _Source(len(self.boxes), 0, box.title, kind, lines)
        self.boxes.append(box)

    def add_reader(self, box: Box, values: Sequence[Value]) -> None:
        """A box that reads `values` at its entries."""
        for value in values:
            if value not in self.sources:  # one number, read where it cannot be written
                self.add_source(value, Box(CONSTANT, self.inline[value]), CONSTANT)
        for entry, value in enumerate(values):
            self.sources[value].readers.append(Reader(len(self.boxes), entry))
        self.boxes.append(box)

    def add_nodes(self) -> None:
        """All nodes of the graph that are drawn."""
        for node in self.graph.nodes:
            if node.outputs[0] in self.inline or node.outputs[0] in self.folded:
                continue
            body = node.attrs.get("graph")
            self._add_group(node, body) if isinstance(body, Graph) else self._add_operation(node)

    def _add_operation(self, node: Node) -> None:
        title = title_of(node, self.inline)
        wired = [self.folded.get(v, v) for v in node.inputs if v not in self.inline]
        if len(wired) == 2 and wired[0] is wired[1]:
            wired = wired[:1]
            title = f"· {title} ·" if len(title) <= 2 else title
        kind = self._kind(node, wired)
        shape = CONSTANT if node.op.family is Family.CREATION else kind
        box = Box(shape, title, "", _where(node), len(wired), len(node.outputs), is_view(node))
        self._add(node, box, [kind] * len(node.outputs), wired)

    def _kind(self, node: Node, wired: Sequence[Value]) -> str:
        after = any(value in self.tainted for value in wired)
        if node.phase == BACKWARD or after:
            self.tainted.update(node.outputs)
        return BACKWARD_BOX if node.phase == BACKWARD else UPDATE if after else FORWARD_BOX

    def _add(self, node: Node, box: Box, kinds: Sequence[str], wired: Sequence[Value]) -> None:
        self.add_reader(box, wired)
        number = len(self.boxes) - 1
        for exit, (value, kind) in enumerate(zip(node.outputs, kinds, strict=True)):
            lines = self.type_lines(value, wired) + self.notes.get(value, ())
            name = self.names[value]
            self.sources[value] = _Source(number, exit, name, kind, lines)

    def type_lines(self, value: Value, operands: Sequence[Value] = ()) -> tuple[Line, ...]:
        """The type of a value, where it is written."""
        if value.type.shape == () and not self.labels.scalars:
            return ()
        known = any(value.type == operand.type for operand in operands)
        if self.inside and (known or value in self.graph.outputs):
            return ()
        return (Line(str(value.type), TYPE),)

    def _add_group(self, node: Node, body: Graph) -> None:
        wired = [value for value in node.inputs if value not in self.inline]
        pairs = list(zip(body.inputs, node.inputs, strict=False))
        known = {own: self.inline[value] for own, value in pairs if value in self.inline}
        inner = _Maker(body, self.labels, known, inside=True)
        for own, value in [*pairs, *((v, v) for v in node.inputs[len(body.inputs) :])]:
            if value in self.inline:
                continue
            outer = self.sources[value]
            inner.add_source(own, Box(PORT, outer.name), outer.kind)
            if value in self.tainted:
                inner.tainted.add(own)
        inner.add_nodes()
        results = inner.add_appended(node)
        leaving = list(zip(results, node.outputs, strict=True))
        kinds = [inner.add_exit(own, self.names[value]) for own, value in leaving]
        self.tainted.update(value for own, value in leaving if own in inner.tainted)
        counts = len(wired), len(node.outputs)
        kind = KERNEL if node.op.name == "fused" else TRANSFORM
        box = Box(kind, self._group_title(node), "", _where(node), *counts, inner=inner.scene())
        self._add(node, box, kinds, wired)

    def add_exit(self, value: Value, name: str) -> str:
        """A port at which `value` leaves the group; returns the kind of what computed it."""
        text = f"{name}: {value.type}"
        self.add_reader(Box(PORT, "", text, entries=1, exits=0), [value])
        return self.sources[value].kind

    def add_appended(self, node: Node) -> Sequence[Value]:
        """The values that are the results of `node`, whose graph this is.

        What a transformation appends to the graph, gradients or tangents, comes from one more box.
        """
        own = self.graph.outputs
        extra = node.outputs[len(own) :]
        if not extra:
            return own
        title, kind = _APPENDED[node.op.name]
        seeds = node.inputs[len(self.graph.inputs) :]
        wired = list(dict.fromkeys((*own, *(v for v in seeds if v in self.sources))))
        self.add_reader(Box(kind, title, "", "", len(wired), len(extra)), wired)
        for exit, value in enumerate(extra):
            self.sources[value] = _Source(len(self.boxes) - 1, exit, "", kind, ())
        self.tainted.update(extra if kind == BACKWARD_BOX else ())
        return (*own, *extra)

    def _group_title(self, node: Node) -> str:
        if node.op.name != "fused":
            return node.op.name
        self.kernels += 1
        return f"kernel {self.kernels}: {node.attrs['kind']}"


def readable_names(graph: Graph) -> dict[Value, str]:
    """A unique name for every value: inputs as the user writes them where that is possible."""
    names = value_names(graph)
    written = [value.name or names[value] for value in graph.inputs]
    if len({*written, *names.values()}) == len(names) + sum(
        name != names[value] for name, value in zip(written, graph.inputs, strict=True)
    ):
        names.update(zip(graph.inputs, written, strict=True))
    return names


_APPENDED = {"vjp": ("gradients", BACKWARD_BOX), "jvp": ("tangents", FORWARD_BOX)}
"""What stands for the part that a transformation appends when it is expanded."""


def _where(node: Node) -> str:
    return f"{node.op.name}, {node.loc}" if node.loc else node.op.name


def _folded(graph: Graph, inline: Mapping[Value, str]) -> dict[Value, Value]:
    """Broadcasts that only elementwise operations read, and what is read instead of them."""
    elsewhere = {*graph.outputs, *inline}
    for node in graph.nodes:
        if node.op.family is not Family.ELEMENTWISE:
            elsewhere.update(node.inputs)
    return {
        node.output: node.inputs[0]
        for node in graph.nodes
        if node.op.name == "broadcast" and node.output not in elsewhere
    }
