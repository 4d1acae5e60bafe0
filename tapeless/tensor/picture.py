"""The picture of the graph that a tensor's backward pass would walk: `Tensor.draw`.

A recorded graph keeps what derivatives need and no more. So the values of wires are those that are
kept, those of tensors that the caller names, and what can be computed from these; other wires have
their types only. Gradients are what a backward pass would carry; once it has been done and has
freed the graph, they are those that leaves have collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..drawing.drawing import Drawing
from ..drawing.measure import RIGHT
from ..drawing.scene import (
    BACKWARD_BOX,
    FORWARD_BOX,
    OUTPUT,
    PARAMETER,
    Box,
    Line,
    Net,
    Reader,
    Scene,
)
from ..drawing.summary import lines_of, summary
from ..drawing.text import TYPE
from ..ir.errors import ArgumentError, DifferentiationError
from ..ir.interpreter import interpret
from ..ir.ops import Family
from ..ir.printer import free_letters
from ..ir.types import is_float, type_of
from .base import TensorBase
from .modes import grad_mode
from .node import CallNode, Edge, Node, edge_of

Key: TypeAlias = tuple[int, int]
"""Identity of an edge: of its source, and the number of the result."""

SYMBOLS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "/",
    "true_divide": "/",
    "matmul": "@",
    "power": "**",
    "floor_divide": "//",
    "remainder": "%",
}
"""NumPy's functions that are written between their operands."""

UNKNOWN = "c"
"""What is written for a constant operand whose value nobody kept."""


def draw_tensor(
    tensor: TensorBase, names: Mapping[str, TensorBase], values: bool, direction: str | None
) -> Drawing:
    """The graph that computed `tensor`; `names` are what other tensors in it are to be called."""
    for name, named in names.items():
        if not isinstance(named, TensorBase):
            raise ArgumentError(
                "a drawing is told the names of tensors",
                given=f"{name}={named!r:.60}",
                hint="loss.draw(w=w, x=x); plain arrays and numbers are constants of the graph",
            )
    tape = _Tape(tensor, names, values)
    title = next((name for name, x in names.items() if x is tensor), "")
    return Drawing(((title, tape.scene()),), direction or RIGHT)


def _key(edge: Edge) -> Key:
    return id(edge[0]), edge[1]


class _Tape:
    """The nodes and leaves behind a tensor, and what is known of their values."""

    def __init__(self, root: TensorBase, names: Mapping[str, TensorBase], values: bool) -> None:
        self.root = root
        self.names = {_key(edge_of(x)): name for name, x in names.items()}
        self.named = list(names.values())
        self.shows_values = values
        self.leaves, self.nodes = _reached(edge_of(root)[0])
        self.values: dict[Key, Any] = {(id(leaf), 0): leaf._data for leaf in self.leaves}
        for tensor in (root, *names.values()):
            self.values[_key(edge_of(tensor))] = tensor._data
        self._learn()
        self.gradients = self._gradients() if values else {}

    def _learn(self) -> None:
        """Values that nodes keep, and then those that follow from known ones."""
        for node in self.nodes:
            if isinstance(node, CallNode):
                self.values.update(_kept(node))
        for node in self.nodes:
            if isinstance(node, CallNode):
                self.values.update(self._computed(node))

    def _computed(self, node: CallNode) -> Iterator[tuple[Key, Any]]:
        edges = [(_key((node, slot)), position) for slot, position in enumerate(node.call.floats)]
        operands = [x for x, _ in self._operands(node)]
        if all(key in self.values for key, _ in edges) or any(x is None for x in operands):
            return
        types = [value.type.dtype for value in node.call.graph.inputs]
        arrays = [np.asarray(x, dtype) for x, dtype in zip(operands, types, strict=True)]
        results = interpret(node.call.graph, arrays)
        yield from ((key, results[position]) for key, position in edges)

    def _operands(self, node: CallNode) -> Iterator[tuple[Any, Edge | None]]:
        """The value of every operand (None: not known) and, unless it is constant, its edge."""
        constants = dict(_constants(node))
        wired = iter(node.inputs)
        for position in range(len(node.call.graph.inputs)):
            if node.wants >> position & 1:
                edge = next(wired)
                yield self.values.get(_key(edge)), edge
            else:
                yield constants.get(position), None

    def _gradients(self) -> dict[Key, Any]:
        """The cotangent of every edge, as far as the graph is not freed."""
        found = {
            _key(edge_of(tensor)): tensor._grad._data
            for tensor in (*self.leaves, *self.named)
            if tensor._grad is not None
        }
        root = self.root._data
        if not is_float(root.dtype) or root.size != 1:
            return found
        carried: dict[Key, Any] = {_key(edge_of(self.root)): np.ones_like(root)}
        with grad_mode(False), np.errstate(all="ignore"):
            for node in reversed(self.nodes):
                received = [carried.get((id(node), slot)) for slot in range(node.width)]
                try:
                    pulled = node.pull(received)[0]
                except DifferentiationError:  # freed, or overwritten since
                    continue
                for edge, g in zip(node.inputs, pulled, strict=True):
                    if g is not None:
                        known = carried.get(_key(edge))
                        carried[_key(edge)] = g if known is None else known + g
        return found | carried

    def scene(self) -> Scene:
        """Leaves, operations in the order of their execution, and the result."""
        boxes: list[Box] = []
        places: dict[int, int] = {}
        readers: dict[Key, list[Reader]] = {}
        edges: dict[Key, Edge] = {}
        sources: list[TensorBase | Node] = [*self.leaves, *self.nodes]
        for source in sources:
            places[id(source)] = len(boxes)
            wired = [] if isinstance(source, TensorBase) else _wired(source.inputs)
            for entry, edge in enumerate(wired):
                readers[_key(edge)].append(Reader(len(boxes), entry))
            boxes.append(self._box(source, len(wired)))
            for slot in range(boxes[-1].exits):
                readers[id(source), slot] = []
                edges[id(source), slot] = (source, slot)
        result = _key(edge_of(self.root))
        readers[result].append(Reader(len(boxes), 0))
        boxes.append(Box(OUTPUT, self.names.get(result, "result"), entries=1, exits=0))
        free = free_letters(set(self.names.values()))
        nets = [
            Net(
                places[key[0]],
                key[1],
                tuple(found),
                self.names.get(key) or next(free),
                PARAMETER if isinstance(edges[key][0], TensorBase) else FORWARD_BOX,
                self._lines(key, edges[key], shows_name=key != result),
            )
            for key, found in readers.items()
        ]
        return Scene(boxes, nets)

    def _box(self, source: TensorBase | Node, entries: int) -> Box:
        if isinstance(source, TensorBase):
            name = self.names.get((id(source), 0))
            type = str(type_of(source._data)) if source._data.ndim or name is None else ""
            return Box(PARAMETER, name or type, type if name else "")
        kind = BACKWARD_BOX if source.name.endswith(" backward") else FORWARD_BOX
        small = isinstance(source, CallNode) and _is_view(source)
        title = self._title(source) if isinstance(source, CallNode) else source.name
        where = str(source.location or "")
        return Box(kind, title, "", where, entries, max(source.width, 1), small)

    def _title(self, node: CallNode) -> str:
        operands = list(self._operands(node))
        texts = ["·" if edge is not None else _constant_text(x) for x, edge in operands]
        symbol = SYMBOLS.get(node.name)
        if symbol is None or len(operands) != 2:
            return node.name
        different = len(_wired(node.inputs)) == 2
        return symbol if different else f" {symbol} ".join(texts)

    def _lines(self, key: Key, edge: Edge, shows_name: bool) -> tuple[Line, ...]:
        """What stands beside the wires from an edge: name and type, value, gradient."""
        value, gradient = self.values.get(key), self.gradients.get(key)
        known = value if value is not None else gradient
        type = str(type_of(np.asarray(known))) if known is not None else _type_text(edge)
        name = self.names.get(key, "") if shows_name else ""
        parts = [name, "" if type.endswith("[]") else type]
        text = ": ".join(part for part in parts if part)
        is_leaf = isinstance(edge[0], TensorBase)
        lines = (Line(text, TYPE),) if text and not is_leaf else ()
        return lines + (lines_of(value, gradient) if self.shows_values else ())


def _reached(source: Any) -> tuple[list[TensorBase], list[Node]]:
    """Leaves, and nodes in the order of their execution."""
    leaves: dict[int, TensorBase] = {}
    nodes: dict[int, Node] = {}
    stack = [source]
    while stack:
        found = stack.pop()
        if isinstance(found, TensorBase):
            leaves.setdefault(id(found), found)
        elif id(found) not in nodes:
            nodes[id(found)] = found
            stack.extend(edge[0] for edge in reversed(found.inputs))
    return list(leaves.values()), sorted(nodes.values(), key=lambda node: node.number)


def _wired(inputs: Iterable[Edge]) -> list[Edge]:
    """The operands, one that is read twice only once."""
    return list({_key(edge): edge for edge in inputs}.values())


def _saved(node: CallNode) -> Sequence[tuple[int, Any]]:
    """What a node keeps, by position among operands and results; nothing once it is freed."""
    try:
        return list(zip(node.pullback.reads, node.readable(), strict=True))
    except DifferentiationError:
        return []


def _kept(node: CallNode) -> Iterator[tuple[Key, Any]]:
    count = len(node.call.graph.inputs)
    for position, array in _saved(node):
        if position >= count:
            if position - count in node.call.floats:
                yield _key((node, node.call.floats.index(position - count))), array
        elif node.wants >> position & 1:
            number = (node.wants & ((1 << position) - 1)).bit_count()
            yield _key(node.inputs[number]), array


def _constants(node: CallNode) -> Iterator[tuple[int, Any]]:
    count = len(node.call.graph.inputs)
    for position, array in _saved(node):
        if position < count and not node.wants >> position & 1:
            yield position, array


def _constant_text(value: Any) -> str:
    return UNKNOWN if value is None or np.ndim(value) else summary(value)


def _is_view(node: CallNode) -> bool:
    return all(inner.op.family is Family.VIEW for inner in node.call.graph.nodes)


def _type_text(edge: Edge) -> str:
    node, slot = edge
    if isinstance(node, CallNode):
        return str(node.call.types[node.call.floats[slot]])
    return ""
