"""Which values share memory, and how long each piece of memory is needed.

A `reshape` is another name for its operand: everything is row-major and contiguous. The value
that memory was made for is the *root* of all its names.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.graph import Graph, Node, Value

ALIASES = frozenset({"reshape"})
"""Ops that only rename memory."""

STATIC = frozenset({"constant"})
"""Ops whose results lie in memory before the program starts."""


@dataclass(frozen=True, slots=True)
class Storage:
    """`roots`: the root of every value. `owned`: roots that some node computes, in order, with
    the position of that node. `last_read`: the last position that reads a root, if any does."""

    roots: dict[Value, Value]
    owned: dict[Value, int]
    last_read: dict[Value, int]

    def reads(self, node: Node) -> list[Value]:
        """The distinct roots that a node reads, in order."""
        return list(dict.fromkeys(self.roots[value] for value in node.inputs))

    def death(self, root: Value) -> int:
        """The position after which nobody reads `root`; its own where nobody does."""
        return self.last_read.get(root, self.owned.get(root, -1))


def storage_of(graph: Graph) -> Storage:
    """Find roots and lifetimes in the order in which the nodes stand."""
    roots: dict[Value, Value] = {value: value for value in graph.inputs}
    owned: dict[Value, int] = {}
    last_read: dict[Value, int] = {}
    for position, node in enumerate(graph.nodes):
        if node.op.name in ALIASES:
            roots[node.output] = roots[node.inputs[0]]
            continue
        for value in node.inputs:
            last_read[roots[value]] = position
        for value in node.outputs:
            roots[value] = value
            if node.op.name not in STATIC:
                owned[value] = position
    return Storage(roots, owned, last_read)
