"""Replaces the transformations that a traced graph asks for by the nodes they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops.structure import tangent_outputs
from ...ir.types import is_float
from ..batch import batch
from ..trace.array import TracedArray
from ..trace.context import activate
from .activity import varying
from .application import traced
from .expansion_trace import ExpansionTrace
from .formulas import full
from .forward import forward
from .reverse import reverse

Values = Sequence[Value]


def expand(graph: Graph) -> Graph:
    """`graph` without `vjp`, `jvp`, `vmap`, `custom_vjp` and `stop_gradient` nodes.

    Transformations are expanded innermost first, so that each meets plain operations only, and one
    of a transformed function differentiates what the inner one appended. A `custom_vjp` that no
    transformation passed through becomes its primal graph. Raises `DifferentiationError` for
    forward mode through a `custom_vjp`.
    """
    return _without_hints(_expand(graph, {}))


def expand_transformations(graph: Graph) -> Graph:
    """`graph` without `vjp`, `jvp` and `vmap` nodes, still to be differentiated by the caller.

    What only differentiation looks at, `custom_vjp` and `stop_gradient`, is kept.
    """
    return _expand(graph, {})


def _expand(graph: Graph, done: dict[int, Graph]) -> Graph:
    """Expand all but `custom_vjp` and `stop_gradient`, which an outer transformation may need.

    Recursion follows the nesting of transformations, not the length of the program. `done` keeps
    the expansion of a graph that several nodes hold, by identity.
    """
    if id(graph) in done:
        return done[id(graph)]
    builder = GraphBuilder(graph.name)
    env = {value: builder.input(value.type, value.name) for value in graph.inputs}
    with activate(ExpansionTrace(builder)) as trace:
        for node in graph.nodes:
            node = _with_expanded_attributes(node, done)
            operands = [env[value] for value in node.inputs]
            rule = _EXPANSIONS.get(node.op.name)
            if rule is None:
                outputs: Values = builder.copy_node(node, operands)
            else:
                with trace.marked(phase=node.phase, loc=node.loc):
                    outputs = rule(builder, node, operands)
            env.update(zip(node.outputs, outputs, strict=True))
    done[id(graph)] = builder.build(env[value] for value in graph.outputs)
    return done[id(graph)]


def _with_expanded_attributes(node: Node, done: dict[int, Graph]) -> Node:
    if not any(isinstance(attribute, Graph) for attribute in node.attrs.values()):
        return node
    attrs = {
        name: _expand(attribute, done) if isinstance(attribute, Graph) else attribute
        for name, attribute in node.attrs.items()
    }
    return Node(node.op, node.inputs, node.outputs, attrs, node.loc, node.phase)


def _expand_vjp(builder: GraphBuilder, node: Node, operands: Values) -> list[Value]:
    graph: Graph = node.attrs["graph"]
    count = len(graph.inputs)
    wrt = [graph.inputs[position] for position in node.attrs["wrt"]]
    env, tape = _instantiate(builder, graph, operands[:count], wrt)
    seeds: dict[Value, TracedArray] = {}
    for position, seed in zip(node.attrs["seeded"], operands[count:], strict=True):
        output, cotangent = graph.outputs[position], traced(seed)
        if is_float(output.type.dtype):
            seeds[output] = seeds[output] + cotangent if output in seeds else cotangent
    gradients = reverse(tape, seeds, wrt, lambda value: traced(env[value]))
    return [env[output] for output in graph.outputs] + [g.value for g in gradients]


def _expand_jvp(builder: GraphBuilder, node: Node, operands: Values) -> list[Value]:
    graph: Graph = node.attrs["graph"]
    count = len(graph.inputs)
    wrt = [graph.inputs[position] for position in node.attrs["wrt"]]
    env = _inline(builder, graph, operands[:count])
    moving = dict(zip(wrt, map(traced, operands[count:]), strict=True))
    floats = [graph.outputs[position] for position in tangent_outputs(graph)]
    tangents = forward(graph.nodes, moving, floats, lambda value: traced(env[value]))
    dense = (
        full(output.type, 0) if tangent is None else tangent
        for output, tangent in zip(floats, tangents, strict=True)
    )
    return [env[output] for output in graph.outputs] + [tangent.value for tangent in dense]


def _expand_vmap(builder: GraphBuilder, node: Node, operands: Values) -> Values:
    attrs = node.attrs
    return builder.inline(batch(attrs["graph"], attrs["size"], attrs["batched"]), operands)


_EXPANSIONS: Mapping[str, Callable[[GraphBuilder, Node, Values], Values]] = {
    "vjp": _expand_vjp,
    "jvp": _expand_jvp,
    "vmap": _expand_vmap,
}


def _inline(builder: GraphBuilder, graph: Graph, operands: Values) -> dict[Value, Value]:
    """Append the nodes of `graph`; returns where each of its values went."""
    env = dict(zip(graph.inputs, operands, strict=True))
    for node in graph.nodes:
        outputs = builder.copy_node(node, [env[value] for value in node.inputs])
        env.update(zip(node.outputs, outputs, strict=True))
    return env


def _instantiate(
    builder: GraphBuilder, graph: Graph, operands: Values, wrt: Values
) -> tuple[dict[Value, Value], list[Node]]:
    """Append `graph` so that it can be differentiated with respect to `wrt`.

    Where a `custom_vjp` is on the way its `forward` graph takes the place of the primal one.
    Returns where each value went, and the nodes for `reverse` to walk: those of `graph`, with the
    residuals as further inputs of each such `custom_vjp`.
    """
    active = varying(graph.nodes, wrt)
    env = dict(zip(graph.inputs, operands, strict=True))
    tape: list[Node] = []
    for node in graph.nodes:
        inputs = [env[value] for value in node.inputs]
        if node.op.name == "custom_vjp" and any(value in active for value in node.outputs):
            results = builder.inline(node.attrs["forward"], inputs)
            outputs, residuals = results[: len(node.outputs)], results[len(node.outputs) :]
            extra = tuple(Value(value.type) for value in residuals)
            env.update(zip(extra, residuals, strict=True))
            operands = (*node.inputs, *extra)
            node = Node(node.op, operands, node.outputs, node.attrs, node.loc, node.phase)
        else:
            outputs = builder.copy_node(node, inputs)
        env.update(zip(node.outputs, outputs, strict=True))
        tape.append(node)
    return env, tape


def _without_hints(graph: Graph) -> Graph:
    """`graph` with primal graphs in place of `custom_vjp`, and without `stop_gradient`."""
    builder = GraphBuilder(graph.name)
    inputs = [builder.input(value.type, value.name) for value in graph.inputs]
    return builder.build(_inline_plainly(builder, graph, inputs))


def _inline_plainly(builder: GraphBuilder, graph: Graph, operands: Values) -> list[Value]:
    env = dict(zip(graph.inputs, operands, strict=True))
    for node in graph.nodes:
        inputs = [env[value] for value in node.inputs]
        if node.op.name == "stop_gradient":
            outputs: Values = inputs
        elif node.op.name == "custom_vjp":
            outputs = _inline_plainly(builder, node.attrs["graph"], inputs)
        else:
            outputs = builder.copy_node(node, inputs)
        env.update(zip(node.outputs, outputs, strict=True))
    return [env[value] for value in graph.outputs]
