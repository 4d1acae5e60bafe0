"""Products without reuse become elementwise products, summed where there is something to sum.

A matrix-vector product reads every element of the matrix once, an outer product writes every
element of its result once: both are bound by memory, and as elementwise work they fuse with what
surrounds them, which a kernel for matrix products cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import Op, elementwise, reduction, shaping
from ...ir.ops.contraction import free_axes


def expand_vector_products(graph: Graph) -> Graph:
    """Requires: a flat graph.

    Ensures: every `dot` left has a free axis on both sides and something to sum over.
    """
    builder = GraphBuilder(graph.name)
    builder.inputs = list(graph.inputs)
    env: dict[Value, Value] = {value: value for value in graph.inputs}
    for node in graph.nodes:
        operands = [env[value] for value in node.inputs]
        if node.op.name == "dot" and not _is_matrix_product(node):
            env[node.output] = _Expansion(builder, node).run(operands)
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
    """Whether every element of either operand is used more than once."""
    x, _ = node.inputs
    sums = node.attrs["contract"][0]
    return any(x.type.shape[axis] != 1 for axis in sums) and all(
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
        """All loops that repeat, those of the largest of operands and result last, as it has them
        in memory."""

        def size(axes: tuple[int, ...]) -> int:
            return math.prod(self.extents[loop] for loop in axes)

        large = max(tuple(range(self.results)), self.x, self.y, key=size)
        order = [loop for loop in self.extents if loop not in large] + list(large)
        return [loop for loop in order if self.extents[loop] != 1]


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


class _Expansion:
    """The nodes that one product becomes."""

    def __init__(self, builder: GraphBuilder, node: Node) -> None:
        self.builder, self.node = builder, node
        self.loops = _loops(node)
        self.space = self.loops.space
        self.shape = tuple(self.loops.extents[loop] for loop in self.space)

    def emit(self, op: Op, inputs: list[Value], **attrs: Any) -> Value:
        """The result of one more node."""
        node = self.node
        return self.builder.emit(op, inputs, attrs, loc=node.loc, phase=node.phase)[0]

    def reshape(self, value: Value, shape: tuple[int, ...]) -> Value:
        """`value` with axes of extent 1 put in or left out."""
        if value.type.shape == shape:
            return value
        return self.emit(shaping.reshape, [value], shape=shape)

    def transpose(self, value: Value, axes: list[int]) -> Value:
        """`value` with its axes in another order."""
        if axes == sorted(axes):
            return value
        return self.emit(shaping.transpose, [value], axes=tuple(axes))

    def spread(self, value: Value, along: tuple[int, ...]) -> Value:
        """An operand whose axes are the loops `along`, repeated over all loops."""
        wide = [loop for loop in along if loop in self.space]
        value = self.reshape(value, tuple(self.loops.extents[loop] for loop in wide))
        axes = [self.space.index(loop) for loop in wide]
        value = self.transpose(value, sorted(range(len(axes)), key=axes.__getitem__))
        if value.type.shape == self.shape:
            return value
        return self.emit(shaping.broadcast, [value], shape=self.shape, axes=tuple(sorted(axes)))

    def run(self, operands: list[Value]) -> Value:
        """Both operands over all loops, multiplied, summed over the contracted ones."""
        x, y = operands
        result = self.emit(
            elementwise.mul, [self.spread(x, self.loops.x), self.spread(y, self.loops.y)]
        )
        summed = tuple(a for a, loop in enumerate(self.space) if loop >= self.loops.results)
        if summed:
            result = self.emit(reduction.sum_, [result], axes=summed)
        kept = [loop for loop in self.space if loop < self.loops.results]
        result = self.transpose(result, [kept.index(loop) for loop in sorted(kept)])
        return self.reshape(result, self.node.output.type.shape)
