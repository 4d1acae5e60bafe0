"""Minimum vertex cuts against enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tapeless.compiler.passes import vertex_cut
from tapeless.compiler.passes.vertex_cut import minimum_vertex_cut


def separates(cut, edges, sources, sinks) -> bool:
    """No path from a source to a sink avoids the cut."""
    reached = set(sources) - set(cut)
    for start, end in sorted(edges):
        if start in reached and end not in cut:
            reached.add(end)
    return reached.isdisjoint(sinks)


def cheapest(costs, edges, sources, sinks) -> int:
    """The least cost of any separating set, by trying all."""
    vertices = range(len(costs))
    cuts = (c for size in range(len(costs) + 1) for c in combinations(vertices, size))
    return min(sum(costs[v] for v in c) for c in cuts if separates(c, edges, sources, sinks))


def random_problem(seed: int, size: int):
    """Costs, edges, sources and sinks of a random acyclic network."""
    rng = np.random.default_rng(seed)
    costs = [int(c) for c in rng.integers(1, 9, size)]
    edges = [(i, j) for j in range(size) for i in range(j) if rng.random() < 0.3]
    sources = [v for v in range(size) if rng.random() < 0.3]
    sinks = [v for v in range(size) if rng.random() < 0.3]
    return costs, edges, sources, sinks


@pytest.mark.parametrize("seed", range(150))
def test_cuts_separate_and_are_cheapest(seed: int) -> None:
    problem = random_problem(seed, size=3 + seed % 8)
    cut = minimum_vertex_cut(*problem)
    assert separates(cut, *problem[1:])
    assert sum(problem[0][v] for v in cut) == cheapest(*problem)


@pytest.mark.parametrize("seed", range(60))
def test_flows_agree_with_enumeration(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(vertex_cut, "_blocking_flow", lambda network, sources: (network.costs, -1))
    problem = random_problem(seed, size=4 + seed % 6)
    cut = minimum_vertex_cut(*problem)
    assert separates(cut, *problem[1:])
    assert sum(problem[0][v] for v in cut) == cheapest(*problem)


@pytest.mark.parametrize("seed", range(60))
def test_parts_too_large_for_an_exact_answer_are_separated_too(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(vertex_cut, "MAX_VERTICES", 0)
    problem = random_problem(seed, size=4 + seed % 6)
    assert separates(minimum_vertex_cut(*problem), *problem[1:])


def test_greedy_flows_settle_nearly_all_problems(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(vertex_cut, "_cut_by_flow", lambda network, part: asked.append(1) or set())
    for seed in range(400):
        minimum_vertex_cut(*random_problem(seed, size=9))
    assert len(asked) < 40


def test_of_equal_cuts_the_one_nearest_to_the_sinks_is_taken() -> None:
    chain = [(0, 1), (1, 2), (2, 3)]
    assert minimum_vertex_cut([5, 5, 5, 7], chain, [0], [3]) == {2}


def test_long_chains_are_reduced_without_flows() -> None:
    size = 5000
    edges = [(i, i + 1) for i in range(size - 1)]
    costs = [9] * size
    costs[1234] = 3
    assert minimum_vertex_cut(costs, edges, [0], [size - 1]) == {1234}
