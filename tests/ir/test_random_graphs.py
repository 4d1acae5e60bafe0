"""What holds for every graph: it verifies, prints and parses back, and means one thing."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.ir.graph import Graph, structure
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph
from tapeless.ir.verifier import verify

from ..random_graphs import FREE, RandomGraph, random_arguments
from ..tolerance import Expected, expected

SEEDS = range(150)


def check_text(graph: Graph) -> None:
    """The graph is well formed, and its text is the graph."""
    verify(graph)
    text = print_graph(graph)
    again = parse_graph(text)
    assert again == graph
    assert hash(again) == hash(graph)
    assert print_graph(again) == text


def check_interpretation(graph: Graph, seed: int) -> None:
    """The same arrays give the same bits, for the graph and for its text."""
    arrays = random_arguments(graph, seed, special=0.1 * (seed % 3))
    copies = [array.copy() for array in arrays]
    results = interpret(graph, arrays)
    again = interpret(parse_graph(print_graph(graph)), copies)
    assert [x.tobytes() for x in results] == [x.tobytes() for x in again]
    assert [x.tobytes() for x in arrays] == [x.tobytes() for x in copies]


@pytest.mark.parametrize("seed", SEEDS)
def test_text_and_meaning_survive(seed: int) -> None:
    graph = RandomGraph(seed).build()
    check_text(graph)
    check_interpretation(graph, seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(100))
def test_text_and_meaning_survive_long_run(block: int) -> None:
    for seed in range(1_000 + 100 * block, 1_100 + 100 * block):
        graph = RandomGraph(seed).build()
        check_text(graph)
        check_interpretation(graph, seed)


def test_a_seed_gives_one_graph() -> None:
    assert all(RandomGraph(seed).build() == RandomGraph(seed).build() for seed in range(20))


def test_different_seeds_give_different_graphs() -> None:
    assert len({structure(RandomGraph(seed).build(steps=5)) for seed in range(100)}) == 100


def test_random_graphs_use_every_op_and_many_sizes() -> None:
    graphs = [RandomGraph(seed).build() for seed in SEEDS]
    nodes = [node for graph in graphs for node in graph.nodes]
    assert {node.op.name for node in nodes} == FREE
    assert FREE == {name for name in OPS if OPS[name].reference is not None}
    assert {len(graph.nodes) for graph in graphs} >= {3, 10, 30}
    assert max(len(graph.nodes) for graph in graphs) < 70
    assert {node.outputs[0].type.dtype.name for node in nodes} >= {"bool", "int8", "uint64"}


def results_of(seed: int) -> list[Expected]:
    graph = RandomGraph(seed).build()
    return expected(graph, random_arguments(graph, seed))


def test_nearly_all_elements_are_compared() -> None:
    """The tolerance must not excuse what it should judge."""
    results = [result for seed in range(60) for result in results_of(seed)]
    assert np.mean([result.compared for result in results]) > 0.95


def test_the_interpreter_is_within_tolerance_of_itself() -> None:
    assert not any(result.wrong(result.array).any() for s in range(60) for result in results_of(s))


def test_an_error_of_a_thousandth_is_out_of_tolerance() -> None:
    """In four of five floating elements that are finite and compared."""
    wrong, compared = 0, 0
    for result in (result for seed in range(60) for result in results_of(seed)):
        if result.array.dtype.kind == "f":
            judged = np.isfinite(result.array) & np.isfinite(result.tolerance)
            moved = (result.array * 1.001 + 1e-3).astype(result.array.dtype)
            wrong += int(np.sum(result.wrong(moved)[judged]))
            compared += int(np.sum(judged))
    assert compared > 1_000
    assert wrong > 0.8 * compared


def test_a_wrong_integer_infinity_or_nan_is_out_of_tolerance() -> None:
    zero = np.zeros(1)
    one = Expected(np.ones(1, np.int64), zero)
    assert one.wrong(np.array([2])).all()
    assert not one.wrong(np.array([1])).any()
    for value, other in [(np.inf, 1.0), (np.inf, -np.inf), (np.nan, 1.0), (1.0, np.nan)]:
        assert Expected(np.array([value]), zero).wrong(np.array([other])).all()
    assert not Expected(np.array([np.nan]), zero).wrong(np.array([np.nan])).any()
