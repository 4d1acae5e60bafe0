"""Gradients within bounds stay as they are, others come to lie on the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import optim
from tapeless.errors import ArgumentError

BOUNDS = {"norm": optim.clip_by_norm, "value": optim.clip_by_value}


def gradients() -> dict[str, Any]:
    return {
        "w": [np.array([[3.0, -4.0]], np.float32), np.array(12.0)],
        "b": np.float64(-84.0),
    }


def test_global_norm_is_that_of_all_elements_together() -> None:
    assert optim.global_norm(gradients()) == 85.0


def test_global_norm_of_large_float32_numbers_does_not_overflow() -> None:
    large = np.full(4, 1e30, np.float32)
    assert optim.global_norm(large) == pytest.approx(2e30, rel=1e-6)
    clipped = optim.clip_by_norm(large, 1.0)
    np.testing.assert_allclose(clipped, 0.5, rtol=1e-6)


def test_gradients_are_scaled_together_onto_the_norm() -> None:
    clipped = optim.clip_by_norm(gradients(), 17.0)
    assert optim.global_norm(clipped) == pytest.approx(17.0, rel=1e-6)
    np.testing.assert_allclose(clipped["w"][0], [[0.6, -0.8]], rtol=1e-6)
    assert clipped["b"] == pytest.approx(-16.8)
    assert clipped["w"][0].dtype == np.float32


@pytest.mark.parametrize("bound", BOUNDS)
def test_gradients_within_the_bound_keep_their_bits(bound: str) -> None:
    kept = BOUNDS[bound](gradients(), 85.0)
    np.testing.assert_array_equal(kept["w"][0], gradients()["w"][0])
    assert kept["w"][1] == 12.0
    assert kept["b"] == -84.0


def test_zero_gradients_can_be_clipped_by_norm() -> None:
    np.testing.assert_array_equal(optim.clip_by_norm(np.zeros(3), 1.0), 0.0)


def test_a_gradient_that_is_no_number_is_not_hidden_by_clipping() -> None:
    assert np.isnan(optim.clip_by_norm(np.array([1.0, np.nan]), 1.0)).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(optim.clip_by_norm(np.array([1.0, np.inf]), 1.0)).any()


def test_every_element_is_moved_into_the_interval() -> None:
    clipped = optim.clip_by_value(gradients(), 3.5)
    np.testing.assert_array_equal(clipped["w"][0], np.array([[3.0, -3.5]], np.float32))
    assert clipped["w"][0].dtype == np.float32
    assert clipped["b"] == -3.5


@pytest.mark.parametrize("bound", BOUNDS)
def test_clipping_is_part_of_a_compiled_step(bound: str) -> None:
    def update(params: Any, grads: Any, most: Any) -> None:
        optim.sgd(params, BOUNDS[bound](grads, most), 0.1)

    compiled = tl.compile(update)
    runs = []
    for run in (update, compiled, compiled.dynamic):
        params = {"w": [np.ones((1, 2), np.float32), np.array(1.0)], "b": np.array(1.0)}
        run(params, gradients(), 17.0)
        runs.append(params)
    plain, static, dynamic = runs
    for other in (static, dynamic):
        np.testing.assert_allclose(other["w"][0], plain["w"][0], rtol=1e-6)
        np.testing.assert_allclose(other["w"][1], plain["w"][1], rtol=1e-14)
        np.testing.assert_allclose(other["b"], plain["b"], rtol=1e-14)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), np.float32(-2)])
@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_that_is_not_positive_is_an_error(bound: str, bad: float) -> None:
    with pytest.raises(ArgumentError, match="is a positive number"):
        BOUNDS[bound](gradients(), bad)


def test_the_norm_of_nothing_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="at least one array"):
        optim.global_norm({"w": []})


@pytest.mark.peers
def test_norm_clipping_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    grads = [rng.normal(size=shape) for shape in ((3, 4), (4,), ())]
    tensors = [torch.zeros(np.shape(g), dtype=torch.float64) for g in grads]
    for tensor, g in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(tensors, 1.5)
    assert optim.global_norm(grads) == pytest.approx(norm.item(), rel=1e-14)
    for got, tensor in zip(optim.clip_by_norm(grads, 1.5), tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-5)  # torch adds 1e-6
