"""What a node checks at run time, and which of these checks cannot go wrong.

A node that can fail may be dropped, moved or written in place of an argument only with care: the
error that NumPy would raise has to be raised still.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir.graph import Graph, Node, Value

Check = tuple[object, ...]
"""Hashable; equal checks of equal operands succeed and fail together."""

_VIEWS = frozenset({"broadcast", "reshape", "transpose", "slice", "reverse", "convert"})
_INDEX_OPERANDS = {"gather": 1, "scatter": 2, "scatter_add": 2}
"""Position of the first index operand."""


def bounds(value: Value, producers: Mapping[Value, Node]) -> tuple[int, int] | None:
    """The least and greatest element of an integer value, where its definition tells."""
    while (node := producers.get(value)) is not None and value.type.dtype.kind in "iu":
        if node.op.name == "iota":
            last = max(0, node.attrs["size"] - 1)
            return (0, last) if last <= np.iinfo(value.type.dtype).max else None
        if node.op.name == "constant":
            array = node.attrs["value"]
            return (int(np.min(array)), int(np.max(array))) if np.size(array) else (0, 0)
        if node.op.name not in _VIEWS or not _holds_all(node):
            return None
        (value,) = node.inputs
    return None


def _holds_all(node: Node) -> bool:
    """A view, or a conversion between integers that keeps every value."""
    return np.can_cast(node.inputs[0].type.dtype, node.output.type.dtype, "safe")


def checks(node: Node, producers: Mapping[Value, Node]) -> frozenset[Check]:
    """What `node` verifies when it runs; empty if it cannot fail."""
    if node.op.name == "fused":
        return _checks_of_body(node, producers)
    if not node.op.fails or node.outputs[0].type.size == 0:
        return frozenset()
    if node.op.name == "pow":
        return _power_checks(node, producers)
    if node.op.name in _INDEX_OPERANDS:
        return _index_checks(node, producers)
    return frozenset({("node", node)})


def _power_checks(node: Node, producers: Mapping[Value, Node]) -> frozenset[Check]:
    exponent = node.inputs[1]
    if exponent.type.dtype.kind != "i":
        return frozenset()
    known = bounds(exponent, producers)
    if known is not None and known[0] >= 0:
        return frozenset()
    return frozenset({("negative_power", exponent)})


def _index_checks(node: Node, producers: Mapping[Value, Node]) -> frozenset[Check]:
    shape = node.inputs[0].type.shape
    indices = node.inputs[_INDEX_OPERANDS[node.op.name] :]
    found = set()
    for index, axis in zip(indices, node.attrs["axes"], strict=True):
        known = bounds(index, producers)
        if known is None or known[0] < -shape[axis] or known[1] >= shape[axis]:
            found.add(("index", index, shape[axis]))
    return frozenset(found)


def _checks_of_body(node: Node, producers: Mapping[Value, Node]) -> frozenset[Check]:
    """The checks inside a fused node, in terms of its operands where they are operands."""
    body: Graph = node.attrs["graph"]
    inside = body.producers()
    outer = dict(zip(body.inputs, node.inputs, strict=True))
    found = set()
    for member in body.nodes:
        for check in checks(member, inside):
            known = tuple(outer.get(i, i) if isinstance(i, Value) else i for i in check)
            if not _is_safe(known, producers):
                found.add(known)
    return frozenset(found)


def _is_safe(check: Check, producers: Mapping[Value, Node]) -> bool:
    kind, value, *rest = check
    known = bounds(value, producers) if isinstance(value, Value) else None
    if known is None:
        return False
    if kind == "negative_power":
        return known[0] >= 0
    (extent,) = rest
    assert isinstance(extent, int)
    return kind == "index" and -extent <= known[0] and known[1] < extent


def failing(graph: Graph) -> list[int]:
    """The positions of the nodes that can fail, given that all before them went well."""
    producers = graph.producers()
    passed: set[Check] = set()
    positions = []
    for position, node in enumerate(graph.nodes):
        found = checks(node, producers)
        if not found <= passed:
            passed |= found
            positions.append(position)
    return positions
