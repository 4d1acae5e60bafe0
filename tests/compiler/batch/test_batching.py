"""A batched graph computes what a Python loop over the examples computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.batch import batch
from tapeless.ir.errors import GraphError
from tapeless.ir.graph import Graph, GraphBuilder
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.ir.verifier import verify

from ...op_record import Array, Sample
from ...op_records import RECORDS, op_graph

SIZE = 3
GROUPS = [
    (name, dtype)
    for name, record in RECORDS.items()
    for dtype in ("f64", "f32", "i64", "bool")
    if dtype in record.dtypes and OPS[name].arity != 0
]


def _samples(name: str, dtype: str) -> Iterator[Sample]:
    small = (s for s in RECORDS[name].samples(dtype) if all(x.size < 150 for x in s.arrays))
    return itertools.islice(small, 40)


def _examples(array: Array) -> Array:
    """Different arrays of the same elements, so that indices stay within their axes."""
    rolled = [np.roll(array.ravel(), 2 * k).reshape(array.shape) for k in range(SIZE)]
    return np.stack(rolled)


def _subsets(count: int) -> Iterator[tuple[bool, ...]]:
    """All choices of mapped operands for few operands; one, and all, for many."""
    if count <= 3:
        return itertools.product((False, True), repeat=count)
    return iter([*(tuple(i == k for i in range(count)) for k in range(count)), (True,) * count])


def _check(graph: Graph, arrays: Sequence[Array], mapped: Sequence[bool]) -> None:
    batched = batch(graph, SIZE, mapped)
    verify(batched)
    operands = [_examples(x) if m else x for x, m in zip(arrays, mapped, strict=True)]
    got = interpret(batched, operands)
    for example in range(SIZE):
        row = [
            np.ascontiguousarray(x[example]).reshape(x.shape[1:]) if m else x
            for x, m in zip(operands, mapped, strict=True)
        ]
        for result, expected in zip(got, interpret(graph, row), strict=True):
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result[example], expected, rtol=_tolerance(expected))


def _tolerance(array: Array) -> float:
    """NumPy adds in another order when an array has another layout."""
    return {"f8": 1e-10, "f4": 1e-3}.get(array.dtype.str[1:], 0)


@pytest.mark.parametrize(("name", "dtype"), GROUPS)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_batch_gives_what_a_loop_gives(name: str, dtype: str) -> None:
    samples = list(_samples(name, dtype))
    assert samples
    for sample in samples:
        for mapped in _subsets(len(sample.arrays)):
            _check(op_graph(name, sample), sample.arrays, mapped)


def _graph(text: str) -> Graph:
    return parse_graph(text)


def test_a_product_with_a_shared_matrix_stays_one_large_product(
    golden: Callable[[str], Any],
) -> None:
    graph = _graph(
        """
        graph layer(x: f64[4], w: f64[4,2]) {
          y: f64[2] = dot[batch=((), ()), contract=((0,), (0,))] x w
          z: f64[2] = tanh y
          return z
        }
        """
    )
    assert print_graph(batch(graph, 8, [True, False])) == golden("shared_matrix.txt")


def test_what_depends_on_shared_inputs_alone_is_computed_once() -> None:
    graph = _graph(
        """
        graph f(x: f64[], w: f64[]) {
          e: f64[] = exp w
          y: f64[] = mul x e
          return y, e
        }
        """
    )
    batched = batch(graph, 5, [True, False])
    types = {node.op.name: node.output.type.shape for node in batched.nodes}
    assert types["exp"] == ()
    assert [value.type.shape for value in batched.outputs] == [(5,), (5,)]


def test_a_batch_of_batches_nests() -> None:
    graph = _graph(
        """
        graph f(x: f64[3], i: i64[]) {
          y: f64[] = gather[axes=(0,)] x i
          z: f64[] = sin y
          return z
        }
        """
    )
    twice = batch(batch(graph, 2, [True, False]), 4, [False, True])
    verify(twice)
    x, i = np.arange(6.0).reshape(2, 3), np.array([0, 2, -1, 1])
    (got,) = interpret(twice, [x, i])
    np.testing.assert_array_equal(got, np.sin(x[:, i].T))


def test_a_batch_of_no_examples_is_empty() -> None:
    sample = next(iter(RECORDS["dot"].samples("f64")))
    graph = batch(op_graph("dot", sample), 0, [True, False])
    (got,) = interpret(graph, [np.zeros((0, *sample.arrays[0].shape)), sample.arrays[1]])
    assert got.shape[0] == 0


def test_custom_vjp_keeps_its_derivative_under_batching() -> None:
    scalar = TensorType(FLOAT64)
    builder = GraphBuilder("double")
    x = builder.input(scalar)
    primal = builder.build(builder.emit(OPS["add"], [x, x]))
    forward = _graph("graph f(x: f64[]) { y: f64[] = add x x\n return y, x }")
    backward = _graph("graph b(x: f64[], g: f64[]) { y: f64[] = mul x g\n return y }")
    outer = GraphBuilder("f")
    argument = outer.input(scalar)
    attrs = {"graph": primal, "forward": forward, "backward": backward}
    graph = outer.build(outer.emit(OPS["custom_vjp"], [argument], attrs))
    batched = batch(graph, 2, [True])
    verify(batched)
    (node,) = batched.nodes
    assert node.op.name == "custom_vjp"
    assert [value.type.shape for value in node.attrs["backward"].inputs] == [(2,), (2,)]


def test_transformations_must_be_expanded_first() -> None:
    inner = _graph("graph f(x: f64[]) { y: f64[] = sin x\n return y }")
    builder = GraphBuilder("f")
    x = builder.input(TensorType(FLOAT64))
    attrs = {"graph": inner, "wrt": (0,)}
    graph = builder.build(builder.emit(OPS["jvp"], [x, x], attrs))
    with pytest.raises(GraphError, match="jvp has a batching rule"):
        batch(graph, 2, [True])
