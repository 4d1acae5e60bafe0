"""Products that sum along a shared-out axis are cut along it, so that each thread sums its part.

dot(x, y) -> dot(chunks of x, chunks of y)[0] + dot(chunks of x, chunks of y)[1] + …

`sharing.py` says which products, and why. Afterwards the parts of a large operand stay with the
threads that made them: what x @ w reads of w is what the gradient of w updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import Op, contraction, elementwise, shaping
from ..sharing import chunks, is_worth_cutting


def split_products(graph: Graph) -> Graph:
    """Requires: a flat graph.

    Ensures: where it pays, products do not sum along an axis that threads share out.
    """
    products = [node for node in graph.nodes if node.op.name == "dot"]
    cuts = {
        node: count
        for node in products
        if is_worth_cutting(node, alone=len(products) < 2) and (count := chunks(node)) > 1
    }
    return _rebuilt(graph, cuts) if cuts else graph


def _rebuilt(graph: Graph, cuts: Mapping[Node, int]) -> Graph:
    """The graph with these products cut into so many chunks."""
    builder = GraphBuilder(graph.name)
    builder.inputs = list(graph.inputs)
    env: dict[Value, Value] = {value: value for value in graph.inputs}
    for node in graph.nodes:
        operands = [env[value] for value in node.inputs]
        if node in cuts:
            env[node.output] = _split(builder, node, operands, cuts[node])
        else:
            env.update(zip(node.outputs, builder.copy_node(node, operands), strict=True))
    return builder.build(env[value] for value in graph.outputs)


def _split(builder: GraphBuilder, node: Node, operands: list[Value], count: int) -> Value:
    """The sum of `count` products, which are made as a batch."""

    def emit(op: Op, *inputs: Value, **attrs: Any) -> Value:
        return builder.emit(op, inputs, attrs, loc=node.loc, phase=node.phase)[0]

    axes = [axis for (axis,) in node.attrs["contract"]]
    parts = []
    for value, axis in zip(operands, axes, strict=True):
        before, depth = value.type.shape[:axis], value.type.shape[axis]
        shape = (*before, count, depth // count, *value.type.shape[axis + 1 :])
        parts.append(emit(shaping.reshape, value, shape=shape))
    sums = tuple((axis + 1,) for axis in axes)
    batch = tuple((axis,) for axis in axes)
    products = emit(contraction.dot, *parts, batch=batch, contract=sums)
    shape = node.output.type.shape
    rest = (0,) * len(shape)

    def chunk(number: int) -> Value:
        starts, limits = (number, *rest), (number + 1, *shape)
        steps = (1,) * len(starts)
        part = emit(shaping.slice_, products, starts=starts, limits=limits, steps=steps)
        return emit(shaping.reshape, part, shape=shape)

    return reduce(lambda x, y: emit(elementwise.add, x, y), map(chunk, range(count)))
