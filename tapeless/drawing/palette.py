"""Colours and outlines of every kind of box and wire, and what the legend calls them.

Hues are those of Okabe & Ito, "Color universal design" (2008), told apart by readers of every kind
of colour vision.
"""

from __future__ import annotations

from .measure import DOWN, RIGHT
from .scene import (
    BACKWARD_BOX,
    CONSTANT,
    FORWARD_BOX,
    INPUT,
    KERNEL,
    OUTPUT,
    PARAMETER,
    TAG,
    TRANSFORM,
    UPDATE,
)
from .text import GRADIENT, HEADING, MONO, NAME, OPERATION, SANS, SMALL, TYPE, VALUE

CLASS = "tapeless-graph"
"""The class of the `svg` element; every style rule begins with it."""

KINDS = {
    INPUT: "input",
    PARAMETER: "parameter",
    FORWARD_BOX: "forward",
    BACKWARD_BOX: "backward",
    UPDATE: "uses gradients",
    KERNEL: "one kernel",
    TRANSFORM: "transformation",
    OUTPUT: "output",
    TAG: "value of that name",
}
"""What the legend calls each kind, in its order."""

NUMBERS = {
    DOWN: {VALUE: "value", GRADIENT: "and below it the gradient"},
    RIGHT: {VALUE: "value above", GRADIENT: "gradient below"},
}
"""What the legend says about numbers beside wires, by the direction of flow."""

FILL = {
    INPUT: "#f1f3f5",
    PARAMETER: "#f6e8f1",
    CONSTANT: "#ffffff",
    FORWARD_BOX: "#e3f0fa",
    BACKWARD_BOX: "#fdeadd",
    UPDATE: "#fbf3d0",
    OUTPUT: "#def3ec",
}
STROKE = {
    INPUT: "#6c757d",
    PARAMETER: "#a8447f",
    CONSTANT: "#adb5bd",
    FORWARD_BOX: "#0072b2",
    BACKWARD_BOX: "#d55e00",
    UPDATE: "#8a6d00",
    OUTPUT: "#007a5a",
}

_RULES = [
    ".page {fill:#fff}",
    f"text {{font-family:{SANS};fill:#212529}}",
    f".{OPERATION.style} {{font-size:{OPERATION.size}px;font-weight:600}}",
    f".{SMALL.style} {{font-size:{SMALL.size}px;fill:#495057}}",
    f".{HEADING.style} {{font-size:{HEADING.size}px;font-weight:600}}",
    f".{NAME.style} {{font:600 {NAME.size}px {MONO}}}",
    f".{TYPE.style} {{font:{TYPE.size}px {MONO};fill:#495057}}",
    f".{VALUE.style} {{font:{VALUE.size}px {MONO};fill:#00684d}}",
    f".{GRADIENT.style} {{font:{GRADIENT.size}px {MONO};fill:#b34700}}",
    "rect {stroke-width:1.3}",
    f".{PARAMETER} {{stroke-width:2.2}}",
    f".{BACKWARD_BOX} {{stroke-dasharray:4 2.5}}",
    ".inset {fill:none;stroke-width:.8}",
    ".view {fill:#fff}",
    ".tag {fill:#fff;stroke:#6c757d;stroke-dasharray:2 2}",
    f".{KERNEL} {{fill:#f8f9fa;stroke:#343a40;stroke-width:1.6}}",
    f".{TRANSFORM} {{fill:#fff;stroke:#343a40;stroke-width:1.2;stroke-dasharray:8 3}}",
    ".spine {fill:#dee2e6}",
    ".wire {fill:none;stroke:#5c636a;stroke-width:1.2}",
    f".{BACKWARD_BOX}-wire {{stroke:#b85200}}",
    ".head {fill:#5c636a}",
]
_RULES += [f".{kind} {{fill:{FILL[kind]};stroke:{STROKE[kind]}}}" for kind in FILL]
STYLE = "".join(
    f"\n.{CLASS} {rule}" for rule in sorted(_RULES, key=lambda r: r.startswith(".view"))
)
"""The style sheet of a picture."""
