"""A picture that can be looked at and kept: `Drawing`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..ir.errors import ArgumentError
from .columns import place_in_columns
from .dot import dot_text
from .measure import DOWN, RIGHT
from .scene import Scene
from .svg import Panel, svg_text

DIRECTIONS = (DOWN, RIGHT)


@dataclass(frozen=True)
class Drawing:
    """One or several titled scenes, drawn side by side; shows itself in notebooks.

    `direction` is where values flow: "down" or "right". The text is the same on every machine.
    """

    panels: tuple[tuple[str, Scene], ...]
    direction: str = DOWN

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ArgumentError(
                'the direction of a drawing is "down" or "right"', given=repr(self.direction)
            )

    @cached_property
    def svg(self) -> str:
        """The picture as a complete SVG document."""
        return svg_text(
            [
                Panel(title, place_in_columns(scene, self.direction, len(self.panels)))
                for title, scene in self.panels
            ]
        )

    @cached_property
    def dot(self) -> str:
        """The picture for Graphviz, which lays it out in its own way."""
        return dot_text(self.panels, self.direction)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file whose name ends in `.svg`, `.dot` or `.gv`.

        Raises `ArgumentError` for another ending.
        """
        ending = os.path.splitext(path)[1].lower()
        if ending not in _FORMATS:
            raise ArgumentError(
                f"a drawing is saved as {', '.join(_FORMATS)}",
                given=repr(os.fspath(path)),
                hint="a browser opens the SVG and prints it to PDF",
            )
        with open(path, "w", encoding="utf-8") as file:
            file.write(_FORMATS[ending](self))

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        boxes = sum(len(scene.boxes) for _, scene in self.panels)
        return f"<drawing of {boxes} boxes; .save('graph.svg') keeps it>"


_FORMATS: Mapping[str, Callable[[Drawing], str]] = {
    ".svg": lambda drawing: drawing.svg,
    ".dot": lambda drawing: drawing.dot,
    ".gv": lambda drawing: drawing.dot,
}
