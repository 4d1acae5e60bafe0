"""Programs on tiny arrays, as people write them: one kernel each, and NumPy's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

Array = np.ndarray[Any, Any]


def pendulum(state: Array) -> Array:
    """Five steps of the classical Runge-Kutta method; the energy at the end."""

    def slope(s: Array) -> Array:
        return np.stack([s[1], -np.sin(s[0])])

    h = 0.1
    for _ in range(5):
        k1 = slope(state)
        k2 = slope(state + h / 2 * k1)
        k3 = slope(state + h / 2 * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state[1] ** 2 / 2 - np.cos(state[0])


def filtered(x: Array, p: Array, f: Array, h: Array, z: Array) -> tuple[Array, Array]:
    """One step of a Kalman filter with a scalar measurement."""
    x, p = f @ x, f @ p @ f.T + 0.1 * np.eye(4)
    gain = p @ h / (h @ p @ h + 1.0)
    return x + gain * (z - h @ x), p - np.outer(gain, h @ p)


def turned(angles: Array, v: Array) -> Array:
    """A vector turned about two axes."""
    (ca, cb), (sa, sb) = np.cos(angles), np.sin(angles)
    zero, one = np.zeros_like(ca), np.ones_like(ca)
    about_z = np.stack([ca, -sa, zero, sa, ca, zero, zero, zero, one]).reshape(3, 3)
    about_x = np.stack([one, zero, zero, zero, cb, -sb, zero, sb, cb]).reshape(3, 3)
    return about_z @ about_x @ v


RNG = np.random.default_rng(0)
F, H = np.eye(4) + 0.1 * RNG.standard_normal((4, 4)), RNG.standard_normal(4)
PROGRAMS = {
    "pendulum": (pendulum, (np.array([1.0, 0.2]),)),
    "filter": (filtered, (RNG.standard_normal(4), np.eye(4), F, H, np.array(0.5))),
    "rotation": (turned, (np.array([0.3, 0.4]), np.array([1.0, 2.0, 3.0]))),
}


def parts(results: Any) -> tuple[Array, ...]:
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_on_tiny_arrays_is_one_kernel(name: str) -> None:
    function, arrays = PROGRAMS[name]
    compiled = tl.compile(function)
    assert [kernel.kind for kernel in compiled.lower(*arrays).program.kernels] == ["registers"]
    for got, wanted in zip(parts(compiled(*arrays)), parts(function(*arrays)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_so_are_its_derivatives(name: str) -> None:
    function, arrays = PROGRAMS[name]

    def total(*arguments: Array) -> Array:
        return sum(np.sum(part * part) for part in parts(function(*arguments)))

    gradient = tl.compile(tl.grad(total))
    assert len(gradient.lower(*arrays).program.kernels) == 1
    got = gradient(*arrays)
    first, *rest = arrays
    for place in np.ndindex(first.shape):
        step = np.zeros(first.shape)
        step[place] = 1e-6
        slope = (total(first + step, *rest) - total(first - step, *rest)) / 2e-6
        np.testing.assert_allclose(got[place], slope, rtol=1e-6, atol=1e-6)


def test_a_small_net_learns_in_registers_and_in_place() -> None:
    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = np.array([[0.0], [1.0], [1.0], [0.0]])
    rng = np.random.default_rng(1)
    params = [rng.standard_normal((2, 4)), np.zeros(4), rng.standard_normal((4, 1)), np.zeros(1)]

    def loss(params: list[Array]) -> Array:
        w1, b1, w2, b2 = params
        return np.mean((np.tanh(inputs @ w1 + b1) @ w2 + b2 - targets) ** 2)

    @tl.compile
    def step(params: list[Array]) -> Array:
        value, gradients = tl.value_and_grad(loss)(params)
        for parameter, gradient in zip(params, gradients, strict=True):
            parameter -= 0.3 * gradient
        return value

    program = step.lower(params).program
    assert [kernel.kind for kernel in program.kernels] == ["registers"]
    assert len(program.in_place) == 4
    first = loss(params)
    assert step(params) == pytest.approx(first, rel=1e-12)
    for _ in range(500):
        step(params)
    last = loss(params)
    assert last < first / 10
    assert step(params) == pytest.approx(last, rel=1e-9)
