"""Every differentiable op on both sides: first and second derivatives by `Tensor` are those of the
compiled function. Generated from the records of the ops (`tests/op_records.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.differentiate.rules import VJP
from tapeless.ir.graph import Graph
from tapeless.ir.ops import OPS
from tapeless.tensor.backward import gradients
from tapeless.tensor.emitter import TensorEmitter

from ...compiler.differentiate.jacobians import Array, random_like, run, vjp_graph
from ...end_to_end.native import Programs
from ...op_record import Sample
from ...op_records import RECORDS, op_graph

SMOOTH = sorted(name for name in VJP if RECORDS[name].smooth)


def leaves_of(arrays: Sequence[Array]) -> list[tl.Tensor]:
    """A leaf for each array; those of floating type require gradients."""
    return [tl.Tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays]


def differentiable(tensors: Sequence[tl.Tensor]) -> list[tl.Tensor]:
    """Those of floating type."""
    return [tensor for tensor in tensors if tensor.dtype.kind == "f"]


def by_tensor(
    name: str, sample: Sample, seeds: Sequence[Array], second: Sequence[Array]
) -> tuple[list[Array], list[Array]]:
    """First derivatives, and those of the first derivatives along `second` in everything."""
    operands, cotangents = leaves_of(sample.arrays), leaves_of(seeds)
    outputs = TensorEmitter().emit(OPS[name], operands, sample.attrs)
    floats = differentiable(outputs)
    wrt = differentiable(operands)
    first = gradients(list(zip(floats, cotangents, strict=True)), wrt, create_graph=True)
    assert all(found is not None for found in first)
    tensors = [found[0] for found in first if found is not None]
    moving = [(g, s) for g, s in zip(tensors, second, strict=True) if g.requires_grad]
    twice = gradients(moving, [*wrt, *cotangents], create_graph=False)
    return [g.numpy() for g in tensors], [
        np.zeros(x.shape) if found is None else found[0]
        for x, found in zip([*wrt, *cotangents], twice, strict=True)
    ]


def assert_close(got: Sequence[Any], expected: Sequence[Array]) -> None:
    """Equal up to rounding."""
    for a, b in zip(got, expected, strict=True):
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * scale)


def cases(name: str) -> list[tuple[Sample, Graph, Graph, list[Array], list[Array]]]:
    """For each sample the graphs of both orders, and what each is seeded with."""
    found = []
    for sample in RECORDS[name].smooth:
        graph = op_graph(name, sample)
        seeds = random_like(run(graph, sample.arrays), seed=1)
        once = vjp_graph(graph)
        second = random_like(run(once, [*sample.arrays, *seeds]), seed=2)
        found.append((sample, once, vjp_graph(once), seeds, second))
    return found


@pytest.mark.parametrize("name", SMOOTH)
def test_first_and_second_derivatives_by_tensor_are_those_of_the_graph(name: str) -> None:
    for sample, once, twice, seeds, second in cases(name):
        got_first, got_second = by_tensor(name, sample, seeds, second)
        assert_close(got_first, run(once, [*sample.arrays, *seeds]))
        assert_close(got_second, run(twice, [*sample.arrays, *seeds, *second]))


@pytest.mark.parametrize("names", [SMOOTH[i::6] for i in range(6)], ids=lambda names: names[0])
def test_first_and_second_derivatives_by_tensor_are_those_of_compiled_code(
    names: list[str],
) -> None:
    chosen = [cases(name)[0] for name in names]
    graphs = [graph for case in chosen for graph in case[1:3]]
    arrays = [
        operands
        for sample, _, _, seeds, second in chosen
        for operands in ([*sample.arrays, *seeds], [*sample.arrays, *seeds, *second])
    ]
    compiled = Programs(graphs, arrays)
    for position, (name, case) in enumerate(zip(names, chosen, strict=True)):
        sample, _, _, seeds, second = case
        got_first, got_second = by_tensor(name, sample, seeds, second)
        assert_close(got_first, compiled(2 * position, arrays[2 * position]))
        assert_close(got_second, compiled(2 * position + 1, arrays[2 * position + 1]))


def test_stopped_gradients_are_zero() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    (y,) = TensorEmitter().emit(OPS["stop_gradient"], (x,))
    (x * y).sum().backward()
    assert x.grad.numpy().tolist() == [1.0, 2.0]


def test_every_rule_of_the_table_is_compared_above() -> None:
    assert VJP.keys() - set(SMOOTH) == {"stop_gradient"}
