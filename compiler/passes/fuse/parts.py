"""What is joined: cheap work on the parts of a concatenation, done in the kernel that reads it.

A part lies along other loops than the whole, so it cannot be in the group of its reader as its
equal. It is copied into it, like a view, and computed at the index that is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....ir.graph import Graph, Node, Value
from ....ir.ops import Family
from .admission import is_inline

_CHEAP = 8
"""Arithmetic per element of a part from which on it is made first: where parts meet inside a
vector, all of them are computed for all of its elements."""


def parts_of_joins(
    graph: Graph, producers: Mapping[Value, Node], users: Mapping[Value, Sequence[Node]]
) -> frozenset[Value]:
    """The values that are computed where the concatenation (or padding) that reads them is read.

    They are made from what lies in memory anyway: what other kernels make is better finished there.
    """
    found: dict[Value, int] = {}
    outputs = set(graph.outputs)
    for node in graph.nodes:
        if node.op.family is not Family.ELEMENTWISE or node.op.fails:
            continue
        cost = node.op.cost + sum(found.get(value, 0) for value in node.inputs)
        if cost < _CHEAP and all(_is_given(value, producers, found) for value in node.inputs):
            found[node.output] = cost
    for node in reversed(graph.nodes):
        if node.op.family is Family.ELEMENTWISE and node.output in found:
            (*readers,) = users.get(node.output, ())
            serves = len(readers) == 1 and (
                readers[0].op.name in ("concatenate", "pad") or readers[0].outputs[0] in found
            )
            if not serves or node.output in outputs:
                del found[node.output]
    return frozenset(found)


def _is_given(value: Value, producers: Mapping[Value, Node], found: Mapping[Value, int]) -> bool:
    """Whether a value is no kernel's result."""
    node = producers.get(value)
    while node is not None and is_inline(node) and node.inputs:
        value = node.inputs[0]
        node = producers.get(value)
    return node is None or value in found or node.op.name == "constant"
