"""Along which axis threads share out a matrix, the same wherever it is made and read.

What one core has written costs another one time to read. So every product that makes or reads a
large matrix should leave its parts with the same threads. Shapes alone decide, because results must
not depend on threads: a matrix is shared out by columns, or by rows if it is much taller than wide.
"""

from __future__ import annotations

import math

from ..ir.graph import Node

SMALLER = 4
"""How many times fewer columns than rows make a matrix a tall one; and how many times smaller than
the larger operand a product has to be, so that partial sums cost less than moving the operand."""

_MOST_CHUNKS = 16
"""Each is one more array of partial sums, and work for one more thread."""

_LEAST_DEPTH = 256
"""Steps of a chunk: adding its partial sums up costs as much as about 12."""

_LEAST_FLOPS = 2_000_000
"""Below, a product stays whole on one thread anyway."""

_FEW_TILES = 4096
"""Elements of a result that is too small to be shared out itself."""


def is_tall(rows: int, columns: int) -> bool:
    """Whether a matrix is shared out by rows."""
    return rows >= SMALLER * columns


def chunks(dot: Node) -> int:
    """Into how many equal chunks the sum of a product is to be cut; 1: not at all.

    It is cut where it runs along the axis along which the larger operand is shared out: every
    thread then reads its own part of that, and only partial sums change cores.
    """
    batch, sums = dot.attrs["batch"][0], dot.attrs["contract"]
    side = max((0, 1), key=lambda side: dot.inputs[side].type.size)
    shape, result = dot.inputs[side].type.shape, dot.output.type
    if batch or len(sums[side]) != 1 or math.prod(shape) < SMALLER * result.size:
        return 1
    (axis,) = sums[side]
    depth, others = shape[axis], math.prod(shape) // max(1, shape[axis])
    by_rows = is_tall(depth, others) if axis == 0 else is_tall(others, depth)
    is_shared = axis == (0 if by_rows else len(shape) - 1)
    if not is_shared or 2 * depth * result.size < _LEAST_FLOPS:
        return 1
    most = min(_MOST_CHUNKS, depth // _LEAST_DEPTH)
    return next((count for count in range(most, 1, -1) if depth % count == 0), 1)


def is_worth_cutting(dot: Node, alone: bool) -> bool:
    """Whether a product is to be cut into its `chunks` if it is `alone` in its program.

    Then its operands lie with whoever calls the program, and nothing is saved, unless its result
    has too few tiles for the threads.
    """
    return not alone or dot.output.type.size <= _FEW_TILES
