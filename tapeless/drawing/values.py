"""What flows through a graph for given inputs, and its gradients, as lines beside the wires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.differentiate.application import traced
from ..compiler.differentiate.expansion_trace import ExpansionTrace
from ..compiler.differentiate.formulas import full
from ..compiler.differentiate.reverse import reverse
from ..compiler.trace.context import activate
from ..ir.errors import ArgumentError
from ..ir.graph import BACKWARD, Graph, GraphBuilder, Value
from ..ir.interpreter import interpret, run_node
from ..ir.types import is_float
from .scene import Line
from .summary import lines_of

Array = np.ndarray[Any, Any]

UNEXPANDED = frozenset({"vjp", "jvp"})
"""Operations that stand for a graph that is yet to be made."""


def value_lines(graph: Graph, arrays: Sequence[Array]) -> dict[Value, tuple[Line, ...]]:
    """For every value its elements (or their range), and its gradient where there is one.

    Gradients are of the graph's only floating-point scalar output, if nothing in it is a backward
    node. `arrays` are the inputs. Raises what the graph's operations raise, and `ArgumentError` for
    a graph with transformations that are yet to be expanded.
    """
    pending = next((node for node in graph.walk() if node.op.name in UNEXPANDED), None)
    if pending is not None:
        raise ArgumentError(
            "values are drawn of a graph whose transformations are expanded",
            given=f"a {pending.op.name} node",
            hint='draw another stage, for example stage="differentiated"',
        )
    with np.errstate(all="ignore"):
        known = dict(zip(graph.inputs, arrays, strict=True))
        _run(graph, known)
    gradients = _gradients(graph, arrays)
    return {value: lines_of(array, gradients.get(value)) for value, array in known.items()}


def _run(graph: Graph, known: dict[Value, Array]) -> None:
    """Compute every value, those inside of kernels included."""
    for node in graph.nodes:
        operands = [known[value] for value in node.inputs]
        body = node.attrs.get("graph")
        if node.op.name == "fused" and isinstance(body, Graph):
            known.update(zip(body.inputs, operands, strict=True))
            _run(body, known)
            results = [known[value] for value in body.outputs]
        else:
            results = [np.asarray(result) for result in run_node(node, operands)]
        known.update(zip(node.outputs, results, strict=True))


def _gradients(graph: Graph, arrays: Sequence[Array]) -> Mapping[Value, Array]:
    scalars = {v for v in graph.outputs if v.type.shape == () and is_float(v.type.dtype)}
    if len(scalars) != 1 or any(node.phase == BACKWARD for node in graph.walk()):
        return {}
    if any(node.op.name == "fused" for node in graph.nodes):
        return {}
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    wrt = [value for value in values if is_float(value.type.dtype)]
    builder = GraphBuilder(graph.name)
    env = {value: builder.input(value.type) for value in graph.inputs}
    with activate(ExpansionTrace(builder)):
        for node in graph.nodes:
            results = builder.copy_node(node, [env[value] for value in node.inputs])
            env.update(zip(node.outputs, results, strict=True))
        seeds = {value: full(value.type, 1) for value in scalars}
        found = reverse(graph.nodes, seeds, wrt, lambda value: traced(env[value]))
        both = builder.build(gradient.value for gradient in found)
    return dict(zip(wrt, interpret(both, arrays), strict=True))
