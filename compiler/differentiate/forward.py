"""Forward mode: one walk forward over a list of nodes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ...ir.errors import DifferentiationError
from ...ir.graph import BACKWARD, Node
from ..trace.array import TracedArray
from ..trace.context import require_trace
from .activity import contributing, varying
from .application import Application, literals_among
from .reverse import Lookup
from .tangents import JVP


def forward(
    nodes: Sequence[Node],
    tangents: Mapping[Any, TracedArray],
    outputs: Sequence[Any],
    env: Lookup,
) -> list[TracedArray | None]:
    """The tangents of `outputs`, given those of some values; None for one that does not vary.

    `nodes`, `env` and marking are as for `reverse`. Raises `DifferentiationError` at a `custom_vjp`
    between the two, which says nothing about tangents.
    """
    trace = require_trace()
    active = varying(nodes, tangents)
    needed = contributing(nodes, outputs)
    literals = literals_among(nodes)
    known: dict[Hashable, TracedArray] = dict(tangents)
    with trace.marked(phase=BACKWARD):
        for node in nodes:
            if not any(value in active and value in needed for value in node.outputs):
                continue
            incoming = [known.get(value) for value in node.inputs]
            if all(tangent is None for tangent in incoming):
                continue
            with trace.marked(loc=node.loc):
                tangent = _push(node, incoming, literals, env)
            if tangent is not None:
                known[node.output] = tangent
    return [known.get(value) for value in outputs]


def _push(
    node: Node,
    incoming: Sequence[TracedArray | None],
    literals: Mapping[Hashable, float],
    env: Lookup,
) -> TracedArray | None:
    if node.op.name == "custom_vjp":
        raise DifferentiationError(
            "forward mode needs the derivative of every operation between input and output",
            given="a function with a custom_vjp, which defines reverse mode only",
            hint="use grad, vjp or jacobian (reverse mode), or drop the custom_vjp",
            loc=node.loc,
        )
    application = Application(
        node.op,
        tuple(env(value) for value in node.inputs),
        env(node.output),
        node.attrs,
        tuple(literals.get(value) for value in node.inputs),
    )
    tangent: TracedArray | None = JVP[node.op.name](application, incoming)
    return tangent
