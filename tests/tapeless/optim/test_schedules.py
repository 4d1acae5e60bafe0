"""Schedules give the rate of their formula for any kind of step number, compiled or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import optim
from tapeless.errors import ArgumentError

STEPS = range(14)


def cosine(step: int) -> float:
    return 0.01 + 0.09 * (1 + math.cos(math.pi * min(step, 6) / 6)) / 2


SCHEDULES: dict[str, tuple[optim.Schedule, Callable[[int], float]]] = {
    "constant": (optim.Constant(0.1), lambda step: 0.1),
    "step": (optim.StepDecay(0.1, steps=4, factor=0.5), lambda step: 0.1 * 0.5 ** (step // 4)),
    "exponential": (optim.ExponentialDecay(0.1, 0.9), lambda step: 0.1 * 0.9**step),
    "cosine": (optim.CosineDecay(0.1, steps=6, end=0.01), cosine),
    "warm-up": (optim.WarmUp(0.1, steps=4), lambda step: 0.1 * min((step + 1) / 4, 1.0)),
    "warm-up and cosine": (
        optim.WarmUp(optim.CosineDecay(0.1, steps=6, end=0.01), steps=3),
        lambda step: 0.1 * (step + 1) / 3 if step < 3 else cosine(step - 3),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rate_follows_its_formula(name: str) -> None:
    schedule, formula = SCHEDULES[name]
    for step in STEPS:
        assert schedule(step) == pytest.approx(formula(step), rel=1e-14, abs=1e-17)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_rate_is_the_same_inside_a_compiled_step(name: str, way: str) -> None:
    schedule, _ = SCHEDULES[name]

    @tl.compile
    def rate(step: Any) -> Any:
        return schedule(step)

    run = rate if way == "static" else rate.dynamic
    for step in STEPS:
        assert run(np.array(step)) == pytest.approx(schedule(step), rel=1e-14, abs=1e-17)
    assert way == "dynamic" or rate.cache_info().misses == 1


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [np.int32, np.array])
def test_rate_is_a_number_for_numpy_steps_as_well(name: str, kind: Callable[[int], Any]) -> None:
    schedule, _ = SCHEDULES[name]
    for step in STEPS:
        rate = schedule(kind(step))
        assert isinstance(rate, float)
        assert rate == pytest.approx(schedule(step), rel=1e-14, abs=1e-17)


def test_training_with_a_schedule_compiles_once() -> None:
    schedule = SCHEDULES["warm-up and cosine"][0]

    @tl.compile
    def step(params: Any, state: Any, x: Any) -> Any:
        value, grads = tl.value_and_grad(lambda p: np.sum((p["w"] - x) ** 2))(params)
        optim.adam(params, grads, state, lr=schedule(state.step))
        return value

    params, plain = {"w": np.zeros(3)}, {"w": np.zeros(3)}
    state, other = optim.adam_init(params), optim.adam_init(plain)
    x = np.array([1.0, -2.0, 0.5])
    for number in STEPS:
        step(params, state, x)
        optim.adam(plain, {"w": 2 * (plain["w"] - x)}, other, lr=schedule(number))
    np.testing.assert_allclose(params["w"], plain["w"], rtol=1e-12)
    assert step.cache_info().misses == 1


def test_settings_may_be_arguments_of_a_compiled_step() -> None:
    @tl.compile
    def rate(schedule: Any, step: Any) -> Any:
        return schedule(step)

    for lr in (0.1, 0.2, 0.3):
        schedule = optim.WarmUp(optim.CosineDecay(lr, steps=6), steps=3)
        assert rate(schedule, np.array(5)) == pytest.approx(schedule(5), rel=1e-14)
    assert rate.cache_info().misses == 1


def test_equal_schedules_are_equal_and_print_their_settings() -> None:
    assert optim.WarmUp(0.1, 4) == SCHEDULES["warm-up"][0]
    assert repr(optim.WarmUp(0.1, 4)) == "WarmUp(then=0.1, steps=4)"


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_a_rate_that_is_none_is_an_error(bad: Any) -> None:
    with pytest.raises(ArgumentError, match="lr is a finite number that is not negative"):
        optim.Constant(bad)
    with pytest.raises(ArgumentError, match="then is a finite number that is not negative"):
        optim.WarmUp(bad, 3)


@pytest.mark.parametrize("bad", [0, -3, 2.5, "10", False])
def test_a_number_of_steps_that_is_none_is_an_error(bad: Any) -> None:
    for make in (optim.StepDecay, optim.CosineDecay, optim.WarmUp):
        with pytest.raises(ArgumentError, match="steps is a positive whole number"):
            make(0.1, bad)


@pytest.mark.peers
def test_cosine_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6, eta_min=0.01)
    for step in range(7):
        rate = optim.CosineDecay(0.1, steps=6, end=0.01)(step)
        assert rate == pytest.approx(peer.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        peer.step()
