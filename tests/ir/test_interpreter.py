"""The interpreter: NumPy's values, exact types, no side effects."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from tapeless.ir.errors import ArgumentError, DomainError, GraphError, OutOfBoundsError
from tapeless.ir.graph import GraphBuilder, Node, Value
from tapeless.ir.interpreter import interpret, run_node
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import FLOAT32, FLOAT64, TensorType

from .graphs import NESTED, STEP, chain


def run(text: str, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    return interpret(parse_graph(text), arrays)


def test_a_graph_computes_what_numpy_does() -> None:
    rng = np.random.default_rng(0)
    w, x = (rng.normal(size=shape).astype(np.float32) for shape in [(4, 2), (3, 4)])
    loss, best = run(STEP, w, x)
    relu = np.maximum(x @ w, 0)
    np.testing.assert_array_equal(loss, relu.sum())
    np.testing.assert_array_equal(best, relu.argmax(1))
    assert (loss.dtype, loss.shape, best.dtype) == (np.float32, (), np.int64)


def test_results_are_fresh_contiguous_arrays() -> None:
    text = """\
graph views(x: f64[3,4]) {
  t: f64[4,3] = transpose[axes=(1,0)] x
  w: f64[2,4,3] = broadcast[shape=(2,4,3), axes=(1,2)] t
  s: f64[3,4] = stop_gradient x
  return x, x, t, w, s
}
"""
    x = np.arange(12.0).reshape(3, 4)
    results = run(text, x)
    assert all(result.flags.c_contiguous and result.flags.writeable for result in results)
    for result in results:
        result[...] = -1
    np.testing.assert_array_equal(x, np.arange(12.0).reshape(3, 4))


def test_fused_and_custom_vjp_run_their_graphs() -> None:
    body = "graph body(x: f64[3]) {\n    y: f64[3] = exp x\n    return y\n  }"
    backward = "graph b(r: f64[3], g: f64[3]) {\n    y: f64[3] = mul r g\n    return y\n  }"
    forward = "graph f(x: f64[3]) {\n    y: f64[3] = exp x\n    return y, y\n  }"
    text = f"""\
graph outer(x: f64[3]) {{
  y: f64[3] = fused[graph={body}, kind="map"] x
  z: f64[3] = custom_vjp[graph={body}, forward={forward}, backward={backward}] y
  return z
}}
"""
    x = np.array([0.0, 0.5, -1.0])
    np.testing.assert_array_equal(run(text, x)[0], np.exp(np.exp(x)))


@pytest.mark.parametrize("size", [0, 1, 4])
def test_vmap_runs_its_graph_on_every_slice(size: int) -> None:
    text = f"""\
graph outer(x: f64[{size},3], y: f64[3]) {{
  d: f64[{size}], s: f64[{size},3] = vmap[graph=graph body(a: f64[3], b: f64[3]) {{
    p: f64[3] = mul a b
    q: f64[] = sum[axes=(0,)] p
    return q, b
  }}, size={size}, batched=(True,False)] x y
  return d, s
}}
"""
    x, y = np.arange(3.0 * size).reshape(size, 3), np.array([1.0, 2.0, -1.0])
    dots, copies = run(text, x, y)
    np.testing.assert_array_equal(dots, x @ y)
    np.testing.assert_array_equal(copies, np.broadcast_to(y, (size, 3)))


def test_unexpanded_transformations_are_refused() -> None:
    with pytest.raises(GraphError, match=r"without vjp nodes.*\n.*expand") as caught:
        run(NESTED, np.ones(3), np.array(1.0))
    assert str(caught.value).startswith("model.py:9: ")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "takes 2 arrays; given: 0"),
        ([np.ones((4, 2), np.float32)] * 2, r"input 'x' .* is f32\[3,4\]; given: .*\(4, 2\)"),
        ([np.ones((4, 2)), np.ones((3, 4))], r"input 'w' .* is f32\[4,2\]; given: float64"),
        (
            [np.ones((4, 2), ">f4"), np.ones((3, 4), np.float32)],
            r"input 'w' .* is f32\[4,2\]; given: >f4",
        ),
    ],
)
def test_arguments_of_other_types_are_refused(arrays: list[np.ndarray], message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ArgumentError, match=message):
        run(STEP, *arrays)


def test_an_index_out_of_bounds_names_the_line() -> None:
    text = """\
graph g(x: f64[3], i: i64[2]) {
  y: f64[2] = gather[axes=(0,)] x i  # model.py:5
  return y
}
"""
    np.testing.assert_array_equal(run(text, np.arange(3.0), np.array([-3, 2]))[0], [0, 2])
    with pytest.raises(
        OutOfBoundsError, match=r"^model.py:5: gather needs operands .*: index 3 is"
    ):
        run(text, np.arange(3.0), np.array([0, 3]))


def test_a_negative_integer_power_names_the_line() -> None:
    text = """\
graph g(x: i64[2], y: i64[2]) {
  z: i64[2] = pow x y  # model.py:6
  return z
}
"""
    np.testing.assert_array_equal(run(text, np.array([2, 3]), np.array([3, 0]))[0], [8, 1])
    with pytest.raises(DomainError, match=r"^model.py:6: pow needs operands .*negative integer"):
        run(text, np.array([2, 3]), np.array([1, -1]))


def test_floating_point_gives_no_warnings() -> None:
    text = """\
graph g(x: f64[3], i: i64[3]) {
  a: f64[3] = log x
  b: f64[3] = div a x
  c: f64[3] = exp x
  d: i64[3] = floor_divide i i
  e: i32[3] = convert[dtype=i32] a
  return a, b, c, d, e
}
"""
    with np.errstate(all="raise"):  # the interpreter's own setting goes first
        results = run(text, np.array([0.0, -1.0, 1e4]), np.array([0, 1, -1]))
    assert np.isnan(results[0][1])


def test_values_are_freed_after_their_last_use() -> None:
    alive: list[int] = []
    references: list[weakref.ref[np.ndarray]] = []  # type: ignore[type-arg]

    def watch(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        gc.collect()
        alive.append(sum(reference() is not None for reference in references))
        result = np.array(x)
        references.append(weakref.ref(result))
        return result

    watched = GraphBuilder("watched")
    value = watched.input(TensorType(FLOAT64, (3,)))
    for _ in range(10):
        (value,) = watched.emit(OPS["sin"], [value])
    graph = watched.build([value])
    watcher = Node(OPS["sin"], (), ()).op
    object.__setattr__(watcher, "reference", watch)
    try:
        interpret(graph, [np.ones(3)])
    finally:
        object.__setattr__(watcher, "reference", np.sin)
    assert max(alive) <= 1


def test_a_reference_that_breaks_its_type_rule_is_found() -> None:
    wrong = Node(OPS["sin"], (), (Value(TensorType(FLOAT32, (3,))),))
    with pytest.raises(GraphError, match=r"what its type rule says, f32\[3\]; given: float64"):
        run_node(wrong, [np.ones(3)])


def test_long_graphs_run() -> None:
    (result,) = interpret(chain(20_000), [np.ones(3)])
    assert 0 < result[0] < 0.02
