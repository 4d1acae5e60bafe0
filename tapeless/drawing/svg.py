"""SVG text of one or several pictures, side by side.

Kinds are told apart by colour and, for readers without colours, by their outline: backward
operations are dashed, what depends on gradients has a double outline, inputs and outputs are
rounded. Style rules name the picture's own class only, so that an inline picture leaves the page
around it alone, and nothing has an id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum

from .columns import COLUMN_GAP
from .layers import Cell, Link
from .measure import (
    DOWN,
    LABEL_GAP,
    PADDING,
    PILLS,
    SPINE,
    is_round,
)
from .palette import CLASS, KINDS, NUMBERS, STYLE
from .placement import Picture, Place, Point, inner_offset
from .scene import PORT, TAG, UPDATE, Box, Line, Net
from .text import GRADIENT, HEADING, NAME, OPERATION, SMALL, TYPE, Font

MARGIN, TITLE, LEGEND = 22.0, 24.0, 34.0
"""Space around each picture; room above it for its title, and for the legend."""

ARROW, HALF_ARROW = 7.0, 3.2
"""Length of an arrowhead, and half its width."""


@dataclass(frozen=True)
class Panel:
    """A titled picture, in columns if there are several."""

    title: str
    columns: tuple[Picture, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the columns on the page."""
        breadth = fsum(column.breadth for column in self.columns)
        breadth += COLUMN_GAP * (len(self.columns) - 1)
        size = breadth, max(column.length for column in self.columns)
        return size if self.columns[0].direction == DOWN else size[::-1]

    @property
    def kinds(self) -> set[str]:
        """All kinds of boxes in the picture."""
        return set().union(*(column.kinds() for column in self.columns))

    @property
    def fonts(self) -> set[Font]:
        """What is written beside wires."""
        nets = (net for column in self.columns for net in column.scene.nets)
        return {line.font for net in nets for line in net.lines}

    @property
    def width(self) -> float:
        """Extent of the picture and of what stands above it."""
        return max(self.size[0], HEADING.width(self.title), _legend_width(self))

    @property
    def height(self) -> float:
        """Extent of the picture with title and legend."""
        return self.size[1] + LEGEND + (TITLE if self.title else 0.0)


def svg_text(panels: Sequence[Panel]) -> str:
    """A complete SVG document with the panels next to each other."""
    body: list[str] = []
    left = MARGIN
    for panel in panels:
        body += [f'<g transform="translate({_n(left)},{_n(MARGIN)})">', *_panel(panel), "</g>"]
        left += panel.width + 2 * MARGIN
    width = left - MARGIN
    height = max((panel.height for panel in panels), default=0.0) + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{CLASS}" {size}>',
            f"<style>{STYLE}</style>",
            '<rect class="page" width="100%" height="100%"/>',
            *body,
            "</svg>\n",
        ]
    )


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """`text` as the content of an element."""
    return text.translate(_ESCAPES)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _panel(panel: Panel) -> Iterator[str]:
    top = 0.0
    if panel.title:
        yield text_element(0, 14, panel.title, HEADING)
        top = TITLE
    yield f'<g transform="translate(0,{_n(top)})">'
    yield from _legend(panel)
    yield "</g>"
    yield f'<g transform="translate(0,{_n(top + LEGEND)})">'
    across = 0.0
    for column in panel.columns:
        yield from _Painter(column, 0.0, across).elements()
        across += column.breadth + COLUMN_GAP
    yield "</g>"


def _legend_entries(panel: Panel) -> list[tuple[str, str]]:
    present = panel.kinds
    return [(kind, label) for kind, label in KINDS.items() if kind in present]


def _number_entries(panel: Panel) -> list[tuple[Font, str]]:
    """How values and gradients are told apart, where there are any."""
    where = NUMBERS[panel.columns[0].direction]
    return [(font, label) for font, label in where.items() if font in panel.fonts]


def _legend_width(panel: Panel) -> float:
    boxes = fsum(SMALL.width(label) + 36 for _, label in _legend_entries(panel))
    return boxes + fsum(font.width(label) + 13 for font, label in _number_entries(panel))


def _legend(panel: Panel) -> Iterator[str]:
    x = 0.0
    for kind, label in _legend_entries(panel):
        radius = 6 if kind in PILLS or kind == TAG else 2
        yield f'<rect class="{kind}" x="{_n(x)}" y="3" width="18" height="12" rx="{radius}"/>'
        if kind == UPDATE:
            yield _rect(f"{kind} inset", x + 2.5, 5.5, 13, 7, 0)
        yield text_element(x + 23, 13, label, SMALL)
        x += SMALL.width(label) + 36
    for font, label in _number_entries(panel):
        yield text_element(x, 13, label, font)
        x += font.width(label) + 13


def text_element(x: float, y: float, text: str, font: Font, anchor: str = "") -> str:
    """A line of text from `x` (or around it, for anchor `middle`) on the base line `y`."""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{font.style}" x="{_n(x)}" y="{_n(y)}"{where}>{escape(text)}</text>'


class _Painter:
    """Writes one picture whose corner is at (`along`, `across`) of the page's directions."""

    def __init__(self, picture: Picture, along: float, across: float) -> None:
        self.picture = picture
        self.along = along
        self.across = across
        self.down = picture.direction == DOWN

    def elements(self) -> Iterator[str]:
        """Wires first, so that boxes lie on top of them."""
        boxes = self.picture.scene.boxes
        groups = [cell for cell in self._cells() if cell.box in self.picture.inner]
        for cell in groups:
            yield from self._frame(boxes[cell.box or 0], cell)
        yield from self._wires()
        for cell in self._cells():
            box = boxes[cell.box or 0]
            if box.inner is None and box.kind != PORT:
                yield from self._box(box, cell)
        yield from self._labels()
        for cell in groups:
            yield from self._inside(cell)

    def _cells(self) -> list[Cell]:
        return [cell for cell in self.picture.places if not cell.is_bend]

    def _at(self, point: Point) -> tuple[float, float]:
        """A point of the picture on the page, (x, y)."""
        along, across = point[0] + self.along, point[1] + self.across
        return (across, along) if self.down else (along, across)

    def _rectangle(self, cell: Cell) -> tuple[float, float, float, float]:
        """Left, top, width and height of a cell's own box."""
        place, half = self.picture.places[cell], cell.size.half
        left, top = self._at((place.start, place.centre - half))
        depth = place.end - place.start
        return (left, top, 2 * half, depth) if self.down else (left, top, depth, 2 * half)

    def _frame(self, box: Box, cell: Cell) -> Iterator[str]:
        left, top, width, height = self._rectangle(cell)
        yield _tooltip(box, _rect(box.kind, left, top, width, height, 7))
        spine = (SPINE, height) if self.down else (width, SPINE)
        yield _rect("spine", left, top, *spine, 7)
        x, y = left + spine[0] / 2, top + spine[1] / 2
        if self.down:
            turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"'
            middle = f'x="{_n(x)}" y="{_n(y + 4)}" text-anchor="middle"'
            yield f'<text class="small" {middle}{turn}>{escape(box.title)}</text>'
        else:
            yield text_element(x, y + 4, box.title, SMALL, "middle")

    def _inside(self, cell: Cell) -> Iterator[str]:
        assert cell.box is not None
        place, inner = self.picture.places[cell], self.picture.inner[cell.box]
        across = self.across + place.centre + inner_offset(inner)
        yield from _Painter(inner, self.along + place.start, across).elements()

    def _box(self, box: Box, cell: Cell) -> Iterator[str]:
        left, top, width, height = self._rectangle(cell)
        is_pill = box.kind in PILLS or box.kind == TAG or is_round(box) or box.small
        radius = height / 2 if is_pill else 5
        style = f"{box.kind} view" if box.small else box.kind
        shapes = [_rect(style, left, top, width, height, radius)]
        if box.kind == UPDATE:
            inset = (left + 2.5, top + 2.5, width - 5, height - 5)
            shapes.append(_rect(f"{UPDATE} inset", *inset, max(radius - 2.5, 0)))
        x, y = left + width / 2, top + height / 2 + 4.5
        if box.detail:
            x = left + PADDING
            detail = x + NAME.width(box.title) + PADDING
            shapes.append(text_element(x, y - 0.5, box.title, NAME))
            shapes.append(text_element(detail, y - 0.5, box.detail, TYPE))
        else:
            font = _title_font(box)
            lift = 1.0 if box.small or box.kind == TAG else 0.0
            shapes.append(text_element(x, y - lift, box.title, font, "middle"))
        yield _tooltip(box, *shapes)

    def _labels(self) -> Iterator[str]:
        cells = {cell.box: cell for cell in self._cells() if cell.box is not None}
        for net in self.picture.scene.nets:
            if net.lines:
                cell = cells[net.source]
                yield from self._label(self.picture.places[cell], cell.size.exits[net.exit], net)

    def _label(self, place: Place, exit: float, net: Net) -> Iterator[str]:
        x, y = self._at((place.end, place.centre + exit))
        for line, dx, dy in _line_places(net.lines, self.down):
            yield text_element(x + dx, y + dy, line.text, line.font)

    def _wires(self) -> Iterator[str]:
        for link in self.picture.layers.links:
            yield self._wire(link)

    def _wire(self, link: Link) -> str:
        start, leave, arrive, end = self.picture.curve(link)
        box = None if link.lower.box is None else self.picture.scene.boxes[link.lower.box]
        head = ""
        if box is not None and box.inner is None and box.kind != PORT:
            inset = _circle_depth(link.lower.size.half, link.enters) if is_round(box) else 0.0
            end = (end[0] + inset, end[1])
            head = self._head(end)
            end = (end[0] - ARROW, end[1])
        arrive = (min(arrive[0], end[0]), arrive[1])  # the arrowhead may take part of the gap
        path = self._path(start, leave, arrive, end)
        return f'<path class="wire {link.net.kind}-wire" d="{path}"/>{head}'

    def _head(self, tip: Point) -> str:
        corners = ((tip[0] - ARROW, tip[1] - HALF_ARROW), (tip[0] - ARROW, tip[1] + HALF_ARROW))
        return f'<path class="head" d="M{self._text(tip)}{self._lines(*corners)}z"/>'

    def _path(self, start: Point, leave: Point, arrive: Point, end: Point) -> str:
        if abs(leave[1] - arrive[1]) < 0.5:
            return f"M{self._text(start)}{self._lines((end[0], start[1]))}"
        middle = (leave[0] + arrive[0]) / 2
        controls = ((middle, leave[1]), (middle, arrive[1]), arrive)
        first = self._lines(leave) if start != leave else ""
        last = self._lines(end) if arrive != end else ""
        return f"M{self._text(start)}{first}C{' '.join(map(self._text, controls))}{last}"

    def _lines(self, *points: Point) -> str:
        return "".join(f"L{self._text(point)}" for point in points)

    def _text(self, point: Point) -> str:
        x, y = self._at(point)
        return f"{_n(x)} {_n(y)}"


def _title_font(box: Box) -> Font:
    if box.kind == TAG:
        return TYPE
    return SMALL if box.small else NAME if box.kind in PILLS else OPERATION


def _line_places(lines: Sequence[Line], down: bool) -> Iterator[tuple[Line, float, float]]:
    """Every line of a label and where its base line starts, relative to the wire's start.

    To the right of a wire that runs down; above (gradients: below) a wire to the right.
    """
    if down:
        y = 2.0
        for line in lines:
            y += line.font.height
            yield line, LABEL_GAP, y - 3
        return
    above = [line for line in lines if line.font is not GRADIENT]
    y = -4.0
    for line in reversed(above):
        yield line, LABEL_GAP, y
        y -= line.font.height
    y = 0.0
    for line in lines:
        if line.font is GRADIENT:
            y += line.font.height
            yield line, LABEL_GAP, y - 1


def _circle_depth(radius: float, across: float) -> float:
    """How far below its bounding box a circle begins, `across` from its centre."""
    return float(radius - max(radius**2 - across**2, 0.0) ** 0.5)


def _rect(style: str, left: float, top: float, width: float, height: float, radius: float) -> str:
    return (
        f'<rect class="{style}" x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
        f'height="{_n(height)}" rx="{_n(radius)}"/>'
    )


def _tooltip(box: Box, *shapes: str) -> str:
    if not box.tooltip:
        return "".join(shapes)
    return f"<g><title>{escape(box.tooltip)}</title>{''.join(shapes)}</g>"


__all__ = ["Panel", "svg_text"]
