"""Products with a vector become sums of elementwise products.

A matrix-vector product reads every element of the matrix once: it is bound by memory, and as a
reduction it fuses with what surrounds it, which a kernel for matrix products cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import Op, elementwise, reduction, shaping
from ...ir.ops.contraction import free_axes


def expand_vector_products(graph: Graph) -> Graph:
    """Requires: a flat graph.

    Ensures: every `dot` left has a free axis on both sides; the others are sums of products.
    """
    builder = GraphBuilder(graph.name)
    builder.inputs = list(graph.inputs)
    env: dict[Value, Value] = {value: value for value in graph.inputs}
    for node in graph.nodes:
        operands = [env[value] for value in node.inputs]
        if node.op.name == "dot" and not _is_matrix_product(node):
            env[node.output] = _expanded(builder, node, operands)
        else:
            env.update(zip(node.outputs, builder.copy_node(node, operands), strict=True))
    return builder.build(env[value] for value in graph.outputs)


def _free(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    batch, contract = node.attrs["batch"], node.attrs["contract"]
    x, y = node.inputs
    return (
        free_axes(x.type.rank, batch[0], contract[0]),
        free_axes(y.type.rank, batch[1], contract[1]),
    )


def _is_matrix_product(node: Node) -> bool:
    return all(
        any(value.type.shape[axis] != 1 for axis in axes)
        for value, axes in zip(node.inputs, _free(node), strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Loops:
    """The loops of a product, numbered: those of the result in its order, then the contracted."""

    x: tuple[int, ...]  # the loop of each axis of x
    y: tuple[int, ...]
    extents: dict[int, int]
    results: int  # how many loops the result has

    @property
    def space(self) -> list[int]:
        """All loops, those of the larger operand last, as it has them in memory."""
        large = self.x if len(self.x) >= len(self.y) else self.y
        return [loop for loop in self.extents if loop not in large] + list(large)


def _loops(node: Node) -> _Loops:
    (batch_x, batch_y), (contract_x, contract_y) = node.attrs["batch"], node.attrs["contract"]
    free_x, free_y = _free(node)
    results = node.output.type.rank
    order_x = [*batch_x, *free_x, *contract_x]
    order_y = [*batch_y, *free_y, *contract_y]
    batch, contracted = range(len(batch_x)), range(results, results + len(contract_x))
    middle = len(batch_x) + len(free_x)
    number_x = dict(zip(order_x, [*batch, *range(len(batch), middle), *contracted], strict=True))
    number_y = dict(zip(order_y, [*batch, *range(middle, results), *contracted], strict=True))
    x, y = node.inputs
    found_x = tuple(number_x[axis] for axis in range(x.type.rank))
    found_y = tuple(number_y[axis] for axis in range(y.type.rank))
    extents = dict(zip(found_x, x.type.shape, strict=True))
    extents |= dict(zip(found_y, y.type.shape, strict=True))
    return _Loops(found_x, found_y, dict(sorted(extents.items())), results)


def _expanded(builder: GraphBuilder, node: Node, operands: list[Value]) -> Value:
    """Both operands spread over all loops, multiplied, summed over the contracted ones."""
    loops = _loops(node)
    space = loops.space
    shape = tuple(loops.extents[loop] for loop in space)

    def emit(op: Op, inputs: list[Value], **attrs: Any) -> Value:
        return builder.emit(op, inputs, attrs, loc=node.loc, phase=node.phase)[0]

    def spread(value: Value, along: tuple[int, ...]) -> Value:
        axes = [space.index(loop) for loop in along]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        if order != list(range(len(axes))):
            value = emit(shaping.transpose, [value], axes=tuple(order))
        return emit(shaping.broadcast, [value], shape=shape, axes=tuple(sorted(axes)))

    product = emit(elementwise.mul, [spread(operands[0], loops.x), spread(operands[1], loops.y)])
    summed = tuple(axis for axis, loop in enumerate(space) if loop >= loops.results)
    total = emit(reduction.sum_, [product], axes=summed) if summed else product
    kept = [loop for loop in space if loop < loops.results]
    if kept != sorted(kept):
        order = tuple(kept.index(loop) for loop in range(loops.results))
        total = emit(shaping.transpose, [total], axes=order)
    return total
