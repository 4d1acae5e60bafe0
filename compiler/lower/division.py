"""Into how many pieces a kernel is divided so that threads can share it.

Decided from static counts when the kernel is lowered, never from the number of threads: object code
is the same everywhere, and small kernels stay whole on the calling thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.graph import Graph
from ..cost import flops
from ..target import Target
from .language import Division

MAX_PIECES = 64
"""Enough to keep tens of threads evenly busy."""

_PIECE_NS = 4_000
"""Work that makes a piece: some ten times what dealing it out and waiting for it costs (measured:
0.2 to 0.4 µs on a spinning pool)."""

_CYCLES_PER_NS = 3.0
_BYTES_PER_NS = 40.0
"""What a core does, roughly: results are the same wherever the line is drawn."""


def estimated_ns(body: Graph, target: Target) -> float:
    """Nanoseconds that one core takes: arithmetic in whole vectors, or memory traffic."""
    values = [*body.inputs, *body.outputs]
    itemsize = max(value.type.dtype.itemsize for value in values)
    per_cycle = {"dot": 4}  # two multiply-adds; else two instructions
    cycles = sum(
        flops(node) / (target.lanes(itemsize) * per_cycle.get(node.op.name, 2))
        for node in body.nodes
    )
    traffic = sum(value.type.nbytes for value in values)
    return max(cycles / _CYCLES_PER_NS, traffic / _BYTES_PER_NS)


def pieces_wanted(body: Graph, target: Target) -> int:
    """How many pieces the work of a fused body is worth; 1: it stays whole."""
    return max(1, min(MAX_PIECES, int(estimated_ns(body, target) / _PIECE_NS)))


def divide(units: Sequence[int], wanted: int) -> list[Division]:
    """A grid over axes with so many `units` each, in about `wanted` pieces: earlier axes first."""
    grid = []
    for count in units:
        pieces = max(1, min(count, wanted))
        grid.append(Division(count, pieces))
        wanted = -(-wanted // pieces)
    return grid
