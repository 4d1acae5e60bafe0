"""Every rule against numerical derivatives, to second order, in both modes and both mixtures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tapeless.compiler.differentiate.expand import expand
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret

from ...op_record import Sample
from ...op_records import RECORDS, op_graph
from .jacobians import (
    Array,
    assert_agree,
    by_forward,
    by_reverse,
    jvp_graph,
    numerical,
    random_like,
    run,
    vjp_graph,
)

SMOOTH = [
    pytest.param(name, sample, id=f"{name}-{number}")
    for name, record in RECORDS.items()
    for number, sample in enumerate(record.smooth)
]


def _check_jacobians(graph: Graph, arrays: list[Array]) -> None:
    expected = numerical(graph, arrays)
    outputs = interpret(expand(graph), arrays)
    scale = max([1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in outputs)])
    assert_agree(by_forward(graph, arrays), expected, scale)
    assert_agree(by_reverse(graph, arrays), expected, scale)


@pytest.mark.parametrize(("name", "sample"), SMOOTH)
def test_first_derivatives_agree_with_numerical_ones_in_both_modes(
    name: str, sample: Sample
) -> None:
    _check_jacobians(op_graph(name, sample), list(sample.arrays))


@pytest.mark.parametrize(("name", "sample"), SMOOTH)
def test_derivatives_of_reverse_mode_agree_with_numerical_ones_in_both_modes(
    name: str, sample: Sample
) -> None:
    graph = op_graph(name, sample)
    seeds = random_like(run(graph, sample.arrays), seed=1)
    _check_jacobians(vjp_graph(graph), [*sample.arrays, *seeds])


@pytest.mark.parametrize(("name", "sample"), SMOOTH)
def test_derivatives_of_forward_mode_agree_with_numerical_ones_in_both_modes(
    name: str, sample: Sample
) -> None:
    graph = op_graph(name, sample)
    _check_jacobians(jvp_graph(graph), [*sample.arrays, *random_like(sample.arrays, seed=2)])


DIFFERENTIABLE = [name for name, record in RECORDS.items() if record.smooth]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_forward_and_reverse_mode_are_transposes_of_each_other(name: str, dtype: str) -> None:
    """<J t, g> = <t, Jᵀ g> on every sample of modest numbers."""
    samples = [sample for sample in RECORDS[name].samples(dtype) if _is_modest(sample)]
    assert samples
    for number, sample in enumerate(samples):
        graph = op_graph(name, sample)
        tangents = random_like(sample.arrays, number)
        cotangents = random_like(run(graph, sample.arrays), number + 1)
        forward = run(jvp_graph(graph), [*sample.arrays, *tangents])
        backward = run(vjp_graph(graph), [*sample.arrays, *cotangents])
        sizes = _inner(map(abs, forward), map(abs, cotangents))
        sizes += _inner(map(abs, tangents), map(abs, backward))
        tolerance = 1e-6 if np.dtype("f4") in {x.dtype for x in (*tangents, *cotangents)} else 1e-14
        difference = _inner(forward, cotangents) - _inner(tangents, backward)
        assert not abs(difference) > tolerance * sizes


def _is_modest(sample: Sample) -> bool:
    """Neither large nor infinite: no product of these overflows."""
    floats = [x for x in sample.arrays if x.dtype.kind == "f"]
    return all(np.all(np.abs(x) < 300) and x.size < 200 for x in floats)


def _inner(xs: Iterable[Array], ys: Iterable[Array]) -> float:
    with np.errstate(invalid="ignore"):  # poles: the inverse hyperbolic functions at random points
        pairs = zip(xs, ys, strict=True)
        return float(sum(np.sum(x.astype(np.float64) * y) for x, y in pairs))
