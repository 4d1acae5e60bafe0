"""What a viewer of an SVG picture sees, read back from its text: rectangles, writing and wires."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from xml.etree import ElementTree

from tapeless.drawing import text as fonts
from tapeless.drawing.svg import LEGEND, MARGIN, TITLE

SVG = "{http://www.w3.org/2000/svg}"
FONTS = {font.style: font for font in vars(fonts).values() if isinstance(font, fonts.Font)}
FRAMES = {"kernel", "transform"}
IGNORED = {"page", "spine"}
TOP = MARGIN + TITLE + LEGEND - 5
"""Boxes above this line belong to the legend."""


@dataclass(frozen=True)
class Rectangle:
    """Part of the page; `kind` is the style class, or the text."""

    left: float
    top: float
    right: float
    bottom: float
    kind: str

    def meets(self, other: Rectangle, slack: float = 0.0) -> bool:
        """Whether the two overlap by more than `slack`."""
        return (
            self.left + slack < other.right
            and other.left + slack < self.right
            and self.top + slack < other.bottom
            and other.top + slack < self.bottom
        )

    def holds(self, other: Rectangle) -> bool:
        """Whether `other` lies inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )

    def contains(self, point: tuple[float, float], slack: float) -> bool:
        """Whether a point lies inside, more than `slack` from the edge."""
        x, y = point
        return (
            self.left + slack < x < self.right - slack
            and self.top + slack < y < self.bottom - slack
        )


@dataclass
class Page:
    """Everything on the page but legend and titles."""

    size: Rectangle
    boxes: list[Rectangle]
    frames: list[Rectangle]
    spines: list[Rectangle]
    texts: list[Rectangle]
    wires: list[list[tuple[float, float]]]


def read(svg: str) -> Page:
    """The page that an SVG text shows."""
    root = ElementTree.fromstring(svg)
    size = Rectangle(0, 0, float(root.get("width", 0)), float(root.get("height", 0)), "page")
    page = Page(size, [], [], [], [], [])
    _collect(root, 0.0, 0.0, page)
    return page


def _collect(element: ElementTree.Element, dx: float, dy: float, page: Page) -> None:
    shift = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
    if shift:
        dx, dy = dx + float(shift[1]), dy + float(shift[2])
    if element.tag == f"{SVG}rect":
        _add_rectangle(element, dx, dy, page)
    elif element.tag == f"{SVG}text" and "rotate" not in element.get("transform", ""):
        text = _text(element, dx, dy)
        if text.bottom > TOP:
            page.texts.append(text)
    elif element.tag == f"{SVG}path" and "wire" in element.get("class", "").split():
        points = list(_samples(element.get("d", "")))
        page.wires.append([(x + dx, y + dy) for x, y in points])
    for child in element:
        _collect(child, dx, dy, page)


def _add_rectangle(element: ElementTree.Element, dx: float, dy: float, page: Page) -> None:
    kinds = element.get("class", "").split()
    if "page" in kinds or "inset" in kinds:
        return
    left, top = float(element.get("x", 0)) + dx, float(element.get("y", 0)) + dy
    right, bottom = left + float(element.get("width", 0)), top + float(element.get("height", 0))
    rectangle = Rectangle(left, top, right, bottom, kinds[0])
    if bottom < TOP:
        return
    group = {"spine": page.spines}.get(kinds[0], page.frames if kinds[0] in FRAMES else page.boxes)
    group.append(rectangle)


def _text(element: ElementTree.Element, dx: float, dy: float) -> Rectangle:
    font = FONTS[element.get("class", "")]
    words = element.text or ""
    x, y = float(element.get("x", 0)) + dx, float(element.get("y", 0)) + dy
    width = font.width(words)
    left = x - width / 2 if element.get("text-anchor") == "middle" else x
    return Rectangle(left, y - 0.75 * font.size, left + width, y + 0.2 * font.size, words)


def _samples(path: str) -> Iterator[tuple[float, float]]:
    """Points along a path of the commands M, L and C."""
    here = (0.0, 0.0)
    for command, numbers in re.findall(r"([MLC])([^MLCz]*)", path):
        values = [float(number) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            yield points[0]
        else:
            ends = [here, *points]
            for step in range(1, 33):
                yield _bezier(ends, step / 32)
        here = points[-1]


def _bezier(points: list[tuple[float, float]], t: float) -> tuple[float, float]:
    while len(points) > 1:
        points = [((1 - t) * a + t * c, (1 - t) * b + t * d) for (a, b), (c, d) in pairwise(points)]
    return points[0]


def faults(svg: str) -> list[str]:
    """Everything that makes a picture hard to read; empty for a good one."""
    page = read(svg)
    return [
        *(f"{a} overlaps {b}" for a, b in combinations(page.boxes, 2) if a.meets(b)),
        *(f"{a} overlaps {b}" for a, b in combinations(page.texts, 2) if a.meets(b, 0.5)),
        *_misplaced(page),
        *_crossed(page),
    ]


def _misplaced(page: Page) -> Iterator[str]:
    for a in (*page.boxes, *page.frames, *page.texts):
        if not page.size.holds(a):
            yield f"{a} is off the page"
        for frame in page.frames:
            if a is not frame and a.meets(frame) and not frame.holds(a) and not a.holds(frame):
                yield f"{a} lies across the edge of {frame}"
    for text in page.texts:
        for box in page.boxes:
            if text.meets(box) and not box.holds(text):
                yield f"{text} does not fit {box}"
    for spine in page.spines:
        for other in (*page.boxes, *page.texts):
            if other.meets(spine) and not spine.holds(other):
                yield f"{other} overlaps a spine"


def _crossed(page: Page) -> Iterator[str]:
    for wire in page.wires:
        for obstacle, slack in (
            *((box, 1.0) for box in (*page.boxes, *page.spines)),
            *((text, 0.8) for text in page.texts),
        ):
            # The ends of a wire may touch the outline of a circle inside of its square.
            if any(obstacle.contains(point, slack) for point in wire[2:-4]):
                yield f"a wire from {wire[0]} to {wire[-1]} runs through {obstacle}"
