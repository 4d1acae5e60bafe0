"""Save or recompute: what the backward phase keeps of the forward phase.

The backward phase may read a forward value from memory, where it has to be kept until then, or
compute it again from others that are kept. Which values are kept is a minimum cut: the fewest
bytes that separate what cannot be computed again from what the backward phase reads. Cheap
backward nodes that read forward values only (the mask `x > 0` of a relu) take part: one byte per
element of the mask may then be kept instead of eight of x.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...ir.graph import BACKWARD, FORWARD, Graph, Node, Value
from ...ir.ops import Family
from .dead_nodes import eliminate_dead_nodes
from .vertex_cut import minimum_vertex_cut

MAX_COST = 16
"""Arithmetic per element (`Op.cost`, at least 1 a node) up to which a value is computed again:
all of it that lies between the value and values that are kept."""

_REMADE = frozenset({Family.ELEMENTWISE, Family.VIEW})
"""Families whose nodes kernels compute on the fly."""

_MADE = frozenset({Family.CREATION, Family.VIEW})
"""Families whose results are made from nothing if their operands are."""

_READ_ON_THE_FLY = frozenset({Family.ELEMENTWISE, Family.VIEW, Family.REDUCTION})
"""Families whose operands need not lie in memory."""


@dataclass(slots=True)
class _Boundary:
    """The line between the forward and the backward phase.

    `early` values are made in the forward phase, or might be: by forward nodes that do not depend
    on the backward phase, and by cheap backward nodes that read early values only (`movable`).
    `made` are constants and views of constants, which kernels make from nothing. `in_memory` are
    outputs and what late nodes read as whole arrays. `free` values cost nothing to keep: inputs,
    what is made, and forward values in memory. `cost` is the arithmetic between a value and values
    that are kept; a value without entry cannot be computed again.
    """

    early: set[Value] = field(default_factory=set)
    movable: set[Value] = field(default_factory=set)
    made: set[Value] = field(default_factory=set)
    in_memory: set[Value] = field(default_factory=set)
    free: set[Value] = field(default_factory=set)
    cost: dict[Value, int] = field(default_factory=dict)


def _boundary(graph: Graph) -> _Boundary:
    line = _Boundary(early=set(graph.inputs), free=set(graph.inputs))
    _find_early(graph, line)
    line.in_memory.update(graph.outputs)
    for node in graph.nodes:
        if node.outputs[0] not in line.early and node.op.family not in _READ_ON_THE_FLY:
            line.in_memory.update(node.inputs)
    for node in graph.nodes:
        if node.outputs[0] in line.early:
            _price(node, line)
    return line


def _find_early(graph: Graph, line: _Boundary) -> None:
    outputs = set(graph.outputs)
    costs: dict[Value, int] = {}
    for node in graph.nodes:
        if not line.early.issuperset(node.inputs):
            continue
        if node.op.family in _MADE and line.made.issuperset(node.inputs):
            line.made.update(node.outputs)
        cost = _cost(node, costs)
        if node.phase == FORWARD or node.outputs[0] in line.made:
            line.early.update(node.outputs)
        elif cost is not None and node.output not in outputs:
            line.early.add(node.output)
            line.movable.add(node.output)
        if cost is not None and node.output not in line.made:
            costs[node.output] = cost


def _price(node: Node, line: _Boundary) -> None:
    """Enter the result of an early node under `free` or `cost`, or neither."""
    (first, *_) = node.outputs
    stored = first in line.in_memory and first not in line.movable
    cost = _cost(node, line.cost)
    if stored or first in line.made or first.type.nbytes == 0:
        line.free.update(node.outputs)
    elif cost is not None:
        line.cost[first] = cost


def _cost(node: Node, costs: Mapping[Value, int]) -> int | None:
    """What computing the node's result again costs; None if that is out of the question."""
    if node.op.family not in _REMADE or node.op.fails:
        return None
    cost = max(1, node.op.cost) + sum(costs.get(v, 0) for v in dict.fromkeys(node.inputs))
    return cost if cost <= MAX_COST else None


def _read_by(graph: Graph, line: _Boundary, readers: Collection[Value]) -> dict[Value, None]:
    """The early values, not free, read by nodes that are late or whose result is in `readers`."""
    return {
        value: None
        for node in graph.nodes
        if node.outputs[0] not in line.early or node.outputs[0] in readers
        for value in node.inputs
        if value in line.early and value not in line.free
    }


def _kept(graph: Graph, line: _Boundary) -> set[Value]:
    """The values to keep: a minimum cut between what must be kept and what is read.

    Of equally cheap choices, that which changes least: what is read already is best, a value of
    the forward phase next, a backward node moved into the forward phase last; except that a value
    which has to be stored in any case had better be stored by the forward kernel that can make it.
    """
    values = [
        value
        for node in graph.nodes
        for value in node.outputs
        if value in line.early and value not in line.free
    ]
    number = {value: i for i, value in enumerate(values)}
    read = _read_by(graph, line, line.movable).keys() - line.movable
    scale = 2 * len(values) + 1
    costs = [value.type.nbytes * scale + _reluctance(value, line, read) for value in values]
    producers = graph.producers()
    edges = [
        (number[operand], number[value])
        for value in values
        if value in line.cost
        for operand in producers[value].inputs
        if operand in number
    ]
    sources = [number[value] for value in values if value not in line.cost]
    sinks = [number[value] for value in _read_by(graph, line, ())]
    cut = minimum_vertex_cut(costs, edges, sources, sinks)
    if sum(costs[i] for i in cut) > sum(costs[number[value]] for value in read):
        return set(read)  # only where a part was too large for an exact answer
    return {values[i] for i in cut}


def _reluctance(value: Value, line: _Boundary, read: Collection[Value]) -> int:
    if value in line.movable and value in line.in_memory:
        return -1
    return (value not in read) + (value in line.movable)


class _Rebuild:
    """Copies the graph; late nodes read kept values, or new copies of what is computed again."""

    def __init__(self, graph: Graph, line: _Boundary, kept: set[Value]) -> None:
        self.graph, self.line = graph, line
        self.available = kept | line.free
        self.producers: Mapping[Value, Node] = graph.producers()
        self.forward = self._needed_in_forward()
        self.remade: dict[Value, Value] = {}
        self.nodes: list[Node] = []

    def _needed_in_forward(self) -> set[Value]:
        """The movable values that are kept or read in the forward phase, and their ancestors."""
        movable = self.line.movable
        needed = movable & self.available
        for node in reversed(self.graph.nodes):
            (first, *_) = node.outputs
            if first in needed or (first in self.line.early and first not in movable):
                needed.update(value for value in node.inputs if value in movable)
        return needed

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if self._is_late(node):
                inputs = tuple(self._fetch(value) for value in node.inputs)
                self.nodes.append(_changed(node, inputs, node.phase))
            else:
                phase = FORWARD if node.outputs[0] in self.forward else node.phase
                self.nodes.append(_changed(node, node.inputs, phase))
        return Graph(self.graph.name, self.graph.inputs, tuple(self.nodes), self.graph.outputs)

    def _is_late(self, node: Node) -> bool:
        """Backward nodes stay where they are unless their result is kept."""
        (first, *_) = node.outputs
        movable = first in self.line.movable and first not in self.forward
        return movable or first not in self.line.early

    def _fetch(self, root: Value) -> Value:
        """What a late node reads for `root`; emits the nodes that compute it again."""
        pending = [root]
        while pending:
            value = pending[-1]
            operands = [] if self._is_at_hand(value) else list(self.producers[value].inputs)
            missing = [v for v in operands if not self._is_at_hand(v)]
            if missing:
                pending += missing
                continue
            pending.pop()
            if not self._is_at_hand(value):
                self._remake(value)
        return self.remade.get(root, root)

    def _is_at_hand(self, value: Value) -> bool:
        kept_or_late = value in self.available or value not in self.line.early
        stays_late = value in self.line.movable and value not in self.forward
        return kept_or_late or stays_late or value in self.remade

    def _remake(self, value: Value) -> None:
        assert value in self.line.cost
        node = self.producers[value]
        copy = Value(value.type, value.name)
        inputs = tuple(self.remade.get(v, v) for v in node.inputs)
        self.nodes.append(Node(node.op, inputs, (copy,), node.attrs, node.loc, BACKWARD))
        self.remade[value] = copy


def _changed(node: Node, inputs: tuple[Value, ...], phase: str) -> Node:
    if inputs == node.inputs and phase == node.phase:
        return node
    return Node(node.op, inputs, node.outputs, node.attrs, node.loc, phase)


def save_or_recompute(graph: Graph) -> Graph:
    """Requires: a flat graph; no sharing of subexpressions afterwards, which would undo it.
    Ensures: the backward phase holds the fewest bytes of forward values; `remade` tells which
    nodes compute values again, and every other elementwise function of forward values is forward.
    """
    if all(node.phase == FORWARD for node in graph.nodes):
        return graph
    live = eliminate_dead_nodes(graph)
    line = _boundary(live)
    result = eliminate_dead_nodes(_Rebuild(live, line, _kept(live, line)).run())
    return graph if result.nodes == graph.nodes else result


def remade(graph: Graph) -> set[Value]:
    """The values that backward nodes compute again, or for themselves, from forward values.

    They are meant to be computed inside every kernel that reads them, not to be stored.
    """
    line = _boundary(graph)
    return line.movable - line.in_memory


def held_bytes(graph: Graph) -> int:
    """Bytes of forward values, inputs and outputs aside, that the backward phase reads."""
    line = _boundary(graph)
    line.free = {*graph.inputs, *graph.outputs} | line.made
    read = _read_by(graph, line, line.movable).keys() - line.movable
    return sum(value.type.nbytes for value in read)
