"""Which reductions, stores and row buffers of a kernel belong to which pass over its inner axes."""

from __future__ import annotations

from ...ir.graph import Graph, Node, Value
from ...ir.ops import Family
from ..space import Space
from .folds import Fold

EXPENSIVE = 8
"""From this `Op.cost` on, a value is kept in a row buffer rather than computed twice."""


class Passes:
    """The passes of a fused body, numbered from 0.

    `folds` are the reductions accumulated in each, `stores` the outputs written in it, `kept` the
    values that later passes read again from memory; `outer` are the outputs that have one element
    per row and are written after all passes.
    """

    def __init__(self, body: Graph, space: Space) -> None:
        level: dict[Value, int] = {value: 0 for value in body.inputs}
        self.folds: dict[int, list[Fold]] = {}
        for node in body.nodes:
            depth = max((level[value] for value in node.inputs), default=0)
            if node.op.family is Family.REDUCTION:
                self.folds.setdefault(depth, []).append(Fold(node))
                depth += 1
            level[node.output] = depth
        self.count = len(self.folds)
        self.stores: dict[int, list[Value]] = {}
        self.outer: list[Value] = []
        for value in dict.fromkeys(body.outputs):
            alignment = space.alignment.get(value, ())
            if self.count and space.is_outer(alignment):
                self.outer.append(value)
            else:
                self.stores.setdefault(level[value], []).append(value)
        self.nodes: dict[int, list[Node]] = {}
        self.kept: dict[int, list[Value]] = {}
        self._choose_kept(body, space)

    def numbers(self) -> range:
        """The passes, the last one only for stores."""
        return range(self.count + (self.count in self.stores))

    def _roots(self, number: int) -> list[Value]:
        folded = [fold.node.inputs[0] for fold in self.folds.get(number, ())]
        return folded + self.stores.get(number, [])

    def _choose_kept(self, body: Graph, space: Space) -> None:
        """What is expensive and varies along a row. The rest is computed once per row anyway."""
        producers = body.producers()
        first: dict[Value, int] = {}
        for number in self.numbers():
            pending, seen = self._roots(number), set[Value]()
            while pending:
                value = pending.pop()
                node = producers.get(value)
                if node is None or value in seen or node.op.family is Family.REDUCTION:
                    continue
                seen.add(value)
                if first.get(value, number) < number:
                    kept = self.kept.setdefault(first[value], [])
                    if value not in kept:
                        kept.append(value)
                    continue
                varies = not space.is_outer(space.alignment.get(value, ()))
                if node.op.cost >= EXPENSIVE and varies:
                    first[value] = number
                self.nodes.setdefault(number, []).append(node)
                pending.extend(node.inputs)

    def cost(self, number: int) -> int:
        """Arithmetic per element of a pass."""
        return sum(node.op.cost for node in self.nodes.get(number, ()))
