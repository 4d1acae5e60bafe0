"""Where the cells of every row lie across the flow: wires short, and straight wherever possible.

Row by row, alternately down and up, cells are pulled towards their neighbours, and each row is
solved exactly under its order and its gaps. First squares of distances are made small, which finds
a place for everything; then distances themselves, because a square spreads a shift over all links
of a chain, where one bend is easier to read (Gansner et al. 1993, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import fsum

from .layers import Cell, Link
from .straighten import Straightener

GAP, BEND_GAP = 20.0, 13.0
"""Between neighbours in a row, and beside a wire that passes through it."""

STRAIGHTNESS = (1.0, 2.0, 8.0)
"""Pull of a link between two boxes, a box and a bend, and two bends (Gansner et al. 1993, 4.1)."""

LIGHT = 0.15
"""Pull on a box of a source that nothing flows into: chains of operations stay straight."""

TIE = 1.01
"""Preference between equal pulls."""

Pull = tuple[float, float]
"""A place across the flow, and a weight."""

Centre = Callable[[Sequence[Pull]], float]


def mean(pulls: Sequence[Pull]) -> float:
    """The weighted mean of the places."""
    total = fsum(weight for _, weight in pulls)
    return fsum(place * weight for place, weight in pulls) / total


def median(pulls: Sequence[Pull]) -> float:
    """The place with half of the weight on either side; the middle where there are two."""
    ordered = sorted(pulls)
    half = fsum(weight for _, weight in ordered) / 2
    passed = 0.0
    for i, (place, weight) in enumerate(ordered):
        passed += weight
        if passed > half * (1 + 1e-9):
            return place
        if passed >= half * (1 - 1e-9):
            return (place + ordered[i + 1][0]) / 2
    raise AssertionError("pulls have weight")


PHASES: tuple[tuple[int, bool, Centre], ...] = (
    (24, False, mean),
    (32, True, mean),
    (8, True, median),
)
"""Passes at most; whether both adjacent rows pull, or the one passed before; what is made small."""

STILL = 0.25
"""A phase is over when no cell moves by more pixels."""


def relax(rows: Sequence[Sequence[Cell]]) -> float:
    """Set `centre` of every cell; returns the breadth of the whole, which starts at 0."""
    for row in rows:
        edge = 0.0
        for cell in row:
            cell.centre = edge + cell.size.before
            edge += cell.size.before + cell.size.after + GAP
    for passes, both, centre in PHASES:
        for _ in range(passes // 2):
            moved = [_sweep(rows, down, both, centre) for down in (True, False)]
            if max(moved) < STILL:
                break
    Straightener(rows, _distance, _strength, median).run()
    cells = [cell for row in rows for cell in row]
    left = min((cell.centre - cell.size.before for cell in cells), default=0.0)
    for cell in cells:
        cell.centre -= left
    return max((cell.centre + cell.size.after for cell in cells), default=0.0)


def _sweep(rows: Sequence[Sequence[Cell]], down: bool, both: bool, centre: Centre) -> float:
    """One pass over the rows; returns how far a cell moved at most."""
    moved = 0.0
    for row in rows if down else reversed(rows):
        pulls = [_pulls(cell, down, both) for cell in row]
        gaps = [_distance(a, b) for a, b in pairwise(row)]
        for cell, place in zip(row, spread(pulls, gaps, centre), strict=True):
            moved = max(moved, abs(cell.centre - place))
            cell.centre = place
    if both:
        _shift(rows)
    return moved


def _shift(rows: Sequence[Sequence[Cell]]) -> None:
    """Move all that lies below a gap as a whole so that the links across the gap get straight."""
    moved = 0.0
    for row in rows:
        links = [(link, cell) for cell in row for link in cell.above]
        if links:
            moved += median(
                [
                    (k.upper.centre + k.leaves - cell.centre - k.enters - moved, _strength(k, cell))
                    for k, cell in links
                ]
            )
        for cell in row:
            cell.centre += moved


def _distance(left: Cell, right: Cell) -> float:
    gap = BEND_GAP if left.is_bend or right.is_bend else GAP
    return left.size.after + gap + right.size.before


def _pulls(cell: Cell, down: bool, both: bool) -> list[Pull]:
    """Where a cell would have each of its wires straight, and how much that matters.

    With `both`, wires on the side that the sweep comes from decide where the others agree.
    """
    above = [(k.upper.centre + k.leaves - k.enters, _strength(k, cell)) for k in cell.above]
    below = [(k.lower.centre + k.enters - k.leaves, _strength(k, cell)) for k in cell.below]
    first, second = (above, below) if down else (below, above)
    if both and second:
        return [(place, TIE * weight) for place, weight in first] + second
    return first or second or [(cell.centre, LIGHT)]


def _strength(link: Link, pulled: Cell) -> float:
    is_light = pulled is link.lower and not link.upper.above
    return STRAIGHTNESS[link.upper.is_bend + link.lower.is_bend] * (LIGHT if is_light else 1.0)


def spread(pulls: Sequence[Sequence[Pull]], gaps: Sequence[float], centre: Centre) -> list[float]:
    """Positions that keep `gaps` between them and are as near as possible to their pulls.

    Near by the sum of weighted distances if `centre` is `median`, of their squares if it is `mean`.
    With the gaps subtracted this is isotonic regression, solved by pooling adjacent violators
    (Barlow et al. 1972).
    """
    offset = 0.0
    offsets: list[float] = []
    pools: list[tuple[float, list[Pull], int]] = []  # place, pulls, members
    for own, gap in zip(pulls, [0.0, *gaps], strict=True):
        offset += gap
        offsets.append(offset)
        pool = [(place - offset, weight) for place, weight in own]
        members = 1
        while pools and pools[-1][0] > centre(pool):
            _, earlier, count = pools.pop()
            pool, members = earlier + pool, members + count
        pools.append((centre(pool), pool, members))
    flat = [place for place, _, members in pools for _ in range(members)]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]
