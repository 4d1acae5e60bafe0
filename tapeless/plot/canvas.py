"""What all plots share: axes to draw in, colours, and labels beside lines instead of legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.errors import DependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

BLUE, ORANGE, GREY = "#1c6dd0", "#d9730d", "#868e96"
COLOURS = (BLUE, ORANGE, "#2b8a3e", "#ae3ec9", "#c92a2a", "#0b7285", "#5f3dc4", "#846358")
"""Colours of lines, in order; they differ in lightness too."""

LABEL_SIZE = 9.0
"""Font size of labels in points."""


def new_axes(width: float, height: float) -> Axes:
    """Axes alone in a new figure of so many inches."""
    return new_grid(1, 1, width, height)[0]


def new_grid(rows: int, columns: int, width: float, height: float) -> list[Axes]:
    """Axes in a grid that share their scales, row by row, in a new figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise DependencyError(
            "tl.plot needs matplotlib",
            given="a Python without it",
            hint="pip install 'tapeless[plot]'",
        ) from None
    _, grid = plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    return [axes for row in grid for axes in row]


def tidy(axes: Axes, **labels: str) -> None:
    """Axes with titles of their own, without frame, and with a faint grid."""
    axes.set(**{name: text for name, text in labels.items() if text})
    axes.title.set_fontsize(11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(which="both", color=GREY, labelsize=LABEL_SIZE)
    axes.grid(visible=True, which="major", color="#e9ecef", linewidth=0.8)
    axes.set_axisbelow(True)


def label_ends(axes: Axes, lines: Sequence[Line2D], texts: Sequence[str]) -> None:
    """Write beside the last point of each line, in its colour, what it is; no two texts overlap."""
    notes: list[Any] = []
    for line, text in zip(lines, texts, strict=True):
        end = _last_point(line)
        notes.append(
            axes.annotate(
                text,
                end,
                (6.0, 0.0),
                textcoords="offset points",
                color=line.get_color(),
                size=LABEL_SIZE,
                va="center",
                annotation_clip=False,
            )
        )
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # lays the axes out
    points = 72.0 / figure.dpi
    heights = [points * axes.transData.transform(note.xy)[1] for note in notes]
    moved = spread(heights, gap=1.25 * LABEL_SIZE * _most_lines(texts))
    for note, height, place in zip(notes, heights, moved, strict=True):
        note.set_position((6.0, place - height))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places in the same order, at least `gap` apart, moved as little as groups allow.

    Neighbours that are too close form a group, which is laid out around its own middle; groups
    that then touch are joined.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, int]] = []  # middle and size
    for i in order:
        middle, size = places[i], 1
        while groups and middle - groups[-1][0] < gap * (size + groups[-1][1]) / 2:
            other, count = groups.pop()
            middle, size = (middle * size + other * count) / (size + count), size + count
        groups.append((middle, size))
    spaced = [middle + gap * (k - (size - 1) / 2) for middle, size in groups for k in range(size)]
    moved = [0.0] * len(places)
    for i, place in zip(order, spaced, strict=True):
        moved[i] = place
    return moved


def _most_lines(texts: Sequence[str]) -> int:
    return max((text.count("\n") + 1 for text in texts), default=1)


def _last_point(line: Line2D) -> tuple[float, float]:
    """Where a line ends: its last point that is drawn."""
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    drawn = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    return (float(x[drawn[-1]]), float(y[drawn[-1]])) if drawn.size else (0.0, 0.0)
