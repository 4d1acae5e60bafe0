"""Matrix products: the loops around the register tiles, and how threads share them.

C[m, n] = Σ_k A[m, k] B[k, n]. A tile of C, `rows` × `vectors` registers, is kept while k runs
innermost: per step one vector load of B for each of its columns of registers, one scalar of A
broadcast for each of its rows (Goto & van de Geijn 2008; A is not packed, because its scalars are
read one by one). B is read along n: from memory where it lies well, else from a packed panel
(`panels.py`). Around the tiles of rows run the columns, around these blocks of rows whose part of A
stays in the last cache (`tiles.py`). Where a panel would take too much of the second one, k runs in
blocks as well (the KC loop of Van Zee & van de Geijn 2015), and sums are kept in scratch memory
between them.
What the fused body does with the product is computed on the tile before it is stored
(`micro_kernel.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...ir.graph import Graph, Node
from ...ir.types import TensorType
from ..sharing import is_tall
from ..space import product_of
from ..target import Target
from .builder import LoopBuilder
from .division import divide, pieces_wanted
from .language import Affine, Bound, Division, Kernel, Share, index
from .micro_kernel import Matrix, MicroKernel, Place, Source, has_long_epilogue
from .operands import OperandReader, product_axes
from .panels import RightOperand, Span, whole
from .pull import Position
from .tile_folds import TileFolds
from .tiles import Extents, Tile, choose_tile, cut_rows, pieces

_FAR_APART = 2048  # bytes between rows of B from which on every row is another page
_READ_OFTEN = 4  # tiles of rows that share a panel, where it is packed only for their sake
_DEEP = 256  # steps of k from which on that pays
_ROWS_PER_PIECE = 128  # for which a piece packs a panel that others pack as well …
_ROWS_PER_TURN = 256  # … and for which it transposes one
_SETS_BYTES = 4096  # apart, lines share a set of the first cache …
_ROWS_IN_A_SET = 8  # … which has room for so many
_ENOUGH = 4  # tiles of columns; with fewer, pieces may have a quarter of the rows


def has_prologue(body: Graph) -> bool:
    """Whether an operand of the product is computed in its kernel."""
    return any(operand not in body.inputs for operand in product_of(body.nodes).inputs)


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows from `start` on: `tiles` whole tiles and `rest` rows; tile `number` is the first."""

    start: Affine
    tiles: int
    rest: int
    number: Affine


class MatmulLowering:
    """Lowers one fused body of kind `dot`: the product, then elementwise nodes of its shape."""

    def __init__(self, body: Graph, target: Target) -> None:
        self.body = body
        self.target = target
        self.dot: Node = product_of(body.nodes)
        self.type = self.dot.output.type
        self.axes = product_axes(self.dot)
        itemsize = max(value.type.dtype.itemsize for value in (*body.inputs, *body.outputs))
        lanes = target.lanes(itemsize)
        while lanes > 1 and lanes // 2 >= self.axes.columns.extent:
            lanes //= 2
        self.lanes = lanes
        self.vectors = -(-self.axes.columns.extent // lanes)
        self.builder = LoopBuilder(lanes)
        self.scratch: list[TensorType] = []
        self.grid: list[Division] = []
        self.folds = TileFolds(body, self.axes, self.builder)
        self._column_grid, self._row_grid = len(self.axes.outer), len(self.axes.outer) + 1
        self._symbols = 0

    def lower(self) -> Kernel:
        """The kernel."""
        if 0 not in self.type.shape:
            self._plan()
            self._walk(0, Affine(), Affine(), {})
        kernel = Kernel(
            "dot",
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            tuple(self.scratch),
            (self.builder.finish_phase(self.grid),),
            tuple(self.builder.sites),
        )
        return self.folds.finished(kernel, self.target)

    def _symbol(self, letter: str) -> str:
        self._symbols += 1
        return f"{letter}{self._symbols - 1}"

    # What is decided before any loop is made

    def _plan(self) -> None:
        axes, body = self.axes, self.body
        stride = axes.rows.left * self.type.dtype.itemsize
        most = _ROWS_IN_A_SET if stride and stride % _SETS_BYTES == 0 else axes.rows.extent
        self.wanted = pieces_wanted(body, self.target)
        wide = axes.columns.extent >= axes.rows.extent
        gradient = axes.rows.left == 1 and not is_tall(axes.rows.extent, axes.columns.extent)
        self.columns_first = wide or gradient or not axes.right_is_contiguous
        # Then every piece is to have columns of its own.
        divided = self.wanted > 1 and self.columns_first
        widest = -(-self.vectors // 2) if divided else self.vectors
        self.tile = choose_tile(
            Extents(axes.rows.extent, axes.columns.extent, axes.depth),
            self.lanes,
            self.target,
            most=Tile(most, widest),
        )
        packs = self._packs()
        self.span = self._steps_of_a_block() if packs else axes.depth
        self.splits = self.span < axes.depth
        self._cut(packs)
        panel = self._new_scratch(self.span) if packs else None
        source = OperandReader(body, self.builder, self.dot.inputs[1])
        self.right = RightOperand(self.builder, axes, source, panel, self.type.dtype)
        kept = None
        if self.splits:
            tiles = max(self.rows.tiles, self.rows.last_tiles + 1)
            kept = self._new_scratch(tiles * self.tile.rows)
        elif has_long_epilogue(body, self.type):
            kept = self._new_scratch(self.tile.rows)
        first = len(body.inputs) + len(body.outputs) + len(self.scratch)
        self.scratch += self.folds.reserve(self._tiles_in_all(), first)
        self.micro = MicroKernel(body, self.dot, axes, self.builder, self.right, kept, self.folds)

    def _tiles_in_all(self) -> int:
        """How often an epilogue runs down the rows; with blocks of k for whole blocks of rows."""
        rows = self.rows
        if self.splits:
            return rows.units
        return rows.blocks * rows.tiles + rows.last_tiles + bool(rows.rest)

    def _new_scratch(self, rows: int) -> int:
        """The number of a new scratch buffer, as wide as a tile."""
        shape = (rows, self.tile.vectors * self.lanes)
        self.scratch.append(TensorType(self.type.dtype, shape))
        return len(self.body.inputs) + len(self.body.outputs) + len(self.scratch) - 1

    def _packs(self) -> bool:
        """Whether panels of B pay: always where B is not contiguous along n, or has a prologue that
        would run again; else where its rows lie far apart and the panel is read often enough."""
        axes = self.axes
        if not axes.depth or not axes.sums:
            return False
        far = axes.sums[-1].right * self.type.dtype.itemsize >= _FAR_APART
        often = axes.rows.extent >= _READ_OFTEN * self.tile.rows and axes.depth >= _DEEP
        again = axes.rows.extent > self.tile.rows and self.dot.inputs[1] not in self.body.inputs
        return not axes.right_is_contiguous or again or (far and often)

    def _steps_of_a_block(self) -> int:
        """Of k: all, if their panel takes at most a quarter of the second cache."""
        depth = self.axes.depth
        step = self.tile.vectors * self.lanes * self.type.dtype.itemsize
        most = self.target.l2_bytes // 4 // step
        if depth <= most or len(self.axes.sums) > 1:
            return depth
        # Blocks of whole vectors, of which the last has at least one: panels are packed so.
        blocks = -(-depth // max(1, most // 2))
        size = -(-depth // (blocks * self.lanes)) * self.lanes
        while 0 < depth % size < self.lanes:
            size += self.lanes
        return size

    def _cut(self, packs: bool) -> None:
        """Blocks of rows, and a grid over the outer axes, then over columns and rows.

        A core reads the operand along whose axis the work is shared out in part, the other one
        whole; what another core has written costs time. So the larger operand is shared out. A
        product that contracts leading axes (the gradient of a weight) is shared out as the weight
        is (`sharing.py`). And a panel of B serves all tiles of rows.
        """
        axes, tile = self.axes, self.tile
        columns = sum(count for _, count in pieces(self.vectors, tile.vectors))
        tiles = -(-axes.rows.extent // tile.rows)
        outer = [axis.extent for axis in axes.outer]
        wanted = self.wanted
        most = self._tiles_of_a_block() if columns > 1 else tiles
        rows_per_piece = _ROWS_PER_PIECE if axes.right_is_contiguous else _ROWS_PER_TURN
        rows_per_piece //= 1 if math.prod(outer) * columns >= _ENOUGH else 4
        in_blocks = self.splits or (packs and axes.right_is_contiguous)
        if in_blocks or tiles > most:
            by_rows = -(-wanted // (math.prod(outer) * columns))
            most = min(most, max(-(-rows_per_piece // tile.rows), -(-tiles // by_rows)))
        self.rows = cut_rows(axes.rows.extent, tile.rows, most)
        self.shares_tiles = not (self.rows.blocks or in_blocks)
        units = largest = tiles if self.shares_tiles else self.rows.units
        if packs and self.shares_tiles:
            largest = axes.rows.extent // rows_per_piece
        if packs or self.columns_first:
            *grid, by_columns, rows = divide([*outer, columns, largest], wanted)
            self.grid = [*grid, by_columns, Division(units, rows.pieces)]
        else:
            self.grid = divide([*outer, units, columns], wanted)
            self._column_grid, self._row_grid = self._row_grid, self._column_grid

    def _tiles_of_a_block(self) -> int:
        """Tiles of rows whose part of A takes no more than the last cache."""
        row = max(1, self.axes.depth) * self.type.dtype.itemsize
        return max(_READ_OFTEN, self.target.l3_bytes // (row * self.tile.rows))

    # Loops

    def _share(self, axis: int, first: int = 0) -> Share | None:
        """The share of a loop along an axis of the grid whose first iteration is unit `first`."""
        return Share(axis, first) if self.grid[axis].pieces > 1 else None

    def _steps(
        self,
        share: Share | None,
        start: Affine,
        count: int,
        step: int,
        visit: Callable[[Affine, Affine], None],
    ) -> None:
        """`visit` each of `count` places from `start` on, which are numbered; pieces may share
        them out."""
        if count > 1:
            symbol = self._symbol("i")
            with self.builder.loop(symbol, 0, count, share=share):
                visit(start + index(symbol) * step, index(symbol))
        elif count and share is not None:
            with self.builder.loop(self._symbol("u"), 0, 1, share=share):
                visit(start, Affine())
        elif count:
            visit(start, Affine())

    def _walk(self, depth: int, left: Affine, right: Affine, at: dict[int, Position]) -> None:
        """Loops over batch and extra free axes; one matrix product inside."""
        if depth == len(self.axes.outer):
            self._blocks(Matrix(left, right, at))
            return
        axis = self.axes.outer[depth]
        symbol = self._symbol("i")
        with self.builder.loop(symbol, 0, axis.extent, share=self._share(depth)):
            step = index(symbol)
            at = {**at, self.axes.outer_axes[depth]: Position(step)}
            self._walk(depth + 1, left + step * axis.left, right + step * axis.right, at)

    def _blocks(self, matrix: Matrix) -> None:
        """Blocks of rows outside: their part of A stays in cache while all of B goes by."""
        rows, size = self.rows, self.rows.tiles * self.rows.height
        if self.shares_tiles:
            self._columns(matrix, _Part(Affine(), rows.last_tiles, rows.rest, Affine()))
            return
        tiles = 1 if self.splits else rows.tiles
        share = partial(self._share, self._row_grid)
        self._steps(
            share(),
            Affine(),
            rows.blocks,
            size,
            lambda start, n: self._columns(matrix, _Part(start, rows.tiles, 0, n * tiles)),
        )
        self._steps(
            share(rows.blocks),
            Affine((), rows.blocks * size),
            rows.units - rows.blocks,
            size,
            lambda start, n: self._columns(
                matrix, _Part(start, rows.last_tiles, rows.rest, (n + rows.blocks) * tiles)
            ),
        )

    def _columns(self, matrix: Matrix, part: _Part) -> None:
        """Tiles of columns, so that their panel of B stays in cache."""
        extent = self.axes.columns.extent
        done = unit = 0
        for width, count in pieces(self.vectors, self.tile.vectors):
            step = width * self.lanes
            # The last piece may end in a partial vector; it is then emitted by itself.
            full = count - (done + count * step > extent)
            column = partial(self._column, matrix, part, width)
            for first, number in ((0, full), (full, count - full)):
                share = self._share(self._column_grid, unit + first)
                self._steps(share, Affine((), done + first * step), number, step, column)
            done += count * step
            unit += count

    def _column(
        self, matrix: Matrix, part: _Part, width: int, column: Affine, number: Affine
    ) -> None:
        """All rows of a part in one tile of columns."""
        if not self.splits:
            self._row_tiles(matrix, part, width, column, None)
            return
        rows = Tile(part.tiles * self.rows.height + part.rest, width)
        self.micro.clear(rows.rows, width)
        symbol, depth = self._symbol("d"), self.axes.depth
        with self.builder.loop(symbol, 0, depth, self.span):
            span = Span(index(symbol), Bound(index(symbol) + self.span, depth))
            self._row_tiles(matrix, part, width, column, span)
        place = Place(matrix, column, part.start, part.number, Affine(), None)
        self.micro.finish_rows(rows, place)

    def _row_tiles(
        self, matrix: Matrix, part: _Part, width: int, column: Affine, span: Span | None
    ) -> None:
        """The panel of B and all tiles of rows; `span` is a block of k, None for all of it."""
        height, start, tiles, first = self.rows.height, part.start, part.tiles, part.number

        def visit(rows: int, source: Source, row: Affine, number: Affine) -> None:
            kept_row = Affine() if span is None else row + part.start * -1
            place = Place(matrix, column, row, number + first, kept_row, span)
            self.micro.tile(Tile(rows, width), place, source)

        source = Source.MEMORY
        if self.right.is_packed and not self.axes.right_is_contiguous:
            steps = span or whole(self.axes.sums[0].extent)
            self.right.pack(matrix.right, steps, column, width)
            source = Source.PANEL
        elif self.right.is_packed and tiles + bool(part.rest) > 1:
            visit(height, Source.PACKING, start, Affine())
            start, tiles, first = start + height, tiles - 1, first + 1
            source = Source.PANEL
        share = partial(self._share, self._row_grid) if self.shares_tiles else lambda first: None
        self._steps(share(0), start, tiles, height, partial(visit, height, source))
        start, first = start + tiles * height, first + tiles
        rest = partial(visit, part.rest, source)
        self._steps(share(part.tiles), start, bool(part.rest), height, rest)
