"""Matrix products: register-tiled micro-kernels with the elementwise epilogue on the tile.

C[m, n] = Σ_k A[m, k] B[k, n]. A tile of C, `rows` × `vectors` registers, is kept while k runs
innermost: per step one vector load of B for each of its columns of registers, one scalar of A
broadcast for each of its rows (Goto & van de Geijn 2008, without packing). What the fused body does
with the product is computed on the tile before it is stored. B is read along n, so an operand that
is not contiguous along n is first copied into a panel of scratch memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ...ir.graph import Graph, Node
from ...ir.ops.contraction import free_axes
from ...ir.types import INT64, TensorType
from ..target import Target
from .builder import LoopBuilder
from .division import divide, pieces_wanted
from .language import LANE, Access, Affine, Division, Kernel, Share, Var, index
from .pull import BodyReader, Position, buffer_access, row_major_strides

_FMA_LATENCY = 4
"""Cycles until an accumulator can be used again (Zen 4/5, Golden Cove: 4)."""


_COST_OF_A_REGISTER = 0.003
_FAR_APART = 2048  # bytes between rows of B from which on every row is another page
_READ_OFTEN = 8  # tiles of rows that share a panel
_DEEP = 256  # steps of k
_PER_PIECE = 4  # tiles of rows for which a piece packs a panel that others pack as well
_ENOUGH = 4  # pieces that need not be made more at such a price
_NO_AXIS = -1

Step = Callable[[Affine, Affine, list[Var]], list[Var]]
"""One step of k: offsets into A and B, the accumulators before it; gives those after it."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """One loop of the product: extent, and the step of each operand along it (0: absent)."""

    extent: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class _Matrix:
    """One product inside the batch: offsets of A and B, the outer indices, the panel of B (a
    buffer number) if it is packed, and the rows of a whole tile."""

    left: Affine
    right: Affine
    at: dict[int, Position]
    panel: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows and vectors of accumulators kept in registers."""

    rows: int
    vectors: int


def choose_tile(rows: int, vectors: int, target: Target) -> Tile:
    """The tile with the lowest estimated cycles per step of k for the whole of C.

    Two FMAs and two loads start per cycle; fewer accumulators than latency × 2 leave gaps. Every
    register of every shape of tile is code to be compiled: each counts as some per mille of time.
    """

    def cycles(tile_rows: int, tile_vectors: int) -> float:
        fma = tile_rows * tile_vectors / 2
        loads = (tile_rows + tile_vectors) / 2
        return max(fma, loads, _FMA_LATENCY) + 0.5

    def total(tile: Tile) -> float:
        code = 0
        result = 0.0
        for width, columns in _pieces(vectors, tile.vectors):
            for height, count in _pieces(rows, tile.rows):
                result += columns * count * cycles(height, width)
                code += height * width
        return result * (1 + _COST_OF_A_REGISTER * code)

    options = []
    for width in range(1, min(4, vectors) + 1):
        height = (target.vector_registers - width - 1) // width
        options += [Tile(min(rows, h), width) for h in range(max(1, height // 3), height + 1)]
    return min(options, key=lambda tile: (total(tile), -tile.rows))


def _pieces(extent: int, size: int) -> Iterator[tuple[int, int]]:
    """(size, how many): whole pieces, then the remainder."""
    if extent // size:
        yield size, extent // size
    if extent % size:
        yield extent % size, 1


class MatmulLowering:
    """Lowers one fused body of kind `dot`: the product, then elementwise nodes of its shape."""

    def __init__(self, body: Graph, target: Target) -> None:
        self.body = body
        self.target = target
        self.dot: Node = next(node for node in body.nodes if node.op.name == "dot")
        self.type = self.dot.output.type
        self._read_axes()
        itemsize = max(value.type.dtype.itemsize for value in (*body.inputs, *body.outputs))
        lanes = target.lanes(itemsize)
        while lanes > 1 and lanes // 2 >= self.columns.extent:
            lanes //= 2
        self.lanes = lanes
        self.builder = LoopBuilder(lanes)
        self.reader = BodyReader(body, self.builder)
        self.scratch: list[TensorType] = []
        self.grid: list[Division] = []
        self._column_grid, self._row_grid = len(self.outer), len(self.outer) + 1
        self._symbols = 0

    def _read_axes(self) -> None:
        x, y = self.dot.inputs
        batch, contract = self.dot.attrs["batch"], self.dot.attrs["contract"]
        left, right = row_major_strides(x.type.shape), row_major_strides(y.type.shape)
        free_x = free_axes(x.type.rank, batch[0], contract[0])
        free_y = free_axes(y.type.rank, batch[1], contract[1])
        both = [_Axis(x.type.shape[a], left[a], right[b]) for a, b in zip(*batch, strict=True)]
        rows = [_Axis(x.type.shape[a], left[a], 0) for a in free_x]
        columns = [_Axis(y.type.shape[b], 0, right[b]) for b in free_y]
        self.outer = [*both, *rows[:-1], *columns[:-1]]
        # A vector operand has no free axis: a row or column of extent 1 stands in for it.
        self.rows = rows[-1] if rows else _Axis(1, 0, 0)
        self.columns = columns[-1] if columns else _Axis(1, 0, 0)
        self.row_axis = len(both) + len(rows) - 1 if rows else _NO_AXIS
        self.column_axis = self.type.rank - 1 if columns else _NO_AXIS
        self.outer_axes = [
            a for a in range(self.type.rank) if a not in (self.row_axis, self.column_axis)
        ]
        self.sums = _merge(
            [_Axis(x.type.shape[a], left[a], right[b]) for a, b in zip(*contract, strict=True)]
        )

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    def lower(self) -> Kernel:
        """The kernel."""
        if 0 not in self.type.shape:
            vectors = -(-self.columns.extent // self.lanes)
            self._tile_shape = choose_tile(self.rows.extent, vectors, self.target)
            self._share_out()
            self._walk(0, Affine(), Affine(), {})
        return Kernel(
            "dot",
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            tuple(self.scratch),
            (self.builder.finish_phase(self.grid),),
            tuple(self.builder.sites),
        )

    def _walk(self, depth: int, left: Affine, right: Affine, at: dict[int, Position]) -> None:
        """Loops over batch and extra free axes; one matrix product inside."""
        if depth == len(self.outer):
            self._matrix(left, right, at)
            return
        axis = self.outer[depth]
        symbol = self._symbol("i")
        with self.builder.loop(symbol, 0, axis.extent, share=self._share(depth)):
            step = index(symbol)
            at = {**at, self.outer_axes[depth]: Position(step)}
            self._walk(depth + 1, left + step * axis.left, right + step * axis.right, at)

    # Sharing out among threads

    def _share_out(self) -> None:
        """A grid over the outer axes, then over tiles: first of columns or first of rows.

        A core reads the operand along whose axis the work is shared out in part, the other one
        whole; what another core has written costs time. So the larger operand is shared out. A
        product that contracts leading axes (the gradient of a weight) is shared out as the product
        that the weight is in. And a panel of B serves all tiles of rows.
        """
        tile, vectors = self._tile_shape, -(-self.columns.extent // self.lanes)
        columns = sum(count for _, count in _pieces(vectors, tile.vectors))
        rows = sum(count for _, count in _pieces(self.rows.extent, tile.rows))
        outer = [axis.extent for axis in self.outer]
        wanted = pieces_wanted(self.body, self.target)
        packed = self._panel(tile) is not None
        wide = self.columns.extent >= self.rows.extent or self.rows.left == 1
        if packed or wide:
            most = rows // (_READ_OFTEN if columns >= _ENOUGH else _PER_PIECE) if packed else rows
            *grid, by_columns, by_rows = divide([*outer, columns, most], wanted)
            self.grid = [*grid, by_columns, Division(rows, by_rows.pieces)]
        else:
            self.grid = divide([*outer, rows, columns], wanted)
            self._column_grid, self._row_grid = self._row_grid, self._column_grid

    def _share(self, axis: int, first: int = 0) -> Share | None:
        """The share of a loop along an axis of the grid whose first iteration is unit `first`."""
        return Share(axis, first) if self.grid[axis].pieces > 1 else None

    def _steps(
        self,
        axis: int,
        first: int,
        start: int,
        count: int,
        step: int,
        visit: Callable[[Affine], None],
    ) -> None:
        """`visit` each of `count` tiles from `start` on, which are units `first`, … of the grid."""
        share = self._share(axis, first)
        if count == 0:
            return
        if count > 1:
            symbol = self._symbol("ij"[axis == self._column_grid])
            with self.builder.loop(symbol, start, start + count * step, step, share=share):
                visit(index(symbol))
        elif share is not None:
            with self.builder.loop(self._symbol("u"), 0, 1, share=share):
                visit(Affine((), start))
        else:
            visit(Affine((), start))

    def _matrix(self, left: Affine, right: Affine, at: dict[int, Position]) -> None:
        """One matrix product: tiles of columns outside, so that their panel of B stays in cache."""
        tile = self._tile_shape
        place = _Matrix(left, right, at, self._panel(tile), tile.rows)
        done = unit = 0
        for width, count in _pieces(-(-self.columns.extent // self.lanes), tile.vectors):
            step = width * self.lanes
            # The last piece may end in a partial vector; it is then emitted by itself.
            whole = count - (done + count * step > self.columns.extent)
            tiles = partial(self._row_tiles, place, width)
            for first, number in ((0, whole), (whole, count - whole)):
                start = done + first * step
                self._steps(self._column_grid, unit + first, start, number, step, tiles)
            done += count * step
            unit += count

    def _row_tiles(self, place: _Matrix, width: int, column: Affine) -> None:
        if place.panel is not None:
            self._pack(place, column, width)
        done = unit = 0
        for height, count in _pieces(self.rows.extent, place.rows):
            tile = partial(self._tile, place, Tile(height, width), column)
            self._steps(self._row_grid, unit, done, count, height, tile)
            done += count * height
            unit += count

    def _active(self, column: Affine, vector: int) -> int | None:
        """Lanes of a vector that lie inside C; only constant columns can stick out."""
        if column.terms:
            return None
        left = self.columns.extent - column.const - vector * self.lanes
        return left if left < self.lanes else None

    def _tile(self, place: _Matrix, tile: Tile, column: Affine, row: Affine) -> None:
        b = self.builder
        dtype = self.type.dtype
        zero = b.literal(0, dtype)
        start = [b.splat(zero) if self.lanes > 1 else zero] * (tile.rows * tile.vectors)

        def step(left: Affine, right: Affine, sums: list[Var]) -> list[Var]:
            columns = [self._load_right(place, right, column, v) for v in range(tile.vectors)]
            result = []
            for r in range(tile.rows):
                at = left + (row + r) * self.rows.left
                scalar = b.load(Access(self._buffer(0), at), dtype)
                for v, value in enumerate(columns):
                    args = [scalar, value, sums[r * tile.vectors + v]]
                    result.append(b.compute("multiply_add", args, dtype))
            return result

        first = place.right if place.panel is None else Affine()
        steps = self._panel_steps(tile.vectors) if place.panel is not None else None
        sums = self._sum(0, place.left, first, steps, start, step)
        for r in range(tile.rows):
            for v in range(tile.vectors):
                self._finish(place, row + r, column, v, sums[r * tile.vectors + v])
        b.active = None

    def _sum(
        self,
        depth: int,
        left: Affine,
        right: Affine,
        steps: list[int] | None,
        sums: list[Var],
        step: Step,
    ) -> list[Var]:
        """The loops over the contracted axes, the accumulators carried through."""
        if depth == len(self.sums):
            return step(left, right, sums)
        axis = self.sums[depth]
        if axis.extent == 0:
            return sums
        symbol = self._symbol("k")
        with self.builder.loop(symbol, 0, axis.extent, 1, sums) as frame:
            k = index(symbol)
            along = axis.right if steps is None else steps[depth]
            frame.yields = self._sum(
                depth + 1, left + k * axis.left, right + k * along, steps, frame.values, step
            )
        return frame.results

    def _buffer(self, operand: int) -> int:
        return self.body.inputs.index(self.dot.inputs[operand])

    @property
    def _lane(self) -> Affine:
        return index(LANE) if self.lanes > 1 else Affine()

    def _load_right(self, place: _Matrix, at: Affine, column: Affine, vector: int) -> Var:
        """Register `vector` of one row of B; a panel is padded to whole vectors."""
        b, dtype = self.builder, self.type.dtype
        if place.panel is not None:
            return b.reload(Access(place.panel, at + vector * self.lanes + self._lane), dtype)
        b.active = self._active(column, vector)
        stride = self.columns.right if self.columns.extent > 1 else 0
        at = at + (column + vector * self.lanes + self._lane) * stride
        value = b.load(Access(self._buffer(1), at), dtype)
        b.active = None
        return value

    def _finish(self, place: _Matrix, row: Affine, column: Affine, vector: int, total: Var) -> None:
        """The epilogue for one register of the tile."""
        self.builder.active = self._active(column, vector)
        along = {
            **place.at,
            self.row_axis: Position(row),
            self.column_axis: Position(column + vector * self.lanes + self._lane),
        }
        position = tuple(along[axis] for axis in range(self.type.rank))
        self.reader.forget()
        self.reader.leaves[self.dot.output] = lambda index, guard: total
        # All are read before any is stored: a store may be over an operand of another.
        values = [self.reader.read(output, position) for output in self.body.outputs]
        for number, value in enumerate(values, len(self.body.inputs)):
            type = TensorType(value.dtype, self.type.shape)
            self.builder.store(buffer_access(number, type, position), value)

    # Packing

    def _panel(self, tile: Tile) -> int | None:
        """The buffer for a panel of B, if copying pays: always where B is not contiguous along n,
        else where its rows lie far apart and the panel is read often enough."""
        depth = math.prod(axis.extent for axis in self.sums)
        far = bool(self.sums) and self.sums[-1].right * self.type.dtype.itemsize >= _FAR_APART
        often = self.rows.extent >= _READ_OFTEN * tile.rows and depth >= _DEEP
        strided = self.columns.right != 1 and self.columns.extent > 1
        if not (strided or (far and often)) or not self.sums or not depth:
            return None
        if not self.scratch:
            shape = (depth, tile.vectors * self.lanes)
            self.scratch.append(TensorType(self.type.dtype, shape))
        return len(self.body.inputs) + len(self.body.outputs)

    def _panel_steps(self, width: int) -> list[int]:
        """Elements of the panel from one index of each contracted axis to the next."""
        steps = [width * self.lanes]
        for axis in reversed(self.sums[1:]):
            steps.append(steps[-1] * axis.extent)
        return steps[::-1]

    def _pack(self, place: _Matrix, column: Affine, width: int) -> None:
        """Copy `width` vectors of columns of B; beyond the last column, anything."""
        assert place.panel is not None
        b, steps = self.builder, self._panel_steps(width)

        across = self.columns.right != 1 and self.sums[-1].right == 1 and self.lanes > 1
        copy = self._copy_across if across else self._copy_along

        def walk(depth: int, source: Affine, target: Affine) -> None:
            if depth == len(self.sums) - across:
                copy(place.panel or 0, source, target, column, width)
                return
            symbol = self._symbol("p")
            with b.loop(symbol, 0, self.sums[depth].extent):
                k = index(symbol)
                walk(depth + 1, source + k * self.sums[depth].right, target + k * steps[depth])

        walk(0, place.right, Affine())

    def _copy_along(
        self, panel: int, source: Affine, target: Affine, column: Affine, width: int
    ) -> None:
        """One row of the panel, from columns that may lie apart."""
        b = self.builder
        for v in range(width):
            b.active = self._active(column, v)
            at = source + (column + v * self.lanes + self._lane) * self.columns.right
            value = b.load(Access(self._buffer(1), at), self.type.dtype)
            b.active = None
            b.store(Access(panel, target + v * self.lanes + self._lane), value)

    def _copy_across(
        self, panel: int, source: Affine, target: Affine, column: Affine, width: int
    ) -> None:
        """All rows along the last contracted axis, which is contiguous in B: square blocks of B
        are loaded along it and transposed in registers. The last block overlaps the one before;
        columns beyond the last repeat it."""
        b, lanes, extent = self.builder, self.lanes, self.sums[-1].extent
        ragged = self._active(column, width - 1) is not None
        last = b.literal(self.columns.extent - 1, INT64)
        vector, block = self._symbol("v"), self._symbol("p")
        with b.loop(vector, 0, width * lanes, lanes):
            first = column + index(vector)
            with b.loop(block, 0, extent, lanes):
                k = b.index_value(index(block))
                if extent > lanes:
                    k = b.compute("min", [k, b.literal(extent - lanes, INT64)], INT64)
                b.active = extent if extent < lanes else None
                rows = []
                for n in range(lanes):
                    at, dynamic = source + self._lane, [(k, 1)]
                    if ragged:
                        clamped = b.compute("min", [b.index_value(first + n), last], INT64)
                        dynamic.append((clamped, self.columns.right))
                    else:
                        at = at + (first + n) * self.columns.right
                    access = Access(self._buffer(1), at, tuple(dynamic))
                    rows.append(b.load(access, self.type.dtype))
                b.active = None
                for i, value in enumerate(b.transpose(rows)[:extent]):
                    at = target + index(vector) + i * width * lanes + self._lane
                    b.store(Access(panel, at, ((k, width * lanes),)), value)


def _merge(axes: list[_Axis]) -> list[_Axis]:
    """Contracted axes that both operands walk as one become one."""
    merged: list[_Axis] = []
    for axis in axes:
        if merged:
            last = merged[-1]
            if last.left == axis.left * axis.extent and last.right == axis.right * axis.extent:
                merged[-1] = _Axis(last.extent * axis.extent, axis.left, axis.right)
                continue
        merged.append(axis)
    return merged
