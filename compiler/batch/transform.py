"""The walk that batches a graph."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.errors import GraphError
from ...ir.graph import Graph, GraphBuilder, Value
from .rules import BATCHING, Batch, Operand, spread


def batch(graph: Graph, size: int, batched: Sequence[bool]) -> Graph:
    """`graph` applied to `size` examples at once.

    The inputs marked in `batched` get the examples as a new axis 0, the others are shared by all
    of them; every output has the new axis 0. What depends on shared inputs alone is computed once.
    The graph holds no `vjp`, `jvp` or `vmap` nodes any more.
    """
    builder = GraphBuilder(graph.name)
    env: dict[Value, Operand] = {}
    for value, mapped in zip(graph.inputs, batched, strict=True):
        shape = (size, *value.type.shape) if mapped else value.type.shape
        env[value] = Operand(builder.input(value.type.with_shape(shape), value.name), mapped)
    for node in graph.nodes:
        operands = [env[value] for value in node.inputs]
        mapped = any(operand.mapped for operand in operands)
        outputs = _apply(Batch(builder, node, size), operands, mapped)
        env.update(
            (old, Operand(new, mapped)) for old, new in zip(node.outputs, outputs, strict=True)
        )
    outputs = [spread(builder, size, env[value]) for value in graph.outputs]
    return builder.build(outputs)


def _apply(batch: Batch, operands: Sequence[Operand], mapped: bool) -> Sequence[Value]:
    node = batch.node
    if not mapped:
        return batch.builder.copy_node(node, [operand.value for operand in operands])
    if node.op.name == "custom_vjp":
        return _custom_vjp(batch, operands)
    if node.op.name not in BATCHING:
        raise GraphError(
            f"{node.op.name} has a batching rule",
            given="a graph in which it was not expanded before",
            loc=node.loc,
        )
    return (BATCHING[node.op.name](batch, operands),)


def _custom_vjp(outer: Batch, operands: Sequence[Operand]) -> Sequence[Value]:
    """Its three graphs batched, in all inputs, so that each example keeps its own cotangents.

    The rule of the broadcast that maps a shared operand adds these up.
    """
    attrs = {
        name: batch(graph, outer.size, [True] * len(graph.inputs))
        for name, graph in outer.node.attrs.items()
    }
    return outer.builder.emit(
        outer.node.op,
        [outer.mapped(operand) for operand in operands],
        attrs,
        loc=outer.node.loc,
        phase=outer.node.phase,
    )
