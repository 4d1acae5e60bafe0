"""Packing: some columns of the right operand of a product, copied to lie as they are read.

A panel holds as many columns as a tile, step of k after step of k, in whole aligned vectors. Where
columns are contiguous the first tile of rows packs the panel as it goes; where the contracted axis
is, square blocks are transposed in registers; all else is gathered.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.types import INT64, DType
from .builder import LoopBuilder
from .language import LANE, Access, Affine, Bound, Var, index
from .operands import OperandReader, ProductAxes


@dataclass(frozen=True, slots=True)
class Span:
    """Steps of k from `start` to before `stop`."""

    start: Affine
    stop: Bound


class RightOperand:
    """The right operand of a product, read by `source`, and the panel, scratch buffer `number`
    (None: it is never packed)."""

    def __init__(
        self,
        builder: LoopBuilder,
        axes: ProductAxes,
        source: OperandReader,
        number: int | None,
        dtype: DType,
    ) -> None:
        self.builder = builder
        self.axes = axes
        self.number = number
        self.source = source
        self.dtype = dtype
        self._symbols = 0

    @property
    def is_packed(self) -> bool:
        """Whether tiles read a panel."""
        return self.number is not None

    @property
    def _lane(self) -> Affine:
        return index(LANE) if self.builder.lanes > 1 else Affine()

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def steps(self, width: int) -> list[int]:
        """Elements of a panel of `width` vectors from one index of each contracted axis to the
        next."""
        steps = [width * self.builder.lanes]
        for axis in reversed(self.axes.sums[1:]):
            steps.append(steps[-1] * axis.extent)
        return steps[::-1]

    def read(self, at: Affine, vector: int) -> Var:
        """Vector number `vector` of the panel at the step whose offset is `at`."""
        return self.builder.reload(self._place(at, vector), self.dtype)

    def write(self, at: Affine, vector: int, value: Var) -> None:
        """Set that vector."""
        self.builder.store(self._place(at, vector), value)

    def _place(self, at: Affine, vector: int) -> Access:
        assert self.number is not None
        return Access(self.number, at + vector * self.builder.lanes + self._lane)

    def active(self, column: Affine, vector: int) -> int | None:
        """Lanes of a vector that lie inside C; only constant columns can stick out."""
        if column.terms:
            return None
        lanes = self.builder.lanes
        left = self.axes.columns.extent - column.const - vector * lanes
        return left if left < lanes else None

    def load(self, at: Affine, column: Affine, vector: int) -> Var:
        """That vector of the operand itself; lanes beyond the last column are zero."""
        b, columns = self.builder, self.axes.columns
        b.active = self.active(column, vector)
        stride = columns.right if columns.extent > 1 else 0
        place = at + (column + vector * b.lanes + self._lane) * stride
        value = self.source.read(place)
        b.active = None
        return value

    def pack(self, first: Affine, span: Span, column: Affine, width: int) -> None:
        """Copy `width` vectors of columns; beyond the last column, anything. `first` is the offset
        of the operand, `span` the part of the outermost contracted axis that is copied."""
        b, sums, steps = self.builder, self.axes.sums, self.steps(width)
        across = not self.axes.right_is_contiguous and sums[-1].right == 1 and b.lanes > 1

        def walk(depth: int, source: Affine, target: Affine) -> None:
            if across and depth == len(sums) - 1:
                inner = span if depth == 0 else whole(sums[depth].extent)
                self._copy_across(source, target, inner, column, width)
                return
            if depth == len(sums):
                for v in range(width):
                    self.write(target, v, self.load(source, column, v))
                return
            symbol = self._symbol("p")
            part = span if depth == 0 else whole(sums[depth].extent)
            with b.loop(symbol, part.start, part.stop):
                k = index(symbol)
                offset = k + part.start * -1
                walk(depth + 1, source + k * sums[depth].right, target + offset * steps[depth])

        walk(0, first, Affine())

    def _copy_across(
        self, source: Affine, target: Affine, span: Span, column: Affine, width: int
    ) -> None:
        """All rows along the last contracted axis, which is contiguous in the operand: square
        blocks are loaded along it and transposed in registers. The last block overlaps the one
        before; columns beyond the last repeat it."""
        b, lanes = self.builder, self.builder.lanes
        ragged = self.active(column, width - 1) is not None
        full = width - 1 if ragged else width
        if full:
            symbol = self._symbol("v")
            with b.loop(symbol, 0, full * lanes, lanes):
                vector = index(symbol)
                self._turn(source, target + vector, span, column + vector, width)
        if ragged:
            vector = Affine((), full * lanes)
            self._turn(source, target + vector, span, column + vector, width)

    def _turn(self, source: Affine, target: Affine, span: Span, first: Affine, width: int) -> None:
        """One vector of columns from `first` on, in square blocks."""
        b, lanes, extent = self.builder, self.builder.lanes, self.axes.sums[-1].extent
        symbol = self._symbol("p")
        with b.loop(symbol, span.start, span.stop, lanes):
            k = b.index_value(index(symbol))
            if extent > lanes:
                k = b.compute("min", [k, b.literal(extent - lanes, INT64)], INT64)
            rows = self._block_rows(source, first, k)
            into = target + span.start * (-width * lanes)
            for i, value in enumerate(b.transpose(rows)[:extent]):
                place = self._place(into + i * width * lanes, 0)
                b.store(Access(place.buffer, place.at, ((k, width * lanes),)), value)

    def _block_rows(self, source: Affine, first: Affine, k: Var) -> list[Var]:
        """One vector along the contracted axis from `k` on for each of `lanes` columns."""
        b, lanes, columns = self.builder, self.builder.lanes, self.axes.columns
        extent = self.axes.sums[-1].extent
        b.active = extent if extent < lanes else None
        rows = []
        for n in range(lanes):
            column = first + n
            if not column.terms:
                column = Affine((), min(column.const, columns.extent - 1))
            at = source + self._lane + column * columns.right
            rows.append(self.source.read(at, ((k, 1),)))
        b.active = None
        return rows


def whole(extent: int) -> Span:
    """All of so many steps."""
    return Span(Affine(), Bound(Affine((), extent)))
