"""Reductions of what the tiles of a product hold, while they hold it.

A sum over the rows of a product (the gradient of a bias), or over all of it (a loss), needs no
array of its terms: every tile adds its own rows up and stores one row of partial results. A second
phase of the kernel reduces those. Which terms meet in which order depends on the tiles alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import Family
from ...ir.types import TensorType
from ..target import Target
from .blocks import lower_rows
from .builder import LoopBuilder
from .folds import Fold
from .language import Affine, Kernel, Phase, Var
from .operands import ProductAxes
from .pull import Position, buffer_access
from .statements import rebuffered


def reduces(body: Graph) -> bool:
    """Whether a fused body reduces anything."""
    return any(node.op.family is Family.REDUCTION for node in body.nodes)


class TileFolds:
    """The reductions in `body` over at least the rows of its product."""

    def __init__(self, body: Graph, axes: ProductAxes, builder: LoopBuilder) -> None:
        self.body = body
        self.axes = axes
        self.builder = builder
        self.folds = [Fold(node) for node in body.nodes if node.op.family is Family.REDUCTION]
        self.partials: list[TensorType] = []
        self._first = 0

    @property
    def operands(self) -> list[Value]:
        """What is reduced."""
        return [fold.node.inputs[0] for fold in self.folds]

    def makes(self, value: Value) -> bool:
        """Whether `value` is the result of a reduction."""
        return any(fold.node.output is value for fold in self.folds)

    def reserve(self, tiles: int, first: int) -> list[TensorType]:
        """The buffers of partial results, numbered from `first` on: a row for each of `tiles`."""
        self._first = first
        shapes = [list(value.type.shape) for value in self.operands]
        for shape in shapes:
            shape[self.axes.row_axis] = tiles
        self.partials = [
            TensorType(fold.dtype, tuple(shape))
            for fold, shape in zip(self.folds, shapes, strict=True)
        ]
        return self.partials

    # In a tile

    def start(self) -> list[Var]:
        """What is accumulated in one vector of columns, before any row."""
        vector = self.builder.lanes > 1
        return [fold.identity(self.builder, vector)[0] for fold in self.folds]

    def add(self, sums: Sequence[Var], values: Sequence[Var]) -> list[Var]:
        """The same after one more row, in which the operands are `values`."""
        return [
            fold.combine(self.builder, [old], [new])[0]
            for fold, old, new in zip(self.folds, sums, values, strict=True)
        ]

    def store(self, sums: Sequence[Var], at: dict[int, Position], tile: Affine) -> None:
        """Write the results of one vector of columns, at `at`, of a tile."""
        place = {**at, self.axes.row_axis: Position(tile)}
        for number, total in enumerate(sums):
            type = self.partials[number]
            position = tuple(place[axis] for axis in range(type.rank))
            access = buffer_access(self._first + number, type, position)
            self.builder.store(access, total)

    # After all tiles

    def finished(self, kernel: Kernel, target: Target) -> Kernel:
        """`kernel`, whose phases store the partial results, with the phases that reduce them."""
        shared = kernel.shared | {
            self._first - len(kernel.buffers) + number for number in range(len(self.partials))
        }
        kernel = replace(kernel, shared=shared)
        for number, fold in enumerate(self.folds):
            last = lower_rows("rows", _reduction(fold.node, self.partials[number]), target)
            output = len(self.body.inputs) + self.body.outputs.index(fold.node.output)
            kernel = _followed_by(kernel, last, (self._first + number, output))
        return kernel


def _reduction(node: Node, partials: TensorType) -> Graph:
    """The graph that reduces partial results as `node` reduces its operand."""
    builder = GraphBuilder("rows")
    (result,) = builder.copy_node(node, [builder.input(partials, "partials")])
    return builder.build([result])


def _followed_by(kernel: Kernel, last: Kernel, buffers: tuple[int, ...]) -> Kernel:
    """Both one after the other; the buffers of `last` are those of `kernel` with these numbers."""
    scratch = len(kernel.scratch)
    first = len(kernel.buffers) + scratch
    numbers = (*buffers, *range(first, first + len(last.scratch)))
    phases = tuple(
        Phase(tuple(rebuffered(statement, numbers) for statement in phase.body), phase.grid)
        for phase in last.phases
    )
    return replace(
        kernel,
        scratch=kernel.scratch + last.scratch,
        phases=kernel.phases + phases,
        shared=kernel.shared | {scratch + number for number in last.shared},
    )
