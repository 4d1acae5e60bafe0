"""What holds for every simplifying pass: values, interface, phases, size, determinism."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tapeless.compiler.passes.algebra import simplify_algebra
from tapeless.compiler.passes.constants import fold_constants
from tapeless.compiler.passes.dead_nodes import eliminate_dead_nodes
from tapeless.compiler.passes.subexpressions import share_common_subexpressions
from tapeless.compiler.passes.views import simplify_views
from tapeless.ir.graph import Graph, GraphBuilder
from tapeless.ir.ops import OPS
from tapeless.ir.printer import print_graph
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.ir.verifier import verify

from ...random_graphs import BITWISE, NEUTRAL, TINY, VIEWS, RandomGraph
from .equivalence import check_pass

PASSES = [
    eliminate_dead_nodes,
    fold_constants,
    share_common_subexpressions,
    simplify_algebra,
    simplify_views,
]

MIXES = (
    {"chaining": 0.3},
    {"ops": BITWISE, "chaining": 0.3},
    {"ops": VIEWS, "chaining": 0.9},
)
"""What the random graphs are made of."""


def random_graph(seed: int) -> Graph:
    mix = MIXES[seed % 3]
    random = RandomGraph(seed, sizes=TINY, constants=NEUTRAL, **mix)
    return random.build(steps=4 + seed % 30)


@pytest.mark.parametrize("pass_", PASSES, ids=lambda pass_: pass_.__name__)
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_keep_every_bit(pass_, seed: int) -> None:
    graph = random_graph(seed)
    check_pass(pass_, graph, np.random.default_rng(seed))


def _all(graph):
    for pass_ in PASSES:
        graph = pass_(graph)
    return graph


@pytest.mark.parametrize("seed", range(40, 80))
def test_passes_one_after_another_keep_every_bit(seed: int) -> None:
    graph = random_graph(seed)
    check_pass(lambda graph: _all(_all(_all(graph))), graph, np.random.default_rng(seed))


def _chain(length: int) -> Graph:
    """A chain in which views, identities, repeats and dead ends alternate."""
    builder = GraphBuilder("chain")
    x = builder.input(TensorType(FLOAT64, (3, 3)), "x")
    (one,) = builder.emit(OPS["constant"], [], {"value": np.array(1.0)})
    (ones,) = builder.emit(OPS["broadcast"], [one], {"shape": (3, 3), "axes": ()})
    ops = [
        lambda v: ("sin", [v], {}),
        lambda v: ("transpose", [v], {"axes": (1, 0)}),
        lambda v: ("neg", [v], {}),
        lambda v: ("mul", [v, ones], {}),
        lambda v: ("reshape", [v], {"shape": (3, 3)}),
    ]
    value = x
    for step in range(length):
        name, operands, attrs = ops[step % len(ops)](value)
        (value,) = builder.emit(OPS[name], operands, attrs)
    return builder.build([value])


def _fan(width: int) -> Graph:
    """Many readers of one value, summed up again."""
    builder = GraphBuilder("fan")
    x = builder.input(TensorType(FLOAT64, (3,)), "x")
    leaves = []
    for step in range(width):
        (constant,) = builder.emit(OPS["constant"], [], {"value": np.array(float(step % 7))})
        attrs = {"shape": (3,), "axes": ()}
        (spread,) = builder.emit(OPS["broadcast"], [constant], attrs)
        leaves += builder.emit(OPS["mul"], [x, spread])
    total = leaves[0]
    for leaf in leaves[1:]:
        (total,) = builder.emit(OPS["add"], [total, leaf])
    return builder.build([total])


@pytest.mark.parametrize("pass_", PASSES, ids=lambda pass_: pass_.__name__)
@pytest.mark.parametrize("graph", [_chain(20000), _fan(1000)], ids=["chain", "fan"])
def test_long_and_wide_graphs_need_neither_recursion_nor_patience(pass_, graph: Graph) -> None:
    start = time.process_time()
    result = pass_(graph)
    assert time.process_time() - start < 5
    verify(result)


@pytest.mark.parametrize("pass_", PASSES, ids=lambda pass_: pass_.__name__)
def test_the_same_graph_gives_the_same_text(pass_) -> None:
    texts = {print_graph(pass_(RandomGraph(7, sizes=TINY).build(steps=40))) for _ in range(3)}
    assert len(texts) == 1
