"""Activation functions with their derivatives, which are computed, not written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batching import vmap
from ..ir.errors import ArgumentError
from ..parameters import function_name
from ..transforms import grad
from .canvas import BLUE, GREY, LABEL_SIZE, ORANGE, new_axes, new_grid, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Function = Callable[[Any], Any]
Array = np.ndarray[Any, Any]

POINTS = 801
"""Points at which a function is drawn; odd, so that the middle of the range is one of them."""

JUMP = 0.02
"""A step between neighbouring points that the slope does not explain, as a part of the range of
values, and is therefore drawn as a gap."""


@dataclass(frozen=True, slots=True)
class Curves:
    """A function and its derivative at the points `x`; NaN where either jumps."""

    x: Array
    value: Array
    slope: Array


def activation(
    fn: Function,
    *,
    low: float = -4.0,
    high: float = 4.0,
    name: str = "",
    axes: Axes | None = None,
) -> Axes:
    """Plot an activation and its derivative from `low` to `high`, labelled in the plot.

    `fn` maps a number to a number, in NumPy. The derivative is `tl.grad` of it at each point; jumps
    are gaps. `name` is the title (default: that of the function).
    """
    curves = sample(fn, low, high)
    axes = axes if axes is not None else new_axes(4.2, 3.2)
    _draw(axes, curves)
    tidy(axes, xlabel="x", title=name or function_name(fn))
    _key(axes)
    return axes


def activations(
    fns: Sequence[Function] | Mapping[str, Function],
    *,
    low: float = -4.0,
    high: float = 4.0,
    columns: int = 3,
) -> Figure:
    """Plot several activations and their derivatives side by side, on the same scales.

    `fns` is a sequence of functions, or maps titles to functions. Returns the figure.
    """
    named = list(fns.items()) if isinstance(fns, Mapping) else [(function_name(f), f) for f in fns]
    if not named or columns < 1:
        raise ArgumentError(
            "there is at least one activation, in at least one column",
            given=f"{len(named)} in {columns}",
        )
    sampled = [sample(fn, low, high) for _, fn in named]
    columns = min(columns, len(named))
    rows = math.ceil(len(named) / columns)
    grid = new_grid(rows, columns, 2.6 * columns, 2.3 * rows)
    for i, (axes, (name, _), curves) in enumerate(zip(grid, named, sampled, strict=False)):
        is_lowest = i + columns >= len(named)
        _draw(axes, curves)
        tidy(axes, title=name, xlabel="x" if is_lowest else "")
        axes.tick_params(labelbottom=is_lowest)
    for axes in grid[len(named) :]:
        axes.set_visible(False)
    _key(grid[0])
    figure = grid[0].get_figure(root=True)
    assert figure is not None
    return figure


def sample(fn: Function, low: float, high: float) -> Curves:
    """`fn` and its derivative at `POINTS` points from `low` to `high`."""
    if not -math.inf < low < high < math.inf:
        raise ArgumentError("low and high are finite, low the smaller", given=f"{low}, {high}")
    x = np.linspace(low, high, POINTS)
    slope = grad(fn)
    values, slopes, bends = (np.array(vmap(f)(x)) for f in (fn, slope, grad(slope)))
    return Curves(x, _with_gaps(x, values, slopes), _with_gaps(x, slopes, bends))


def _with_gaps(x: Array, values: Array, slopes: Array) -> Array:
    """`values` with NaN on one side of every step that is larger than its slopes explain."""
    steps = np.diff(values)
    expected = np.diff(x) * (slopes[1:] + slopes[:-1]) / 2
    extent = np.ptp(values[np.isfinite(values)]) if np.isfinite(values).any() else 0.0
    jumps = np.abs(steps - expected) > JUMP * max(extent, 1e-12)
    return np.where(np.append(jumps, False), np.nan, values)


def _draw(axes: Axes, curves: Curves) -> None:
    """The derivative lies on the function, thinner, so that both are seen where they are equal."""
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.axvline(0.0, color=GREY, linewidth=0.6)
    axes.plot(curves.x, curves.value, color=BLUE, linewidth=3.0, label="σ(x)")
    axes.plot(curves.x, curves.slope, color=ORANGE, linewidth=1.5, label="σ′(x), its derivative")


def _key(axes: Axes) -> None:
    """Which line is which, in their colours, in the corner that has room."""
    axes.legend(
        labelcolor="linecolor",
        handlelength=0,
        handletextpad=0,
        borderpad=0.2,
        edgecolor="none",
        fontsize=LABEL_SIZE,
    )
