"""The cheapest set of vertices that separates sources from sinks in a directed acyclic graph.

By the theorem of Menger (Ford and Fulkerson, 1956) no cut is cheaper than any flow through the
vertices. So a flow is sent along one path after another until all are blocked; a cut of exactly
its value is proven to be minimal. Only where this greedy flow proves nothing, networkx finds a
maximum flow: importing it takes as long as compiling a small program, and it is seldom needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

MAX_VERTICES = 250
"""Larger parts are not given to networkx; they get the better of two cuts that block all paths."""


def minimum_vertex_cut(
    costs: Sequence[int],
    edges: Iterable[tuple[int, int]],
    sources: Collection[int],
    sinks: Collection[int],
) -> set[int]:
    """Vertices of least total cost that every path from a source to a sink contains.

    Vertices are positions in `costs` (all positive); edges lead to higher positions. Sources and
    sinks may be in the cut themselves.
    """
    network = _Network(costs, edges, sources, sinks)
    cut: set[int] = set()
    for part in network.parts():
        cut |= _cut_part(network, part)
    return cut


class _Network:
    """The vertices on paths that lead from a source to a sink and meet no other of either."""

    def __init__(
        self,
        costs: Sequence[int],
        edges: Iterable[tuple[int, int]],
        sources: Collection[int],
        sinks: Collection[int],
    ) -> None:
        self.costs = costs
        after: list[list[int]] = [[] for _ in costs]
        before: list[list[int]] = [[] for _ in costs]
        sources, sinks = set(sources), set(sinks)
        for start, end in edges:
            if start not in sinks and end not in sources:
                after[start].append(end)
                before[end].append(start)
        useful = _reachable(sources, after) & _reachable(sinks, before)
        self.after = {v: [end for end in after[v] if end in useful] for v in sorted(useful)}
        self.before = {v: [start for start in before[v] if start in useful] for v in sorted(useful)}
        self.sources = sources & useful
        self.sinks = sinks & useful

    def parts(self) -> list[list[int]]:
        """The connected components, each in increasing order."""
        neighbours = {v: self.after[v] + self.before[v] for v in self.after}
        seen: set[int] = set()
        parts = []
        for vertex in neighbours:
            if vertex not in seen:
                found = _reachable([vertex], neighbours)
                seen |= found
                parts.append(sorted(found))
        return parts

    def cost(self, vertices: Iterable[int]) -> int:
        """Their total cost."""
        return sum(self.costs[v] for v in vertices)


def _reachable(
    starts: Iterable[int], neighbours: Sequence[Iterable[int]] | Mapping[int, Iterable[int]]
) -> set[int]:
    found = set(starts)
    pending = list(found)
    while pending:
        for vertex in neighbours[pending.pop()]:
            if vertex not in found:
                found.add(vertex)
                pending.append(vertex)
    return found


def _cut_part(network: _Network, part: Sequence[int]) -> set[int]:
    sources = [v for v in part if v in network.sources]
    sinks = [v for v in part if v in network.sinks]
    capacity, value = _blocking_flow(network, sources)
    full = {v for v in part if capacity[v] == 0}
    candidates = [_first_met(sinks, network.before, full), _first_met(sources, network.after, full)]
    best = min(candidates, key=network.cost)
    if network.cost(best) == value or len(part) > MAX_VERTICES:
        return best
    return _cut_by_flow(network, part)


def _blocking_flow(network: _Network, sources: Iterable[int]) -> tuple[dict[int, int], int]:
    """Flow sent along paths until every path meets a full vertex: what is left, and its value."""
    capacity = {v: network.costs[v] for v in network.after}
    tried = dict.fromkeys(network.after, 0)
    total = 0
    for source in sources:
        path = [source]
        while path:
            vertex = path[-1]
            followers = network.after[vertex]
            if vertex in network.sinks and capacity[vertex] > 0:
                sent = min(capacity[v] for v in path)
                total += sent
                for v in path:
                    capacity[v] -= sent
                # Go on from the first vertex that is full now.
                del path[next(i for i, v in enumerate(path) if capacity[v] == 0) + 1 :]
            elif capacity[vertex] > 0 and tried[vertex] < len(followers):
                path.append(followers[tried[vertex]])
            else:
                path.pop()
                if path:
                    tried[path[-1]] += 1
    return capacity, total


def _first_met(
    starts: Iterable[int], neighbours: Mapping[int, Iterable[int]], full: Collection[int]
) -> set[int]:
    """The full vertices that walks from `starts` meet first."""
    met: set[int] = set()
    seen = set(starts)
    pending = list(seen)
    while pending:
        vertex = pending.pop()
        if vertex in full:
            met.add(vertex)
            continue
        for neighbour in neighbours[vertex]:
            if neighbour not in seen:
                seen.add(neighbour)
                pending.append(neighbour)
    return met


def _cut_by_flow(network: _Network, part: Sequence[int]) -> set[int]:
    """Vertex v becomes an edge from node 2v to node 2v + 1 of capacity costs[v]."""
    import networkx  # here, not above: see the first lines of this file

    source, sink = -1, -2
    flow = networkx.DiGraph()
    for v in part:
        flow.add_edge(2 * v, 2 * v + 1, capacity=network.costs[v])
        flow.add_edges_from((2 * v + 1, 2 * end) for end in network.after[v])
        if v in network.sources:
            flow.add_edge(source, 2 * v)
        if v in network.sinks:
            flow.add_edge(2 * v + 1, sink)
    _, (before, after) = networkx.minimum_cut(flow, source, sink)
    return {v for v in part if 2 * v in before and 2 * v + 1 in after}
