"""Products read where their operands lie: convolutions, and sums along contiguous memory.

A `dot` whose operand shows the windows of an array reads them where they lie: along every loop of
the product an operand moves by a fixed step (`contraction.py`). A tile of the result is kept in
registers while the contracted loops run innermost. The vector loop is a row of the image: along a
result (the forward pass, the gradient of the image) each vector of it is multiplied by scalars of
the kernel; along a contracted row (the gradient of the kernel) both operands are vectors, and the
lanes of an accumulator are added up in the end. What the fused body does with the product is
computed on the tile before it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ...ir.graph import Graph, Node
from ..space import Alignment, derive, product_of
from ..target import Target
from .builder import LoopBuilder
from .contraction import choose_product_tile, pieces, product_loops
from .division import divide, pieces_wanted
from .language import LANE, Affine, Division, Kernel, Share, Var, index
from .operands import product_axes
from .pull import BodyReader, Index, Position, buffer_access

Places = dict[int, Position]
"""The index along every loop."""


_TURNING = 0.45
"""Cycles to pack an element of the right operand that lies across (measured, as all below)."""

_ADDING_UP = 5.0
"""Cycles to add up the lanes of one element of the result."""

_ROWS_IN_CACHE = 11
"""Rows of both operands that a tile reads, and that should fit the first cache …"""

_EFFICIENCY = {True: 0.95, False: 0.6}
"""… part of the peak that is reached when they do, and when they do not."""


def reads_windows(body: Graph) -> bool:
    """Whether a fused body of kind `dot` has operands that lie over one another."""
    return any(node.op.name == "windows" for node in body.nodes)


def sums_along_memory(body: Graph, target: Target) -> bool:
    """Whether the vectors of a product are best taken along its sum.

    Both operands have to be contiguous along it. Then no panel of the right one is packed, but the
    lanes of every element are added up: that pays for long sums and few rows (a small batch times
    the transpose of a weight).
    """
    dot = product_of(body.nodes)
    axes = product_axes(dot)
    if axes.right_is_contiguous or not axes.depth or not axes.columns.extent:
        return False
    if not axes.sums[-1].left == axes.sums[-1].right == 1:
        return False
    itemsize = dot.output.type.dtype.itemsize
    lanes, columns = target.lanes(itemsize), axes.columns.extent
    ideal = axes.rows.extent / (2 * lanes)  # cycles for an element of the right operand
    whole_vectors = -(-columns // lanes) * lanes / columns
    fits = _ROWS_IN_CACHE * axes.depth * itemsize <= target.l1_bytes
    along = ideal / _EFFICIENCY[fits] + _ADDING_UP * axes.rows.extent / axes.depth
    return along < _TURNING + ideal * whole_vectors


class ConvolutionLowering:
    """Lowers one fused body of kind `dot`: the product, then elementwise nodes of its elements."""

    def __init__(self, body: Graph, target: Target) -> None:
        self.body = body
        self.dot: Node = product_of(body.nodes)
        self.type = self.dot.output.type
        self.product = product_loops(body, self.dot)
        itemsize = max(value.type.dtype.itemsize for value in (*body.inputs, *body.outputs))
        self.tile = choose_product_tile(self.product, target.lanes(itemsize), target)
        self.builder = LoopBuilder(self.tile.lanes)
        self.reader = BodyReader(body, self.builder)
        self.space = derive(body)
        self.outer = self._outer_loops()
        tiles = [
            sum(count for _, _, count in _spans(self._extent(loop), size))
            for loop, size in (
                (self.tile.row, self.tile.rows),
                (self.tile.column, self.tile.columns),
            )
        ]
        units = [*(self._extent(loop) for loop in self.outer), *tiles]
        self.grid: Sequence[Division] = divide(units, pieces_wanted(body, target))
        self._symbols = 0

    def _outer_loops(self) -> list[int]:
        """Loops of the result outside of the tiles: those of the larger, held operand first."""
        product, tile = self.product, self.tile
        order = [
            *product.of_result(None),
            *product.of_result(tile.held),
            *product.of_result(1 - tile.held),
        ]
        return [loop for loop in order if loop not in (tile.vector, tile.row, tile.column)]

    def _extent(self, loop: int | None) -> int:
        return 1 if loop is None else self.product.loops[loop].extent

    @property
    def _folds_lanes(self) -> bool:
        """Whether the vector loop is contracted."""
        vector = self.tile.vector
        return vector is not None and self.product.loops[vector].axis is None

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def lower(self) -> Kernel:
        """The kernel."""
        if 0 not in self.type.shape:
            self._walk(0, {})
        return Kernel(
            "dot",
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            (),
            (self.builder.finish_phase(self.grid),),
            tuple(self.builder.sites),
        )

    # Loops of the result

    def _walk(self, depth: int, at: Places) -> None:
        if depth == len(self.outer):
            self._row_tiles(at)
            return
        loop = self.outer[depth]
        if self._extent(loop) == 1:
            self._walk(depth + 1, {**at, loop: Position()})
            return
        symbol = self._symbol("i")
        with self.builder.loop(symbol, 0, self._extent(loop), share=self._share(depth, 0)):
            self._walk(depth + 1, {**at, loop: Position(index(symbol))})

    def _share(self, axis: int, first: int) -> Share | None:
        """The share of a loop along an axis of the grid whose first iteration is unit `first`."""
        return Share(axis, first) if self.grid[axis].pieces > 1 else None

    def _row_tiles(self, at: Places) -> None:
        unit = 0
        for rows, start, count in _spans(self._extent(self.tile.row), self.tile.rows):
            share = self._share(len(self.outer), unit)
            self._steps(start, count, rows, partial(self._column_tiles, at, rows), share)
            unit += count

    def _column_tiles(self, at: Places, rows: int, row: Affine) -> None:
        unit = 0
        for columns, start, count in _spans(self._extent(self.tile.column), self.tile.columns):
            share = self._share(len(self.outer) + 1, unit)
            visit = partial(self._vectors, at, rows, row, columns)
            self._steps(start, count, columns, visit, share)
            unit += count

    def _vectors(self, at: Places, rows: int, row: Affine, columns: int, column: Affine) -> None:
        """The vectors of a row of the result: whole tiles, then the rest with its last vector."""

        def tile(vectors: int, first: Affine) -> None:
            places = [
                {
                    **at,
                    **self._place(self.tile.row, row + r),
                    **self._place(self.tile.column, column + c),
                    **self._place(self.tile.vector, first + self._lane + v * self.tile.lanes),
                }
                for r in range(rows)
                for c in range(columns)
                for v in range(vectors)
            ]
            self._tile(places, self._active(first, vectors))

        if self._folds_lanes or self.tile.vector is None:
            tile(1, Affine())
            return
        lanes, extent = self.tile.lanes, self._extent(self.tile.vector)
        whole = extent // lanes // self.tile.vectors
        step = self.tile.vectors * lanes
        self._steps(0, whole, step, partial(tile, self.tile.vectors))
        rest = -(-(extent - whole * step) // lanes)
        if rest:
            tile(rest, Affine((), whole * step))

    def _place(self, loop: int | None, at: Affine) -> Places:
        return {} if loop is None else {loop: Position(at)}

    @property
    def _lane(self) -> Affine:
        return index(LANE) if self.tile.lanes > 1 else Affine()

    def _active(self, first: Affine, vectors: int) -> list[int | None]:
        """For each vector how many lanes lie inside; None for all of them."""
        lanes, extent = self.tile.lanes, self._extent(self.tile.vector)
        if self._folds_lanes or first.terms:
            return [None] * vectors
        left = [extent - first.const - v * lanes for v in range(vectors)]
        return [count if count < lanes else None for count in left]

    def _steps(
        self,
        start: int,
        count: int,
        step: int,
        visit: Callable[[Affine], None],
        share: Share | None = None,
    ) -> None:
        """`visit` each of `count` tiles from `start` on; pieces may share them out."""
        if count > 1:
            symbol = self._symbol("t")
            with self.builder.loop(symbol, start, start + count * step, step, share=share):
                visit(index(symbol))
        elif count and share is not None:
            with self.builder.loop(self._symbol("u"), 0, 1, share=share):
                visit(Affine((), start))
        elif count:
            visit(Affine((), start))

    # One tile

    def _tile(self, places: list[Places], active: list[int | None]) -> None:
        """All products of a tile: the contracted loops, then what follows the product."""
        b, vectors = self.builder, len(active)
        zero = b.literal(0, self.type.dtype)
        start = [b.splat(zero) if self.tile.lanes > 1 else zero] * len(places)
        loops = [loop for loop in self.product.contracted() if loop != self.tile.vector]
        sums = self._sum(loops, {}, places, active, start)
        for number, (place, total) in enumerate(zip(places, sums, strict=True)):
            if self._folds_lanes:
                total = b.combine_lanes("add", [total])
            b.active = active[number % vectors]
            self._finish(place, total)
        b.active = None

    def _sum(
        self,
        loops: list[int],
        at: Places,
        places: list[Places],
        active: list[int | None],
        sums: list[Var],
    ) -> list[Var]:
        """The loops over the contracted axes, the accumulators carried through."""
        if not loops:
            if self._folds_lanes:
                return self._sum_vectors(at, places, sums)
            return self._step(at, places, active, sums)
        loop, *rest = loops
        if self._extent(loop) == 0:
            return sums
        symbol = self._symbol("k")
        with self.builder.loop(symbol, 0, self._extent(loop), 1, sums) as frame:
            inner = {**at, loop: Position(index(symbol))}
            frame.yields = self._sum(rest, inner, places, active, frame.values)
        return frame.results

    def _sum_vectors(self, at: Places, places: list[Places], sums: list[Var]) -> list[Var]:
        """The contracted vector loop: whole vectors, then the last lanes."""
        vector, lanes = self.tile.vector, self.tile.lanes
        assert vector is not None
        extent = self._extent(vector)
        whole = extent - extent % lanes
        if whole > lanes:
            symbol = self._symbol("k")
            with self.builder.loop(symbol, 0, whole, lanes, sums) as frame:
                inner = {**at, vector: Position(index(symbol) + self._lane)}
                frame.yields = self._step(inner, places, [None], frame.values)
            sums = frame.results
        elif whole:
            sums = self._step({**at, vector: Position(self._lane)}, places, [None], sums)
        if extent > whole:
            last = {**at, vector: Position(self._lane + whole)}
            sums = self._step(last, places, [extent - whole], sums)
        return sums

    def _step(
        self, at: Places, places: list[Places], active: list[int | None], sums: list[Var]
    ) -> list[Var]:
        """One multiply-add for each accumulator; what two of them read is loaded once."""
        b, result = self.builder, []
        for number, (place, total) in enumerate(zip(places, sums, strict=True)):
            b.active = active[number % len(active)]
            here = {**place, **at}
            left, right = (
                self.reader.read(value, tuple(here[loop] for loop in loops))
                for value, loops in zip(self.dot.inputs, self.product.axes, strict=True)
            )
            result.append(b.compute("multiply_add", [left, right, total], self.type.dtype))
        b.active = None
        return result

    def _finish(self, place: Places, total: Var) -> None:
        """The epilogue for one register (or element) of the tile."""
        self.reader.forget()
        self.reader.leaves[self.dot.output] = lambda index, guard: total
        along = self.space.alignment[self.dot.output]
        at: Places = {axis: place[loop] for loop, axis in enumerate(along) if axis is not None}
        # All are read before any is stored: a store may be over an operand of another.
        indices = [self._index(at, self.space.alignment[v]) for v in self.body.outputs]
        values = [
            self.reader.read(output, place)
            for output, place in zip(self.body.outputs, indices, strict=True)
        ]
        for number, (value, where) in enumerate(
            zip(values, indices, strict=True), len(self.body.inputs)
        ):
            type = self.body.outputs[number - len(self.body.inputs)].type
            self.builder.store(buffer_access(number, type, where), value)

    def _index(self, at: Places, alignment: Alignment) -> Index:
        return tuple(Position() if axis is None else at[axis] for axis in alignment)


def _spans(extent: int, size: int) -> list[tuple[int, int, int]]:
    """(size, start, how many): whole pieces, then the remainder."""
    found, start = [], 0
    for length, count in pieces(extent, size):
        found.append((length, start, count))
        start += length * count
    return found
