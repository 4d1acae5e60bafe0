"""Kernels over one iteration space: elementwise trees, reductions, and programs over rows.

The outer axes are walked once; for each of their points (a row) the kernel makes as many passes
over the inner, reduced axes as reductions depend on one another: softmax is a pass for the
maximum, one for the sum, one for the result, while the row is in cache. The last axis of the space
is the vector axis, whether it is an outer or an inner one. An expensive value that several passes
need is kept in a row buffer; a cheap one is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...ir.graph import Graph, Node, Value
from ...ir.ops import Family
from ...ir.types import TensorType
from ..space import Alignment, Space, derive
from ..target import Target
from .builder import LoopBuilder
from .collapse import collapse_axes
from .folds import Fold, State, combine_pairwise
from .language import LANE, Affine, Bound, Kernel, Var, index
from .pull import BodyReader, Index, Leaf, Position, buffer_access

EXPENSIVE = 8
"""From this `Op.cost` on, a value is kept in a row buffer rather than computed twice."""

_BLOCK = 8
"""Partial sums are combined in a tree of this arity, so that rounding errors stay logarithmic
(Higham, Accuracy and Stability of Numerical Algorithms, §4.2)."""

_POSITIONAL = frozenset(["gather", "iota", "argmax", "argmin", "pad", "concatenate", "update"])


def vector_lanes(body: Graph, extent: int, target: Target) -> int:
    """Elements per vector: what the widest element type allows, no more than the row needs."""
    values = [*body.inputs, *(v for node in body.nodes for v in node.outputs)]
    itemsize = max(value.type.dtype.itemsize for value in values)
    if any(node.op.name in _POSITIONAL for node in body.nodes):
        itemsize = 8
    lanes = min(target.lanes(itemsize), 16)
    while lanes > 1 and lanes // 2 >= extent:
        lanes //= 2
    return lanes


class _Passes:
    """Which reductions, stores and row buffers belong to which pass over the inner axes."""

    def __init__(self, body: Graph, space: Space) -> None:
        level: dict[Value, int] = {value: 0 for value in body.inputs}
        self.folds: dict[int, list[Fold]] = {}
        for node in body.nodes:
            depth = max((level[value] for value in node.inputs), default=0)
            if node.op.family is Family.REDUCTION:
                self.folds.setdefault(depth, []).append(Fold(node))
                depth += 1
            level[node.output] = depth
        self.count = len(self.folds)
        self.stores: dict[int, list[Value]] = {}
        self.outer: list[Value] = []
        for value in dict.fromkeys(body.outputs):
            alignment = space.alignment.get(value, ())
            if self.count and space.is_outer(alignment):
                self.outer.append(value)
            else:
                self.stores.setdefault(level[value], []).append(value)
        self.nodes: dict[int, list[Node]] = {}
        self.kept: dict[int, list[Value]] = {}
        self._choose_kept(body)

    def numbers(self) -> range:
        """The passes, the last one only for stores."""
        return range(self.count + (self.count in self.stores))

    def _roots(self, number: int) -> list[Value]:
        folded = [fold.node.inputs[0] for fold in self.folds.get(number, ())]
        return folded + self.stores.get(number, [])

    def _choose_kept(self, body: Graph) -> None:
        producers = body.producers()
        first: dict[Value, int] = {}
        for number in self.numbers():
            pending, seen = self._roots(number), set[Value]()
            while pending:
                value = pending.pop()
                node = producers.get(value)
                if node is None or value in seen or node.op.family is Family.REDUCTION:
                    continue
                seen.add(value)
                if first.get(value, number) < number:
                    kept = self.kept.setdefault(first[value], [])
                    if value not in kept:
                        kept.append(value)
                    continue
                if node.op.cost >= EXPENSIVE:
                    first[value] = number
                self.nodes.setdefault(number, []).append(node)
                pending.extend(node.inputs)

    def cost(self, number: int) -> int:
        """Arithmetic per element of a pass."""
        return sum(node.op.cost for node in self.nodes.get(number, ()))


class RowLowering:
    """Lowers one fused body of kind `map` or `rows`."""

    def __init__(self, kind: str, body: Graph, target: Target) -> None:
        self.kind = kind
        self.body = collapse_axes(body)
        self.space = derive(self.body)
        extents = self.space.extents
        self.vector_axis = len(extents) - 1
        self.lanes = vector_lanes(self.body, extents[-1] if extents else 1, target)
        self.builder = LoopBuilder(self.lanes)
        self.reader = BodyReader(self.body, self.builder)
        self.passes = _Passes(self.body, self.space)
        self.position: dict[int, Position] = {}
        self.scratch: list[TensorType] = []
        self.scratch_of: dict[Value, int] = {}
        self._symbols = 0

    @property
    def inner_is_vector(self) -> bool:
        """Whether the vector axis is one of the reduced ones."""
        return self.vector_axis in self.space.reduced

    def lower(self) -> Kernel:
        """The kernel; nothing is even read for a space without elements to write."""
        if all(self.space.extents[axis] for axis in self.space.outer):
            self._walk_outer(self.space.outer)
        return Kernel(
            self.kind,
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            tuple(self.scratch),
            tuple(self.builder.statements),
            tuple(self.builder.sites),
        )

    # Walking the space

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def _walk_outer(self, axes: tuple[int, ...]) -> None:
        if not axes:
            self._row()
            return
        axis, rest = axes[0], axes[1:]
        extent = self.space.extents[axis]
        if axis == self.vector_axis:
            self._walk_vectors(axis, lambda: self._walk_outer(rest))
        elif extent == 1:
            self.position[axis] = Position()
            self._walk_outer(rest)
        else:
            symbol = self._symbol("i")
            with self.builder.loop(symbol, 0, extent):
                self.position[axis] = Position(index(symbol))
                self._walk_outer(rest)

    def _walk_vectors(self, axis: int, visit: Callable[[], None]) -> None:
        """All elements along the vector axis: whole vectors in a loop, then the partial one."""
        extent, lanes = self.space.extents[axis], self.lanes
        lane = index(LANE) if lanes > 1 else Affine()
        whole = extent - extent % lanes
        if whole == lanes:
            self.position[axis] = Position(lane)
            visit()
        elif whole:
            symbol = self._symbol("j")
            with self.builder.loop(symbol, 0, whole, lanes):
                self.position[axis] = Position(index(symbol) + lane)
                visit()
        if extent % lanes:
            self.builder.active = extent % lanes
            self.position[axis] = Position(lane + whole)
            visit()
            self.builder.active = None

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
        self.reader.forget()
        overridden = []
        for number in self.passes.numbers():
            folds = self.passes.folds.get(number, [])
            states = self._fold_pass(number, folds)
            for fold, state in zip(folds, states, strict=True):
                result = fold.finish(self.builder, state) if self.inner_is_vector else state[-1]
                self._override(fold.node.output, _finished(result))
                overridden.append(fold.node.output)
            for value in self.passes.kept.get(number, ()):
                self._override(value, self._reload_leaf(value))
                overridden.append(value)
        self._store_outputs(self.passes.outer)
        for value in overridden:
            del self.reader.leaves[value]

    def _override(self, value: Value, leaf: Leaf) -> None:
        self.reader.leaves[value] = leaf

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
                shape = (*shape, self.lanes)
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
            index_ = (*index_, Position(index(LANE) if self.lanes > 1 else Affine()))
        return number, type, index_

    def _reload_leaf(self, value: Value) -> Leaf:
        def leaf(_: Index, guard: Var | None) -> Var:
            number, type, place = self._kept_index(value)
            return self.builder.reload(buffer_access(number, type, place), type.dtype)

        return leaf

    # One pass over the inner axes

    def _fold_pass(self, number: int, folds: list[Fold]) -> list[State]:
        vector = self.lanes > 1
        inner = self.space.inner
        if any(self.space.extents[a] == 0 for a in inner):
            return [[self.builder.literal(fold.empty, fold.dtype)] for fold in folds]
        start = [fold.identity(self.builder, vector) for fold in folds]
        return self._walk_inner(number, folds, inner, start)

    def _walk_inner(
        self, number: int, folds: list[Fold], axes: tuple[int, ...], states: list[State]
    ) -> list[State]:
        if not axes:
            return self._visit(number, folds, states)
        axis, rest = axes[0], axes[1:]
        if not rest:
            return self._walk_last(number, folds, axis, states)
        symbol = self._symbol("k")
        with self._fold_loop(symbol, 0, self.space.extents[axis], 1, folds, states) as frame:
            self.position[axis] = Position(index(symbol))
            start = [fold.identity(self.builder, self.lanes > 1) for fold in folds]
            partial = self._walk_inner(number, folds, rest, start)
            frame.join(partial)
        return frame.results

    def _fold_loop(
        self,
        symbol: str,
        start: Affine | int,
        stop: Bound | int,
        step: int,
        folds: list[Fold],
        states: list[State],
    ) -> _FoldLoop:
        return _FoldLoop(self.builder, symbol, start, stop, step, folds, states)

    def _walk_last(
        self, number: int, folds: list[Fold], axis: int, states: list[State]
    ) -> list[State]:
        """The innermost reduced axis: unrolled chunks in a tree of loops, then what is left."""
        extent = self.space.extents[axis]
        unit = self.lanes if self.inner_is_vector else 1
        lane = index(LANE) if self.inner_is_vector and self.lanes > 1 else Affine()
        unroll = self._unroll(number, folds, extent // unit)
        chunks = extent // (unit * unroll)

        def chunk(at: Affine, accumulators: list[list[State]]) -> list[list[State]]:
            result = []
            for u, current in enumerate(accumulators):
                self.position[axis] = Position(at * (unit * unroll) + (lane + u * unit))
                result.append(self._visit(number, folds, current))
            return result

        vector = self.lanes > 1
        parts = [
            states if u == 0 else [fold.identity(self.builder, vector) for fold in folds]
            for u in range(unroll)
        ]
        if chunks:
            parts = self._tree(folds, chunks, parts, chunk)
        done = chunks * unit * unroll
        whole = (extent - done) // unit * unit
        if whole:
            symbol = self._symbol("k")
            with self._fold_loop(symbol, done, done + whole, unit, folds, parts[0]) as frame:
                self.position[axis] = Position(index(symbol) + lane)
                frame.replace(self._visit(number, folds, frame.values))
            parts[0] = frame.results
        if extent - done - whole:
            self.builder.active = extent - done - whole
            self.position[axis] = Position(lane + (done + whole))
            parts[0] = self._visit(number, folds, parts[0])
            self.builder.active = None
        by_fold = zip(*parts, strict=True)
        return [
            combine_pairwise(self.builder, fold, column)
            for fold, column in zip(folds, by_fold, strict=True)
        ]

    def _unroll(self, number: int, folds: list[Fold], units: int) -> int:
        """Independent accumulators: enough to hide an addition's latency, fewer for long bodies."""
        if not folds:
            return 1
        cost = self.passes.cost(number)
        unroll = 8 if cost <= 4 else 4 if cost <= 16 else 2
        while unroll > 1 and units < 2 * unroll:
            unroll //= 2
        return unroll

    def _tree(
        self,
        folds: list[Fold],
        count: int,
        parts: list[list[State]],
        chunk: Callable[[Affine, list[list[State]]], list[list[State]]],
    ) -> list[list[State]]:
        """Chunks 0 … count - 1, in nested blocks so that no chain of additions is long."""
        size = 1
        while size * 2 * _BLOCK < count:
            size *= _BLOCK

        def level(
            start: Affine | int, stop: Bound | int, size: int, current: list[list[State]]
        ) -> list[list[State]]:
            flat = [state for part in current for state in part]
            repeated = folds * len(current)
            symbol = self._symbol("c")
            loop = self._fold_loop(symbol, start, stop, size, repeated, flat)
            with loop as frame:
                if size == 1:
                    frame.replace(_flatten(chunk(index(symbol), _split(frame.values, len(folds)))))
                else:
                    fresh = [
                        [fold.identity(self.builder, self.lanes > 1) for fold in folds]
                        for _ in current
                    ]
                    end = Bound(index(symbol) + size, count)
                    frame.join(_flatten(level(index(symbol), end, size // _BLOCK, fresh)))
            return _split(frame.results, len(folds))

        return level(0, count, size, parts)

    def _visit(self, number: int, folds: list[Fold], states: list[State]) -> list[State]:
        """One point (or vector) of the inner axes: fold, keep, store."""
        b = self.builder
        result = []
        for fold, state in zip(folds, states, strict=True):
            contribution = [self._read(fold.node.inputs[0])]
            if fold.has_position:
                contribution.append(self.reader.integer(self._fold_position(fold)))
            if self.lanes > 1:
                contribution = [b.splat(var) for var in contribution]
            if b.active is not None and self.inner_is_vector:
                nothing = fold.identity(b, True)
                contribution = [
                    b.keep_active(var, other)
                    for var, other in zip(contribution, nothing, strict=True)
                ]
            result.append(fold.combine(b, state, contribution))
        for value in self.passes.kept.get(number, ()):
            if value not in self.body.outputs:
                place, type, at = self._kept_index(value)
                b.store(buffer_access(place, type, at), self._read(value))
        self._store_outputs(self.passes.stores.get(number, ()))
        return result

    def _fold_position(self, fold: Fold) -> Position:
        (axis,) = (fold.node.attrs["axis"],)
        return self._aligned(fold.node.inputs[0])[axis]


def _finished(result: Var) -> Leaf:
    """A leaf that is the same wherever it is read."""
    return lambda index, guard: result


class _FoldLoop:
    """A loop that carries fold states; `join` combines with the carried, `replace` sets them."""

    def __init__(
        self,
        builder: LoopBuilder,
        symbol: str,
        start: Affine | int,
        stop: Bound | int,
        step: int,
        folds: Iterable[Fold],
        states: list[State],
    ) -> None:
        self._builder = builder
        self._folds = list(folds)
        self._sizes = [len(state) for state in states]
        flat = [var for state in states for var in state]
        self._context = builder.loop(symbol, start, stop, step, flat)

    def __enter__(self) -> _FoldLoop:
        self._frame = self._context.__enter__()
        self.values = self._grouped(self._frame.values)
        self.results = self._grouped(self._frame.results)
        return self

    def __exit__(self, *exc: object) -> None:
        self._context.__exit__(None, None, None)

    def _grouped(self, flat: list[Var]) -> list[State]:
        source = iter(flat)
        return [[next(source) for _ in range(size)] for size in self._sizes]

    def replace(self, states: list[State]) -> None:
        """The states for the next iteration."""
        self._frame.yields = [var for state in states for var in state]

    def join(self, partial: list[State]) -> None:
        """The next states: the carried ones with `partial` folded in."""
        self.replace(
            [
                fold.combine(self._builder, old, new)
                for fold, old, new in zip(self._folds, self.values, partial, strict=True)
            ]
        )


def _flatten(parts: list[list[State]]) -> list[State]:
    return [state for part in parts for state in part]


def _split(states: list[State], width: int) -> list[list[State]]:
    return [states[i : i + width] for i in range(0, len(states), width)] if width else [[]]
