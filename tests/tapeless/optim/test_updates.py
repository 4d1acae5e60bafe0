"""Optimizers follow their published formulas, in place, in any float dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import optim
from tapeless.ir.errors import ArgumentError, DTypeError, ShapeError

STEPS = 7


def make_params(dtype: type = np.float64) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "layers": [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)],
        "scale": np.array(0.7, dtype),
    }


def leaves(tree: dict[str, Any]) -> list[np.ndarray]:
    return [*tree["layers"], tree["scale"]]


def gradients(step: int, dtype: type = np.float64) -> dict[str, Any]:
    rng = np.random.default_rng(100 + step)
    return {
        "layers": [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)],
        "scale": rng.normal(size=()).astype(dtype)[()],  # a full reduction gives a NumPy scalar
    }


def sgd_reference(p, g, memory, t, *, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    g = g + weight_decay * p
    memory["v"] = momentum * memory.get("v", 0.0) + g
    return p - lr * (g + momentum * memory["v"] if nesterov else memory["v"])


def adagrad_reference(p, g, memory, t, *, lr, eps, initial=0.0, weight_decay=0.0):
    g = g + weight_decay * p
    memory["s"] = memory.get("s", initial) + g**2
    return p - lr * g / (np.sqrt(memory["s"]) + eps)


def rmsprop_reference(p, g, memory, t, *, lr, decay, eps, momentum=0.0, weight_decay=0.0):
    g = g + weight_decay * p
    memory["s"] = decay * memory.get("s", 0.0) + (1 - decay) * g**2
    memory["v"] = momentum * memory.get("v", 0.0) + g / (np.sqrt(memory["s"]) + eps)
    return p - lr * memory["v"]


def adam_reference(p, g, memory, t, *, lr, beta1, beta2, eps, weight_decay=0.0, decoupled=False):
    if decoupled:
        p = p - lr * weight_decay * p
    else:
        g = g + weight_decay * p
    memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
    memory["s"] = beta2 * memory.get("s", 0.0) + (1 - beta2) * g**2
    mean, square = memory["m"] / (1 - beta1**t), memory["s"] / (1 - beta2**t)
    return p - lr * mean / (np.sqrt(square) + eps)


def adamw_reference(*args, **settings):
    return adam_reference(*args, **settings, decoupled=True)


ADAM = {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6}
ADAGRAD = {"lr": 0.1, "eps": 1e-6}
RMSPROP = {"lr": 0.01, "decay": 0.9, "eps": 1e-6}


def sgd_with_state(params: Any, grads: Any, state: Any, **settings: Any) -> None:
    optim.sgd(params, grads, state=state, **settings)


def adagrad_from_a_tenth(params: Any) -> Any:
    return optim.adagrad_init(params, initial=0.1)


def adagrad_reference_from_a_tenth(*args, **settings):
    return adagrad_reference(*args, **settings, initial=0.1)


def rmsprop_momentum_init(params: Any) -> Any:
    return optim.rmsprop_init(params, momentum=True)


CASES = {
    "sgd": (sgd_with_state, lambda params: None, sgd_reference, {"lr": 0.1}),
    "sgd-decay": (
        sgd_with_state,
        lambda params: None,
        sgd_reference,
        {"lr": 0.1, "weight_decay": 0.2},
    ),
    "momentum": (sgd_with_state, optim.sgd_init, sgd_reference, {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (
        sgd_with_state,
        optim.sgd_init,
        sgd_reference,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "adagrad": (optim.adagrad, optim.adagrad_init, adagrad_reference, ADAGRAD),
    "adagrad-decay": (
        optim.adagrad,
        adagrad_from_a_tenth,
        adagrad_reference_from_a_tenth,
        {**ADAGRAD, "weight_decay": 0.1},
    ),
    "rmsprop": (optim.rmsprop, optim.rmsprop_init, rmsprop_reference, RMSPROP),
    "rmsprop-momentum": (
        optim.rmsprop,
        rmsprop_momentum_init,
        rmsprop_reference,
        {**RMSPROP, "momentum": 0.7, "weight_decay": 0.1},
    ),
    "adam": (optim.adam, optim.adam_init, adam_reference, ADAM),
    "adam-decay": (optim.adam, optim.adam_init, adam_reference, {**ADAM, "weight_decay": 0.3}),
    "adamw": (optim.adamw, optim.adamw_init, adamw_reference, {**ADAM, "weight_decay": 0.3}),
}


def run_optimizer(name: str, dtype: type) -> dict[str, Any]:
    step, init, _, settings = CASES[name]
    params = make_params(dtype)
    state = init(params)
    for t in range(STEPS):
        step(params, gradients(t, dtype), state, **settings)
    return params


def run_reference(name: str) -> list[np.ndarray]:
    *_, reference, settings = CASES[name]
    values = leaves(make_params())
    memories: list[dict[str, Any]] = [{} for _ in values]
    for t in range(STEPS):
        grads = leaves(gradients(t))
        values = [
            reference(p, g, memory, t + 1, **settings)
            for p, g, memory in zip(values, grads, memories, strict=True)
        ]
    return values


@pytest.mark.parametrize("name", CASES)
def test_follows_its_formula(name: str) -> None:
    results = leaves(run_optimizer(name, np.float64))
    for got, expected in zip(results, run_reference(name), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    results = leaves(run_optimizer(name, np.float32))
    for got, expected in zip(results, run_reference(name), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_updates_parameters_and_state_where_they_lie(name: str) -> None:
    step, init, _, settings = CASES[name]
    params = make_params()
    state = init(params)
    before = [leaf.copy() for leaf in leaves(params)]
    arrays, memory = leaves(params), state
    assert step(params, gradients(0), state, **settings) is None
    assert state is memory
    for now, then, old in zip(leaves(params), arrays, before, strict=True):
        assert now is then
        assert not np.array_equal(now, old)


def test_adam_counts_its_steps_in_an_array() -> None:
    params = make_params()
    state = optim.adam_init(params)
    counter = state.step
    for t in range(3):
        optim.adam(params, gradients(t), state)
    assert counter is state.step
    assert counter.dtype == np.int64
    assert counter.shape == ()
    assert counter == 3


def test_first_adam_step_moves_every_element_by_the_learning_rate() -> None:
    params = {"w": np.zeros(3)}
    optim.adam(params, {"w": np.array([1e-3, -5.0, 2.0])}, optim.adam_init(params), lr=0.25)
    np.testing.assert_allclose(params["w"], [-0.25, 0.25, -0.25], rtol=1e-4)


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.float32(0.1), np.array(0.1)])
def test_learning_rate_of_any_scalar_kind(lr: Any) -> None:
    params = {"w": np.ones(3, np.float32)}
    state = optim.adam_init(params)
    optim.adam(params, {"w": np.ones(3, np.float32)}, state, lr=lr)
    np.testing.assert_allclose(params["w"], 0.9, rtol=1e-6)
    optim.sgd(params, {"w": np.ones(3, np.float32)}, lr)
    np.testing.assert_allclose(params["w"], 0.8, rtol=1e-6)
    assert params["w"].dtype == np.float32


def test_momentum_without_a_state_is_an_error() -> None:
    params = {"w": np.ones(3)}
    with pytest.raises(ArgumentError, match="momentum needs a state"):
        optim.sgd(params, params, 0.1, momentum=0.9)
    state = optim.rmsprop_init(params)
    with pytest.raises(ArgumentError, match="momentum needs a state that has room"):
        optim.rmsprop(params, params, state, momentum=0.9)


def test_gradients_of_another_structure_are_an_error() -> None:
    params = {"w": np.ones(3), "b": np.ones(2)}
    with pytest.raises(ArgumentError, match="grads must have the structure of params"):
        optim.sgd(params, {"w": np.ones(3)}, 0.1)


def test_a_state_made_from_other_parameters_is_an_error() -> None:
    params = {"w": np.ones(3)}
    state = optim.adam_init({"v": np.ones(3)})
    with pytest.raises(ArgumentError, match="state must be made from the same params"):
        optim.adam(params, params, state)
    assert state.step == 0


def test_a_gradient_of_another_shape_is_an_error_that_names_the_parameter() -> None:
    params = {"layers": [np.ones((3, 2))]}
    with pytest.raises(ShapeError, match=r"layers'\]\[0\] must have its shape \(3, 2\)"):
        optim.sgd(params, {"layers": [np.ones(2)]}, 0.1)
    np.testing.assert_array_equal(params["layers"][0], 1.0)


@pytest.mark.parametrize("number", [1.5, np.float64(1.5)])
def test_a_bare_number_cannot_be_a_parameter(number: float) -> None:
    with pytest.raises(ArgumentError, match="must be an array"):
        optim.sgd({"b": number}, {"b": 0.1}, 0.1)
    with pytest.raises(ArgumentError, match="must be an array"):
        optim.adam_init({"b": number})


def test_integer_parameters_are_an_error() -> None:
    with pytest.raises(DTypeError, match="must hold floating-point numbers"):
        optim.adam_init({"n": np.arange(3)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("way", ["static", "dynamic"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_and_dynamic_steps_equal_the_plain_one(name: str, way: str, dtype: type) -> None:
    step, init, _, settings = CASES[name]
    params = make_params(dtype)
    state = init(params)
    arrays = leaves(params)

    def update(params: Any, grads: Any, state: Any) -> None:
        step(params, grads, state, **settings)

    compiled = tl.compile(update)
    run = compiled if way == "static" else compiled.dynamic
    for t in range(STEPS):
        assert run(params, gradients(t, dtype), state) is None
    tolerance = 1e-6 if dtype is np.float32 else 1e-13
    expected = leaves(run_optimizer(name, dtype))
    for got, array, want in zip(leaves(params), arrays, expected, strict=True):
        assert got is array
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    assert way == "dynamic" or compiled.cache_info().signatures == 1


@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_hyperparameters_may_be_arguments_of_the_compiled_step(way: str) -> None:
    @tl.compile
    def update(params: Any, grads: Any, state: Any, lr: Any, beta1: Any, decay: Any) -> None:
        optim.adamw(params, grads, state, lr=lr, beta1=beta1, weight_decay=decay)

    ours, plain = make_params(np.float32), make_params(np.float32)
    state, other = optim.adamw_init(ours), optim.adamw_init(plain)
    run = update if way == "static" else update.dynamic
    for t in range(STEPS):
        lr, beta1, decay = 0.1 / (t + 1), 0.5 + 0.05 * t, 0.01 * t
        run(ours, gradients(t, np.float32), state, lr, beta1, decay)
        optim.adamw(plain, gradients(t, np.float32), other, lr=lr, beta1=beta1, weight_decay=decay)
    assert way == "dynamic" or update.cache_info().misses == 1
    for got, want in zip(leaves(ours), leaves(plain), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-7)


def test_a_traced_number_cannot_be_a_parameter_either() -> None:
    @tl.compile
    def update(params: Any, grads: Any) -> None:
        optim.sgd(params, grads, 0.1)

    with pytest.raises(ArgumentError, match="must be an array"):
        update({"b": 1.5}, {"b": 0.1})


TORCH = {
    "sgd": ("SGD", {}, {}),
    "sgd-decay": ("SGD", {}, {}),
    "momentum": ("SGD", {}, {}),
    "nesterov": ("SGD", {}, {}),
    "adagrad": ("Adagrad", {}, {}),
    "adagrad-decay": ("Adagrad", {}, {"initial_accumulator_value": 0.1}),
    "rmsprop": ("RMSprop", {"decay": "alpha"}, {}),
    "rmsprop-momentum": ("RMSprop", {"decay": "alpha"}, {}),
    "adam": ("Adam", {}, {}),
    "adam-decay": ("Adam", {}, {}),
    "adamw": ("AdamW", {}, {}),
}


def torch_settings(settings: dict[str, Any], renamed: dict[str, str]) -> dict[str, Any]:
    betas = (settings["beta1"], settings["beta2"]) if "beta1" in settings else None
    plain = {renamed.get(k, k): v for k, v in settings.items() if not k.startswith("beta")}
    return {**plain, **({"betas": betas} if betas else {})}


@pytest.mark.peers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name: str, dtype: type) -> None:
    torch = pytest.importorskip("torch")
    kind, renamed, extra = TORCH[name]
    tensors = [torch.tensor(leaf, requires_grad=True) for leaf in leaves(make_params(dtype))]
    settings = torch_settings(CASES[name][-1], renamed)
    optimizer = getattr(torch.optim, kind)(tensors, **settings, **extra)
    for t in range(STEPS):
        for tensor, g in zip(tensors, leaves(gradients(t, dtype)), strict=True):
            tensor.grad = torch.tensor(np.asarray(g))
        optimizer.step()
    tolerance = 1e-12 if dtype is np.float64 else 3e-6
    for got, tensor in zip(leaves(run_optimizer(name, dtype)), tensors, strict=True):
        np.testing.assert_allclose(got, tensor.detach().numpy(), rtol=tolerance, atol=tolerance)
