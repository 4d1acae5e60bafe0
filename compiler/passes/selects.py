"""Writes at one place in every row become a select over the rows.

The gradient of `scores[arange(n), labels]` adds one element to each row of zeros. As a scatter that
is a kernel of its own that writes the whole array; as a select by column number it fuses with the
row program around it, and nothing is written at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Value
from ...ir.types import BOOL, DTYPE_NAMES
from .rewriting import Rewriter, Rule, rewrite

Array = np.ndarray[Any, Any]

INT32 = DTYPE_NAMES["i32"]

_KNOWN = frozenset({"iota", "constant", "broadcast", "reshape", "transpose", "convert"})
_MOST_KNOWN = 1 << 20
"""Elements of an index array that are looked at while compiling."""


def form_selects(graph: Graph) -> Graph:
    """Requires: a flat graph.

    Ensures: no scatter with exactly one position in every row of its operand. Positions are still
    checked: by a gather, if nothing else checks the same.
    """
    return rewrite(graph, RULES)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A scatter whose positions along all axes of x but `column` are just where a row is."""

    column: int
    labels: Value  # positions along `column`, of the shape of all positions
    lead: dict[int, int]  # for every other axis of x, the axis of the positions along which it runs

    def spread(self, value: Value, node: Node, rewriter: Rewriter) -> Value:
        """`value`, one element for each position, along the rows of x."""
        shape = node.output.type.shape
        axes = sorted(self.lead)
        order = [self.lead[axis] for axis in axes]
        rest = [axis for axis in range(value.type.rank) if axis not in order]
        value = rewriter.emit("transpose", value, axes=(*order, *rest))
        value = rewriter.emit("reshape", value, shape=tuple(shape[axis] for axis in axes))
        return rewriter.emit("broadcast", value, shape=shape, axes=tuple(axes))


def _rows(node: Node, rewriter: Rewriter) -> _Rows | None:
    x, _, *positions = node.inputs
    axes: tuple[int, ...] = node.attrs["axes"]
    shape, lead = x.type.shape, positions[0].type.shape
    if axes != tuple(range(len(shape))):
        return None
    found: dict[int, int] = {}
    for axis, value in enumerate(positions):
        along = _counted_axis(value, shape[axis], rewriter)
        if along is not None and along not in found.values():
            found[axis] = along
    columns = [axis for axis in axes if axis not in found]
    wide = {axis for axis, extent in enumerate(lead) if extent != 1}
    if len(columns) != 1 or not wide <= set(found.values()):
        return None
    return _Rows(columns[0], positions[columns[0]], found)


def _counted_axis(value: Value, extent: int, rewriter: Rewriter) -> int | None:
    """The axis along which `value` is known to count 0, 1, …, `extent` - 1, and nothing else."""
    shape = value.type.shape
    if extent not in shape or value.type.size > _MOST_KNOWN:
        return None
    array = _known(value, rewriter)
    if array is None:
        return None
    for axis in range(len(shape)):
        count = np.arange(extent).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        if shape[axis] == extent and np.array_equal(array, np.broadcast_to(count, shape)):
            return axis
    return None


def _known(value: Value, rewriter: Rewriter) -> Array | None:
    """The elements of `value` if they do not depend on any input."""
    chain: list[Node] = []
    while (node := rewriter.definition(value)) is not None and node.op.name in _KNOWN:
        chain.append(node)
        if not node.inputs:
            break
        (value,) = node.inputs
    if not chain or chain[-1].inputs:
        return None
    result: tuple[Array, ...] = ()
    for node in reversed(chain):
        assert node.op.reference is not None
        result = (node.op.reference(*result, **node.attrs),)
    return result[0]


def _select(node: Node, rewriter: Rewriter) -> Value | None:
    x, updates, *positions = node.inputs
    rows = _rows(node, rewriter)
    if rows is None or x.type.dtype == BOOL:
        return None
    extent = x.type.shape[rows.column]
    if extent > np.iinfo(INT32).max:
        return None
    # For its check alone: it stays if no other node makes the same.
    rewriter.emit("gather", x, *positions, axes=node.attrs["axes"])
    # Along the rows at once, where it is all done in one kernel and once per row.
    labels = rows.spread(rows.labels, node, rewriter)
    zero, count = (rewriter.filled(np.int64(n), labels.type) for n in (0, extent))
    from_end = rewriter.emit("add", labels, count)
    front = rewriter.emit("select", rewriter.emit("lt", labels, zero), from_end, labels)
    # Narrow, so that a vector has as many column numbers as it has elements.
    front = rewriter.emit("convert", front, dtype=INT32)
    numbers = rewriter.emit("iota", size=extent, dtype=INT32)
    columns = rewriter.emit("broadcast", numbers, shape=x.type.shape, axes=(rows.column,))
    here = rewriter.emit("eq", columns, front)
    new = rows.spread(updates, node, rewriter)
    if node.op.name == "scatter_add":
        new = rewriter.emit("add", x, new)
    return rewriter.emit("select", here, new, x)


RULES: tuple[Rule, ...] = (
    Rule("scatter(x, u, rows, j) -> select(column == j, u, x)", ("scatter",), _select),
    Rule("scatter_add(x, u, rows, j) -> select(column == j, x + u, x)", ("scatter_add",), _select),
)
"""Exact; for any order of the axes, and rows of any rank."""
