"""The plot of `tapeless time --plot`: total time over the number of calls."""

from __future__ import annotations

from ..report import Comparison, duration
from .failure import CommandError

DYNAMIC_COLOUR, STATIC_COLOUR = "#d9730d", "#1c6dd0"
MOST_CALLS = 10_000


def plot_totals(comparison: Comparison, title: str, path: str) -> None:
    """Write the plot to `path`, in the format of its suffix; needs matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise CommandError("--plot needs matplotlib: pip install 'tapeless[examples]'") from None
    calls = sorted({round(10 ** (i / 12)) for i in range(49)} | {MOST_CALLS})
    figure = Figure(figsize=(7.2, 4.5), layout="constrained")
    axes = figure.add_subplot()
    totals = [comparison.totals(count) for count in calls]
    dynamic, static = comparison.dynamic.median, comparison.static.median
    axes.loglog(
        calls,
        [t[0] for t in totals],
        color=DYNAMIC_COLOUR,
        label=f"dynamic: {duration(dynamic)} per call",
    )
    axes.loglog(
        calls,
        [t[1] for t in totals],
        color=STATIC_COLOUR,
        label=f"static: {duration(static)} per call, compiled in {duration(comparison.compiling)}",
    )
    count = comparison.break_even
    if count is not None and count <= MOST_CALLS:
        axes.axvline(count, color="#868e96", linestyle=":", label=f"paid back: {count:,} calls")
    axes.set(title=title, xlabel="calls", ylabel="total time (s)")
    axes.grid(True, which="major", color="#e9ecef")
    axes.legend(loc="upper left")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot write {path}: {error}") from None
