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

MOST_PIECES = 64
"""Enough to keep tens of threads evenly busy."""

WORTH_NS = 8_000
"""Work from which on a kernel is divided. Starting a job costs 0.1 to 0.2 µs, but what one core has
written another reads at some 10 GB/s (measured: 64 KiB each way take 14 µs): kernels below 10 µs
gain only where pieces read what was written on the same core. The runtime times each program both
ways, so that what loses is not kept."""

PIECE_NS = 2_000
"""Work that makes a piece."""

_CYCLES_PER_NS = 3.0
_BYTES_PER_NS = 100.0
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
    work = estimated_ns(body, target)
    return 1 if work < WORTH_NS else max(1, min(MOST_PIECES, int(work / PIECE_NS)))


def divide(units: Sequence[int], wanted: int) -> list[Division]:
    """A grid over axes with so many `units` each, in about `wanted` pieces: earlier axes first."""
    grid = []
    for count in units:
        pieces = max(1, min(count, wanted))
        grid.append(Division(count, pieces))
        wanted = -(-wanted // pieces)
    return grid
