"""Rules that read transposes of matrix products off their axes instead of moving elements."""

from __future__ import annotations

from ...ir.graph import Node, Value
from ...ir.ops.contraction import free_axes
from .rewriting import Rewriter, Rule

AxisPair = tuple[tuple[int, ...], tuple[int, ...]]


def _operand_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    for side in (0, 1):
        inner = rewriter.definition(node.inputs[side], "transpose")
        if inner is not None and _keeps_free_order(node, side, inner.attrs["axes"]):
            inputs = list(node.inputs)
            inputs[side] = inner.inputs[0]
            return rewriter.emit(
                "dot",
                *inputs,
                batch=_permuted(node.attrs["batch"], side, inner.attrs["axes"]),
                contract=_permuted(node.attrs["contract"], side, inner.attrs["axes"]),
            )
    return None


def _keeps_free_order(node: Node, side: int, permutation: tuple[int, ...]) -> bool:
    """The free axes come in increasing order, whatever the order of the operand's axes."""
    batch, contract = node.attrs["batch"][side], node.attrs["contract"][side]
    free = [permutation[axis] for axis in free_axes(len(permutation), batch, contract)]
    return free == sorted(free)


def _permuted(pair: AxisPair, side: int, permutation: tuple[int, ...]) -> AxisPair:
    mapped = tuple(permutation[axis] for axis in pair[side])
    return (mapped, pair[1]) if side == 0 else (pair[0], mapped)


def _transposed_result(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "dot")
    if inner is None or rewriter.uses(node.inputs[0]) > 1:
        return None
    batch, contract = inner.attrs["batch"], inner.attrs["contract"]
    x, y = inner.inputs
    lead, rank = len(batch[0]), node.output.type.rank
    split = lead + x.type.rank - lead - len(contract[0])
    swapped = (*range(lead), *range(split, rank), *range(lead, split))
    if node.attrs["axes"] != swapped:
        return None
    return rewriter.emit("dot", y, x, batch=batch[::-1], contract=contract[::-1])


RULES: tuple[Rule, ...] = (
    Rule("dot(transpose x, y) -> dot(x, y)", ("dot",), _operand_transpose),
    Rule("transpose dot(x, y) -> dot(y, x)", ("transpose",), _transposed_result),
)
"""Matrix products of transposes, transposes of matrix products."""
