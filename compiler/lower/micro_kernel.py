"""The innermost part of a matrix product: one tile of C in registers, and what follows from it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from ...ir.graph import Graph, Node
from ...ir.ops import Family
from ...ir.types import TensorType
from .builder import LoopBuilder
from .language import LANE, Access, Affine, Var, index
from .operands import OperandReader, ProductAxes
from .panels import RightOperand, Span, whole
from .pull import BodyReader, Position, buffer_access
from .tile_folds import TileFolds
from .tiles import Tile

_LONG_EPILOGUE = 16
"""Cost per element from which on the code of the epilogue is there once for all rows of a tile."""

Step = Callable[[Affine, Affine, list[Var]], list[Var]]
"""One step of k: offsets into A and B, the accumulators before it; gives those after it."""


class Source(enum.Enum):
    """Where a tile reads B: the operand itself, the same while it packs the panel, the panel."""

    MEMORY = enum.auto()
    PACKING = enum.auto()
    PANEL = enum.auto()


@dataclass(frozen=True, slots=True)
class Matrix:
    """One product inside the batch: offsets of A and B, and the outer indices."""

    left: Affine
    right: Affine
    at: dict[int, Position]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile is: in which product, its first column, its first row, its number down the rows,
    the row of the sums kept in memory, and the steps of k that it adds (None: all)."""

    matrix: Matrix
    column: Affine
    row: Affine
    number: Affine
    kept_row: Affine
    span: Span | None


def has_long_epilogue(body: Graph, product: TensorType) -> bool:
    """Whether what follows the product is worth a loop of its own over the rows of a tile."""
    follows = (
        node.op.cost
        for node in body.nodes
        if node.op.family is Family.ELEMENTWISE and node.output.type.shape == product.shape
    )
    return sum(follows) >= _LONG_EPILOGUE


class MicroKernel:
    """Emits tiles of the product `dot` of `body`.

    `kept` is the scratch buffer for sums: they are kept there between blocks of k, and until the
    epilogue runs where that has a loop of its own. None: the epilogue follows in registers.
    """

    def __init__(
        self,
        body: Graph,
        dot: Node,
        axes: ProductAxes,
        builder: LoopBuilder,
        right: RightOperand,
        kept: int | None,
        folds: TileFolds,
    ) -> None:
        self.body = body
        self.dot = dot
        self.type = dot.output.type
        self.axes = axes
        self.builder = builder
        self.reader = BodyReader(body, builder)
        self.right = right
        self.kept = kept
        self.folds = folds
        self.left = OperandReader(body, builder, dot.inputs[0])
        self._symbols = 0

    @property
    def _lane(self) -> Affine:
        return index(LANE) if self.builder.lanes > 1 else Affine()

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def tile(self, tile: Tile, place: Place, source: Source) -> None:
        """All steps of k for one tile, and the epilogue unless that waits for further steps."""
        if place.span is None:
            start = [self._zero()] * (tile.rows * tile.vectors)
        else:
            start = self._kept_sums(tile, place)
        sums = self._sum(tile, place, source, start)
        rows = [sums[row * tile.vectors :][: tile.vectors] for row in range(tile.rows)]
        if self.kept is None:
            folded = [self.folds.start()] * tile.vectors
            for row, totals in enumerate(rows):
                folded = self._finish(place, place.row + row, totals, folded)
            self._store_folded(place, folded)
            return
        for row, totals in enumerate(rows):
            for vector, total in enumerate(totals):
                access = self._kept_place(place.kept_row + row, tile.vectors, vector)
                self.builder.store(access, total)
        if place.span is None:
            self.finish_rows(tile, place)

    def clear(self, rows: int, vectors: int) -> None:
        """Set the kept sums to zero."""
        symbol = self._symbol("r")
        with self.builder.loop(symbol, 0, rows):
            for vector in range(vectors):
                access = self._kept_place(index(symbol), vectors, vector)
                self.builder.store(access, self._zero())

    def finish_rows(self, tile: Tile, place: Place) -> None:
        """The epilogue of `tile.rows` rows whose sums are kept."""
        symbol = self._symbol("r")
        start = self.folds.start() * tile.vectors
        with self.builder.loop(symbol, 0, tile.rows, 1, start) as frame:
            row = index(symbol)
            totals = [
                self.builder.reload(
                    self._kept_place(place.kept_row + row, tile.vectors, vector), self.type.dtype
                )
                for vector in range(tile.vectors)
            ]
            before = _by_column(frame.values, tile.vectors)
            folded = self._finish(place, place.row + row, totals, before)
            frame.yields = [var for column in folded for var in column]
        self._store_folded(place, _by_column(frame.results, tile.vectors))

    # Steps of k

    def _zero(self) -> Var:
        zero = self.builder.literal(0, self.type.dtype)
        return self.builder.splat(zero) if self.builder.lanes > 1 else zero

    def _sum(self, tile: Tile, place: Place, source: Source, start: list[Var]) -> list[Var]:
        """The loops over the contracted axes, the accumulators carried through."""
        sums, panel = self.axes.sums, self.right.steps(tile.vectors) if self.axes.sums else []

        def step(left: Affine, right: Affine, offset: Affine, sums: list[Var]) -> list[Var]:
            columns = self._columns(tile.vectors, place.column, source, right, offset)
            return self._multiply(left + place.row * self.axes.rows.left, columns, sums)

        def walk(
            depth: int, left: Affine, right: Affine, offset: Affine, carried: list[Var]
        ) -> list[Var]:
            if depth == len(sums):
                return step(left, right, offset, carried)
            axis = sums[depth]
            if axis.extent == 0:
                return carried
            span = whole(axis.extent) if place.span is None else place.span
            symbol = self._symbol("k")
            with self.builder.loop(symbol, span.start, span.stop, 1, carried) as frame:
                k = index(symbol)
                frame.yields = walk(
                    depth + 1,
                    left + k * axis.left,
                    right + k * axis.right,
                    offset + (k + span.start * -1) * panel[depth],
                    frame.values,
                )
            return frame.results

        return walk(0, place.matrix.left, place.matrix.right, Affine(), start)

    def _columns(
        self, vectors: int, column: Affine, source: Source, at: Affine, offset: Affine
    ) -> list[Var]:
        """One row of B, in registers; `at` is its offset in memory, `offset` that in the panel."""
        if source is Source.PANEL:
            return [self.right.read(offset, v) for v in range(vectors)]
        values = [self.right.load(at, column, v) for v in range(vectors)]
        if source is Source.PACKING:
            for v, value in enumerate(values):
                self.right.write(offset, v, value)
        return values

    def _multiply(self, at: Affine, columns: list[Var], sums: list[Var]) -> list[Var]:
        """The sums after one step: each row's element of A times the vectors of B."""
        b, dtype = self.builder, self.type.dtype
        result = []
        for number, total in enumerate(sums):
            row, vector = divmod(number, len(columns))
            element = self.left.read(at + row * self.axes.rows.left)
            args = [element, columns[vector], total]
            result.append(b.compute("multiply_add", args, dtype))
        return result

    # Sums

    def _kept_place(self, row: Affine, vectors: int, vector: int) -> Access:
        assert self.kept is not None
        lanes = self.builder.lanes
        return Access(self.kept, row * (vectors * lanes) + vector * lanes + self._lane)

    def _kept_sums(self, tile: Tile, place: Place) -> list[Var]:
        return [
            self.builder.reload(
                self._kept_place(place.kept_row + row, tile.vectors, vector), self.type.dtype
            )
            for row in range(tile.rows)
            for vector in range(tile.vectors)
        ]

    def _position(self, place: Place, row: Affine, vector: int) -> dict[int, Position]:
        """The index of a register of the tile along each axis of the result."""
        column = place.column + vector * self.builder.lanes + self._lane
        return {
            **place.matrix.at,
            self.axes.row_axis: Position(row),
            self.axes.column_axis: Position(column),
        }

    def _finish(
        self, place: Place, row: Affine, totals: list[Var], folded: list[list[Var]]
    ) -> list[list[Var]]:
        """The epilogue for one row of the tile; what is folded along the rows, after it."""
        result = []
        for vector, total in enumerate(totals):
            self.builder.active = self.right.active(place.column, vector)
            values = self._finish_register(self._position(place, row, vector), total)
            result.append(self.folds.add(folded[vector], values))
        self.builder.active = None
        return result

    def _finish_register(self, along: dict[int, Position], total: Var) -> list[Var]:
        """The epilogue for one register; the operands of reductions."""
        b, reads = self.builder, len(self.body.inputs)
        position = tuple(along[axis] for axis in range(len(self.type.shape)))
        self.reader.forget()
        self.reader.leaves[self.dot.output] = lambda index, guard: total
        # All are read before any is stored: a store may be over an operand of another.
        folded = [self.reader.read(value, position) for value in self.folds.operands]
        stored = {
            number: self.reader.read(output, position)
            for number, output in enumerate(self.body.outputs, reads)
            if not self.folds.makes(output)
        }
        for number, value in stored.items():
            b.store(buffer_access(number, self.type.with_dtype(value.dtype), position), value)
        return folded

    def _store_folded(self, place: Place, folded: list[list[Var]]) -> None:
        for vector, values in enumerate(folded):
            self.builder.active = self.right.active(place.column, vector)
            self.folds.store(values, self._position(place, Affine(), vector), place.number)
        self.builder.active = None


def _by_column(values: list[Var], columns: int) -> list[list[Var]]:
    size = len(values) // columns
    return [values[column * size :][:size] for column in range(columns)]
