"""Custom derivatives, stopped gradients, mapped functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.custom import custom_vjp, stop_gradient
from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.vmap import vmap
from tapeless.ir.errors import ArgumentError, ShapeError, UnsupportedError
from tapeless.ir.verifier import verify

from .running import call
from .test_record import gradient, ops

X = np.array([1.0, 2.0, 3.0])
Y = np.array([0.5, -1.0, 2.0])
M = np.arange(6.0).reshape(2, 3)


def run(fn: Any, *args: Any) -> Any:
    traced = trace_function(fn, args, {})
    verify(traced.graph)
    return call(traced, *args)


# -- custom_vjp ---------------------------------------------------------------------------------


def clipped(x: Any) -> Any:
    return np.sum(x)


def clipped_forward(x: Any) -> Any:
    return np.sum(x), (x, 10.0)


def clipped_backward(residuals: Any, cotangent: Any) -> Any:
    x, scale = residuals
    return (cotangent * x * scale,)


def test_the_value_is_the_functions_and_the_derivative_the_users() -> None:
    def f(x: Any) -> Any:
        def loss(z: Any) -> Any:
            return custom_vjp(clipped, clipped_forward, clipped_backward, (z,)) * 2

        return gradient(loss, x)

    value, slope = run(f, X)
    assert value == 12
    np.testing.assert_array_equal(slope, 20 * X)


def test_without_a_derivative_it_is_the_function() -> None:
    traced = trace_function(
        lambda x: custom_vjp(clipped, clipped_forward, clipped_backward, (x,)), (X,), {}
    )
    assert ops(traced.graph) == ["custom_vjp"]
    assert call(traced, X) == 6


def test_pytrees_and_outputs_of_several_leaves() -> None:
    def fn(p: Any, n: Any) -> Any:
        return {"a": p["w"] * n, "b": np.sum(p["b"])}

    def forward(p: Any, n: Any) -> Any:
        return fn(p, n), {"n": n}

    def backward(residuals: Any, cotangent: Any) -> Any:
        return {"w": cotangent["a"] * 100, "b": np.full_like(Y, 1) * cotangent["b"]}, None

    def f(p: Any) -> Any:
        def loss(p: Any) -> Any:
            out = custom_vjp(fn, forward, backward, (p, 3))
            return np.sum(out["a"]) + out["b"]

        return gradient(loss, p, wrt=(0, 1))

    value, w, b = run(f, {"w": X, "b": Y})
    assert value == 3 * X.sum() + Y.sum()
    np.testing.assert_array_equal(w, [100, 100, 100])
    np.testing.assert_array_equal(b, [1, 1, 1])


def test_arrays_captured_by_any_of_the_three_functions() -> None:
    outside = np.array([2.0, 4.0, 8.0])

    def f(x: Any, y: Any) -> Any:
        doubled = y * 2

        def fn(z: Any) -> Any:
            return np.sum(z * y)

        def forward(z: Any) -> Any:
            return np.sum(z * y) + 0 * doubled[0], ()

        def backward(residuals: Any, cotangent: Any) -> Any:
            return (cotangent * doubled * outside,)

        return gradient(lambda z: custom_vjp(fn, forward, backward, (z,)), x)

    value, slope = run(f, X, Y)
    assert value == np.sum(X * Y)
    np.testing.assert_array_equal(slope, 2 * Y * outside)


@pytest.mark.parametrize(
    ("forward", "backward", "error", "words"),
    [
        (lambda x: np.sum(x), clipped_backward, ArgumentError, r"returns \(out, residuals\)"),
        (lambda x: (x, ()), clipped_backward, ArgumentError, r"gives .* f64\[\]; given: f64\[3\]"),
        (clipped_forward, lambda r, g: g, ArgumentError, "returns a tuple of 1 cotangents"),
        (clipped_forward, lambda r, g: (g, g), ArgumentError, "returns a tuple of 1 cotangents"),
        (clipped_forward, lambda r, g: ([g],), ArgumentError, "structured like the argument"),
        (clipped_forward, lambda r, g: (g,), ShapeError, r"operand's shape \(3,\); given: \(\)"),
    ],
)
def test_rules_that_do_not_fit_are_refused(
    forward: Any, backward: Any, error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        trace_function(lambda x: custom_vjp(clipped, forward, backward, (x,)), (X,), {})


def test_updates_inside_are_refused() -> None:
    def fn(x: Any) -> Any:
        x += 1
        return np.sum(x)

    with pytest.raises(UnsupportedError, match="updates nothing outside in place"):
        trace_function(lambda x: custom_vjp(fn, clipped_forward, clipped_backward, (x,)), (X,), {})


# -- stop_gradient ------------------------------------------------------------------------------


def test_a_stopped_gradient_is_zero() -> None:
    def loss(x: Any) -> Any:
        held = stop_gradient({"x": x, "n": 3})
        return np.sum(x * held["x"]) * held["n"]

    value, slope = run(lambda x: gradient(loss, x), X)
    assert value == 3 * np.sum(X * X)
    np.testing.assert_array_equal(slope, 3 * X)


# -- vmap ---------------------------------------------------------------------------------------


def test_a_mapped_function_meets_one_slice_at_a_time() -> None:
    def row(x: Any, y: Any, scale: Any) -> Any:
        assert x.shape == (3,)
        assert y.shape == ()
        return np.sum(x) * y * scale, x

    def f(m: Any, v: Any) -> Any:
        return vmap(row, (m, v, 10.0), (0, 0, None), lambda tree: [0, 1])

    sums, columns = run(f, M, np.array([1.0, 2.0]))
    np.testing.assert_array_equal(sums, M.sum(1) * [10.0, 20.0])
    np.testing.assert_array_equal(columns, M.T)


def test_any_axis_may_be_mapped_and_outer_arrays_are_shared() -> None:
    def f(m: Any, y: Any) -> Any:
        return vmap(lambda column: np.sum(column) * y, (m,), (1,), lambda tree: [0])

    np.testing.assert_array_equal(run(f, M, 2.0), M.sum(0) * 2)


def test_updates_of_mapped_arguments_are_written_back() -> None:
    def f(m: Any) -> Any:
        def clear(column: Any) -> Any:
            column[0] = -1
            return np.sum(column)

        return vmap(clear, (m,), (1,), lambda tree: [0]), m

    sums, changed = run(f, M.copy())
    np.testing.assert_array_equal(changed, [[-1, -1, -1], M[1]])
    np.testing.assert_array_equal(sums, M[1] - 1)


def test_updates_of_shared_arrays_are_refused() -> None:
    def f(m: Any, y: Any) -> Any:
        def add(row: Any) -> Any:
            y[...] += row
            return row

        return vmap(add, (m,), (0,), lambda tree: [0])

    with pytest.raises(UnsupportedError, match="only what is mapped; given: the argument y"):
        trace_function(f, (M, Y), {})


def test_extents_and_axes_must_fit() -> None:
    with pytest.raises(ShapeError, match="of one extent, at least one of them; given: 2, 3"):
        trace_function(lambda m, y: vmap(np.add, (m, y), (0, 0), lambda tree: [0]), (M, Y), {})
    with pytest.raises(ShapeError, match="none mapped"):
        trace_function(lambda m: vmap(np.sum, (m,), (None,), lambda tree: [0]), (M,), {})
    with pytest.raises(ShapeError, match=r"axis 2 of an argument that has it; given: \(2, 3\)"):
        trace_function(lambda m: vmap(np.sum, (m,), (2,), lambda tree: [0]), (M,), {})
