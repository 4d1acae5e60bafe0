"""Layer, RMS and batch normalization: definitions, running statistics, derivatives; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import ShapeError

from .modes import everywhere

X = np.random.default_rng(0).standard_normal((4, 3, 5)) * 3 + 1
SCALE, SHIFT = np.linspace(1, 2, 5), np.linspace(-1, 1, 5)


@pytest.mark.parametrize("axis", [-1, (0, 1)])
def test_layer_norm_has_mean_shift_and_deviation_scale(axis: Any) -> None:
    centred = X - X.mean(axis=axis, keepdims=True)
    expected = centred / np.sqrt(X.var(axis=axis, keepdims=True) + 1e-5)
    for got in everywhere(lambda x: nn.layer_norm(x, axis=axis), X).values():
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    for got in everywhere(lambda *args: nn.layer_norm(*args, axis=axis), X, SCALE, SHIFT).values():
        np.testing.assert_allclose(got, expected * SCALE + SHIFT, rtol=1e-12, atol=1e-13)
    tl.check_grads(lambda *args: nn.layer_norm(*args, axis=axis), (X, SCALE, SHIFT), order=2)


def test_rms_norm_has_mean_square_scale_squared() -> None:
    expected = X / np.sqrt(np.mean(X * X, axis=-1, keepdims=True) + 1e-6)
    for got in everywhere(nn.rms_norm, X).values():
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    for got in everywhere(nn.rms_norm, X, SCALE).values():
        np.testing.assert_allclose(got, expected * SCALE, rtol=1e-13)
    tl.check_grads(nn.rms_norm, (X, SCALE), order=2)


def test_constant_rows_are_normalized_to_zero_with_finite_gradients() -> None:
    x = np.full((2, 5), 3.0)
    for norm in (nn.layer_norm, nn.rms_norm):
        gradient = tl.compile(tl.grad(lambda x, norm=norm: np.sum(norm(x) ** 2)))(x)
        assert np.isfinite(gradient).all()
    assert not nn.layer_norm(x).any()


def running(features: int) -> dict[str, Any]:
    """Statistics other than the initial ones."""
    return {"mean": np.linspace(-1, 1, features), "variance": np.linspace(0.5, 2, features)}


@pytest.mark.parametrize(("axis", "features"), [(1, 3), (-1, 5), (0, 4)])
def test_batch_norm_uses_the_batch_in_training_and_moves_the_running_statistics(
    axis: int, features: int
) -> None:
    others = tuple(a for a in range(3) if a != axis % 3)
    mean, variance = (f(X, axis=others, keepdims=True) for f in (np.mean, np.var))
    count = X.size // features
    before = running(features)
    after = {
        "mean": 0.75 * before["mean"] + 0.25 * mean.ravel(),
        "variance": 0.75 * before["variance"] + 0.25 * variance.ravel() * count / (count - 1),
    }

    def train(x: Any, state: Any) -> Any:
        return nn.batch_norm(x, state, training=True, momentum=0.25, axis=axis)

    compiled = tl.compile(train)
    for run in (train, compiled, compiled.dynamic):
        state = running(features)
        expected = (X - mean) / np.sqrt(variance + 1e-5)
        np.testing.assert_allclose(run(X, state), expected, rtol=1e-12, atol=1e-13)
        for name in after:
            np.testing.assert_allclose(state[name], after[name], rtol=1e-13, atol=1e-15)


def test_batch_norm_uses_the_running_statistics_otherwise_and_keeps_them() -> None:
    state, scale, shift = running(3), np.array([1.0, 2.0, 3.0]), np.array([0.0, -1.0, 1.0])
    mean, variance, factor, offset = (
        a.reshape(1, 3, 1) for a in (state["mean"], state["variance"], scale, shift)
    )
    expected = (X - mean) / np.sqrt(variance + 1e-5) * factor + offset
    for got in everywhere(nn.batch_norm, X, state, scale, shift).values():
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    assert state["mean"].tolist() == running(3)["mean"].tolist()


def test_statistics_move_inside_a_gradient_and_none_flows_through_them() -> None:
    weights = np.random.default_rng(1).standard_normal(X.shape)

    def step(x: Any, state: Any) -> Any:
        return tl.grad(lambda x: np.sum(weights * nn.batch_norm(x, state, training=True)))(x)

    compiled = tl.compile(step)
    states = [running(3), running(3)]
    gradients = [compiled(X, states[0]), compiled.dynamic(X, states[1])]
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-11, atol=1e-13)
    expected = running(3)
    nn.batch_norm(X, expected, training=True)
    for state in states:
        np.testing.assert_allclose(state["variance"], expected["variance"], rtol=1e-13)

    def squares(x: Any, state: Any) -> Any:
        return nn.batch_norm(x, state, training=True) ** 2

    tl.check_grads(squares, (X, running(3)), order=2)


def test_float32_stays_float32() -> None:
    x, state = X.astype(np.float32), {"mean": np.zeros(3, "f4"), "variance": np.ones(3, "f4")}
    results = [
        *everywhere(nn.layer_norm, x).values(),
        *everywhere(nn.rms_norm, x).values(),
        tl.compile(lambda x, s: nn.batch_norm(x, s, training=True))(x, state),
    ]
    assert {result.dtype for result in results} == {np.dtype(np.float32)}
    assert state["mean"].dtype == np.float32


def test_batch_norm_says_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"axis 1 of x.*\(4, 3, 5\).*running mean of shape \(5,\)"):
        nn.batch_norm(X, running(5))
    with pytest.raises(ShapeError, match=r"axis 3 of x"):
        nn.batch_norm(X, running(3), axis=3)
    with pytest.raises(ShapeError, match=r"two values or more.*\(1, 3, 1\)"):
        nn.batch_norm(X[:1, :, :1], running(3), training=True)
