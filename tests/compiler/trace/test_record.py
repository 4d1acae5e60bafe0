"""Functions recorded inside a trace: results, derivatives, updates of what they were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.context import require_trace
from tapeless.compiler.trace.function import trace_function
from tapeless.ir.errors import TraceError, UnsupportedError
from tapeless.ir.graph import Graph

from .running import call, check

X = np.array([1.0, 2.0, 3.0])
Y = np.array([0.5, -1.0, 2.0])


def gradient(fn: Callable[..., Any], *args: Any, wrt: tuple[int, ...] = (0,)) -> tuple[Any, ...]:
    """The value of a scalar function and its gradients, inside a trace."""
    recorded = require_trace().record(fn, args)
    gradients = recorded.vjp([1.0, *[None] * (len(recorded.out_types) - 1)], wrt)
    return recorded.out, *gradients


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_the_result_alone_is_the_function_inlined() -> None:
    def inner(x: Any, k: Any) -> Any:
        return {"y": x * k, "k": k}

    def f(x: Any) -> Any:
        return require_trace().record(inner, (x, 3)).out

    traced = trace_function(f, (X,), {})
    assert "vjp" not in ops(traced.graph)
    result = call(traced, X)
    np.testing.assert_array_equal(result["y"], 3 * X)
    assert result["k"] == 3


def test_a_gradient_is_one_node_that_also_gives_the_value() -> None:
    traced = trace_function(lambda x: gradient(lambda z: np.sum(z**3), x), (X,), {})
    assert ops(traced.graph).count("vjp") == 1
    assert set(ops(traced.graph)) <= {"vjp", "constant"}
    value, slope = call(traced, X)
    assert value == np.sum(X**3)
    np.testing.assert_allclose(slope, 3 * X**2, rtol=1e-15)


def test_gradients_by_several_leaves_of_pytrees() -> None:
    def loss(p: Any, x: Any) -> Any:
        return np.sum(p["w"] * x) * p["k"]

    def f(p: Any, x: Any) -> Any:
        return gradient(loss, p, x, wrt=(0, 1, 2))

    value, w, k, x = call(trace_function(f, ({"w": X, "k": 2.0}, Y), {}), {"w": X, "k": 2.0}, Y)
    assert value == 2 * np.sum(X * Y)
    np.testing.assert_array_equal(w, 2 * Y)
    np.testing.assert_array_equal(x, 2 * X)
    assert type(k) is np.float64
    assert k == np.sum(X * Y)


def test_tangents_follow_the_outputs() -> None:
    def f(x: Any, v: Any) -> Any:
        recorded = require_trace().record(lambda z: (z * z, np.argmax(z), "text"), (x,))
        moved = recorded.jvp({0: v})
        assert moved[1] is None
        assert moved[2] is None
        return recorded.out[0], moved[0], recorded.out[1]

    squared, moved, place = call(trace_function(f, (X, Y), {}), X, Y)
    np.testing.assert_array_equal(squared, X * X)
    np.testing.assert_array_equal(moved, 2 * X * Y)
    assert place == 2


def test_arrays_of_enclosing_traces_and_closures_are_captured_once_each() -> None:
    constant = np.array([3.0, 1.0, 2.0])

    def f(x: Any, y: Any) -> Any:
        view = y[::-1]

        def inner(z: Any) -> Any:
            return np.sum(z * view * constant + view)

        return gradient(inner, x)

    traced = trace_function(f, (X, Y), {})
    (node,) = [node for node in traced.graph.nodes if node.op.name == "vjp"]
    assert len(node.attrs["graph"].inputs) == 3
    _, slope = call(traced, X, Y)
    np.testing.assert_array_equal(slope, Y[::-1] * constant)


def test_gradients_nest() -> None:
    def f(x: Any) -> Any:
        def slope(z: Any) -> Any:
            return np.sum(gradient(lambda w: np.sum(w**4) * z[0], z)[1])

        return gradient(slope, x)

    value, second = call(trace_function(f, (X,), {}), X)
    np.testing.assert_allclose(value, np.sum(4 * X**3 * X[0]), rtol=1e-15)
    expected = 12 * X**2 * X[0]
    expected[0] += np.sum(4 * X**3)
    np.testing.assert_allclose(second, expected, rtol=1e-15)


def test_updates_of_arguments_and_captured_arrays_take_effect_outside() -> None:
    seen = np.zeros(3)

    def inner(x: Any, state: Any, total: Any) -> Any:
        state["mean"] *= 0.5
        total[1:] += x[1:]
        seen[...] += 1
        return np.sum(x * state["mean"])

    def f(x: Any, state: Any) -> Any:
        total = x * 0
        before = state["mean"][0]
        part = total[1]
        value, slope = gradient(inner, x, state, total)
        return value, slope, total, before, part, state["mean"][0], seen * 1

    state, plain = {"mean": np.ones(3)}, np.ones(3)
    value, slope, total, before, part, after, counted = call(
        trace_function(f, (X, state), {}), X, state
    )
    np.testing.assert_array_equal(state["mean"], plain * 0.5)
    np.testing.assert_array_equal(slope, plain * 0.5)
    np.testing.assert_array_equal(total, [0, 2, 3])
    np.testing.assert_array_equal(counted, [1, 1, 1])
    np.testing.assert_array_equal(seen, [1, 1, 1])
    assert (value, before, part, after) == (3.0, 1.0, 0.0, 0.5)


def test_updating_a_view_passed_as_an_argument_updates_its_base() -> None:
    def clear(v: Any) -> Any:
        v[...] = 0
        return np.sum(v)

    def f(x: Any) -> Any:
        return require_trace().record(clear, (x[1:],)).out, x

    assert call(trace_function(f, (X,), {}), X.copy())[1].tolist() == [1, 0, 0]


def test_what_the_function_returns_unchanged_is_the_outer_array() -> None:
    def f(x: Any) -> Any:
        same, view = require_trace().record(lambda z: (z, z[1:]), (x,)).out
        assert same is x
        view += 1
        return x

    check_like = X.copy()
    check_like[1:] += 1
    np.testing.assert_array_equal(call(trace_function(f, (X,), {}), X.copy()), check_like)


def test_an_updated_array_with_two_names_inside_is_refused() -> None:
    def f(x: Any) -> Any:
        def inner(z: Any) -> Any:
            z += 1
            return np.sum(z * x)

        return gradient(inner, x)

    with pytest.raises(UnsupportedError, match="reaches it only once; given: the argument x"):
        trace_function(f, (X,), {})


def test_one_array_read_under_two_names_is_two_inputs() -> None:
    def f(x: Any) -> Any:
        return gradient(lambda a, b: np.sum(a * a * b), x, x, wrt=(0,))

    _, slope = call(trace_function(f, (X,), {}), X)
    np.testing.assert_array_equal(slope, 2 * X * X)


def test_integers_and_other_objects_stay_as_they_are() -> None:
    def inner(x: Any, axis: int, how: str) -> Any:
        assert how == "sum"
        return np.sum(np.moveaxis(x.reshape(1, 3), axis, 0)[0])

    _, slope = call(trace_function(lambda x: gradient(inner, x, 1, "sum"), (X,), {}), X)
    np.testing.assert_array_equal(slope, [1, 0, 0])


def test_derivatives_by_integers_are_refused() -> None:
    with pytest.raises(TraceError, match="arrays and floating-point numbers; given: 3"):
        trace_function(lambda x: gradient(lambda a, k: np.sum(a), x, 3, wrt=(1,)), (X,), {})


def test_arrays_of_the_inner_function_do_not_leave_it() -> None:
    kept: list[Any] = []

    def inner(x: Any) -> Any:
        kept.append(x * 2)
        return np.sum(x)

    def f(x: Any) -> Any:
        gradient(inner, x)
        return kept[0] + 1

    with pytest.raises(TraceError, match="lives only while"):
        trace_function(f, (X,), {})


def test_a_reshape_of_unknown_layout_made_outside_goes_stale_inside() -> None:
    matrix = np.asfortranarray(np.ones((2, 3)))

    def f(x: Any) -> Any:
        flat = x.reshape(-1)

        def inner() -> Any:
            x[...] += 1
            return np.sum(flat)

        return require_trace().record(inner, ()).out

    with pytest.raises(UnsupportedError, match="view or a copy"):
        trace_function(f, (matrix,), {})


def test_recording_leaves_plain_functions_plain() -> None:
    check(lambda x: np.sum(x**2) + 1, X)
