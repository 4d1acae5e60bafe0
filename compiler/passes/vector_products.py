"""Products with a vector become sums of elementwise products.

A matrix-vector product reads every element of the matrix once: it is bound by memory, and as a
reduction it fuses with what surrounds it, which a kernel for matrix products cannot.
"""

from __future__ import annotations

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import elementwise, reduction, shaping
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


def _expanded(builder: GraphBuilder, node: Node, operands: list[Value]) -> Value:
    """Both operands broadcast to (batch, free of x, free of y, contracted), multiplied, summed.

    The operand that is a vector comes second, so that the space follows the matrix's own order.
    """
    (batch_x, batch_y), (contract_x, contract_y) = node.attrs["batch"], node.attrs["contract"]
    free_x, free_y = _free(node)
    result = node.output.type.shape
    lead = len(result)
    x, y = operands
    order = [*batch_x, *free_x, *free_y, *contract_x]
    # Name every loop by its place in (result axes, contracted axes), then sort them by where the
    # larger operand has them in memory: its last axis is then the innermost loop.
    loops_x = {a: i for i, a in enumerate(batch_x)}
    loops_x |= {a: len(batch_x) + i for i, a in enumerate(free_x)}
    loops_x |= {a: lead + i for i, a in enumerate(contract_x)}
    loops_y = {a: i for i, a in enumerate(batch_y)}
    loops_y |= {a: len(batch_x) + len(free_x) + i for i, a in enumerate(free_y)}
    loops_y |= {a: lead + i for i, a in enumerate(contract_y)}
    extent = {loop: x.type.shape[a] for a, loop in loops_x.items()}
    extent |= {loop: y.type.shape[a] for a, loop in loops_y.items()}
    large = loops_x if x.type.size >= y.type.size else loops_y
    in_memory = [large[a] for a in sorted(large)]
    space = [loop for loop in range(len(order)) if loop not in in_memory] + in_memory
    shape = tuple(extent[loop] for loop in space)

    def emit(op, inputs, **attrs):  # type: ignore[no-untyped-def]
        return builder.emit(op, inputs, attrs, loc=node.loc, phase=node.phase)[0]

    def spread(value: Value, loops: dict[int, int]) -> Value:
        axes = [space.index(loops[a]) for a in range(value.type.rank)]
        ranks = sorted(range(len(axes)), key=lambda i: axes[i])
        if ranks != list(range(len(axes))):
            value = emit(shaping.transpose, [value], axes=tuple(ranks))
        return emit(shaping.broadcast, [value], shape=shape, axes=tuple(sorted(axes)))  # type: ignore[no-any-return]

    product = emit(elementwise.mul, [spread(x, loops_x), spread(y, loops_y)])
    summed = tuple(sorted(space.index(loop) for loop in range(lead, len(order))))
    total = emit(reduction.sum_, [product], axes=summed) if summed else product
    kept = [loop for loop in space if loop < lead]
    if kept != sorted(kept):
        total = emit(shaping.transpose, [total], axes=tuple(kept.index(i) for i in range(lead)))
    return total  # type: ignore[no-any-return]
