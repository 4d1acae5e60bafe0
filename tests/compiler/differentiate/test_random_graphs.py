"""Random programs: the two modes are transposes of each other, to second order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tapeless.compiler.differentiate.expand import expand
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.types import FLOAT32, is_float
from tapeless.ir.verifier import verify

from ...random_graphs import RandomGraph, random_arguments
from .jacobians import Array, jvp_graph, random_like, vjp_graph

SEEDS = range(300)
STEPS = 12


def _inner(xs: Iterable[Array], ys: Iterable[Array]) -> float:
    with np.errstate(all="ignore"):
        return float(sum(np.sum(x.astype(np.float64) * y) for x, y in zip(xs, ys, strict=True)))


def _run(graph: Graph, arrays: list[Array]) -> tuple[Array, ...]:
    flat = expand(graph)
    verify(flat)
    return interpret(flat, arrays)


def _has(graph: Graph, dtype: np.dtype[np.generic]) -> bool:
    return any(value.type.dtype == dtype for node in graph.nodes for value in node.outputs)


def _transposition_error(graph: Graph, arrays: list[Array], seed: int) -> float:
    """|<J t, g> - <t, Jᵀ g>| over the size of its terms; NaN where the derivative is not finite."""
    tangents = random_like(arrays, seed)
    cotangents = random_like(_run(graph, arrays), seed + 1)
    forward = _run(jvp_graph(graph), [*arrays, *tangents])
    backward = _run(vjp_graph(graph), [*arrays, *cotangents])
    size = _inner(map(abs, forward), map(abs, cotangents))
    size += _inner(map(abs, tangents), map(abs, backward))
    error = abs(_inner(forward, cotangents) - _inner(tangents, backward))
    return error / size if size else error


def _graph(seed: int) -> tuple[Graph, list[Array]]:
    graph = RandomGraph(seed).build(STEPS)
    return graph, random_arguments(graph, seed)


@pytest.mark.parametrize("block", range(5))
def test_modes_are_transposes_on_random_programs(block: int) -> None:
    finite = 0
    for seed in SEEDS[block::5]:
        graph, arrays = _graph(seed)
        if not any(is_float(value.type.dtype) for value in graph.inputs):
            continue
        error = _transposition_error(graph, arrays, seed)
        assert not error > (1e-3 if _has(graph, FLOAT32) else 1e-9), f"seed {seed}"
        finite += np.isfinite(error)
    assert finite >= 10


def test_modes_are_transposes_of_second_order_on_random_programs() -> None:
    finite = 0
    for seed in SEEDS[:40]:
        graph, arrays = _graph(seed)
        if _has(graph, FLOAT32) or not any(is_float(v.type.dtype) for v in graph.inputs):
            continue
        seeds = random_like(_run(graph, arrays), seed + 2)
        error = _transposition_error(vjp_graph(graph), [*arrays, *seeds], seed)
        assert not error > 1e-8, f"seed {seed}"
        finite += np.isfinite(error)
    assert finite >= 5
