"""Rewrite rules and the walk that applies them.

A rule looks at one node and at the definitions of its operands and answers with an equal value
that is cheaper, or with None. The walk visits every node once in order, so that operands are
simplified before the nodes that read them; what a rule builds is simplified as it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...ir.graph import Attribute, Graph, Node, Value
from ...ir.ops import OPS, Op
from ...ir.types import TensorType
from .dead_nodes import eliminate_dead_nodes
from .subgraphs import within

Array = np.ndarray[Any, Any]

MAX_WALKS = 8
"""Walks over one graph; the second nearly always finds nothing more to do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` reads `before -> after`; `apply` does it for nodes of the ops named in `ops`.

    Every rule is exact: the same bits for all operands, NaN, infinities and zeros of both signs
    included (signalling NaNs, which arithmetic turns into quiet ones, excepted).
    """

    text: str
    ops: tuple[str, ...]
    apply: Callable[[Node, Rewriter], Value | None]

    def __str__(self) -> str:
        return self.text


class Rewriter:
    """The graph under construction, as rules see it."""

    def __init__(self, rules: Iterable[Rule], graph: Graph) -> None:
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            for op in rule.ops:
                self._rules.setdefault(op, []).append(rule)
        self._nodes: list[Node] = []
        self._producers: dict[Value, Node] = {}
        self._elements: dict[Value, Array] = {}
        self._uses = _count_uses(graph)
        self._at: Node | None = None

    def definition(self, value: Value, op: str | None = None) -> Node | None:
        """The node that defines `value`, if there is one and it is of the given op."""
        node = self._producers.get(value)
        return node if node is not None and (op is None or node.op.name == op) else None

    def uniform(self, value: Value) -> Array | None:
        """The element, as an array of shape (), that all of `value` is known to repeat."""
        return self._elements.get(value)

    def uses(self, value: Value) -> int:
        """How often `value` is read, at most; 1 for what the current rule has just made."""
        return self._uses.get(value, 1)

    def emit(self, op: str, *inputs: Value, **attrs: Attribute) -> Value:
        """`op` applied to `inputs`, simplified; carries line and phase of the current node."""
        assert self._at is not None
        return self._emit(OPS[op], inputs, MappingProxyType(attrs), self._at)

    def emit_like(self, node: Node, inputs: tuple[Value, ...]) -> Value:
        """A node like `node` on other inputs, simplified; carries line and phase of `node`."""
        return self._emit(node.op, inputs, node.attrs, node)

    def _emit(
        self, op: Op, inputs: tuple[Value, ...], attrs: Mapping[str, Attribute], origin: Node
    ) -> Value:
        (type,) = op.infer([value.type for value in inputs], attrs)
        node = Node(op, inputs, (Value(type),), attrs, origin.loc, origin.phase)
        return self._simplified(node) or self._append(node)

    def filled(self, element: Array | np.generic, type: TensorType) -> Value:
        """The value of this type that repeats `element`."""
        array = np.asarray(element)
        assert TensorType(array.dtype, array.shape) == type.with_shape(())
        scalar = self.emit("constant", value=array)
        if type.shape == ():
            return scalar
        return self.emit("broadcast", scalar, shape=type.shape, axes=())

    def visit(self, node: Node) -> Value | None:
        """Take over a node of the old graph; answers what its output is now called, if new."""
        self._at = node
        result = self._simplified(node)
        if result is None:
            self._append(node)
        else:
            self._uses[result] = self._uses.get(result, 0) + self._uses.get(node.outputs[0], 0)
        return result

    def nodes(self) -> tuple[Node, ...]:
        """All nodes so far."""
        return tuple(self._nodes)

    def _append(self, node: Node) -> Value:
        self._nodes.append(node)
        for value in node.outputs:
            self._producers[value] = node
        element = self._element(node)
        if element is not None:
            self._elements[node.output] = element
        return node.outputs[0]

    def _element(self, node: Node) -> Array | None:
        if node.op.name == "constant" and node.attrs["value"].shape == ():
            return np.asarray(node.attrs["value"])
        return self._elements.get(node.inputs[0]) if node.op.name == "broadcast" else None

    def _simplified(self, node: Node) -> Value | None:
        for rule in self._rules.get(node.op.name, ()):
            result = rule.apply(node, self)
            if result is not None:
                assert result.type == node.output.type, f"{rule} changes the type"
                return result
        return None


def rewrite(graph: Graph, rules: Sequence[Rule]) -> Graph:
    """`graph` with the rules applied until none fits, and without what they left unused."""
    for _ in range(MAX_WALKS):
        walked = _walk(graph, rules)
        if walked is graph:
            break
        graph = eliminate_dead_nodes(walked)
    return graph


def _walk(graph: Graph, rules: Sequence[Rule]) -> Graph:
    rewriter = Rewriter(rules, graph)
    replaced: dict[Value, Value] = {}
    for original in graph.nodes:
        node = within(redirected(original, replaced), partial(rewrite, rules=rules))
        result = rewriter.visit(node)
        if result is not None:
            replaced[node.output] = result
    nodes = rewriter.nodes()
    if nodes == graph.nodes:
        return graph
    outputs = tuple(replaced.get(value, value) for value in graph.outputs)
    return Graph(graph.name, graph.inputs, nodes, outputs)


def redirected(node: Node, replaced: Mapping[Value, Value]) -> Node:
    """`node` reading what its operands were replaced by; itself if none was."""
    if not any(value in replaced for value in node.inputs):
        return node
    inputs = tuple(replaced.get(value, value) for value in node.inputs)
    return Node(node.op, inputs, node.outputs, node.attrs, node.loc, node.phase)


def _count_uses(graph: Graph) -> dict[Value, int]:
    uses: dict[Value, int] = {}
    for node in graph.nodes:
        for value in node.inputs:
            uses[value] = uses.get(value, 0) + 1
    for value in graph.outputs:
        uses[value] = uses.get(value, 0) + 1
    return uses
