"""`f.dynamic`: the function itself, run by NumPy; gradients by a tape that is thrown away."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.trace.context import current_trace
from tapeless.dynamic import DynamicTrace
from tapeless.errors import DTypeError, UnsupportedError
from tapeless.ir.ops import OPS
from tapeless.tensor import Tensor
from tapeless.tensor.emitter import TensorEmitter

X = np.array([0.3, -1.2, 2.0])


def test_plain_parts_run_on_the_callers_own_arrays():
    seen: list[Any] = []

    def f(x):
        seen.append(x)
        if x[0] > 0:  # the values are known
            return float(x[0])
        return None

    assert tl.compile(f).dynamic(X) == 0.3
    assert seen[0] is X


def test_arguments_are_updated_as_by_the_function_itself():
    def step(p, x):
        value, grads = tl.value_and_grad(lambda p: np.sum((p["w"] * x) ** 2))(p)
        for name in p:
            p[name] -= 0.1 * grads[name]
        return value

    w = np.ones(3)
    p = {"w": w}
    value = tl.compile(step).dynamic(p, X)
    assert p["w"] is w
    np.testing.assert_allclose(w, 1 - 0.2 * X**2)
    np.testing.assert_allclose(value, np.sum(X**2))


def test_gradients_are_numpys_own_arrays_with_memory_of_their_own():
    def f(x, y):
        return tl.grad(lambda x, y: np.sum(x + y), (0, 1))(x, y)

    a, b = tl.compile(f).dynamic(X, X)
    assert type(a) is type(b) is np.ndarray
    assert not np.shares_memory(a, b)
    a *= 2.0
    assert b.tolist() == [1.0, 1.0, 1.0]


def test_gradients_do_not_share_memory_with_arguments_or_cotangents():
    def f(x, c):
        out, pullback = tl.vjp(lambda x: x.T, x)
        return out, pullback(c)

    x, c = np.ones((2, 3)), np.ones((3, 2))
    out, (gradient,) = tl.compile(f).dynamic(x, c)
    assert not np.shares_memory(gradient, c)
    assert np.shares_memory(out, x)  # as x.T does
    assert gradient.shape == (2, 3)


@pytest.mark.parametrize(
    ("argument", "kind"),
    [(2.0, np.float64), (np.float32(2.0), np.float32), (np.array(2.0), np.ndarray)],
)
def test_gradients_of_scalars_are_of_numpys_kind(argument, kind):
    gradient = tl.compile(lambda x: tl.grad(lambda x: x**2)(x)).dynamic(argument)
    assert type(gradient) is kind
    assert gradient == 4.0


def test_a_pullback_may_be_called_again_after_the_arguments_changed():
    def f(x):
        out, pullback = tl.vjp(lambda x: x[:2] * x[1:], x)
        out *= 100.0
        x *= 100.0
        first = pullback(np.ones(2))
        return first, pullback(np.ones(2))

    (first,), (second,) = tl.compile(f).dynamic(X.copy())
    np.testing.assert_allclose(first, [X[1], X[0] + X[2], X[1]])
    np.testing.assert_array_equal(first, second)


def test_captured_arrays_are_read_as_they_are_when_used():
    weights = np.ones(3)

    def f(x):
        def loss(x):
            y = np.sum(x * weights)
            weights[...] = 5.0
            return y + np.sum(x * weights)

        return tl.grad(loss)(x)

    assert tl.compile(f).dynamic(X).tolist() == [6.0, 6.0, 6.0]


def test_captured_arrays_are_updated():
    total = np.zeros(3)

    def f(x):
        def loss(x):
            np.add(total, x, out=total)
            return np.sum(total * x)

        return tl.grad(loss)(x)

    gradient = tl.compile(f).dynamic(X)
    np.testing.assert_allclose(total, X)
    np.testing.assert_allclose(gradient, 2 * X)


def test_the_tape_is_thrown_away():
    kept: list[Any] = []

    def f(x):
        def loss(x):
            y = np.sin(x) * x
            kept.append(weakref.ref(y.grad_fn))
            return np.sum(y)

        gradient = tl.grad(loss)(x)
        assert kept[0]() is None  # without the collector: nothing refers to itself
        trace = current_trace()
        kept.append(weakref.ref(trace))
        assert isinstance(trace, DynamicTrace)
        assert not trace.recording
        return gradient

    tl.compile(f).dynamic(X)
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_failure_inside_a_gradient_leaves_nothing_open():
    def f(x, bad):
        try:
            tl.grad(lambda x: np.sum(x) / len(bad) if bad else 1 / 0)(x)
        except ZeroDivisionError:
            trace = current_trace()
            assert isinstance(trace, DynamicTrace)
            assert not trace.recording
            return tl.grad(lambda x: np.sum(x**2))(x)

    np.testing.assert_allclose(tl.compile(f).dynamic(X, []), 2 * X)
    assert current_trace() is None


def test_compiled_functions_inside_are_run_define_by_run():
    inner = tl.compile(lambda x: np.sum(x**2))
    gradient = tl.compile(lambda x: tl.grad(inner)(x) + inner(x)).dynamic(X)
    np.testing.assert_allclose(gradient, 2 * X + np.sum(X**2))
    assert inner.cache_info().misses == 0


def test_keyword_and_static_arguments_reach_the_function():
    @tl.compile(static="n")
    def f(x, n, *, scale=1.0):
        return tl.grad(lambda x: scale * np.sum(x**n))(x)

    np.testing.assert_allclose(f.dynamic(X, n=2, scale=3.0), 6 * X)


def test_running_dynamically_compiles_nothing():
    f = tl.compile(lambda x: tl.grad(lambda x: np.sum(x**2))(x))
    f.dynamic(X)
    assert f.cache_info() == (0, 0, 0, 0, 0, ())


def test_data_decides_inside_of_transformations_too():
    f = tl.compile(lambda x: tl.grad(lambda x: x[0] if x[0] > 0 else x[1])(x))
    assert f.dynamic(X).tolist() == [1.0, 0.0, 0.0]
    assert f.dynamic(-X).tolist() == [0.0, 1.0, 0.0]


def test_unsupported_functions_and_types_are_errors_of_ours():
    with pytest.raises(UnsupportedError, match=r"test_dynamic.py:\d+: .*np\.fft\.fft"):
        tl.compile(lambda x: tl.grad(lambda x: np.sum(np.fft.fft(x)))(x)).dynamic(X)
    with pytest.raises(DTypeError, match="complex128"):
        tl.compile(lambda x, z: tl.grad(lambda x, z: np.sum(x))(x, z)).dynamic(X, X * 1j)
    with pytest.raises(IndexError, match="out of bounds"):
        tl.compile(lambda x: tl.grad(lambda x: np.sum(x[(x * 9).astype(int)]))(x)).dynamic(X)


def test_an_emitter_executes_operations_at_once():
    (z,) = TensorEmitter().emit(OPS["add"], (Tensor(X), Tensor(X)))
    assert z.numpy().tolist() == (2 * X).tolist()
    assert str(z.type) == "f64[3]"


def test_negative_integer_powers_are_numpys_errors():
    def f(x, n):
        return tl.grad(lambda x: np.sum(x * (x.astype(int)) ** n))(x)

    with pytest.raises(ValueError, match="negative integer powers"):
        tl.compile(f).dynamic(X, np.array([-1, 1, 1]))


def test_python_floats_stay_weak_when_they_are_differentiated():
    def loss(x, rate):
        return np.sum(x * (0.5 * rate + 1) ** 2 - rate / 2)

    f = tl.compile(lambda x, rate: tl.value_and_grad(loss, (0, 1))(x, rate))
    x = np.ones(3, np.float32)
    value, (in_x, in_rate) = f.dynamic(x, 0.3)
    expected_value, (expected_in_x, expected_in_rate) = f(x, 0.3)
    assert type(value) is type(expected_value) is np.float32
    assert in_x.dtype == expected_in_x.dtype == np.float32
    assert type(in_rate) is type(expected_in_rate) is np.float64
    np.testing.assert_allclose([value, in_rate], [expected_value, expected_in_rate], rtol=1e-6)


def test_updates_inside_of_transformations_overwrite_nothing_that_is_needed():
    def loss(w):
        y = w * 1.0
        z = y * y
        y += z
        y[0] *= w[1]
        view = y[::-1]
        view[0] = w[0]
        return np.sum(y * z) + np.sum(view * w)

    f = tl.compile(lambda w: tl.grad(loss)(w))
    np.testing.assert_allclose(f.dynamic(X), f(X), rtol=1e-12)


def test_an_array_that_results_are_stored_in_is_read_by_one_name():
    total = np.zeros(3)
    view = total[:2]

    def loss(x):
        np.add(total, x, out=total)
        return np.sum(view * x[:2])

    with pytest.raises(UnsupportedError, match=r"test_dynamic.py:\d+: .*by one name"):
        tl.compile(lambda x: tl.grad(loss)(x)).dynamic(X)


def test_loops_and_recursion_depend_on_values():
    def newton(x):
        y = x
        while abs(float(y * y - x)) > 1e-12:
            y = 0.5 * (y + x / y)
        return y

    gradient = tl.compile(lambda x: tl.grad(newton)(x)).dynamic(2.0)
    np.testing.assert_allclose(gradient, 0.5 / np.sqrt(2.0), rtol=1e-6)
