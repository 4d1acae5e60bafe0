"""Dead-node elimination."""

from __future__ import annotations

from ...ir.graph import Graph, Node, Value
from .failing import Check, checks
from .subgraphs import within


def eliminate_dead_nodes(graph: Graph) -> Graph:
    """Requires: any graph.
    Ensures: every node is needed by an output, or can raise an error that nothing else would.
    """
    nodes = [within(node, eliminate_dead_nodes) for node in graph.nodes]
    live = set(graph.outputs)
    kept = _mark(nodes, live)
    if not all(kept):
        roots = _guards(nodes, kept)
        if roots:
            live.update(value for node in roots for value in node.outputs)
            kept = _mark(nodes, live)
    remaining = tuple(node for node, keep in zip(nodes, kept, strict=True) if keep)
    if remaining == graph.nodes:
        return graph
    return Graph(graph.name, graph.inputs, remaining, graph.outputs)


def _mark(nodes: list[Node], live: set[Value]) -> list[bool]:
    """Which nodes define a live value; adds what they read to `live`."""
    kept = [False] * len(nodes)
    for position in range(len(nodes) - 1, -1, -1):
        node = nodes[position]
        if not live.isdisjoint(node.outputs):
            kept[position] = True
            live.update(node.inputs)
    return kept


def _guards(nodes: list[Node], kept: list[bool]) -> list[Node]:
    """Unneeded nodes that check something which no needed node and no other guard checks.

    A gather whose result is dropped still has to raise for a bad index; but if only a gradient is
    asked for, the scatter of the backward phase checks the same indices.
    """
    if not any(_may_fail(node) for node, keep in zip(nodes, kept, strict=True) if not keep):
        return []
    producers = {value: node for node in nodes for value in node.outputs}
    seen: set[Check] = set()
    for node, keep in zip(nodes, kept, strict=True):
        if keep and _may_fail(node):
            seen |= checks(node, producers)
    guards = []
    for node, keep in zip(nodes, kept, strict=True):
        if not keep and _may_fail(node):
            found = checks(node, producers)
            if not found <= seen:
                guards.append(node)
                seen |= found
    return guards


def _may_fail(node: Node) -> bool:
    return node.op.fails or node.op.name == "fused"
