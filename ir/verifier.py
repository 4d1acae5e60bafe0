"""Is this a graph? The checks that every pass must leave true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .attributes import check_attributes
from .errors import GraphError
from .graph import BACKWARD, FORWARD, Graph, Node, Value
from .ops import OPS
from .printer import excerpt
from .types import DTYPE_NAMES, TensorType


def verify(graph: Graph) -> None:
    """Re-run every check and type rule on `graph` and its sub-graphs.

    Values are defined before they are used, and once; ops are of the table, with their arity,
    attributes and phases; recorded types are what the type rules give; outputs are defined.
    Raises `GraphError` that shows the graph with the culprit marked.
    """
    _verify(graph, ())


def _verify(graph: Graph, outer: tuple[str, ...]) -> None:
    where = " in ".join([f"graph {graph.name}", *outer])
    defined: set[Value] = set()
    _define(graph.inputs, defined, graph, None, where)
    for node in graph.nodes:
        _check_node(node, defined, graph, where)
        _define(node.outputs, defined, graph, node, where)
        for attribute in node.attrs.values():
            if isinstance(attribute, Graph):
                _verify(attribute, (f"{node.op.name} of graph {graph.name}", *outer))
    _check_uses(graph.outputs, defined, "output", graph, None, where)


def _fail(graph: Graph, node: Node | None, where: str, requirement: str, given: str) -> GraphError:
    shown = excerpt(graph, node, given or "here")
    text = "\n".join("    " + line for line in shown.splitlines())
    loc = node.loc if node is not None else None
    return GraphError(f"{where}: {requirement}", given=f"{given}\n{text}", loc=loc)


def _define(
    values: Iterable[Value], defined: set[Value], graph: Graph, node: Node | None, where: str
) -> None:
    for value in values:
        if value in defined:
            raise _fail(graph, node, where, "a value is defined once", f"{value.name!r} again")
        if not _is_type(value.type):
            raise _fail(graph, node, where, "a value has a tensor type", repr(value.type))
        defined.add(value)


def _is_type(type: TensorType) -> bool:
    return type.dtype in DTYPE_NAMES.values() and all(
        isinstance(extent, int) and extent >= 0 for extent in type.shape
    )


def _check_uses(
    values: Sequence[Value],
    defined: set[Value],
    role: str,
    graph: Graph,
    node: Node | None,
    where: str,
) -> None:
    for position, value in enumerate(values):
        if value not in defined:
            given = f"{role} {position} ({value.name!r}, {value.type}) is not defined here"
            raise _fail(graph, node, where, "a value is defined before it is used", given)


def _check_node(node: Node, defined: set[Value], graph: Graph, where: str) -> None:
    if OPS.get(node.op.name) is not node.op:
        raise _fail(graph, node, where, "ops are those of the table", node.op.name)
    if node.phase not in (FORWARD, BACKWARD):
        raise _fail(graph, node, where, "a phase is forward or backward", repr(node.phase))
    _check_uses(node.inputs, defined, "operand", graph, node, where)
    operands = [value.type for value in node.inputs]
    try:
        check_attributes(node.op, node.attrs)
        types = node.op.infer(operands, node.attrs)
    except GraphError as error:
        raise _fail(graph, node, where, error.requirement, error.given) from None
    recorded = tuple(value.type for value in node.outputs)
    if types != recorded:
        raise _fail(
            graph,
            node,
            where,
            f"the type rule of {node.op.name} gives {_listed(types)}",
            f"recorded {_listed(recorded)}",
        )


def _listed(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types)) or "no results"
