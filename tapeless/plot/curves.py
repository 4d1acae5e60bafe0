"""Training curves: what was measured, over epochs or steps, of one or several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.errors import ArgumentError
from .canvas import COLOURS, label_ends, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curves(
    runs: Mapping[str, Any] | Sequence[Any],
    *,
    log: bool = False,
    xlabel: str = "epoch",
    ylabel: str = "loss",
    title: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Plot one sequence of numbers, or several by name, each labelled where it ends.

    A run is a sequence of numbers, counted from 1, or a pair `(x, y)` of equally long ones. With
    `log` the vertical scale is logarithmic, for which values must be positive. Values that are not
    finite leave a gap. Raises `ArgumentError` for runs that cannot be drawn.
    """
    named = runs if isinstance(runs, Mapping) else {"": runs}
    if not named:
        raise ArgumentError("there is at least one run to plot", given="none")
    points = {name: _points(name, run, log) for name, run in named.items()}
    axes = axes if axes is not None else new_axes(7.2, 4.2)
    lines = [
        axes.plot(x, y, color=COLOURS[i % len(COLOURS)], linewidth=1.6)[0]
        for i, (x, y) in enumerate(points.values())
    ]
    if log:
        axes.set_yscale("log")
    tidy(axes, xlabel=xlabel, ylabel=ylabel, title=title)
    label_ends(axes, lines, list(points))
    return axes


def _points(name: str, run: Any, log: bool) -> tuple[Any, Any]:
    """The horizontal and vertical coordinates of a run, checked."""
    if isinstance(run, tuple) and len(run) == 2 and np.ndim(run[1]) == 1:
        x, y = _numbers(name, run[0]), _numbers(name, run[1])
    else:
        y = _numbers(name, run)
        x = np.arange(1, len(y) + 1)
    if len(x) != len(y):
        raise ArgumentError(
            f"{_called(name)} has as many x as y", given=f"{len(x)} and {len(y)} numbers"
        )
    if log and np.any(y <= 0):
        at = int(np.argmax(y <= 0))
        raise ArgumentError(
            f"the values of {_called(name)} are positive on a logarithmic scale",
            given=f"{y[at]:g} at x = {x[at]:g}",
            hint="pass log=False, or plot from where it is positive",
        )
    return x, np.where(np.isfinite(y), y, np.nan)


def _numbers(name: str, values: Any) -> np.ndarray[Any, Any]:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or not len(numbers):
        raise ArgumentError(
            f"{_called(name)} is a sequence of numbers",
            given=f"{type(values).__name__} {values!r:.60}",
        )
    return numbers


def _called(name: str) -> str:
    return f"run {name!r}" if name else "the run"
