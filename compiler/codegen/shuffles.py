"""Lanes of several vectors, of any widths, gathered into one: a tree of two-operand shuffles.

Every step is as wide as the widest vector at hand, and widening or narrowing keeps the lower
lanes, which costs no instruction: LLVM then finds the target's own permutations.
"""

from __future__ import annotations

from collections.abc import Sequence

from .assembly import Function, Operand, vector_type

Lanes = list[int]
"""For each lane of a result the lane of a source that it is taken from; -1 where it is not."""


def emit_shuffle(
    b: Function, sources: Sequence[Operand], picks: Sequence[tuple[int, int]]
) -> Operand:
    """Lane i of the result is lane `picks[i][1]` of the source number `picks[i][0]`."""
    lanes = len(picks)
    if lanes == 1:
        number, lane = picks[0]
        return b.extract(sources[number], lane)
    if all(source.lanes == 1 for source in sources):
        return _from_scalars(b, sources, [number for number, _ in picks])
    width = max(lanes, *(source.lanes for source in sources))
    leaves = [(_resized(b, source, width), _taken(picks, n)) for n, source in enumerate(sources)]
    while len(leaves) > 1:
        pairs = [_merged(b, *leaves[i : i + 2]) for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    vector, chosen = leaves[0]
    if chosen != [lane if pick >= 0 else -1 for lane, pick in enumerate(chosen)]:
        vector = b.shuffle(vector, None, [*chosen, *[-1] * (width - lanes)])
    return _resized(b, vector, lanes)


def _taken(picks: Sequence[tuple[int, int]], number: int) -> Lanes:
    return [lane if source == number else -1 for source, lane in picks]


def _from_scalars(b: Function, scalars: Sequence[Operand], numbers: Sequence[int]) -> Operand:
    """Scalars put into the lanes one by one."""
    if len(scalars) == 1:
        return b.splat(scalars[0], len(numbers))
    vector = Operand(vector_type(scalars[0].type, len(numbers)), "poison")
    for lane, number in enumerate(numbers):
        vector = b.insert(vector, scalars[number], lane)
    return vector


def _resized(b: Function, vector: Operand, lanes: int) -> Operand:
    """The lower lanes of a vector, or a wider one that begins with it and goes on with anything."""
    if vector.lanes == lanes:
        return vector
    if vector.lanes == 1:
        return b.insert(Operand(vector_type(vector.type, lanes), "poison"), vector, 0)
    kept = min(lanes, vector.lanes)
    return b.shuffle(vector, None, [*range(kept), *[-1] * (lanes - kept)])


def _merged(
    b: Function, first: tuple[Operand, Lanes], second: tuple[Operand, Lanes]
) -> tuple[Operand, Lanes]:
    """The lanes of both where they belong; those of neither are anything."""
    (x, from_x), (y, from_y) = first, second
    width = x.lanes
    mask = [
        lane if lane >= 0 else other + width if other >= 0 else -1
        for lane, other in zip(from_x, from_y, strict=True)
    ]
    placed = [lane if pick >= 0 else -1 for lane, pick in enumerate(mask)]
    return b.shuffle(x, y, [*mask, *[-1] * (width - len(mask))]), placed
