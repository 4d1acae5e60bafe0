"""What holds for every simplifying pass: values, interface, phases, size, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from tapeless.compiler.passes.algebra import simplify_algebra
from tapeless.compiler.passes.constants import fold_constants
from tapeless.compiler.passes.dead_nodes import eliminate_dead_nodes
from tapeless.compiler.passes.subexpressions import share_common_subexpressions
from tapeless.compiler.passes.views import simplify_views
from tapeless.ir.printer import print_graph

from .equivalence import check_pass
from .random_graphs import BITWISE_OPS, VIEW_OPS, RandomGraph

PASSES = [
    eliminate_dead_nodes,
    fold_constants,
    share_common_subexpressions,
    simplify_algebra,
    simplify_views,
]

MIXES = (
    {"ops": None},
    {"ops": BITWISE_OPS},
    {"ops": VIEW_OPS, "chaining": 0.9},
)
"""What the random graphs are made of."""


@pytest.mark.parametrize("pass_", PASSES, ids=lambda pass_: pass_.__name__)
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_keep_every_bit(pass_, seed: int) -> None:
    graph = RandomGraph(seed, **MIXES[seed % 3]).build(steps=4 + seed % 30)
    check_pass(pass_, graph, np.random.default_rng(seed))


def _all(graph):
    for pass_ in PASSES:
        graph = pass_(graph)
    return graph


@pytest.mark.parametrize("seed", range(40, 80))
def test_passes_one_after_another_keep_every_bit(seed: int) -> None:
    graph = RandomGraph(seed, **MIXES[seed % 3]).build(steps=4 + seed % 30)
    check_pass(lambda graph: _all(_all(_all(graph))), graph, np.random.default_rng(seed))


@pytest.mark.parametrize("pass_", PASSES, ids=lambda pass_: pass_.__name__)
def test_the_same_graph_gives_the_same_text(pass_) -> None:
    texts = {print_graph(pass_(RandomGraph(7).build(steps=40))) for _ in range(3)}
    assert len(texts) == 1
