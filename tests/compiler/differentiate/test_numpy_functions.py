"""Derivatives of whole NumPy functions, as traced, against numerical ones in both modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function

from .jacobians import Array, assert_agree, by_forward, by_reverse, numerical, vjp_graph


def _softmax_cross_entropy(x: Any) -> Any:
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(log_probabilities[np.arange(2), np.array([2, 0])])


def _layer_norm(x: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)


def _recurrent(x: Any) -> Any:
    state = np.zeros(2)
    for row in x.T:
        state = np.tanh(0.5 * state + row)
    return state


def _updated_in_place(x: Any) -> Any:
    y = x.copy()
    y[0, 1:] *= x[1, :2]
    view = y.T
    view[2] += np.sin(x[:, 0])
    y[y > 1.0] = 0.5
    return y


def _gram_power(x: Any) -> Any:
    gram = x @ x.T
    return np.trace(gram @ gram)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "softmax_cross_entropy": _softmax_cross_entropy,
    "layer_norm": _layer_norm,
    "recurrent": _recurrent,
    "updated_in_place": _updated_in_place,
    "gram_power": _gram_power,
    "logaddexp": lambda x: np.logaddexp(x[0], x[1]),
    "hypot": lambda x: np.hypot(x[0], x[1]),
    "square": np.square,
    "cube": lambda x: x**3,
    "square_root": lambda x: np.abs(x) ** 0.5,
    "reciprocal": lambda x: 1 / x,
    "two_to_the": lambda x: 2**x,
    "clip": lambda x: np.clip(x, -0.6, 0.6),
    "relu": lambda x: np.maximum(x, 0),
    "where": lambda x: np.where(x > 0, np.exp(x), x),
    "outer": lambda x: np.outer(x[0], x[1]),
    "standard_deviation": lambda x: np.std(x, axis=1),
    "product": lambda x: np.prod(x, axis=0),
    "running_sum": lambda x: np.cumsum(x, axis=1),
    "largest": lambda x: x.max(axis=1) - x.min(),
    "stacked": lambda x: np.stack([x[0], np.cos(x[1])], axis=1),
    "concatenated": lambda x: np.concatenate([x, 2 * x[:, :1]], axis=1),
    "reversed": lambda x: x[::-1, ::2] * x[:, 1:],
    "picked": lambda x: x[np.array([0, 1, 0]), np.array([2, 0, 2])] ** 2,
    "reshaped": lambda x: x.reshape(3, 2).T @ x.T,
    "matrix_vector": lambda x: x @ x[0],
    "tensordot": lambda x: np.tensordot(x, x, axes=([1], [1])),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, np.sin(x)),
    "difference": lambda x: np.diff(x, axis=1) ** 2,
}


@pytest.fixture
def point() -> Array:
    """Elements apart from each other, from zero and from the bounds of the clip."""
    return np.array([[0.3, -1.2, 0.9], [1.4, 0.5, -0.4]])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_numerical_jacobian_in_both_modes(name: str, point: Array) -> None:
    graph = trace_function(FUNCTIONS[name], (point,), {}).graph
    expected = numerical(graph, [point])
    assert expected.any()
    assert_agree(by_forward(graph, [point]), expected)
    assert_agree(by_reverse(graph, [point]), expected)


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "layer_norm", "updated_in_place", "product", "hypot"]
)
def test_a_function_has_the_numerical_second_derivatives(name: str, point: Array) -> None:
    graph = trace_function(FUNCTIONS[name], (point,), {}).graph
    gradient = vjp_graph(graph)
    seed = np.random.default_rng(0).normal(size=graph.outputs[0].type.shape)
    arrays = [point, np.asarray(seed)]
    expected = numerical(gradient, arrays)
    assert_agree(by_forward(gradient, arrays), expected)
    assert_agree(by_reverse(gradient, arrays), expected)
