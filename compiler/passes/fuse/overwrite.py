"""Which operands of a kernel its results may be written over."""

from __future__ import annotations

from ....ir.graph import Graph, Node, Value
from ....ir.ops import Family
from ...space import after_reduction, derive, is_consistent
from .registers import KIND as REGISTERS

_KINDS = frozenset(["map", "rows", "dot"])
"""Kinds of kernel that are done with one element, or row, before they touch the next."""


def reads_only_at_index(node: Node, operand: int) -> bool:
    """Whether `node` reads `operand` only at the index of the element that it then writes.

    Holds when nothing but elementwise ops lies between the operand and the results: a view would
    read elsewhere, a product reads everything. A reduction of a row program reads a row before any
    of it is written, if the results that could be written there are made by the last of all passes
    over the row that read it. Those results have to be made in the order of the operand's axes.
    What is computed in registers has read everything before anything is written.
    """
    if node.op.name == "fused" and node.attrs["kind"] == REGISTERS:
        return True
    if node.op.name != "fused" or node.attrs["kind"] not in _KINDS:
        return False
    body: Graph = node.attrs["graph"]
    value = body.inputs[operand]
    results = [result for result in body.outputs if result.type == value.type]
    level = {source: 0 for source in body.inputs}
    touched, folds, last = {value}, list[Node](), 0
    for inner in body.nodes:
        reads = not touched.isdisjoint(inner.inputs)
        depth = max((level[source] for source in inner.inputs), default=0)
        folding = inner.op.family is Family.REDUCTION
        level[inner.output] = depth + folding
        if reads and folding:
            folds.append(inner)
            last = max(last, depth)
        elif reads:
            if inner.op.family is not Family.ELEMENTWISE:
                return False
            touched.add(inner.output)
    last = max([last, *(level[result] for result in body.outputs if result in touched)])
    return all(level[result] >= last for result in results) and _in_one_order(
        body, value, results, folds
    )


def _in_one_order(body: Graph, operand: Value, results: list[Value], folds: list[Node]) -> bool:
    """Whether the results are written, and the folds made, at the index `operand` is read at."""
    if not folds and all(inner.op.name != "transpose" for inner in body.nodes):
        return True
    space = derive(body)
    alignment = space.alignment
    return (
        is_consistent(body, space)
        and all(alignment.get(result) == alignment.get(operand) for result in results)
        and all(_is_along(fold, alignment) for fold in folds)
    )


def _is_along(fold: Node, alignment: dict[Value, tuple[int | None, ...]]) -> bool:
    source, result = alignment.get(fold.inputs[0]), alignment.get(fold.output)
    return source is not None and after_reduction(fold, source) == result
