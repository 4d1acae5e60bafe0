"""Graphviz text of one or several scenes, each in a cluster of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .palette import FILL, STROKE
from .scene import BACKWARD_BOX, PORT, Box, Net, Scene


def dot_text(panels: Sequence[tuple[str, Scene]], direction: str = "down") -> str:
    """A `digraph` that `dot -Tsvg` draws; wires carry the types of their values."""
    lines = [
        "digraph {",
        f"  rankdir={'TB' if direction == 'down' else 'LR'}",
        '  node [shape=box, style="filled,rounded", fontname="monospace", fontsize=11]',
        '  edge [fontname="monospace", fontsize=9]',
    ]
    for number, (title, scene) in enumerate(panels):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(title)}"]
        lines += [f"    {line}" for line in _Cluster(scene, f"p{number}_").lines()]
        lines.append("  }")
    return "\n".join([*lines, "}\n"])


class _Cluster:
    """Writes a scene whose boxes are named with a prefix; groups are clusters inside of it."""

    def __init__(self, scene: Scene, prefix: str) -> None:
        self.scene = scene
        self.prefix = prefix

    def lines(self) -> Iterator[str]:
        """Nodes, clusters and edges."""
        for i, box in enumerate(self.scene.boxes):
            yield from self._group(i, box) if box.inner else self._node(i, box)
        for net in self.scene.nets:
            label = _quoted("\n".join(line.text for line in net.lines))
            source = self._leaves(net)
            for reader in net.readers:
                target = self._arrives(reader.box, reader.entry)
                yield f"{source} -> {target} [label={label}]"

    def _node(self, number: int, box: Box) -> Iterator[str]:
        name = f"{self.prefix}{number}"
        if box.kind == PORT:
            yield f"{name} [shape=point, width=0.03, label={_quoted('')}]"
            return
        dashed = ",dashed" if box.kind == BACKWARD_BOX else ""
        label = _quoted(f"{box.title}  {box.detail}".rstrip())
        colours = f'fillcolor="{FILL[box.kind]}", color="{STROKE[box.kind]}"'
        yield f'{name} [label={label}, style="filled,rounded{dashed}", {colours}]'

    def _group(self, number: int, box: Box) -> Iterator[str]:
        assert box.inner is not None
        prefix = f"{self.prefix}{number}_"
        yield f"subgraph cluster_{prefix} {{"
        yield f"  label={_quoted(box.title)}"
        yield from (f"  {line}" for line in _Cluster(box.inner, prefix).lines())
        yield "}"

    def _leaves(self, net: Net) -> str:
        inner = self.scene.boxes[net.source].inner
        if inner is None:
            return f"{self.prefix}{net.source}"
        return f"{self.prefix}{net.source}_{_ports(inner, exits=True)[net.exit]}"

    def _arrives(self, box: int, entry: int) -> str:
        inner = self.scene.boxes[box].inner
        if inner is None:
            return f"{self.prefix}{box}"
        return f"{self.prefix}{box}_{_ports(inner, exits=False)[entry]}"


def _ports(scene: Scene, exits: bool) -> list[int]:
    """The boxes at which values leave a group, or enter it, in order."""
    return [
        i for i, box in enumerate(scene.boxes) if box.kind == PORT and bool(box.entries) == exits
    ]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
