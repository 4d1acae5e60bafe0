"""Kernels over one iteration space: elementwise trees, reductions, and programs over rows.

The outer axes are walked once; for each of their points (a row) the kernel makes as many passes
over the inner, reduced axes as reductions depend on one another: softmax is a pass for the
maximum, one for the sum, one for the result, while the row is in cache. The last axis of the space
is the vector axis, whether it is an outer or an inner one; if it is an outer one, several vectors
of rows, the columns, are under way at once, so that memory is read in long runs. An expensive value
that several passes need is kept in a row buffer; a cheap one is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from ...ir.graph import Graph, Value
from ...ir.types import TensorType
from ..space import Alignment, derive
from ..target import Target
from .builder import LoopBuilder
from .collapse import collapse_axes
from .division import divide, pieces_wanted
from .folds import BLOCK, Fold, FoldLoop, Span, State, block_size, combine_columns
from .language import LANE, Affine, Bound, Division, Kernel, Phase, Share, Var, index
from .passes import Passes
from .pull import BodyReader, Index, Leaf, Position, buffer_access
from .widths import vector_lanes

_CHEAP = 4
"""Arithmetic for an element of a reduction that is bound by memory."""

_MOST_ACCUMULATORS = 12
"""Of one reduction, in all columns."""


@dataclass(frozen=True, slots=True)
class Line:
    """How the innermost reduced axis is walked: `chunks` of `unroll` units, then what is left."""

    axis: int
    extent: int
    unit: int
    unroll: int

    @property
    def chunks(self) -> int:
        """Whole chunks."""
        return self.extent // (self.unit * self.unroll)

    @property
    def done(self) -> int:
        """Elements in whole chunks."""
        return self.chunks * self.unit * self.unroll

    @property
    def whole(self) -> int:
        """Elements in whole units."""
        return self.extent // self.unit * self.unit


@dataclass(frozen=True, slots=True)
class Column:
    """A vector of rows that is under way: where it is along the vector axis, its active lanes."""

    at: Position
    active: int | None = None


class RowLowering:
    """Lowers one fused body of kind `map` or `rows`."""

    def __init__(self, kind: str, body: Graph, target: Target) -> None:
        self.kind = kind
        self.body = collapse_axes(body)
        self.space = derive(self.body)
        extents = self.space.extents
        self.vector_axis = len(extents) - 1
        self.lanes = vector_lanes(self.body, self.space, target)
        self.builder = LoopBuilder(self.lanes)
        self.reader = BodyReader(self.body, self.builder)
        self.passes = Passes(self.body, self.space)
        self.position: dict[int, Position] = {}
        self.registers = target.vector_registers
        self.width = self._column_count()
        self.columns: tuple[Column | None, ...] = (None,)
        self.column = 0
        self.scratch: list[TensorType] = []
        self.scratch_of: dict[Value, int] = {}
        self.shared: set[int] = set()
        self.phases: list[Phase] = []
        self.grid: list[Division] = []
        self.grid_axis: dict[int, int] = {}
        self._symbols = 0
        self.wanted = pieces_wanted(self.body, target)
        self._share_outer(self.wanted)

    @property
    def inner_is_vector(self) -> bool:
        """Whether the vector axis is one of the reduced ones."""
        return self.vector_axis in self.space.reduced

    def _column_count(self) -> int:
        """How many vectors of rows are under way at once: about as many in every group of them."""
        if self.inner_is_vector or not self.passes.count or not self.space.extents:
            return 1
        most = min(self._most_columns(number) for number in self.passes.folds)
        vectors = -(-self.space.extents[self.vector_axis] // self.lanes)
        return -(-vectors // max(1, -(-vectors // most)))

    @property
    def inner_elements(self) -> int:
        """Elements of a row."""
        return math.prod(self.space.extents[axis] for axis in self.space.inner)

    def lower(self) -> Kernel:
        """The kernel; nothing is even read for a space without elements to write."""
        if all(self.space.extents[axis] for axis in self.space.outer):
            self._lower_phases()
        return Kernel(
            self.kind,
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            tuple(self.scratch),
            tuple(self.phases),
            tuple(self.builder.sites),
            frozenset(self.shared),
        )

    def _lower_phases(self) -> None:
        """A single phase: all rows, shared out along the outer axes."""
        self._walk_outer(self.space.outer, self._row)
        self._finish_phase(self.grid)

    def _finish_phase(self, grid: Sequence[Division]) -> None:
        self.phases.append(self.builder.finish_phase(grid))

    # Walking the space

    def _share_outer(self, wanted: int) -> None:
        """Make a grid of `wanted` pieces from the outer axes."""
        axes = [axis for axis in self.space.outer if self.space.extents[axis] > 1]
        grid = divide([self._units(axis) for axis in axes], wanted)
        for axis, division in zip(axes, grid, strict=True):
            if division.pieces > 1:
                self.grid_axis[axis] = len(self.grid)
                self.grid.append(division)

    def _units(self, axis: int) -> int:
        """Steps along an axis: elements, or groups of vectors with a partial one."""
        step = self.lanes * self.width if axis == self.vector_axis else 1
        return -(-self.space.extents[axis] // step)

    def _share(self, axis: int, first: int = 0) -> Share | None:
        """The share of a loop whose first iteration is step number `first` along `axis`."""
        return Share(self.grid_axis[axis], first) if axis in self.grid_axis else None

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def _walk_outer(self, axes: tuple[int, ...], visit: Callable[[], None]) -> None:
        if not axes:
            visit()
            return
        axis, rest = axes[0], axes[1:]
        extent = self.space.extents[axis]
        if axis == self.vector_axis:
            self._walk_vectors(axis, lambda: self._walk_outer(rest, visit))
        elif extent == 1:
            self.position[axis] = Position()
            self._walk_outer(rest, visit)
        else:
            symbol = self._symbol("i")
            with self.builder.loop(symbol, 0, extent, share=self._share(axis)):
                self.position[axis] = Position(index(symbol))
                self._walk_outer(rest, visit)

    def _walk_vectors(self, axis: int, visit: Callable[[], None]) -> None:
        """All elements along the vector axis: whole groups of vectors in a loop, then the rest."""
        extent, step = self.space.extents[axis], self.lanes * self.width
        whole = extent - extent % step
        if whole == step:
            with self._once(axis, 0):
                self._visit_columns(Affine(), step, visit)
        elif whole:
            symbol = self._symbol("j")
            with self.builder.loop(symbol, 0, whole, step, share=self._share(axis)):
                self._visit_columns(index(symbol), step, visit)
        if extent % step:
            with self._once(axis, whole // step):
                self._visit_columns(Affine((), whole), extent % step, visit)

    def _visit_columns(self, first: Affine, extent: int, visit: Callable[[], None]) -> None:
        """The columns of so many elements, the last one with what is left."""
        lane = index(LANE) if self.lanes > 1 else Affine()
        self.columns = tuple(
            Column(
                Position(first + start + lane),
                extent - start if extent - start < self.lanes else None,
            )
            for start in range(0, extent, self.lanes)
        )
        visit()
        self.columns = (None,)

    def _each_column(self) -> Iterator[int]:
        """The numbers of the columns, each while it is the current one."""
        for number, column in enumerate(self.columns):
            self.column = number
            if column is not None:
                self.position[self.vector_axis] = column.at
                self.builder.active = column.active
            yield number
            if column is not None:
                self.builder.active = None

    def _once(self, axis: int, unit: int) -> AbstractContextManager[object]:
        """For a single step along `axis`: it belongs to one piece if the axis is shared out."""
        share = self._share(axis, unit)
        if share is None:
            return nullcontext()
        return self.builder.loop(self._symbol("u"), 0, 1, share=share)

    def _index(self, alignment: Alignment) -> Index:
        return tuple(
            Position() if a is None or self.space.extents[a] == 1 else self.position[a]
            for a in alignment
        )

    def _aligned(self, value: Value) -> Index:
        return self._index(self.space.alignment.get(value, (None,) * value.type.rank))

    def _read(self, value: Value) -> Var:
        return self.reader.read(value, self._aligned(value))

    def _store_outputs(self, values: Iterable[Value]) -> None:
        """All are read before any is stored: a store may be over an operand of another."""
        read = {value: self._read(value) for value in values}
        for number, output in enumerate(self.body.outputs, len(self.body.inputs)):
            if output in read:
                place = buffer_access(number, output.type, self._aligned(output))
                self.builder.store(place, read[output])

    # One row

    def _row(self) -> None:
        """All passes over the inner axes at one point of the outer ones."""
        with self._results():
            for number in self.passes.numbers():
                self._define(number, self._fold_pass(number))
            for _ in self._each_column():
                self._store_outputs(self.passes.outer)

    @contextmanager
    def _results(self) -> Iterator[None]:
        """What is defined here about the results of passes is forgotten afterwards."""
        self.reader.forget()
        before = dict(self.reader.leaves)
        yield
        self.reader.leaves = before

    def _define(self, number: int, states: list[State]) -> None:
        """Pass `number` is over: its reductions have their results, kept values are in memory."""
        folds = self.passes.folds.get(number, [])
        for first, fold in enumerate(folds):
            results = [
                fold.finish(self.builder, state) if self.inner_is_vector else state[-1]
                for state in states[first :: len(folds)]
            ]
            self.reader.leaves[fold.node.output] = self._finished_leaf(results)
        for value in self.passes.kept.get(number, ()):
            self.reader.leaves[value] = self._reload_leaf(value)

    def _finished_leaf(self, results: list[Var]) -> Leaf:
        """The same wherever it is read, but for the column."""
        return lambda index, guard: results[self.column]

    def _kept_buffer(self, value: Value) -> tuple[int, TensorType, Alignment]:
        """Where a kept value lies: in its output if it is one, else in a row buffer."""
        alignment = self.space.alignment[value]
        if value in self.body.outputs:
            number = len(self.body.inputs) + self.body.outputs.index(value)
            return number, value.type, alignment
        if value not in self.scratch_of:
            axes = [a for a in alignment if a in self.space.reduced]
            shape = tuple(self.space.extents[a] for a in axes if a is not None)
            if not self.inner_is_vector:
                shape = (*shape, self.width * self.lanes)
            self.scratch_of[value] = len(self.scratch)
            self.scratch.append(TensorType(value.type.dtype, shape))
        number = self.scratch_of[value]
        buffers = len(self.body.inputs) + len(self.body.outputs)
        inner = tuple(a for a in alignment if a in self.space.reduced)
        return buffers + number, self.scratch[number], inner

    def _kept_index(self, value: Value) -> tuple[int, TensorType, Index]:
        number, type, alignment = self._kept_buffer(value)
        index_ = self._index(alignment)
        if len(index_) < type.rank:
            lane = index(LANE) if self.lanes > 1 else Affine()
            index_ = (*index_, Position(lane + self.column * self.lanes))
        return number, type, index_

    def _reload_leaf(self, value: Value) -> Leaf:
        def leaf(_: Index, guard: Var | None) -> Var:
            number, type, place = self._kept_index(value)
            return self.builder.reload(buffer_access(number, type, place), type.dtype)

        return leaf

    # One pass over the inner axes

    def _fold_pass(self, number: int) -> list[State]:
        inner, folds = self.space.inner, self._folds(number)
        if any(self.space.extents[a] == 0 for a in inner):
            return [[self.builder.literal(fold.empty, fold.dtype)] for fold in folds]
        return self._walk_inner(number, folds, inner, self._identities(folds))

    def _folds(self, number: int) -> list[Fold]:
        """The reductions of a pass, once for each column."""
        return self.passes.folds.get(number, []) * len(self.columns)

    def _identities(self, folds: list[Fold]) -> list[State]:
        return [fold.identity(self.builder, self.lanes > 1) for fold in folds]

    def _walk_inner(
        self, number: int, folds: list[Fold], axes: tuple[int, ...], states: list[State]
    ) -> list[State]:
        if not axes:
            return self._visit(number, folds, states)
        if len(axes) == 1:
            return self._walk_last(number, folds, axes[0], states)
        return self._walk_span(number, folds, axes, (0, self.space.extents[axes[0]]), states)

    def _walk_span(
        self, number: int, folds: list[Fold], axes: tuple[int, ...], span: Span, states: list[State]
    ) -> list[State]:
        """A span of an inner axis that is not the last one."""
        symbol = self._symbol("k")
        with FoldLoop(self.builder, symbol, *span, 1, folds, states) as frame:
            self.position[axes[0]] = Position(index(symbol))
            frame.join(self._walk_inner(number, folds, axes[1:], self._identities(folds)))
        return frame.results

    def _walk_last(
        self, number: int, folds: list[Fold], axis: int, states: list[State]
    ) -> list[State]:
        """The innermost reduced axis: unrolled chunks in a tree of loops, then what is left."""
        line = self._line(number, folds, axis)
        parts = [states, *(self._identities(folds) for _ in range(line.unroll - 1))]
        if line.chunks:
            parts = self._chunks(number, folds, line, (0, line.chunks), line.chunks, parts)
        parts[0] = self._rest(number, folds, line, parts[0])
        return combine_columns(self.builder, folds, parts)

    def _line(self, number: int, folds: list[Fold], axis: int) -> Line:
        extent = self.space.extents[axis]
        unit = self.lanes if self.inner_is_vector else 1
        unroll = self._unroll(number, extent // unit) if folds else 1
        return Line(axis, extent, unit, unroll)

    @property
    def _inner_lane(self) -> Affine:
        return index(LANE) if self.inner_is_vector and self.lanes > 1 else Affine()

    def _chunks(
        self,
        number: int,
        folds: list[Fold],
        line: Line,
        span: Span,
        length: int,
        parts: list[list[State]],
    ) -> list[list[State]]:
        """The chunks of a span of at most `length`; one list of states for each unrolled step."""

        def chunk(at: Affine, accumulators: list[list[State]]) -> list[list[State]]:
            result = []
            for u, current in enumerate(accumulators):
                start = at * (line.unit * line.unroll) + u * line.unit
                self.position[line.axis] = Position(start + self._inner_lane)
                result.append(self._visit(number, folds, current))
            return result

        def level(span: Span, size: int, current: list[list[State]]) -> list[list[State]]:
            flat = [state for part in current for state in part]
            symbol = self._symbol("c")
            with FoldLoop(self.builder, symbol, *span, size, folds * len(current), flat) as frame:
                if size == 1:
                    parts = chunk(index(symbol), _split(frame.values, len(folds)))
                    frame.replace(_flatten(parts))
                else:
                    inner = index(symbol), Bound(index(symbol) + size, line.chunks)
                    fresh = [self._identities(folds) for _ in current]
                    frame.join(_flatten(level(inner, size // BLOCK, fresh)))
            return _split(frame.results, len(folds))

        return level(span, block_size(length), parts)

    def _rest(self, number: int, folds: list[Fold], line: Line, states: list[State]) -> list[State]:
        """The units beyond the last whole chunk, and the partial one."""
        done, whole, lane = line.done, line.whole, self._inner_lane
        if whole > done:
            symbol = self._symbol("k")
            with FoldLoop(self.builder, symbol, done, whole, line.unit, folds, states) as frame:
                self.position[line.axis] = Position(index(symbol) + lane)
                frame.replace(self._visit(number, folds, frame.values))
            states = frame.results
        if line.extent > whole:
            self.builder.active = line.extent - whole
            self.position[line.axis] = Position(lane + whole)
            states = self._visit(number, folds, states)
            self.builder.active = None
        return states

    def _accumulators(self, number: int) -> int:
        """Of every reduction: enough to hide an addition's latency, fewer for long bodies."""
        cost = self.passes.cost(number)
        return 8 if cost <= _CHEAP else 4 if cost <= 16 else 2

    def _most_columns(self, number: int) -> int:
        """Half of the registers where there is little to compute: memory is read in long runs."""
        folds = len(self.passes.folds[number])
        if self.passes.cost(number) > _CHEAP:
            return self._accumulators(number)
        return max(1, self.registers // 2 // folds)

    def _unroll(self, number: int, units: int) -> int:
        """How many units of a line are under way at once."""
        unroll = self._accumulators(number)
        while unroll > 1 and (units < 2 * unroll or unroll * self.width > _MOST_ACCUMULATORS):
            unroll //= 2
        return unroll

    def _visit(self, number: int, folds: list[Fold], states: list[State]) -> list[State]:
        """One point (or vector) of the inner axes: fold, keep, store, for every column."""
        width = len(folds) // len(self.columns)
        result = []
        for column in self._each_column():
            own = slice(column * width, column * width + width)
            pairs = zip(folds[own], states[own], strict=True)
            result += [self._fold(fold, state) for fold, state in pairs]
            for value in self.passes.kept.get(number, ()):
                if value not in self.body.outputs:
                    place, type, at = self._kept_index(value)
                    self.builder.store(buffer_access(place, type, at), self._read(value))
            self._store_outputs(self.passes.stores.get(number, ()))
        return result

    def _fold(self, fold: Fold, state: State) -> State:
        """`state` with one more element, or vector of them."""
        b = self.builder
        contribution = [self._read(fold.node.inputs[0])]
        if fold.has_position:
            contribution.append(self.reader.integer(self._fold_position(fold)))
        if self.lanes > 1:
            contribution = [b.splat(var) for var in contribution]
        if b.active is not None and self.inner_is_vector:
            nothing = fold.identity(b, True)
            contribution = [
                b.keep_active(var, other) for var, other in zip(contribution, nothing, strict=True)
            ]
        return fold.combine(b, state, contribution)

    def _fold_position(self, fold: Fold) -> Position:
        (axis,) = (fold.node.attrs["axis"],)
        return self._aligned(fold.node.inputs[0])[axis]


def _flatten(parts: list[list[State]]) -> list[State]:
    return [state for part in parts for state in part]


def _split(states: list[State], width: int) -> list[list[State]]:
    return [states[i : i + width] for i in range(0, len(states), width)] if width else [[]]
