"""Define-by-run against compiled: the total time over the number of calls, and where they meet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..report import Comparison, duration
from .canvas import BLUE, GREY, LABEL_SIZE, ORANGE, label_ends, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CALLS = 10_000
"""Calls up to which is drawn, unless compiling is paid back later."""


def timing(comparison: Comparison, *, title: str = "", axes: Axes | None = None) -> Axes:
    """Plot total times of both ways over the number of calls, on logarithmic scales.

    The point from which on compiling has paid is marked.
    """
    axes = axes if axes is not None else new_axes(7.2, 4.2)
    calls = _calls(comparison.break_even)
    totals = np.array([comparison.totals(count) for count in calls])
    lines = [
        axes.loglog(calls, totals[:, way], color=colour, linewidth=1.8)[0]
        for way, colour in enumerate((ORANGE, BLUE))
    ]
    tidy(axes, xlabel="calls", ylabel="total time (s)", title=title)
    _mark(axes, comparison, calls[-1])
    label_ends(
        axes,
        lines,
        [
            f"dynamic\n{duration(comparison.dynamic.median)} a call",
            f"static\n{duration(comparison.static.median)} a call\n"
            f"compiled in {duration(comparison.compiling)}",
        ],
    )
    return axes


def _calls(break_even: int | None) -> list[int]:
    """Numbers of calls in equal ratios, to the power of ten after the break-even point."""
    most = max(MOST_CALLS, 10 ** math.ceil(math.log10(3 * break_even)) if break_even else 1)
    return sorted({round(count) for count in np.geomspace(1, most, 97)})


def _mark(axes: Axes, comparison: Comparison, most: int) -> None:
    """Where the lines cross: the text stands below them, or above where the right has no room."""
    count = comparison.break_even
    if not count:
        return
    late = count > math.sqrt(most)
    axes.plot([count], [comparison.totals(count)[0]], "o", color="black", markersize=5, zorder=3)
    axes.annotate(
        f"paid back after {count:,} call{'' if count == 1 else 's'}",
        (count, comparison.totals(count)[0]),
        (-8.0, 18.0) if late else (8.0, -18.0),
        textcoords="offset points",
        size=LABEL_SIZE,
        ha="right" if late else "left",
        va="center",
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
    )
