"""The graph: values in single-assignment form and the nodes that define them.

A graph is immutable. Passes build a new one, usually through `GraphBuilder`; values are compared
by identity, graphs by structure (names, locations and phases do not count).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .location import Location
from .types import TensorType

if TYPE_CHECKING:
    from .ops.registry import Op

Attribute: TypeAlias = Any
"""int, float, bool, str, dtype, ndarray, Graph, or a tuple of these."""

FORWARD, BACKWARD = "forward", "backward"
"""The two phases of a node: written by the user, or appended by differentiation."""

_NO_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({})


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """The result of a node or an input of a graph. `name` is a hint for printing only."""

    type: TensorType
    name: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation: `outputs = op[attrs] inputs`."""

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attrs: Mapping[str, Attribute] = field(default_factory=lambda: _NO_ATTRIBUTES)
    loc: Location | None = None
    phase: str = FORWARD

    @property
    def output(self) -> Value:
        """The only output of a node that has exactly one."""
        (value,) = self.outputs
        return value


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    """`outputs` as a function of `inputs`; `nodes` are in an order that respects dependence."""

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self is other or structure(self) == structure(other)

    def __hash__(self) -> int:
        return hash(structure(self))

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        """The types of the outputs, in order."""
        return tuple(value.type for value in self.outputs)

    def producers(self) -> dict[Value, Node]:
        """The node that defines each value (graph inputs have none)."""
        return {value: node for node in self.nodes for value in node.outputs}

    def walk(self) -> Iterator[Node]:
        """All nodes, those of sub-graphs held in attributes included."""
        for node in self.nodes:
            yield node
            for attribute in node.attrs.values():
                if isinstance(attribute, Graph):
                    yield from attribute.walk()


def attribute_key(value: Attribute) -> object:
    """A hashable stand-in for an attribute that is equal exactly when the attributes are.

    Floats are keyed by their bits, so that 0.0 and -0.0 differ and a NaN equals itself.
    """
    if isinstance(value, Graph):
        return structure(value)
    if isinstance(value, np.ndarray | np.generic):
        return ("array", value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", value.hex() if value == value else "nan")
    if isinstance(value, tuple):
        return tuple(attribute_key(item) for item in value)
    return (type(value).__name__, value)


def attributes_key(attrs: Mapping[str, Attribute]) -> object:
    """A hashable stand-in for all attributes of a node, independent of their order."""
    return tuple((name, attribute_key(attrs[name])) for name in sorted(attrs))


def structure(graph: Graph) -> tuple[object, ...]:
    """A hashable description of a graph up to names, locations and phases."""
    number: dict[Value, int] = {value: i for i, value in enumerate(graph.inputs)}
    rows: list[object] = []
    for node in graph.nodes:
        reads = tuple(number[value] for value in node.inputs)
        for value in node.outputs:
            number[value] = len(number)
        types = tuple(value.type for value in node.outputs)
        rows.append((node.op.name, reads, types, attributes_key(node.attrs)))
    return (
        tuple(value.type for value in graph.inputs),
        tuple(rows),
        tuple(number[value] for value in graph.outputs),
    )


class GraphBuilder:
    """Collects inputs and nodes and closes them into a `Graph`.

    `emit` runs the type rule of the op, so that a graph built here is well typed by construction.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []

    def input(self, type: TensorType, name: str = "") -> Value:
        """Add a graph input."""
        value = Value(type, name)
        self.inputs.append(value)
        return value

    def emit(
        self,
        op: Op,
        inputs: Sequence[Value],
        attrs: Mapping[str, Attribute] | None = None,
        *,
        loc: Location | None = None,
        phase: str = FORWARD,
    ) -> tuple[Value, ...]:
        """Append `op` applied to `inputs`; returns its outputs."""
        attributes = MappingProxyType(dict(attrs)) if attrs else _NO_ATTRIBUTES
        types = op.infer([value.type for value in inputs], attributes)
        outputs = tuple(Value(type) for type in types)
        self.nodes.append(Node(op, tuple(inputs), outputs, attributes, loc, phase))
        return outputs

    def copy_node(self, node: Node, inputs: Sequence[Value]) -> tuple[Value, ...]:
        """Append a node like `node` on other inputs of the same types, with fresh outputs."""
        outputs = tuple(Value(value.type, value.name) for value in node.outputs)
        self.nodes.append(Node(node.op, tuple(inputs), outputs, node.attrs, node.loc, node.phase))
        return outputs

    def inline(
        self, graph: Graph, arguments: Sequence[Value], *, phase: str | None = None
    ) -> tuple[Value, ...]:
        """Append the nodes of `graph` with `arguments` for its inputs; returns its outputs.

        With `phase`, the copies are marked with it instead of keeping their own.
        """
        env = dict(zip(graph.inputs, arguments, strict=True))
        for node in graph.nodes:
            if phase is not None and node.phase != phase:
                node = Node(node.op, node.inputs, node.outputs, node.attrs, node.loc, phase)
            outputs = self.copy_node(node, [env[value] for value in node.inputs])
            env.update(zip(node.outputs, outputs, strict=True))
        return tuple(env[value] for value in graph.outputs)

    def build(self, outputs: Iterable[Value]) -> Graph:
        """Close the graph."""
        return Graph(self.name, tuple(self.inputs), tuple(self.nodes), tuple(outputs))
