"""Reductions over much, with few rows: the inner axes are shared out in blocks.

The blocks depend on the shape alone, never on the number of threads. Every pass over the inner axes
is a phase whose pieces are the blocks; each stores its partial results, and whoever needs them
combines them by the same balanced tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...ir.graph import Graph, Value
from ...ir.types import TensorType
from ..space import Alignment
from ..target import Target
from .folds import State, block_size, combine_columns
from .language import LANE, Access, Affine, Bound, Division, Kernel, Share, Var, index
from .pull import Index, Position, buffer_access
from .rows import Line, RowLowering

_MAX_BLOCKS = 32
"""Partial results that every block of a later pass reads again."""


def lower_rows(kind: str, body: Graph, target: Target) -> Kernel:
    """The kernel of a fused body of kind `map` or `rows`."""
    by_rows = RowLowering(kind, body, target)
    pieces = math.prod(division.pieces for division in by_rows.grid)
    # Passes that are phases give up reading a row while it is in cache.
    if by_rows.passes.count and 2 * pieces < by_rows.wanted and by_rows.inner_elements > 1:
        return BlockLowering(kind, body, target).lower()
    return by_rows.lower()


@dataclass(frozen=True, slots=True)
class _Segment:
    """Blocks number `first` to `first + count - 1`; `fold` accumulates the one in `symbol`."""

    first: int
    count: int
    fold: Callable[[Affine], list[State]]


class BlockLowering(RowLowering):
    """Lowers a fused body of kind `rows` whose first wide inner axis is shared out in blocks."""

    def __init__(self, kind: str, body: Graph, target: Target) -> None:
        super().__init__(kind, body, target)
        self.grid, self.grid_axis = [], {}
        self.partials: dict[int, list[list[int]]] = {}
        self.blocks: dict[int, int] = {}

    def _lower_phases(self) -> None:
        for number in self.passes.numbers():
            segments = self._segments(number)
            self.blocks[number] = segments[-1].first + segments[-1].count
            self._reserve_partials(number)
            for segment in segments:
                symbol = self._symbol("s")
                share = Share(0, segment.first)
                with self.builder.loop(symbol, 0, segment.count, share=share):
                    visit = partial(self._block, number, segment, symbol)
                    self._walk_outer(self.space.outer, visit)
            self._finish_phase([Division(self.blocks[number], self.blocks[number])])
        if self.passes.outer:
            self._walk_outer(self.space.outer, self._last)
            self._finish_phase([])

    def _block(self, number: int, segment: _Segment, symbol: str) -> None:
        """One pass over one block, at one point of the outer axes."""
        with self._results():
            self._define_before(number)
            block = index(symbol) + segment.first
            states = segment.fold(index(symbol))
            folds = len(states) // len(self.columns)
            for column in self._each_column():
                for fold in range(folds):
                    for part, state in enumerate(states[column * folds + fold]):
                        access = self._partial(number, fold, part, Position(block))
                        self.builder.store(access, state)

    def _last(self) -> None:
        """What has one element per row, after all passes."""
        with self._results():
            self._define_before(self.passes.count)
            for _ in self._each_column():
                self._store_outputs(self.passes.outer)

    def _define_before(self, number: int) -> None:
        for earlier in range(number):
            self._define(earlier, self._combined(earlier))

    # Blocks

    def _segments(self, number: int) -> list[_Segment]:
        """The blocks of a pass: many of one length, then what is left of the last axis."""
        inner = self.space.inner
        wide = next(i for i, axis in enumerate(inner) if self.space.extents[axis] > 1)
        for axis in inner[:wide]:
            self.position[axis] = Position()
        if wide < len(inner) - 1:
            return [self._spans(number, inner[wide:])]
        return self._chunk_spans(number, self._line(number, self._folds(number), inner[wide]))

    def _spans(self, number: int, axes: tuple[int, ...]) -> _Segment:
        extent = self.space.extents[axes[0]]
        length = -(-extent // min(_MAX_BLOCKS, self.wanted))

        def fold(block: Affine) -> list[State]:
            folds = self._folds(number)
            span = block * length, Bound(block * length + length, extent)
            return self._walk_span(number, folds, axes, span, self._identities(folds))

        return _Segment(0, -(-extent // length), fold)

    def _chunk_spans(self, number: int, line: Line) -> list[_Segment]:
        length = -(-line.chunks // min(_MAX_BLOCKS, self.wanted))
        # Blocks end where the nested loops of all chunks would.
        size = block_size(length)
        length = max(1, -(-length // size) * size)

        def chunks(block: Affine) -> list[State]:
            folds = self._folds(number)
            span = block * length, Bound(block * length + length, line.chunks)
            parts = [self._identities(folds) for _ in range(line.unroll)]
            parts = self._chunks(number, folds, line, span, length, parts)
            return combine_columns(self.builder, folds, parts)

        def rest(block: Affine) -> list[State]:
            folds = self._folds(number)
            return self._rest(number, folds, line, self._identities(folds))

        blocks = -(-line.chunks // length)
        segments = [_Segment(0, blocks, chunks)] if blocks else []
        if line.extent > line.done:
            segments.append(_Segment(blocks, 1, rest))
        return segments

    # Memory shared by all blocks

    def _reserve_partials(self, number: int) -> None:
        """Room for the states of every fold of a pass, one for each block and row."""
        shape = (self.blocks[number], *self.space.outer_extents)
        if self.inner_is_vector and self.lanes > 1:
            shape = (*shape, self.lanes)
        self.partials[number] = [
            [
                self._shared_buffer(TensorType(var.dtype, shape))
                for var in fold.identity(self.builder, False)
            ]
            for fold in self.passes.folds.get(number, [])
        ]

    def _shared_buffer(self, type: TensorType) -> int:
        self.scratch.append(type)
        self.shared.add(len(self.scratch) - 1)
        return len(self.scratch) - 1

    def _partial(self, number: int, fold: int, part: int, block: Position) -> Access:
        scratch = self.partials[number][fold][part]
        type = self.scratch[scratch]
        place: Index = (block, *self._index(self.space.outer))
        if len(place) < type.rank:
            place = (*place, Position(index(LANE)))
        buffers = len(self.body.inputs) + len(self.body.outputs)
        return buffer_access(buffers + scratch, type, place)

    def _combined(self, number: int) -> list[State]:
        """The states of a pass over all blocks, at this point of the outer axes."""
        folds = self.passes.folds[number]

        def states(block: int) -> list[State]:
            at = Position(Affine((), block))
            return [
                [self._reload_partial(number, f, p, at) for p in range(len(buffers))]
                for f, buffers in enumerate(self.partials[number])
            ]

        result = []
        for _ in self._each_column():
            parts = [states(block) for block in range(self.blocks[number])]
            result += combine_columns(self.builder, folds, parts)
        return result

    def _reload_partial(self, number: int, fold: int, part: int, block: Position) -> Var:
        dtype = self.scratch[self.partials[number][fold][part]].dtype
        return self.builder.reload(self._partial(number, fold, part, block), dtype)

    def _kept_buffer(self, value: Value) -> tuple[int, TensorType, Alignment]:
        """All rows are under way at once: a kept value is kept whole."""
        if value not in self.body.outputs and value not in self.scratch_of:
            self.scratch_of[value] = self._shared_buffer(value.type)
        if value in self.scratch_of:
            buffers = len(self.body.inputs) + len(self.body.outputs)
            return buffers + self.scratch_of[value], value.type, self.space.alignment[value]
        return super()._kept_buffer(value)
