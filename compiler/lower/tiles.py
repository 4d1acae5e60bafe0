"""Register tiles of a matrix product and blocks of tiles, chosen by a cost model of the target.

A tile is what the accumulators hold while k runs (Goto & van de Geijn 2008). Tiles of rows form
blocks, whose rows of the left operand stay in cache while all columns of the right one go by (the
MC loop of Van Zee & van de Geijn 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..target import Target

FMA_LATENCY = 4
"""Cycles until an accumulator can be used again (Zen 4/5, Golden Cove: 4)."""

_SCALAR_CYCLES = 0.6
"""Of a broadcast scalar of the left operand (measured on Zen 5, as are those below)."""

_VECTOR_CYCLES = 1.1
"""Of a vector of the right operand: where arrays begin anywhere, most cross two cache lines."""

_STEP_CYCLES = 0.6
"""Of a step of k beside its arithmetic: counting, and what does not overlap."""

_STREAM_CYCLES = 2.3
"""Of a vector of the right operand that comes from the second cache in short runs."""

_TILE_CYCLES = 15
"""Of a tile whatever its size: accumulators are cleared, the last steps drain."""

_COST_OF_A_REGISTER = 0.002
"""Every register of every shape of tile is code to be compiled: some per mille of time."""

_MOST_VECTORS = 7


@dataclass(frozen=True, slots=True)
class Extents:
    """Rows and columns of C, and the number of terms that each element sums."""

    rows: int
    columns: int
    depth: int


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows and vectors of accumulators kept in registers."""

    rows: int
    vectors: int


def pieces(extent: int, size: int) -> Iterator[tuple[int, int]]:
    """(size, how many): whole pieces, then the remainder."""
    if extent // size:
        yield size, extent // size
    if extent % size:
        yield extent % size, 1


def choose_tile(extents: Extents, lanes: int, target: Target, most: Tile) -> Tile:
    """The tile with the lowest estimated cycles for the whole of C; at most `most` each way.

    Two FMAs start per cycle; fewer accumulators than latency × 2 leave gaps.
    """
    registers, vectors = target.vector_registers, -(-extents.columns // lanes)
    widest = min(_MOST_VECTORS, vectors, most.vectors)
    return min(
        (
            Tile(min(extents.rows, height), width)
            for width in range(1, widest + 1)
            for height in range(1, max(1, min(most.rows, (registers - width - 1) // width)) + 1)
        ),
        key=lambda tile: (_cycles_in_all(extents, lanes, tile, target), -tile.rows),
    )


def _cycles_in_all(extents: Extents, lanes: int, tile: Tile, target: Target) -> float:
    depth, columns = max(1, extents.depth), extents.columns
    panel = depth * tile.vectors * target.vector_bytes
    far = panel > target.l1_bytes and tile.vectors * lanes < columns
    stream = _STREAM_CYCLES if far else 0.0
    result, code, done = 0.0, 0, 0
    for width, across in pieces(-(-columns // lanes), tile.vectors):
        done += across * width * lanes
        copies = 2 if done > columns and across > 1 else 1  # the last, partial one is by itself
        for height, down in pieces(extents.rows, tile.rows):
            cycles = depth * _step_cycles(height, width, stream) + _TILE_CYCLES
            result += across * down * cycles
            code += copies * height * width
    return result * (1 + _COST_OF_A_REGISTER * code)


def _step_cycles(rows: int, vectors: int, stream: float) -> float:
    loads = _SCALAR_CYCLES * rows + _VECTOR_CYCLES * vectors
    return max(rows * vectors / 2, loads, stream * vectors, FMA_LATENCY) + _STEP_CYCLES


@dataclass(frozen=True, slots=True)
class Rows:
    """How the rows of C are cut: `blocks` blocks of `tiles` tiles of `height` rows, and then one
    of `last_tiles` tiles and `rest` rows (both 0: there is none)."""

    height: int
    tiles: int
    blocks: int
    last_tiles: int
    rest: int

    @property
    def units(self) -> int:
        """Blocks, with the last one."""
        return self.blocks + (1 if self.last_tiles or self.rest else 0)


def cut_rows(rows: int, height: int, most: int) -> Rows:
    """Blocks of about `most` tiles each, of equal numbers where possible: a last one that differs
    is code of its own."""
    tiles, rest = divmod(rows, height)
    if tiles <= most:
        return Rows(height, tiles, 0, tiles, rest)
    sizes = range((most + 1) // 2, 3 * most // 2 + 1)
    size = min(sizes, key=lambda n: (tiles % n, abs(n - most)))
    return Rows(height, size, tiles // size, tiles % size, rest)
