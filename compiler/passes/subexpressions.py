"""Common subexpressions: equal computations are done once."""

from __future__ import annotations

from ...ir.graph import Graph, Node, Value, attributes_key
from .rewriting import redirected
from .subgraphs import within

_COMMUTATIVE = frozenset({"add", "mul", "and", "or", "xor", "eq", "ne"})


def share_common_subexpressions(graph: Graph) -> Graph:
    """Requires: any graph; not after `save_or_recompute`, whose copies are on purpose.
    Ensures: no two nodes have the same op, attributes and operands; the first of equals stays.
    """
    number = {value: position for position, value in enumerate(graph.inputs)}
    first: dict[object, Node] = {}
    replaced: dict[Value, Value] = {}
    nodes: list[Node] = []
    for original in graph.nodes:
        node = within(redirected(original, replaced), share_common_subexpressions)
        key = (node.op.name, _operands_key(node, number), attributes_key(node.attrs))
        known = first.setdefault(key, node)
        if known is node:
            nodes.append(node)
            for value in node.outputs:
                number[value] = len(number)
        else:
            replaced.update(zip(node.outputs, known.outputs, strict=True))
    if tuple(nodes) == graph.nodes:
        return graph
    outputs = tuple(replaced.get(value, value) for value in graph.outputs)
    return Graph(graph.name, graph.inputs, tuple(nodes), outputs)


def _operands_key(node: Node, number: dict[Value, int]) -> tuple[int, ...]:
    """The operands by number, sorted where their order cannot matter.

    It matters for floats: of two NaNs, the first operand's payload is the result's.
    """
    operands = tuple(number[value] for value in node.inputs)
    if node.op.name in _COMMUTATIVE and node.inputs[0].type.dtype.kind != "f":
        return tuple(sorted(operands))
    return operands
