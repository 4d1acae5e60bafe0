"""The order of execution: one that needs little memory and lets updates happen in place."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from types import MappingProxyType

from ...ir.graph import Graph, Node, Value
from .failing import failing
from .packing import Block, peak
from .storage import Storage, storage_of

_NO_UPDATES: Mapping[int, int] = MappingProxyType({})


def schedule(graph: Graph, updates: Mapping[int, int] = _NO_UPDATES) -> Graph:
    """Requires: any graph; `updates[output] = input` names arguments to be overwritten.
    Ensures: the same nodes, in an order that needs no more memory than the given one.
    """
    storage = storage_of(graph)
    candidates = [graph]
    for wanted in dict.fromkeys([(), tuple(updates.items())]):
        nodes = _Scheduler(graph, storage, dict(wanted)).run()
        candidates.append(Graph(graph.name, graph.inputs, nodes, graph.outputs))
    return min(candidates, key=lambda candidate: _cost(candidate, updates))


def _cost(graph: Graph, updates: Mapping[int, int]) -> int:
    """Peak of the arena in bytes, plus what moving the arguments costs that cannot be overwritten
    where they lie: these need a buffer of their own, which is read and written once more."""
    storage = storage_of(graph)
    kept = {storage.roots[value] for value in graph.outputs}
    blocks = [
        Block(root.type.nbytes, born, storage.death(root))
        for root, born in storage.owned.items()
        if root not in kept
    ]
    late, last_failure = 0, max(failing(graph), default=-1)
    for output, argument in updates.items():
        born = storage.owned.get(storage.roots[graph.outputs[output]])
        value = graph.inputs[argument]
        if born is not None and max(storage.last_read.get(value, -1), last_failure + 1) > born:
            late += value.type.nbytes
    return peak(blocks) + 3 * late


class _Scheduler:
    """List scheduling: of the nodes that can run, the one after which least memory is in use.

    A node that overwrites an argument waits for those that read the old value, and for those that
    can fail, as long as anything else can run. Ties go to the earlier node of the given order.
    """

    def __init__(self, graph: Graph, storage: Storage, updates: Mapping[int, int]) -> None:
        self.nodes = graph.nodes
        self.storage = storage
        kept = {storage.roots[value] for value in graph.outputs}
        self.size = {root: 0 if root in kept else root.type.nbytes for root in storage.owned}
        self.reads = [storage.reads(node) for node in graph.nodes]
        self.readers: dict[Value, dict[int, None]] = {}
        for position, roots in enumerate(self.reads):
            for root in roots:
                self.readers.setdefault(root, {})[position] = None
        self.missing, self.users = _dependences(graph)
        self.waits, self.releases = self._overwrites(graph, updates)
        self.ready: list[tuple[int, int]] = []
        self.held: list[int] = []
        self.done = [False] * len(self.nodes)

    def _overwrites(
        self, graph: Graph, updates: Mapping[int, int]
    ) -> tuple[list[int], dict[int, list[int]]]:
        """How many readers each overwriting node waits for; which nodes a reader releases."""
        waits = [0] * len(self.nodes)
        releases: dict[int, list[int]] = {}
        checking = failing(graph) if updates else []
        for output, argument in updates.items():
            writer = self.storage.owned.get(self.storage.roots[graph.outputs[output]])
            if writer is None:
                continue
            for earlier in (*self.readers.get(graph.inputs[argument], ()), *checking):
                if earlier != writer:
                    waits[writer] += 1
                    releases.setdefault(earlier, []).append(writer)
        return waits, releases

    def run(self) -> tuple[Node, ...]:
        """The nodes in the new order."""
        for position, count in enumerate(self.missing):
            if count == 0:
                self._offer(position)
        order = []
        while self.ready or self.held:
            position = self._next()
            if not self.done[position]:
                self.done[position] = True
                order.append(self.nodes[position])
                self._complete(position)
        return tuple(order)

    def _next(self) -> int:
        return heappop(self.ready)[1] if self.ready else heappop(self.held)

    def _offer(self, position: int) -> None:
        if self.waits[position] > 0:
            heappush(self.held, position)
        else:
            heappush(self.ready, (self._growth(position), position))

    def _growth(self, position: int) -> int:
        """Bytes in use after the node minus bytes in use before it."""
        made = sum(self.size.get(value, 0) for value in self.nodes[position].outputs)
        freed = sum(
            self.size.get(root, 0) for root in self.reads[position] if len(self.readers[root]) == 1
        )
        return made - freed

    def _complete(self, position: int) -> None:
        for root in self.reads[position]:
            readers = self.readers[root]
            del readers[position]
            if len(readers) == 1:
                (last,) = readers
                if self.missing[last] == 0 and not self.done[last]:
                    self._offer(last)
        for user in self.users[position]:
            self.missing[user] -= 1
            if self.missing[user] == 0:
                self._offer(user)
        for writer in self.releases.get(position, ()):
            self.waits[writer] -= 1
            if self.waits[writer] == 0 and self.missing[writer] == 0:
                self._offer(writer)


def _dependences(graph: Graph) -> tuple[list[int], list[list[int]]]:
    """For each node how many nodes it waits for, and which nodes wait for it."""
    maker = {value: i for i, node in enumerate(graph.nodes) for value in node.outputs}
    missing = [0] * len(graph.nodes)
    users: list[list[int]] = [[] for _ in graph.nodes]
    for position, node in enumerate(graph.nodes):
        for source in dict.fromkeys(maker[v] for v in node.inputs if v in maker):
            missing[position] += 1
            users[source].append(position)
    return missing, users
