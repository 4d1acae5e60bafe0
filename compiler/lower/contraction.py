"""The loops of a product whose operands are read through views, and how to tile them.

Every axis of the result and every contracted pair of axes is a loop. Along each, an operand moves
through memory by a fixed step, or not at all. One loop is the vector loop; one loop of each operand
is unrolled, so that what is loaded from one operand serves several elements of the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...ir.graph import Graph, Node, Value
from ...ir.ops.contraction import free_axes
from ..target import Target
from .builder import LoopBuilder
from .language import Affine, Var, index
from .pull import BodyReader, Index, Leaf, Position, buffer_access

Tiling = tuple[float, "ProductTile"]

_FMA_LATENCY = 4
"""Cycles until an accumulator can be used again (Zen 4/5, Golden Cove: 4)."""

_MOST_VECTORS = 4
_MOST_HELD = 7
"""Vectors of one row in a tile, and of one operand in all: no more than leaves room for as many
accumulators on a machine of 16 registers."""

_STREAM_CYCLES = 2.5
"""Of a vector from the second cache, in long runs."""

_COST_OF_A_REGISTER = 0.002
"""Every register of every shape of tile is code to be compiled: some per mille of time."""


@dataclass(frozen=True, slots=True)
class ProductLoop:
    """`steps[side]` is the distance in memory between neighbours of operand `side` along the loop;
    None where the operand does not have it. `axis` is the axis of the result, None if contracted.
    """

    extent: int
    steps: tuple[int | None, int | None]
    axis: int | None

    def side(self) -> int | None:
        """The only operand that has this loop; None where both have it."""
        if self.steps[0] is None:
            return 1
        return 0 if self.steps[1] is None else None


@dataclass(frozen=True, slots=True)
class ProductLoops:
    """All loops: those of the result in its order, then the contracted ones. `axes[side]` has the
    loop of each axis of an operand."""

    loops: tuple[ProductLoop, ...]
    axes: tuple[tuple[int, ...], tuple[int, ...]]

    def of_result(self, side: int | None) -> list[int]:
        """The loops of the result that only operand `side` has (None: that both have)."""
        return [
            number
            for number, loop in enumerate(self.loops)
            if loop.axis is not None and loop.side() == side
        ]

    def contracted(self) -> list[int]:
        """The loops that are summed over."""
        return [number for number, loop in enumerate(self.loops) if loop.axis is None]


def product_loops(body: Graph, dot: Node) -> ProductLoops:
    """The loops of `dot`, with the steps of its operands through the views of `body`."""
    (batch_x, batch_y), (sums_x, sums_y) = dot.attrs["batch"], dot.attrs["contract"]
    x, y = dot.inputs
    free_x = free_axes(x.type.rank, batch_x, sums_x)
    free_y = free_axes(y.type.rank, batch_y, sums_y)
    rank = dot.output.type.rank
    order_x = [*batch_x, *free_x, *sums_x]
    order_y = [*batch_y, *free_y, *sums_y]
    middle = len(batch_x) + len(free_x)
    contracted = range(rank, rank + len(sums_x))
    loop_x = dict(zip(order_x, [*range(middle), *contracted], strict=True))
    loop_y = dict(
        zip(order_y, [*range(len(batch_y)), *range(middle, rank), *contracted], strict=True)
    )
    axes = (
        tuple(loop_x[a] for a in range(x.type.rank)),
        tuple(loop_y[a] for a in range(y.type.rank)),
    )
    steps = [
        operand_steps(body, value, along) for value, along in zip(dot.inputs, axes, strict=True)
    ]
    extents = dict(zip(axes[0], x.type.shape, strict=True))
    extents |= dict(zip(axes[1], y.type.shape, strict=True))
    loops = tuple(
        ProductLoop(
            extents[number],
            (steps[0].get(number), steps[1].get(number)),
            number if number < rank else None,
        )
        for number in range(len(extents))
    )
    return ProductLoops(loops, axes)


def operand_steps(body: Graph, value: Value, loops: Sequence[int]) -> dict[int, int]:
    """The step through memory along each loop, found by reading `value` at a symbolic index."""
    builder = LoopBuilder(1)
    reader = BodyReader(body, builder)
    places: list[Affine] = []
    for number, source in enumerate(body.inputs):
        reader.leaves[source] = _recording_leaf(builder, places, number, source)
    at = tuple(Position(index(str(loop))) for loop in loops)
    reader.read(value, at)
    return {
        loop: max((place.coefficient(str(loop)) for place in places), key=abs, default=0)
        for loop in loops
    }


def _recording_leaf(builder: LoopBuilder, places: list[Affine], number: int, source: Value) -> Leaf:
    def leaf(at: Index, guard: Var | None) -> Var:
        places.append(buffer_access(number, source.type, at).at)
        return builder.literal(0, source.type.dtype)

    return leaf


@dataclass(frozen=True, slots=True)
class ProductTile:
    """Which loops are kept in registers, and how much of them.

    `vector` is the vector loop and `lanes` its width, `vectors` of them in a tile (1 if it is
    contracted). `held` is the operand whose vectors stay in registers while those of the other one
    come by; `rows` elements along the loop `row` of the other operand, `columns` along the loop
    `column` of the held one. A loop may be None: then there is one element.
    """

    vector: int | None
    lanes: int
    vectors: int
    held: int
    row: int | None
    rows: int
    column: int | None
    columns: int

    @property
    def registers(self) -> int:
        """Accumulators."""
        return self.rows * self.columns * self.vectors


def choose_product_tile(loops: ProductLoops, lanes: int, target: Target) -> ProductTile:
    """The tile with the lowest estimated cycles for the whole product."""
    options = [
        option
        for vector in _vector_loops(loops)
        for option in _tilings(loops, vector, lanes, target)
    ]
    return min(options, key=lambda option: option[0])[1]


def _vector_loops(loops: ProductLoops) -> list[int | None]:
    """Loops along which every operand that has them is contiguous; else the last of the result."""
    wide = [number for number, loop in enumerate(loops.loops) if loop.extent > 1]
    contiguous = [n for n in wide if all(step in (1, None) for step in loops.loops[n].steps)]
    if contiguous:
        return list(contiguous)
    results = [number for number in wide if loops.loops[number].axis is not None]
    return [results[-1]] if results else [None]


def _tilings(loops: ProductLoops, vector: int | None, widest: int, target: Target) -> list[Tiling]:
    loop = loops.loops[vector] if vector is not None else None
    lanes = fitting_lanes(widest, loop.extent if loop else 1)
    contracted = loop is None or loop.axis is None
    side = loop.side() if loop else None
    held = 1 if side is None else side
    count = 1 if contracted or loop is None else min(_MOST_VECTORS, -(-loop.extent // lanes))
    result = []
    for row in _unrolled(loops, 1 - held, vector):
        for column in _unrolled(loops, held, vector):
            for vectors in range(1, count + 1):
                room = target.vector_registers - 1
                for columns in _counts(loops, column, _MOST_HELD // vectors):
                    wide = columns * vectors
                    for rows in _counts(loops, row, (room - wide) // wide):
                        tile = ProductTile(vector, lanes, vectors, held, row, rows, column, columns)
                        result.append((_cycles(loops, tile, target), tile))
    return result


def fitting_lanes(widest: int, extent: int) -> int:
    """The narrowest vector that one register's worth of `extent` elements fills."""
    while widest > 1 and widest // 2 >= extent:
        widest //= 2
    return widest


def _unrolled(loops: ProductLoops, side: int, vector: int | None) -> list[int | None]:
    """Loops of one operand alone that a tile may unroll: the last one and the longest one."""
    own = [n for n in loops.of_result(side) if n != vector and loops.loops[n].extent > 1]
    if not own:
        return [None]
    return list(dict.fromkeys([own[-1], max(own, key=lambda n: loops.loops[n].extent)]))


def _counts(loops: ProductLoops, number: int | None, most: int) -> range:
    extent = 1 if number is None else loops.loops[number].extent
    return range(1, max(1, min(extent, most)) + 1)


def pieces(extent: int, size: int) -> Iterator[tuple[int, int]]:
    """(size, how many): whole pieces, then the remainder."""
    if extent // size:
        yield size, extent // size
    if extent % size:
        yield extent % size, 1


def _cycles(loops: ProductLoops, tile: ProductTile, target: Target) -> float:
    """Two multiply-adds and two loads start per cycle; too few accumulators leave gaps. Vectors of
    the held operand come from far where all of it goes by for every tile of the other one."""
    extents = [loop.extent for loop in loops.loops]
    vector = None if tile.vector is None else loops.loops[tile.vector]
    folded = vector is not None and vector.axis is None
    vectors = 1 if vector is None else -(-vector.extent // tile.lanes)
    steps = math.prod(extents[n] for n in loops.contracted() if n != tile.vector)
    steps *= vectors if folded else 1
    goes_by = math.prod(loop.extent for loop in loops.loops if loop.steps[tile.held] is not None)
    # A sum over several loops is that of a convolution: its vectors come in the order of an image.
    alone = folded and len(loops.contracted()) == 1
    far = alone and goes_by * target.vector_bytes // tile.lanes > target.l1_bytes
    load = [_load_cost(vector, side, tile.lanes) for side in (0, 1)]
    finish = 8.0 if folded else 2.0
    tiled = {tile.vector, tile.row, tile.column}
    outside = math.prod(
        loop.extent
        for n, loop in enumerate(loops.loops)
        if loop.axis is not None and n not in tiled
    )
    total, code = 0.0, 0
    for width, across in pieces(1 if folded else vectors, tile.vectors):
        for columns, along in pieces(_extent(loops, tile.column), tile.columns):
            for rows, down in pieces(_extent(loops, tile.row), tile.rows):
                count = rows * columns * width
                loads = columns * width * load[tile.held] + rows * load[1 - tile.held]
                stream = columns * width * _STREAM_CYCLES if far else 0.0
                step = max(count / 2, loads / 2, _FMA_LATENCY, stream) + (2 if far else 1)
                total += across * along * down * (steps * step + finish * count)
                code += count
    return outside * total * (1 + _COST_OF_A_REGISTER * code)


def _extent(loops: ProductLoops, number: int | None) -> int:
    return 1 if number is None else loops.loops[number].extent


def _load_cost(vector: ProductLoop | None, side: int, lanes: int) -> float:
    """Loads that one register's worth of an operand takes."""
    step = None if vector is None else vector.steps[side]
    if step is None or step == 1 or lanes == 1:
        return 1.0
    return 1 + lanes / 2
