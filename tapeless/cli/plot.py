"""The plot of `tapeless time --plot`: total time over the number of calls."""

from __future__ import annotations

from ..plot import timing
from ..report import Comparison
from .failure import CommandError


def plot_totals(comparison: Comparison, title: str, path: str) -> None:
    """Write the plot to `path`, in the format of its suffix; needs matplotlib."""
    figure = timing(comparison, title=title).get_figure(root=True)
    assert figure is not None
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot write {path}: {error}") from None
