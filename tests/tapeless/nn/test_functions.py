"""Activations and losses: definitions, extremes, derivatives, in every mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import DTypeError, OutOfBoundsError, ShapeError
from tapeless.nn import cross_entropy, layer_norm, log_softmax, mse, one_hot, softmax

Array = np.ndarray[Any, Any]
X = np.random.default_rng(0).standard_normal((4, 7)) * 3


def _erf_free_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ELEMENTWISE: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": _erf_free_gelu,
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
}


def everywhere(f: Callable[..., Any], *args: Any) -> list[Any]:
    """The value on bare arrays, compiled and define-by-run."""
    compiled = tl.compile(f)
    return [f(*args), compiled(*args), compiled.dynamic(*args)]


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(("dtype", "error"), [("f8", 1e-14), ("f4", 1e-6)])
def test_activations_are_their_definitions(name: str, dtype: str, error: float) -> None:
    x = X.astype(dtype)
    expected = np.vectorize(ELEMENTWISE[name])(x.astype(np.float64))
    for got in everywhere(getattr(tl.nn, name), x):
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got, expected, rtol=error, atol=error)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activations_have_numerical_derivatives(name: str) -> None:
    tl.check_grads(getattr(tl.nn, name), (X,), order=2)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax", "log_softmax"])
def test_large_arguments_neither_overflow_nor_lose_the_derivative(name: str) -> None:
    x = np.array([-800.0, 800.0])
    for got in everywhere(getattr(tl.nn, name), x):
        assert np.isfinite(got).all()
    gradient = tl.compile(tl.grad(lambda x: np.sum(getattr(tl.nn, name)(x))))(x)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmax_sums_to_one_and_is_the_exponential_of_its_logarithm(axis: int) -> None:
    expected = np.exp(X) / np.exp(X).sum(axis=axis, keepdims=True)
    for got in everywhere(lambda x: softmax(x, axis), X):
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    for got in everywhere(lambda x: log_softmax(x, axis), X):
        np.testing.assert_allclose(got, np.log(expected), rtol=1e-13)
    for f in (softmax, log_softmax):
        tl.check_grads(lambda x, f=f: np.sin(f(x, axis)), (X,), order=2)


def test_integers_are_scores_too() -> None:
    x = np.array([1, 2, 3])
    for f in (softmax, log_softmax, tl.nn.sigmoid):
        for got in everywhere(f, x):
            np.testing.assert_allclose(got, f(x.astype(np.float64)), rtol=1e-15)


@pytest.mark.parametrize("axis", [-1, (0, 1)])
def test_layer_norm_has_mean_shift_and_deviation_scale(axis: Any) -> None:
    centred = X - X.mean(axis=axis, keepdims=True)
    expected = centred / np.sqrt(X.var(axis=axis, keepdims=True) + 1e-5)
    scale, shift = np.linspace(1, 2, 7), np.linspace(-1, 1, 7)
    for got in everywhere(lambda x: layer_norm(x, axis=axis), X):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    for got in everywhere(lambda *args: layer_norm(*args, axis=axis), X, scale, shift):
        np.testing.assert_allclose(got, expected * scale + shift, rtol=1e-12, atol=1e-13)
    tl.check_grads(lambda *args: layer_norm(*args, axis=axis), (X, scale, shift), order=2)


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_cross_entropy_is_the_mean_logarithm_of_the_labels_share(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.standard_normal((*lead, 4)), rng.integers(0, 4, lead)
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    expected = -np.mean(np.log(np.take_along_axis(shares, labels[..., None], -1)))
    for got in everywhere(cross_entropy, scores, labels):
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    tl.check_grads(lambda scores: cross_entropy(scores, labels), (scores,), order=2)
    gradient = tl.compile(tl.grad(cross_entropy))(scores, labels)
    count = max(1, labels.size)
    np.testing.assert_allclose(gradient, (shares - one_hot(labels, 4)) / count, atol=1e-14)


def test_cross_entropy_says_what_does_not_fit() -> None:
    scores = np.zeros((3, 4))
    with pytest.raises(DTypeError, match=r"labels, which are integers.*float64"):
        cross_entropy(scores, np.zeros(3))
    with pytest.raises(ShapeError, match=r"without the last axis.*\(3, 4\).*\(4,\)"):
        cross_entropy(scores, np.zeros(4, int))
    with pytest.raises(OutOfBoundsError):
        tl.compile(cross_entropy)(scores, np.array([0, 1, 4]))


def test_mse_is_the_mean_square_of_the_difference() -> None:
    for got in everywhere(mse, X, X[0]):
        np.testing.assert_allclose(got, np.mean((X - X[0]) ** 2), rtol=1e-14)
    tl.check_grads(mse, (X, X[::-1].copy()), order=2)


def test_one_hot_marks_the_label() -> None:
    labels = np.array([[0, 2], [1, 1]], np.int32)
    for got in everywhere(lambda labels: one_hot(labels, 3, np.float32), labels):
        assert got.dtype == np.float32
        assert got.tolist() == np.eye(3)[labels].tolist()
    with pytest.raises(DTypeError, match="labels are integers"):
        one_hot(np.array([0.5]), 3)
