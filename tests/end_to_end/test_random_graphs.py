"""One meaning throughout: the interpreter before a pass, after it, and the machine code agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tapeless.compiler import sharing
from tapeless.compiler.differentiate.expand import expand
from tapeless.compiler.pipeline import EXPANSION, FUSION, SIMPLIFICATION
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.graph import Graph, GraphBuilder
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS
from tapeless.ir.printer import print_graph
from tapeless.ir.types import is_float
from tapeless.ir.verifier import verify

from ..random_graphs import FEW, LARGE, PRODUCTS, SMALL, VIEWS, RandomGraph, random_arguments
from ..tolerance import Expected, expected
from .native import native, run_guarded

Array = np.ndarray[Any, Any]

LEVELS = ("avx2", "sse2") if host_target().triple.startswith("x86_64") else ()
"""The narrower instruction sets that this machine can run."""

PASSES = (EXPANSION, *SIMPLIFICATION, *FUSION)


def assert_agrees(
    what: str, graph: Graph, judged: Sequence[Expected], results: Sequence[Array]
) -> None:
    """No element of the results is out of tolerance."""
    for position, (result, got) in enumerate(zip(judged, results, strict=True)):
        wrong = result.wrong(got)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise AssertionError(
                f"{what}: {int(wrong.sum())} of {wrong.size} elements of output {position} differ; "
                f"at {at} {got[at]!r} for {result.array[at]!r} ± {result.tolerance[at]}\n"
                f"{print_graph(graph)}"
            )


def arguments(graph: Graph, seed: int) -> list[Array]:
    """Arrays for a graph, with special values for two seeds of three."""
    return random_arguments(graph, seed, special=0.1 * (seed % 3))


def gradient_graph(graph: Graph) -> Graph:
    """The outputs of `graph` and the cotangents of its float inputs, if it has any."""
    wrt = tuple(i for i, value in enumerate(graph.inputs) if is_float(value.type.dtype))
    seeded = tuple(i for i, value in enumerate(graph.outputs) if is_float(value.type.dtype))
    builder = GraphBuilder(f"{graph.name}_vjp")
    operands = [builder.input(value.type) for value in graph.inputs]
    operands += [builder.input(graph.outputs[i].type) for i in seeded]
    attrs = {"graph": graph, "wrt": wrt, "seeded": seeded}
    return builder.build(builder.emit(OPS["vjp"], operands, attrs))


def check_passes(seed: int) -> None:
    """Every pass keeps what the graph before it computes."""
    graph = (
        gradient_graph(RandomGraph(seed).build(steps=8))
        if seed % 2
        else (RandomGraph(seed).build())
    )
    arrays = arguments(graph, seed)
    judged = expected(expand(graph), arrays)
    for step in PASSES:
        after = step.run(graph)
        verify(after)
        assert_agrees(f"{step.stage} of seed {seed}", after, judged, interpret(after, arrays))
        graph = after


def check_native(
    graph: Graph,
    seed: int,
    without: str = "",
    target: Target | None = None,
    in_registers: bool = True,
) -> None:
    """Machine code agrees with the interpreter, with or without one of the passes."""
    arrays = arguments(graph, seed)
    judged = expected(expand(graph), arrays)
    passes = [step for step in SIMPLIFICATION if step.stage != without]
    results = run_guarded(native(graph, passes, target, in_registers), arrays)
    assert_agrees(f"native code of seed {seed} without {without!r}", graph, judged, results)


@pytest.mark.parametrize("seed", range(80))
def test_passes_keep_values(seed: int) -> None:
    check_passes(seed)


@pytest.mark.parametrize("seed", range(60))
def test_native_code_agrees_with_the_interpreter(seed: int) -> None:
    check_native(RandomGraph(seed).build(), seed)


@pytest.mark.parametrize("seed", range(20))
def test_native_gradients_agree_with_the_interpreter(seed: int) -> None:
    check_native(gradient_graph(RandomGraph(seed).build(steps=8)), seed)


@pytest.mark.parametrize("seed", range(30))
def test_loops_over_tiny_arrays_agree_with_the_interpreter(seed: int) -> None:
    check_native(RandomGraph(seed).build(), seed, in_registers=False)
    check_native(gradient_graph(RandomGraph(seed).build(steps=8)), seed, in_registers=False)


def check_in_registers(seed: int, target: Target | None) -> None:
    """Tiny arrays: every op, gradients, and views upon views."""
    check_native(RandomGraph(seed, sizes=FEW).build(), seed, target=target)
    check_native(gradient_graph(RandomGraph(seed, sizes=FEW).build(steps=8)), seed, target=target)
    views = RandomGraph(seed, ops=VIEWS, sizes=FEW, chaining=0.4).build()
    check_native(views, seed, target=target)


@pytest.mark.parametrize("level", ["host", *LEVELS])
@pytest.mark.parametrize("seed", range(25))
def test_code_in_registers_agrees_with_the_interpreter(seed: int, level: str) -> None:
    check_in_registers(seed, None if level == "host" else narrowed(host_target(), level))


@pytest.mark.parametrize("seed", range(20))
def test_native_code_of_large_arrays_agrees_with_the_interpreter(seed: int) -> None:
    check_native(RandomGraph(seed, sizes=LARGE).build(), seed)
    check_native(gradient_graph(RandomGraph(seed, sizes=LARGE).build(steps=8)), seed)


@pytest.fixture
def all_sums_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of products are cut into chunks however little that saves."""
    for name in ("SMALLER", "_LEAST_DEPTH", "_LEAST_FLOPS"):
        monkeypatch.setattr(sharing, name, 1)


def check_products(seed: int) -> None:
    """Products, reductions of them, and their gradients."""
    graph = RandomGraph(seed, PRODUCTS, LARGE, chaining=0.6)
    check_native(graph.build(), seed)
    graph = RandomGraph(seed, PRODUCTS, SMALL, chaining=0.6)
    check_native(gradient_graph(graph.build(steps=8)), seed)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.usefixtures("all_sums_cut")
def test_products_cut_into_chunks_agree_with_the_interpreter(seed: int) -> None:
    check_products(seed)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(15))
def test_native_code_of_narrow_targets_agrees_with_the_interpreter(seed: int, level: str) -> None:
    target = narrowed(host_target(), level)
    check_native(RandomGraph(seed).build(), seed, target=target)
    check_native(gradient_graph(RandomGraph(seed).build(steps=8)), seed, target=target)


@pytest.mark.parametrize("step", SIMPLIFICATION, ids=lambda step: step.stage)
def test_native_code_agrees_with_any_pass_switched_off(step) -> None:
    for seed in range(100, 103):
        check_native(RandomGraph(seed).build(), seed, without=step.stage)


def test_a_reduction_over_a_single_point_is_lowered() -> None:
    check_native(RandomGraph(5041).build(), 5041, without="viewed")


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(100))
def test_passes_keep_values_long_run(block: int) -> None:
    for seed in range(1_000 + 50 * block, 1_050 + 50 * block):
        check_passes(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(100))
def test_native_code_agrees_long_run(block: int) -> None:
    for seed in range(1_000 + 20 * block, 1_020 + 20 * block):
        check_native(RandomGraph(seed).build(), seed)
        check_native(gradient_graph(RandomGraph(seed).build(steps=8)), seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("level", ["host", *LEVELS])
@pytest.mark.parametrize("block", range(50))
def test_code_in_registers_agrees_long_run(block: int, level: str) -> None:
    target = None if level == "host" else narrowed(host_target(), level)
    for seed in range(1_000 + 50 * block, 1_050 + 50 * block):
        check_in_registers(seed, target)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(50))
def test_loops_over_tiny_arrays_agree_long_run(block: int) -> None:
    for seed in range(1_000 + 20 * block, 1_020 + 20 * block):
        check_native(RandomGraph(seed).build(), seed, in_registers=False)


@pytest.mark.fuzz
@pytest.mark.parametrize("step", SIMPLIFICATION, ids=lambda step: step.stage)
def test_native_code_agrees_with_any_pass_switched_off_long_run(step) -> None:
    for seed in range(5_000, 5_050):
        check_native(RandomGraph(seed).build(), seed, without=step.stage)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(50))
def test_native_code_of_large_arrays_agrees_long_run(block: int) -> None:
    for seed in range(1_000 + 20 * block, 1_020 + 20 * block):
        check_native(RandomGraph(seed, sizes=LARGE).build(), seed)
        check_native(gradient_graph(RandomGraph(seed, sizes=LARGE).build(steps=8)), seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(50))
@pytest.mark.usefixtures("all_sums_cut")
def test_products_cut_into_chunks_agree_long_run(block: int) -> None:
    for seed in range(1_000 + 20 * block, 1_020 + 20 * block):
        check_products(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("block", range(50))
def test_native_code_of_narrow_targets_agrees_long_run(block: int, level: str) -> None:
    target = narrowed(host_target(), level)
    for seed in range(1_000 + 20 * block, 1_020 + 20 * block):
        check_native(RandomGraph(seed).build(), seed, target=target)
        check_native(gradient_graph(RandomGraph(seed).build(steps=8)), seed, target=target)
