"""Which operands of a kernel its results may be written over."""

from __future__ import annotations

from ....ir.graph import Graph, Node
from ....ir.ops import Family

_ONE_PASS = frozenset(["map", "dot"])
"""Kinds of kernel that finish with one element before they touch the next."""


def reads_only_at_index(node: Node, operand: int) -> bool:
    """Whether `node` reads `operand` only at the index of the element that it then writes.

    Holds when nothing but elementwise ops lies between the operand and the results: a view would
    read elsewhere, a reduction or product reads everything.
    """
    if node.op.name != "fused" or node.attrs["kind"] not in _ONE_PASS:
        return False
    body: Graph = node.attrs["graph"]
    touched = {body.inputs[operand]}
    for inner in body.nodes:
        if not touched.isdisjoint(inner.inputs):
            if inner.op.family is not Family.ELEMENTWISE:
                return False
            touched.update(inner.outputs)
    return True
