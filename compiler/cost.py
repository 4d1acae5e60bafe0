"""Static costs: arithmetic and memory traffic of a node or a graph, counted from its types.

Flops are arithmetic instructions by `Op.cost`, two for each multiply-add of a product; bytes are
those of whole operands and results, read or written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..ir.graph import Graph, Node
from ..ir.ops import Family
from ..ir.program import KernelInfo


@dataclass(frozen=True, slots=True)
class Cost:
    """Arithmetic instructions, bytes read and bytes written."""

    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
        )

    @property
    def bytes(self) -> int:
        """Memory traffic in all."""
        return self.bytes_read + self.bytes_written


def _per_result(node: Node) -> int:
    return node.op.cost * sum(value.type.size for value in node.outputs)


def _per_operand(node: Node) -> int:
    return node.op.cost * node.inputs[0].type.size


def _per_update(node: Node) -> int:
    return node.op.cost * node.inputs[1].type.size if node.op.name == "scatter_add" else 0


def _product(node: Node) -> int:
    shape, axes = node.inputs[0].type.shape, node.attrs["contract"][0]
    inner: int = math.prod(shape[axis] for axis in axes)
    return 2 * inner * node.output.type.size


def _body(node: Node) -> int:
    graphs = (value for value in node.attrs.values() if isinstance(value, Graph))
    return sum(flops(inner) for graph in graphs for inner in graph.nodes)


def _none(node: Node) -> int:
    return 0


FLOPS: Mapping[Family, Callable[[Node], int]] = {
    Family.ELEMENTWISE: _per_result,
    Family.VIEW: _none,
    Family.JOIN: _none,
    Family.REDUCTION: _per_operand,
    Family.CUMULATIVE: _per_result,
    Family.OVERLAP: _per_operand,
    Family.CONTRACTION: _product,
    Family.INDEXING: _per_update,
    Family.CREATION: _none,
    Family.STRUCTURE: _body,
}
"""How the arithmetic of each family is counted; moving elements is none."""

_FREE = frozenset({"constant", "reshape"})
"""Ops that touch no memory when the program runs."""


def flops(node: Node) -> int:
    """Arithmetic instructions of one execution of `node`."""
    return FLOPS[node.op.family](node)


def node_cost(node: Node) -> Cost:
    """What one execution of `node` costs when it runs by itself."""
    if node.op.name in _FREE:
        return Cost()
    read = sum(value.type.nbytes for value in dict.fromkeys(node.inputs))
    return Cost(flops(node), read, sum(value.type.nbytes for value in node.outputs))


def graph_cost(graph: Graph) -> Cost:
    """The sum over all nodes: before fusion every value goes through memory."""
    return sum(map(node_cost, graph.nodes), Cost())


def kernel_info(name: str, node: Node, pieces: int = 1) -> KernelInfo:
    """The entry of a `Program` for the kernel that runs `node` in so many pieces."""
    cost = node_cost(node)
    kind = node.attrs["kind"] if node.op.name == "fused" else node.op.name
    return KernelInfo(name, kind, cost.flops, cost.bytes_read, cost.bytes_written, pieces)
