"""Forward-mode derivatives: one row per op.

`JVP[op](node, tangents)` is the tangent of the result of `node`; `tangents` has an entry per
operand, None for those that are constant; None as the answer is a zero tangent. A row is one of
the three facts about an op from which its derivative follows (`diagonal`, `linear`, `folding`), or
a product rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...ir.ops import OPS, Family
from ..trace.array import TracedArray
from ..trace.lift import emit
from .application import Application
from .formulas import Result, full
from .rules import VJP

Tangents: TypeAlias = Sequence["TracedArray | None"]
TangentRule: TypeAlias = Callable[[Application, Tangents], Result]


def diagonal(node: Application, tangents: Tangents) -> TracedArray | None:
    """Elementwise: the Jacobian in each operand is diagonal, so it is its own transpose."""
    total = None
    for position, tangent in enumerate(tangents):
        term = None if tangent is None else node.pull(position, tangent)
        if term is not None:
            total = term if total is None else total + term
    return total


def linear(*positions: int) -> TangentRule:
    """Linear in the operands at `positions` taken together (none named: in all of them)."""

    def rule(node: Application, tangents: Tangents) -> Result:
        moving = positions or range(len(tangents))
        operands = [
            operand if i not in moving else full(operand.type, 0) if tangent is None else tangent
            for i, (operand, tangent) in enumerate(zip(node.operands, tangents, strict=True))
        ]
        return emit(node.op.name, *operands, **node.attrs)

    return rule


def padded(node: Application, tangents: Tangents) -> Result:
    """Linear apart from the padding, which is constant."""
    return emit("pad", tangents[0], **{**node.attrs, "fill": 0.0})


def folding(node: Application, tangents: Tangents) -> Result:
    """A reduction: each result depends on elements of its own, so J t sums t times the gradient."""
    (tangent,) = tangents
    assert tangent is not None
    gradient = node.pull(0, full(node.ans.type, 1))
    return emit("sum", tangent * gradient, axes=node.attrs["axes"])


def bilinear(node: Application, tangents: Tangents) -> Result:
    """d(x y) = dx y + x dy."""
    (x, y), (dx, dy) = node.operands, tangents
    left = None if dx is None else emit(node.op.name, dx, y, **node.attrs)
    right = None if dy is None else emit(node.op.name, x, dy, **node.attrs)
    return right if left is None else left if right is None else left + right


JVP: dict[str, TangentRule] = {
    **{name: diagonal for name in VJP if OPS[name].family is Family.ELEMENTWISE},
    "select": linear(1, 2),
    "convert": linear(),
    "broadcast": linear(),
    "reshape": linear(),
    "transpose": linear(),
    "reverse": linear(),
    "slice": linear(),
    "pad": padded,
    "concatenate": linear(),
    "update": linear(),
    "windows": linear(),
    "unwindow": linear(),
    "sum": linear(),
    "cumsum": linear(),
    "prod": folding,
    "reduce_max": folding,
    "reduce_min": folding,
    "dot": bilinear,
    "gather": linear(0),
    "scatter": linear(0, 1),
    "scatter_add": linear(0, 1),
}
"""The forward-mode rules of every differentiable op."""
