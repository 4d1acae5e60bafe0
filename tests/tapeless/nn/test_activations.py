"""Activations: definitions, extremes, kinks and derivatives, in every mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn

from .modes import everywhere, gradients

X = np.random.default_rng(0).standard_normal((4, 7)) * 3


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def _elu(x: float, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * math.expm1(x)


def _gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@dataclass(frozen=True)
class Case:
    """A function, its definition, what it and its derivative are far out (at -800 and 800), and
    its derivative at a few points, kinks among them."""

    function: Callable[..., Any]
    definition: Callable[[float], float]
    far: tuple[float, float]
    far_slopes: tuple[float, float]
    slopes: dict[float, float]


SELU = 1.0507009873554805
CASES = {
    "relu": Case(nn.relu, lambda x: max(x, 0.0), (0, 800), (0, 1), {0.0: 0}),
    "relu6": Case(nn.relu6, lambda x: min(max(x, 0.0), 6.0), (0, 6), (0, 0), {0.0: 0, 6.0: 0}),
    "leaky_relu": Case(
        nn.leaky_relu, lambda x: x if x > 0 else 0.01 * x, (-8, 800), (0.01, 1), {0.0: 0.01}
    ),
    "elu": Case(nn.elu, _elu, (-1, 800), (0, 1), {0.0: 1}),
    "elu 2": Case(
        lambda x: nn.elu(x, 2.0), lambda x: _elu(x, 2.0), (-2, 800), (0, 1), {0.0: 2, 1e-300: 1}
    ),
    "selu": Case(
        nn.selu,
        lambda x: SELU * _elu(x, 1.6732632423543772),
        (-1.7580993408473766, 800 * SELU),
        (0, SELU),
        {0.0: 1.7580993408473766},
    ),
    "celu": Case(
        lambda x: nn.celu(x, 2.0),
        lambda x: x if x > 0 else 2 * math.expm1(x / 2),
        (-2, 800),
        (0, 1),
        {0.0: 1},
    ),
    "sigmoid": Case(nn.sigmoid, _sigmoid, (0, 1), (0, 0), {0.0: 0.25}),
    "log_sigmoid": Case(
        nn.log_sigmoid, lambda x: -_softplus(-x), (-800, 0), (1, 0), {0.0: 0.5, -40.0: 1}
    ),
    "tanh": Case(nn.tanh, math.tanh, (-1, 1), (0, 0), {0.0: 1}),
    "hardtanh": Case(
        nn.hardtanh, lambda x: min(max(x, -1.0), 1.0), (-1, 1), (0, 0), {-1.0: 0, 0.0: 1, 1.0: 0}
    ),
    "hard_sigmoid": Case(
        nn.hard_sigmoid,
        lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
        (0, 1),
        (0, 0),
        {-3.0: 0, 0.0: 1 / 6, 3.0: 0},
    ),
    "hard_silu": Case(
        nn.hard_silu,
        lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0),
        (0, 800),
        (0, 1),
        {-3.0: 0, 0.0: 0.5, 3.0: 1},
    ),
    "step": Case(nn.step, lambda x: float(x >= 0), (0, 1), (0, 0), {0.0: 0, 1.0: 0}),
    "softplus": Case(nn.softplus, _softplus, (0, 800), (0, 1), {0.0: 0.5}),
    "softsign": Case(
        nn.softsign, lambda x: x / (1 + abs(x)), (-800 / 801, 800 / 801), (801**-2, 801**-2), {0: 1}
    ),
    "silu": Case(nn.silu, lambda x: x * _sigmoid(x), (0, 800), (0, 1), {0.0: 0.5}),
    "mish": Case(nn.mish, lambda x: x * math.tanh(_softplus(x)), (0, 800), (0, 1), {0.0: 0.6}),
    "gelu": Case(nn.gelu, _gelu_tanh, (0, 800), (0, 1), {0.0: 0.5}),
    "gelu exact": Case(
        lambda x: nn.gelu(x, exact=True),
        lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
        (0, 800),
        (0, 1),
        {0.0: 0.5},
    ),
    "normal_cdf": Case(
        nn.normal_cdf,
        lambda x: math.erfc(-x / math.sqrt(2)) / 2,
        (0, 1),
        (0, 0),
        {0.0: (2 * math.pi) ** -0.5},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_the_definitions_in_every_mode(name: str) -> None:
    case = CASES[name]
    expected = np.vectorize(case.definition)(X)
    for mode, got in everywhere(case.function, X).items():
        assert got.dtype == X.dtype, mode
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14, err_msg=mode)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    case, x = CASES[name], X.astype(np.float32)
    expected = np.vectorize(case.definition)(x.astype(np.float64))
    for mode, got in everywhere(case.function, x).items():
        assert got.dtype == np.float32, mode
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6, err_msg=mode)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_numerical_ones_to_second_order(name: str) -> None:
    tl.check_grads(CASES[name].function, (X,), order=2)


@pytest.mark.parametrize("name", CASES)
def test_far_out_values_and_derivatives_are_the_limits(name: str) -> None:
    case, x = CASES[name], np.array([-800.0, 800.0])
    for got in everywhere(case.function, x).values():
        np.testing.assert_allclose(got, case.far, rtol=1e-14, atol=1e-100)
    for got in gradients(case.function, x).values():
        np.testing.assert_allclose(got, case.far_slopes, rtol=1e-12, atol=1e-100)


@pytest.mark.parametrize("name", CASES)
def test_nothing_overflows_where_the_function_is_finite(name: str) -> None:
    case, x = CASES[name], np.array([-1e37, 1e37], np.float32)
    for got in everywhere(case.function, x).values():
        assert np.isfinite(got).all()
    for got in gradients(lambda x: case.function(x) * np.float32(1e-3), x).values():
        assert np.isfinite(got).all()


@pytest.mark.parametrize("name", CASES)
def test_derivatives_at_kinks_are_those_documented(name: str) -> None:
    case = CASES[name]
    x = np.array(list(case.slopes), np.float64)
    for got in gradients(case.function, x).values():
        np.testing.assert_allclose(got, list(case.slopes.values()), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [*CASES, "softmax", "log_softmax"])
def test_nan_stays_nan(name: str) -> None:
    function = CASES[name].function if name in CASES else getattr(nn, name)
    with np.errstate(invalid="ignore"):  # NumPy's logaddexp warns of NaN
        values = everywhere(function, np.array([np.nan, np.nan]))
    for got in values.values():
        assert np.isnan(got).all()


@pytest.mark.parametrize("name", [*CASES, "softmax", "log_softmax"])
def test_integers_are_numbers_too(name: str) -> None:
    function = CASES[name].function if name in CASES else getattr(nn, name)
    x = np.array([-2, 0, 3])
    for got in everywhere(function, x).values():
        np.testing.assert_allclose(got, function(x.astype(np.float64)), rtol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_lists_and_numbers_are_arrays_too(name: str) -> None:
    function = CASES[name].function
    assert np.asarray(function([-2.0, 3.0])).tolist() == function(np.array([-2.0, 3.0])).tolist()
    assert function(3.0) == function(np.array([3.0]))[0]


def test_sigmoid_and_its_logarithm_keep_their_precision_in_the_tail() -> None:
    x = np.array([-700.0, -40.0, 40.0, 700.0])
    for got in everywhere(nn.sigmoid, x).values():
        np.testing.assert_allclose(got[:2], np.exp(x[:2]), rtol=1e-13)
    for got in everywhere(nn.log_sigmoid, x).values():
        np.testing.assert_allclose(got[2:], -np.exp(-x[2:]), rtol=1e-13)


def test_normal_cdf_keeps_its_precision_in_the_tail() -> None:
    x = np.linspace(-36, 8, 1001)
    expected = np.array([math.erfc(-each / math.sqrt(2)) / 2 for each in x])
    for got in everywhere(nn.normal_cdf, x).values():
        near = x > -5
        np.testing.assert_allclose(got[near], expected[near], rtol=6e-15)
        np.testing.assert_allclose(got, expected, rtol=2e-13)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    for got in gradients(nn.normal_cdf, x).values():
        np.testing.assert_allclose(got[x > -5], density[x > -5], rtol=1e-12, atol=1e-15)


def test_second_derivative_of_the_exact_gelu_at_zero_is_that_of_the_formula() -> None:
    second = tl.compile(tl.grad(tl.grad(lambda x: nn.gelu(x, exact=True))))
    assert second(0.0) == pytest.approx(2 / math.sqrt(2 * math.pi), rel=1e-12)


def test_step_has_the_value_asked_for_at_zero() -> None:
    for got in everywhere(lambda x: nn.step(x, 0.5), np.array([-1.0, 0.0, 2.0])).values():
        assert got.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmax_sums_to_one_and_is_the_exponential_of_its_logarithm(axis: int) -> None:
    expected = np.exp(X) / np.exp(X).sum(axis=axis, keepdims=True)
    for got in everywhere(lambda x: nn.softmax(x, axis), X).values():
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    for got in everywhere(lambda x: nn.log_softmax(x, axis), X).values():
        np.testing.assert_allclose(got, np.log(expected), rtol=1e-13)
    for f in (nn.softmax, nn.log_softmax):
        tl.check_grads(lambda x, f=f: np.sin(f(x, axis)), (X,), order=2)


def test_softmax_of_large_scores_neither_overflows_nor_loses_the_derivative() -> None:
    x = np.array([-800.0, 800.0, 799.0])
    for f, expected in ((nn.softmax, [0, 1 / (1 + 1 / math.e), 1 / (1 + math.e)]),):
        for got in everywhere(f, x).values():
            np.testing.assert_allclose(got, expected, rtol=1e-14)
    for got in everywhere(nn.log_softmax, x).values():
        np.testing.assert_allclose(got[0], -1600 - math.log1p(1 / math.e), rtol=1e-15)
    share = 1 / (1 + math.e)
    for got in gradients(lambda x: nn.log_softmax(x)[2], x).values():
        np.testing.assert_allclose(got, [0, share - 1, 1 - share], rtol=1e-13, atol=1e-100)
