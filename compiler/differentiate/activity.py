"""Which values a derivative has to look at: those between what varies and what is asked for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from ...ir.graph import Node
from ...ir.types import is_float
from .rules import NOT_DIFFERENTIABLE, VJP


def flows(op: str, position: int) -> bool:
    """Whether a derivative passes from operand `position` of `op` to its result."""
    if op in NOT_DIFFERENTIABLE:
        return False
    row = VJP.get(op)
    if row is None:  # a custom_vjp, which says itself what flows
        return True
    return (row(position) if callable(row) else row[position]) is not None


def varying(nodes: Sequence[Node], sources: Iterable[Hashable]) -> set[Hashable]:
    """The `sources` and the floating-point values that depend on them differentiably."""
    reached = set(sources)
    for node in nodes:
        if any(x in reached and flows(node.op.name, i) for i, x in enumerate(node.inputs)):
            reached.update(value for value in node.outputs if is_float(value.type.dtype))
    return reached


def contributing(nodes: Sequence[Node], targets: Iterable[Hashable]) -> set[Hashable]:
    """The `targets` and the values from which they are computed."""
    needed = set(targets)
    for node in reversed(nodes):
        if any(value in needed for value in node.outputs):
            needed.update(node.inputs)
    return needed
