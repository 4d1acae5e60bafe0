"""SVG text of one or several graphs side by side.

Forward operations are blue, backward ones orange, boxes that hold both violet; inputs are grey and
outputs green. Types stand where a value leaves its box; hovering a box shows what its op does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape

from ..ir.graph import BACKWARD, FORWARD, Graph
from .layers import Cell
from .placement import CHARACTER, LINE, PADDING, Picture, Rectangle, place_scene
from .scene import BACKWARD_BOX, FORWARD_BOX, INPUT, MIXED, OUTPUT, Box, Wire, scene_of

MARGIN, HEADING = 28.0, 64.0
"""Space around each picture; room above it for its title and the legend."""

COLOURS = {
    INPUT: ("#f1f3f5", "#868e96"),
    OUTPUT: ("#d3f9d8", "#2f9e44"),
    FORWARD_BOX: ("#e7f1fd", "#1c6dd0"),
    BACKWARD_BOX: ("#fff0e0", "#d9730d"),
    MIXED: ("#f3ebfd", "#7a3fc4"),
}
"""Fill and outline of each kind of box."""

LEGEND = {
    INPUT: "input",
    FORWARD_BOX: "forward",
    BACKWARD_BOX: "backward",
    MIXED: "both, fused",
    OUTPUT: "output",
}

STYLE = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #212529 }
.heading { font-size: 16px; font-weight: bold }
.op { font-weight: bold }
.detail, .port { fill: #6c757d }
.type { fill: #495057; font-size: 10.5px; paint-order: stroke; stroke: #fff; stroke-width: 3px }
.wire { fill: none; stroke: #6c757d; stroke-width: 1.2 }
.tag { fill: #ffffff; stroke: #6c757d; stroke-dasharray: 3 2 }
.box { stroke-width: 1.4 }
"""


def svg_text(panels: Sequence[tuple[str, Graph]]) -> str:
    """A complete SVG document with the titled graphs next to each other."""
    pictures = [(title, place_scene(scene_of(graph))) for title, graph in panels]
    body: list[str] = []
    left, bottom = MARGIN, 0.0
    for title, picture in pictures:
        body += [f'<g transform="translate({left:.1f},{MARGIN:.1f})">', *_panel(title, picture)]
        body.append("</g>")
        left += max(picture.width, _panel_width(title)) + 2 * MARGIN
        bottom = max(bottom, picture.height + HEADING + 2 * MARGIN)
    width = left - MARGIN
    size = f'width="{width:.0f}" height="{bottom:.0f}" viewBox="0 0 {width:.0f} {bottom:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        ]
    )


def _panel_width(title: str) -> float:
    return max(len(title) * CHARACTER * 1.35, _legend_offsets()[-1])


def _panel(title: str, picture: Picture) -> Iterator[str]:
    yield _text(0, 14, title, "heading")
    yield from _legend()
    yield f'<g transform="translate(0,{HEADING:.1f})">'
    for wire in picture.scene.wires:
        yield _wire(picture, wire)
    for cell, rectangle in picture.place.items():
        if cell.box is not None:
            yield from _box(picture.scene.boxes[cell.box], rectangle)
        elif cell.tag:
            yield from _tag(cell, rectangle)
    yield "</g>"


def _legend_offsets() -> list[float]:
    offsets = [0.0]
    for label in LEGEND.values():
        offsets.append(offsets[-1] + 34 + len(label) * CHARACTER)
    return offsets


def _legend() -> Iterator[str]:
    for (kind, label), x in zip(LEGEND.items(), _legend_offsets(), strict=False):
        yield _rectangle(Rectangle(x, 26, 14, 12), kind, 3)
        yield _text(x + 19, 36, label, "detail")


def _rectangle(r: Rectangle, kind: str, radius: float) -> str:
    fill, stroke = COLOURS[kind]
    return (
        f'<rect class="box" x="{r.left:.1f}" y="{r.top:.1f}" width="{r.width:.1f}" '
        f'height="{r.height:.1f}" rx="{radius}" fill="{fill}" stroke="{stroke}"/>'
    )


def _text(x: float, y: float, text: str, style: str = "", colour: str = "") -> str:
    attributes = f' class="{style}"' if style else ""
    attributes += f' style="fill:{colour}"' if colour else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes} xml:space="preserve">{escape(text)}</text>'


def _box(box: Box, r: Rectangle) -> Iterator[str]:
    yield f"<g><title>{escape(box.tooltip or box.title)}</title>"
    yield _rectangle(r, box.kind, 9 if box.kind in (INPUT, OUTPUT) else 4)
    y = r.top + PADDING / 2 + 12
    if any(box.ports):
        for i, port in enumerate(box.ports):
            x = r.centre + r.width * box.port_shift(i) - len(port) * CHARACTER / 2
            yield _text(x, r.top + 12, port, "port")
        y += LINE - 2
    x = r.left + PADDING
    yield _text(x, y, box.title, "op", COLOURS[box.kind][1])
    if box.detail:
        yield _text(x + (len(box.title) + 2) * CHARACTER, y, box.detail, "detail")
    for row in box.rows:
        y += LINE
        colour = {FORWARD: FORWARD_BOX, BACKWARD: BACKWARD_BOX}.get(row.phase)
        if colour:
            stroke = COLOURS[colour][1]
            yield f'<circle cx="{x + 3:.1f}" cy="{y - 4:.1f}" r="3" fill="{stroke}"/>'
        yield _text(x + 2 * CHARACTER, y, row.text)
    for i, result in enumerate(box.results if box.kind != INPUT else ()):
        x = r.centre + r.width * box.result_shift(i)
        yield _text(x + 4, r.bottom + 12, result, "type")
    yield "</g>"


def _tag(cell: Cell, r: Rectangle) -> Iterator[str]:
    yield (
        f'<rect class="tag" x="{r.left:.1f}" y="{r.top:.1f}" width="{r.width:.1f}" '
        f'height="{r.height:.1f}" rx="8"/>'
    )
    yield _text(r.left + PADDING / 2, r.top + 13, cell.tag, "detail")


def _wire(picture: Picture, wire: Wire) -> str:
    route = picture.layers.routes[wire]
    boxes = picture.scene.boxes
    first, *bends, last = (picture.place[cell] for cell in route)
    start_x = first.centre
    if route[0].box is not None:
        start_x += first.width * boxes[wire.source].result_shift(wire.result)
    end_x = last.centre + last.width * boxes[wire.target].port_shift(wire.port)
    points = [(start_x, first.bottom)]
    points += [(r.centre, y) for r in bends for y in (r.top, r.bottom)]
    points.append((end_x, last.top))
    path = [f"M{start_x:.1f} {first.bottom:.1f}"]
    for step, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        if step % 2 and abs(x0 - x1) < 0.5:
            path.append(f"L{x1:.1f} {y1:.1f}")
        else:
            middle = (y0 + y1) / 2
            path.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return f'<path class="wire" d="{"".join(path)}"/>'
