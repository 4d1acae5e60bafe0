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
from .rewriting import redirected
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
    producers = graph.producers()
    for node in graph.nodes:
        if node.outputs[0] not in line.early and node.op.family not in _READ_ON_THE_FLY:
            line.in_memory.update(_shown(value, producers) for value in node.inputs)
    for node in graph.nodes:
        if node.outputs[0] in line.early:
            _price(node, line)
    return line


def _shown(value: Value, producers: Mapping[Value, Node]) -> Value:
    """What has to lie in memory for `value` to be read: windows are looked up in their array."""
    while (node := producers.get(value)) is not None and node.op.name == "windows":
        (value,) = node.inputs
    return value


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


@dataclass(frozen=True, slots=True)
class _Choice:
    """What is decided: `available` values are kept or free; `forward` are the movable values that
    run in the forward phase, because they are kept or read there."""

    line: _Boundary
    available: set[Value]
    forward: set[Value]

    def stays_late(self, value: Value) -> bool:
        """Movable, but made in the backward phase."""
        return value in self.line.movable and value not in self.forward


def _choose(graph: Graph) -> _Choice:
    line = _boundary(graph)
    available = _kept(graph, line) | line.free
    forward = line.movable & available
    for node in reversed(graph.nodes):
        (first, *_) = node.outputs
        if first in forward or (first in line.early and first not in line.movable):
            forward.update(value for value in node.inputs if value in line.movable)
    return _Choice(line, available, forward)


class _Rebuild:
    """Copies the graph; late nodes read kept values, or new copies of what is computed again."""

    def __init__(self, graph: Graph, choice: _Choice) -> None:
        self.graph, self.choice = graph, choice
        self.producers: Mapping[Value, Node] = graph.producers()
        self.copies: dict[Value, Value] = {}
        self.nodes: list[Node] = []

    def run(self) -> Graph:
        for node in self.graph.nodes:
            (first, *_) = node.outputs
            if first not in self.choice.line.early or self.choice.stays_late(first):
                for value in node.inputs:
                    self._make_available(value)
                node = redirected(node, self.copies)
            self.nodes.append(node)
        return Graph(self.graph.name, self.graph.inputs, tuple(self.nodes), self.graph.outputs)

    def _make_available(self, root: Value) -> None:
        """Emit the nodes that compute `root` again, unless a late node can read it as it is."""
        pending = [root]
        while pending:
            value = pending[-1]
            operands = () if self._is_at_hand(value) else self.producers[value].inputs
            missing = [operand for operand in operands if not self._is_at_hand(operand)]
            if missing:
                pending += missing
                continue
            pending.pop()
            if not self._is_at_hand(value):
                self._copy(value)

    def _is_at_hand(self, value: Value) -> bool:
        made_late = value not in self.choice.line.early or self.choice.stays_late(value)
        return made_late or value in self.choice.available or value in self.copies

    def _copy(self, value: Value) -> None:
        assert value in self.choice.line.cost
        node = redirected(self.producers[value], self.copies)
        copy = Value(value.type, value.name)
        self.nodes.append(Node(node.op, node.inputs, (copy,), node.attrs, node.loc, BACKWARD))
        self.copies[value] = copy


def save_or_recompute(graph: Graph) -> Graph:
    """Requires: a flat graph; no sharing of subexpressions afterwards, which would undo it.
    Ensures: the backward phase needs the fewest bytes of forward values, if what `remade` names is
    computed inside the kernels that read it and all else as soon as it can be.
    """
    if all(node.phase == FORWARD for node in graph.nodes):
        return graph
    live = eliminate_dead_nodes(graph)
    result = eliminate_dead_nodes(_Rebuild(live, _choose(live)).run())
    return graph if result.nodes == graph.nodes else result


def remade(graph: Graph) -> set[Value]:
    """The cheap values that the backward phase is to compute by itself from forward values.

    They belong inside every kernel that reads them; storing them, above all in the forward phase,
    is what `save_or_recompute` decided against.
    """
    if all(node.phase == FORWARD for node in graph.nodes):
        return set()
    choice = _choose(graph)
    return choice.line.movable - choice.forward - choice.line.in_memory


def held_bytes(graph: Graph, backward: Collection[Value] | None = None) -> int:
    """Bytes that are kept for the backward phase: what it reads of the forward phase, inputs and
    outputs aside. `backward` are the cheap values that it makes by itself (if not given, those
    that are best made by it)."""
    choice = _choose(graph)
    line = choice.line
    late = line.movable - choice.forward if backward is None else backward
    line.free = {*graph.inputs, *graph.outputs} | line.made
    read = _read_by(graph, line, late).keys() - late
    return sum(value.type.nbytes for value in read)
