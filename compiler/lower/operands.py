"""The loops of a matrix product, the step of each operand through memory along them, and how its
elements are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from ...ir.graph import Graph, Node, Value
from ...ir.ops.contraction import free_axes
from ...ir.types import DType
from .builder import LoopBuilder
from .language import Access, Affine, Var
from .pull import BodyReader, Index, Position, row_major_strides

NO_AXIS = -1
"""Stands for the row of a product whose left operand is a vector, or the column likewise."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One loop of the product: extent, and the step of each operand along it (0: absent)."""

    extent: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class ProductAxes:
    """C[outer…, m, n] = Σ_k A B: batch axes and all free axes but the last of each operand are
    `outer` loops around a product of `rows` × `columns`, summed over `sums`. `outer_axes`,
    `row_axis` and `column_axis` are the axes of the result that they are."""

    outer: tuple[Axis, ...]
    outer_axes: tuple[int, ...]
    rows: Axis
    row_axis: int
    columns: Axis
    column_axis: int
    sums: tuple[Axis, ...]

    @property
    def depth(self) -> int:
        """How many terms are summed."""
        return math.prod(axis.extent for axis in self.sums)

    @property
    def right_is_contiguous(self) -> bool:
        """Whether neighbouring columns of the right operand are neighbours in memory."""
        return self.columns.right == 1 or self.columns.extent <= 1


def product_axes(dot: Node) -> ProductAxes:
    """The loops of the node `dot`, whose operands lie row-major in memory."""
    x, y = dot.inputs
    batch, contract = dot.attrs["batch"], dot.attrs["contract"]
    left, right = row_major_strides(x.type.shape), row_major_strides(y.type.shape)
    free_x = free_axes(x.type.rank, batch[0], contract[0])
    free_y = free_axes(y.type.rank, batch[1], contract[1])
    both = [Axis(x.type.shape[a], left[a], right[b]) for a, b in zip(*batch, strict=True)]
    rows = [Axis(x.type.shape[a], left[a], 0) for a in free_x]
    columns = [Axis(y.type.shape[b], 0, right[b]) for b in free_y]
    sums = [Axis(x.type.shape[a], left[a], right[b]) for a, b in zip(*contract, strict=True)]
    rank = dot.output.type.rank
    row_axis = len(both) + len(rows) - 1 if rows else NO_AXIS
    column_axis = rank - 1 if columns else NO_AXIS
    # A vector operand has no free axis: a row or column of extent 1 stands in for it.
    return ProductAxes(
        outer=(*both, *rows[:-1], *columns[:-1]),
        outer_axes=tuple(a for a in range(rank) if a not in (row_axis, column_axis)),
        rows=rows[-1] if rows else Axis(1, 0, 0),
        row_axis=row_axis,
        columns=columns[-1] if columns else Axis(1, 0, 0),
        column_axis=column_axis,
        sums=tuple(_merged(sums)),
    )


def _merged(axes: list[Axis]) -> list[Axis]:
    """Contracted axes that both operands walk as one become one."""
    merged: list[Axis] = []
    for axis in axes:
        if merged:
            last = merged[-1]
            if last.left == axis.left * axis.extent and last.right == axis.right * axis.extent:
                merged[-1] = Axis(last.extent * axis.extent, axis.left, axis.right)
                continue
        merged.append(axis)
    return merged


class OperandReader:
    """Elements of an operand of a product by their offset in memory.

    An operand with a prologue is computed from arrays of its own shape, which lie as it would, and
    from numbers.
    """

    def __init__(self, body: Graph, builder: LoopBuilder, operand: Value) -> None:
        self.body = body
        self.builder = builder
        self.operand = operand
        self._reader = BodyReader(body, builder)
        self._index = tuple(Position() for _ in operand.type.shape)

    def read(self, at: Affine, dynamic: tuple[tuple[Var, int], ...] = ()) -> Var:
        """The element, or the vector where `at` depends on the lane."""
        self._reader.forget()
        for number, value in enumerate(self.body.inputs):
            if value.type.shape == self.operand.type.shape:
                access = Access(number, at, dynamic)
                self._reader.leaves[value] = partial(self._load, access, value.type.dtype)
        return self._reader.read(self.operand, self._index)

    def _load(self, access: Access, dtype: DType, index: Index, guard: Var | None) -> Var:
        return self.builder.load(access, dtype, guard)
