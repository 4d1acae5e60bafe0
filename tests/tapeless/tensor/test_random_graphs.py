"""Random programs: run operation by operation on tensors, and as one plan, they have the
derivatives that the compiler's graphs have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.ir.graph import Graph
from tapeless.ir.types import FLOAT32, is_float
from tapeless.tensor.backward import gradients
from tapeless.tensor.calls import Call, call_of
from tapeless.tensor.emitter import TensorEmitter

from ...compiler.differentiate.jacobians import Array, random_like, run, vjp_graph
from ...random_graphs import RandomGraph, random_arguments

BLOCKS = 5
SEEDS = range(150)
STEPS = 12


def assert_close(got: Any, expected: Array, seed: int) -> bool:
    """Agreement up to rounding; False for derivatives that are not finite."""
    with np.errstate(all="ignore"):
        if not np.isfinite(expected).all():
            return False
        precision = 2e-3 if expected.dtype == FLOAT32 else 1e-8
        scale = float(np.max(np.abs(expected), initial=1.0))
        np.testing.assert_allclose(
            got, expected, rtol=precision, atol=precision * scale, err_msg=f"seed {seed}"
        )
    return True


def by_operations(graph: Graph, arrays: list[Array], seeds: list[Array]) -> list[Any]:
    """The cotangents of the floating inputs, by tensors."""
    emitter = TensorEmitter()
    env = {
        value: tl.Tensor(array, requires_grad=is_float(array.dtype))
        for value, array in zip(graph.inputs, arrays, strict=True)
    }
    leaves = [env[value] for value in graph.inputs if is_float(value.type.dtype)]
    for node in graph.nodes:
        operands = [env[value] for value in node.inputs]
        env.update(zip(node.outputs, emitter.emit(node.op, operands, node.attrs), strict=True))
    outputs = [env[value] for value in graph.outputs if is_float(value.type.dtype)]
    pairs = [(y, g) for y, g in zip(outputs, seeds, strict=True) if y.requires_grad]
    found = gradients(pairs, leaves, create_graph=False)
    return [np.zeros(x.shape) if g is None else g[0] for x, g in zip(leaves, found, strict=True)]


def by_plan(call: Call, arrays: list[Array], seeds: list[Array], outputs: list[Any]) -> list[Any]:
    """The same, by the plan of the whole."""
    floats = [i for i, value in enumerate(call.graph.inputs) if is_float(value.type.dtype)]
    pullback = call.pullback(sum(1 << i for i in floats))
    known = [*arrays, *outputs]
    operands = [*seeds, *(known[i] for i in pullback.reads)]
    with np.errstate(all="ignore"):
        results = pullback.plan(*operands)
    for position, (result, owned) in enumerate(zip(results, pullback.plan.owned, strict=True)):
        others = [*operands, *results[:position], *results[position + 1 :]]
        assert not (owned and any(np.shares_memory(result, other) for other in others))
    return list(results)


def programs(block: int) -> list[tuple[int, Graph, list[Array], list[Array]]]:
    """Seeds, graphs with floating inputs, arguments and cotangents."""
    found = []
    for seed in SEEDS[block::BLOCKS]:
        graph = RandomGraph(seed).build(STEPS)
        if any(is_float(value.type.dtype) for value in graph.inputs):
            arrays = random_arguments(graph, seed)
            with np.errstate(all="ignore"):
                seeds = random_like(run(graph, arrays), seed + 1)
            found.append((seed, graph, arrays, seeds))
    return found


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_derivatives_of_random_programs(block: int) -> None:
    finite = 0
    for seed, graph, arrays, seeds in programs(block):
        expected = run(vjp_graph(graph), [*arrays, *seeds])
        outputs = list(run(graph, arrays))
        whole = by_plan(Call(graph), arrays, seeds, outputs)
        steps = by_operations(graph, arrays, seeds)
        for want, one, other in zip(expected, whole, steps, strict=True):
            finite += assert_close(one, want, seed)
            assert_close(other, want, seed)
    assert finite >= 10


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_second_derivatives_of_random_programs(block: int) -> None:
    finite = 0
    for seed, graph, arrays, seeds in programs(block):
        call = Call(graph)
        first = by_plan(call, arrays, seeds, list(run(graph, arrays)))
        (pullback,) = call.pullbacks.values()
        known = [*arrays, *run(graph, arrays)]
        operands = [*seeds, *(known[i] for i in pullback.reads)]
        twice = call_of(pullback)
        second = random_like([np.asarray(g) for g in first], seed + 2)
        got = by_plan(twice, operands, second, first)
        expected = run(vjp_graph(twice.graph), [*operands, *second])
        for want, one in zip(expected, got, strict=True):
            finite += assert_close(one, want, seed)
    assert finite >= 10
