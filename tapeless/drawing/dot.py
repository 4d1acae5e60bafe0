"""Graphviz text of one or several graphs, each in a cluster of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..ir.graph import Graph
from .scene import BACKWARD_BOX, FORWARD_BOX, INPUT, MIXED, OUTPUT, Box, scene_of

FILL = {
    INPUT: "#f1f3f5",
    OUTPUT: "#d3f9d8",
    FORWARD_BOX: "#e7f1fd",
    BACKWARD_BOX: "#fff0e0",
    MIXED: "#f3ebfd",
}
"""Fill colour of each kind of box, as in the SVG."""


def dot_text(panels: Sequence[tuple[str, Graph]]) -> str:
    """A `digraph` that `dot -Tsvg` draws; wires carry the types of their values."""
    lines = [
        "digraph {",
        '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=11]',
        '  edge [fontname="monospace", fontsize=9]',
    ]
    for number, (title, graph) in enumerate(panels):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(title)}"]
        lines += [f"    {line}" for line in _cluster(graph, f"p{number}_")]
        lines.append("  }")
    return "\n".join([*lines, "}\n"])


def _cluster(graph: Graph, prefix: str) -> Iterator[str]:
    scene = scene_of(graph)
    for i, box in enumerate(scene.boxes):
        yield f'{prefix}{i} [label={_label(box)}, fillcolor="{FILL[box.kind]}"]'
    for wire in scene.wires:
        label = scene.boxes[wire.source].results[wire.result]
        yield f"{prefix}{wire.source} -> {prefix}{wire.target} [label={_quoted(label)}]"


def _label(box: Box) -> str:
    heading = f"{box.title}  {box.detail}".rstrip()
    if not box.rows:
        return _quoted(heading)
    rows = "".join(_escaped(row.text) + "\\l" for row in box.rows)  # \l: left-aligned line
    return f'"{_escaped(heading)}\\n{rows}"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
