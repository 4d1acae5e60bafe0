"""Reverse mode: one walk backward over a list of nodes.

Serves graphs and tapes alike: a node is anything with `op`, `inputs`, `outputs`, `attrs` and `loc`,
a handle anything hashable with a `.type`. Results are emitted to the current trace, so they are new
nodes of a graph under construction or, define-by-run, arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from ...ir.graph import BACKWARD, Graph, Node
from ..trace.array import TracedArray
from ..trace.context import Trace, require_trace
from .activity import varying
from .application import Application, literals_among, traced
from .formulas import full

Lookup = Callable[[Any], TracedArray]


def reverse(
    nodes: Sequence[Node],
    seeds: Mapping[Any, TracedArray],
    wrt: Sequence[Any],
    env: Lookup,
) -> list[TracedArray]:
    """The cotangents of `wrt`, given the cotangents `seeds` of some values that `nodes` compute.

    `nodes` are in an order that respects dependence; `env` gives the traced array of each of their
    values. Only nodes between `wrt` and the seeded values are visited, and only the operands that
    depend on `wrt` are differentiated. Where a value is used several times its cotangents are
    added, the last use first. What is emitted is marked as backward, with the line of the node that
    it differentiates.

    A `custom_vjp` node has the residuals as further inputs, after its operands.
    """
    trace = require_trace()
    active = varying(nodes, wrt)
    literals = literals_among(nodes)
    asked = set(wrt)
    cotangents: dict[Hashable, TracedArray] = {v: g for v, g in seeds.items() if v in active}
    with trace.marked(phase=BACKWARD):
        for node in reversed(nodes):
            received = [cotangents.get(value) for value in node.outputs]
            if all(g is None for g in received):
                continue
            with trace.marked(loc=node.loc):
                for value, term in _pull(trace, node, received, active, literals, env):
                    known = cotangents.get(value)
                    cotangents[value] = term if known is None else known + term
            for value in node.outputs:
                if value not in asked:
                    cotangents.pop(value, None)  # its memory is free from here on
        return [cotangents[v] if v in cotangents else full(v.type, 0) for v in wrt]


def _pull(
    trace: Trace,
    node: Node,
    received: Sequence[TracedArray | None],
    active: set[Hashable],
    literals: Mapping[Hashable, float],
    env: Lookup,
) -> list[tuple[Hashable, TracedArray]]:
    """The cotangents that `node` sends to its operands, in order."""
    moving = [i for i, value in enumerate(node.inputs) if value in active]
    if node.op.name == "custom_vjp":
        terms = _pull_custom(trace, node, received, env)
        return [(node.inputs[i], terms[i]) for i in moving]
    (g,) = received
    assert g is not None
    application = Application(
        node.op,
        tuple(env(value) for value in node.inputs),
        env(node.output),
        node.attrs,
        tuple(literals.get(value) for value in node.inputs),
    )
    pulled = ((node.inputs[i], application.pull(i, g)) for i in moving)
    return [(value, term) for value, term in pulled if term is not None]


def _pull_custom(
    trace: Trace, node: Node, received: Sequence[TracedArray | None], env: Lookup
) -> list[TracedArray]:
    """What the user's own backward graph gives."""
    backward: Graph = node.attrs["backward"]
    residuals = [env(value) for value in node.inputs[len(node.attrs["graph"].inputs) :]]
    cotangents = [
        full(value.type, 0) if g is None else g
        for value, g in zip(node.outputs, received, strict=True)
    ]
    values = dict(zip(backward.inputs, (x.value for x in (*residuals, *cotangents)), strict=True))
    for inner in backward.nodes:
        outputs = trace.emitter.emit(
            inner.op,
            [values[x] for x in inner.inputs],
            inner.attrs,
            loc=inner.loc,
            phase=BACKWARD,
        )
        values.update(zip(inner.outputs, outputs, strict=True))
    return [traced(values[output]) for output in backward.outputs]
