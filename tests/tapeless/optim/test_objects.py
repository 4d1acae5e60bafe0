"""Optimizer objects train Tensors exactly as the functions train arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import optim
from tapeless.errors import ArgumentError, DifferentiationError, DTypeError, TraceError

STEPS = 6
MOMENTUM = {"momentum": 0.9, "weight_decay": 0.1}
ADAM = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6}


def sgd(params: Any, grads: Any, state: Any, **settings: Any) -> None:
    optim.sgd(params, grads, state=state, **settings)


def rmsprop_momentum_init(params: Any) -> Any:
    return optim.rmsprop_init(params, momentum=True)


CASES: dict[str, tuple[type[optim.Optimizer], Callable[..., Any], Callable[..., None], Any]] = {
    "sgd": (optim.SGD, lambda params: None, sgd, {"lr": 0.1, "weight_decay": 0.2}),
    "momentum": (optim.SGD, optim.sgd_init, sgd, {"lr": 0.01, **MOMENTUM}),
    "nesterov": (optim.SGD, optim.sgd_init, sgd, {"lr": 0.01, "nesterov": True, **MOMENTUM}),
    "adagrad": (optim.Adagrad, optim.adagrad_init, optim.adagrad, {"lr": 0.1, "eps": 1e-6}),
    "rmsprop": (optim.RMSprop, optim.rmsprop_init, optim.rmsprop, {"lr": 0.01, "decay": 0.9}),
    "rmsprop-momentum": (
        optim.RMSprop,
        rmsprop_momentum_init,
        optim.rmsprop,
        {"lr": 0.01, "decay": 0.9, **MOMENTUM},
    ),
    "adam": (optim.Adam, optim.adam_init, optim.adam, {"lr": 0.01, "weight_decay": 0.3, **ADAM}),
    "adamw": (optim.AdamW, optim.adamw_init, optim.adamw, {"lr": 0.01, **ADAM}),
}


def start(dtype: type = np.float64) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "layers": [rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)],
        "scale": np.array(0.7, dtype),
    }


def leaves(tree: dict[str, Any]) -> list[Any]:
    return [*tree["layers"], tree["scale"]]


def tensors(tree: dict[str, Any]) -> dict[str, Any]:
    made = [tl.Tensor(leaf, requires_grad=True) for leaf in leaves(tree)]
    return {"layers": made[:2], "scale": made[2]}


def loss(params: dict[str, Any]) -> Any:
    (w, b), scale = params["layers"], params["scale"]
    return np.sum((scale * np.tanh(w + b) - 0.5) ** 2)


def train(optimizer: optim.Optimizer, params: dict[str, Any], steps: int = STEPS) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss(params).backward()
        optimizer.step()


def assert_same(params: dict[str, Any], others: Any, tolerance: float = 1e-12) -> None:
    for tensor, other in zip(leaves(params), leaves(others), strict=True):
        values = other.numpy() if isinstance(other, tl.Tensor) else other
        np.testing.assert_allclose(tensor.numpy(), values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_objects_follow_the_functions(name: str, dtype: type) -> None:
    kind, init, update, settings = CASES[name]
    params = tensors(start(dtype))
    before = leaves(params)
    train(kind(params, **settings), params)
    plain = start(dtype)
    state = init(plain)
    for _ in range(STEPS):
        update(plain, tl.grad(loss)(plain), state, **settings)
    assert_same(params, plain, 2e-5 if dtype is np.float32 else 1e-12)
    for now, then in zip(leaves(params), before, strict=True):
        assert now is then
        assert now.dtype == dtype
        assert now.is_leaf
        assert now.requires_grad


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_defaults_are_those_of_the_functions(name: str) -> None:
    kind, init, update, settings = CASES[name]
    lr = settings["lr"]
    momentum = {"momentum": 0.5} if name == "momentum" else {}
    params, plain = tensors(start()), start()
    train(kind(params, lr, **momentum), params)
    state = init(plain)
    for _ in range(STEPS):
        update(plain, tl.grad(loss)(plain), state, lr=lr, **momentum)
    assert_same(params, plain)


def test_three_steps_of_a_tenth_print_the_textbook_numbers() -> None:
    weights = tl.Tensor(np.ones(4), requires_grad=True)
    optimizer = optim.SGD([weights], lr=0.1)
    outputs = []
    for _ in range(4):
        output = (weights * 3).sum()
        outputs.append(output.item())
        output.backward()
        optimizer.step()
        optimizer.zero_grad()
    np.testing.assert_allclose(outputs, [12.0, 8.4, 4.8, 1.2], rtol=1e-12)


def test_gradients_add_up_until_they_are_zeroed() -> None:
    weights = tl.Tensor(np.ones(4), requires_grad=True)
    optimizer = optim.SGD([weights], lr=0.0)
    for times in (1, 2, 3):
        (weights * 3).sum().backward()
        np.testing.assert_array_equal(weights.grad.numpy(), 3.0 * times)
        optimizer.step()
    optimizer.zero_grad()
    assert weights.grad is None


def test_steps_are_native_calls_of_one_program_for_each_type_of_tensor() -> None:
    params = [tl.Tensor(np.ones(n), requires_grad=True) for n in (2, 3, 2, 3)]
    optimizer = optim.Adam(params, lr=0.01, eps=1e-7)
    for step in range(8):
        optimizer.lr = 0.1 / (step + 1)
        optimizer.zero_grad()
        sum((p**2).sum() for p in params).backward()
        optimizer.step()
    programs = set(optimizer._updates)
    assert len(programs) == 2
    for program in programs:
        info = program.cache_info()
        assert (info.misses, info.reasons) == (1, ())
        assert info.native >= 12


def test_a_tensor_without_gradient_is_left_alone() -> None:
    used, unused = (tl.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    alone = tl.Tensor(np.ones(3), requires_grad=True)
    both, single = optim.AdamW([unused, used]), optim.AdamW([alone])
    for _ in range(3):
        both.zero_grad()
        single.zero_grad()
        (used**2).sum().backward()
        (alone**2).sum().backward()
        both.step()
        single.step()
    np.testing.assert_array_equal(unused.numpy(), 1.0)
    np.testing.assert_array_equal(used.numpy(), alone.numpy())
    assert both.state_dict()["states"][0]["step"] == 0
    assert both.state_dict()["states"][1]["step"] == 3


@pytest.mark.parametrize(
    "given",
    [iter, tuple, lambda x: dict(enumerate(x)).values(), lambda x: {"a": x[0], "b": {"c": x[1]}}],
)
def test_tensors_come_in_any_iterable_or_pytree(given: Callable[..., Any]) -> None:
    pair = [tl.Tensor(np.ones(2), requires_grad=True) for _ in range(2)]
    optimizer = optim.SGD(given(pair), lr=0.5)
    (pair[0].sum() + 2 * pair[1].sum()).backward()
    optimizer.step()
    np.testing.assert_array_equal(pair[0].numpy(), 0.5)
    np.testing.assert_array_equal(pair[1].numpy(), 0.0)


def test_a_single_tensor_and_a_computed_number_can_be_trained() -> None:
    number = (tl.Tensor(2.0) * tl.Tensor(3.0)).detach().requires_grad_()
    optimizer = optim.SGD(number, lr=0.5)
    (number * 4).backward()
    optimizer.step()
    assert number.item() == 4.0


def test_a_graph_from_before_a_step_is_void() -> None:
    weight = tl.Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.1)
    first, second = (weight**2).sum(), (weight**3).sum()
    first.backward()
    optimizer.step()
    with pytest.raises(DifferentiationError, match=r"updated in place at test_objects\.py:\d+"):
        second.backward()


def test_learning_rate_is_read_and_set() -> None:
    weight = tl.Tensor(np.zeros(2), requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.5)
    assert optimizer.lr == 0.5
    weight.sum().backward()
    optimizer.step()
    optimizer.lr = 0.25
    optimizer.step()
    np.testing.assert_array_equal(weight.numpy(), -0.75)


def test_a_schedule_gives_the_rate_of_every_step() -> None:
    schedule = optim.WarmUp(optim.StepDecay(0.8, steps=2, factor=0.5), steps=2)
    weight = tl.Tensor(np.zeros(()), requires_grad=True)
    optimizer = optim.SGD([weight], lr=schedule)
    weight.backward()
    expected = 0.0
    for step in range(6):
        assert optimizer.steps == step
        assert optimizer.lr == schedule(step)
        expected -= schedule(step)
        optimizer.step()
        assert weight.item() == pytest.approx(expected, rel=1e-14)
    optimizer.lr = 0.125
    assert optimizer.lr == 0.125


def test_a_schedule_may_be_any_function_of_the_step() -> None:
    weight = tl.Tensor(np.zeros(()), requires_grad=True)
    optimizer = optim.SGD([weight], lr=lambda step: np.where(step < 2, 1.0, 0.25))
    weight.backward()
    for _ in range(4):
        optimizer.step()
    assert weight.item() == -2.5


def test_gradients_are_clipped_by_their_norm() -> None:
    pair = [tl.Tensor(np.zeros(2), requires_grad=True), tl.Tensor(0.0, requires_grad=True)]
    optimizer = optim.SGD(pair, lr=1.0)
    (pair[0] @ np.array([3.0, 4.0]) + 12.0 * pair[1]).backward()
    assert optimizer.clip_by_norm(6.5) == 13.0
    optimizer.step()
    np.testing.assert_allclose(pair[0].numpy(), [-1.5, -2.0])
    assert pair[1].item() == -6.0
    assert optimizer.clip_by_norm(100.0) == 6.5


@pytest.mark.parametrize("name", CASES)
def test_training_goes_on_from_a_saved_state(name: str) -> None:
    kind, _, _, settings = CASES[name]
    params = tensors(start())
    optimizer = kind(params, **settings)
    train(optimizer, params, 3)
    saved = copy.deepcopy(optimizer.state_dict())
    others = tensors({"layers": [t.numpy() for t in leaves(params)[:2]], "scale": params["scale"]})
    train(optimizer, params, 3)
    resumed = kind(others, **{**settings, "lr": 7.0})
    resumed.load_state_dict(saved)
    assert resumed.lr == settings["lr"]
    assert resumed.steps == 3
    train(resumed, others, 3)
    assert_same(others, params)


def test_a_saved_state_does_not_change_with_the_optimizer() -> None:
    params = tensors(start())
    optimizer = optim.Adam(params)
    train(optimizer, params, 1)
    saved = optimizer.state_dict()
    mean = saved["states"][0]["mean"].copy()
    train(optimizer, params, 2)
    np.testing.assert_array_equal(saved["states"][0]["mean"], mean)
    assert saved["steps"] == 1


def test_loading_keeps_a_schedule_but_continues_its_count() -> None:
    params = tensors(start())
    optimizer = optim.SGD(params, lr=optim.ExponentialDecay(0.1, 0.5))
    train(optimizer, params, 2)
    saved = optimizer.state_dict()
    assert saved["lr"] is None
    resumed = optim.SGD(tensors(start()), lr=optim.ExponentialDecay(0.1, 0.5))
    resumed.load_state_dict(saved)
    assert resumed.lr == optimizer.lr == 0.025


def test_settings_and_repr() -> None:
    optimizer = optim.SGD([tl.Tensor(1.0, requires_grad=True)], 0.1, momentum=0.9)
    assert optimizer.settings == {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert repr(optimizer) == (
        "SGD(1 tensors, lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)"
    )


def test_step_before_backward_is_an_error() -> None:
    optimizer = optim.SGD([tl.Tensor(1.0, requires_grad=True)], lr=0.1)
    with pytest.raises(ArgumentError, match=r"given: 1 without any\n.*backward\(\) first"):
        optimizer.step()
    assert optimizer.steps == 0


def test_step_while_a_function_is_traced_is_an_error() -> None:
    weight = tl.Tensor(np.ones(3), requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.1)
    weight.sum().backward()

    @tl.compile
    def update(x: Any) -> Any:
        optimizer.step()
        return x + 1

    with pytest.raises(TraceError, match=r"outside of compiled functions(?s:.*)tl\.optim\.sgd"):
        update(np.ones(2))
    np.testing.assert_array_equal(weight.numpy(), 1.0)


def leaf(**settings: Any) -> tl.Tensor:
    return tl.Tensor(np.ones(3), requires_grad=True, **settings)


TWICE = leaf()

UNTRAINABLE: dict[str, tuple[Any, type[Exception], str]] = {
    "nothing": ([], ArgumentError, "at least one Tensor to train; given: none"),
    "array": ({"w": np.ones(3)}, ArgumentError, r"tensors\['w'\] is a tl.Tensor; given: ndarray"),
    "bare array": (np.ones(3), ArgumentError, "tensors is a tl.Tensor"),
    "constant": ([tl.Tensor(np.ones(3))], ArgumentError, r"tensors\[0\] requires gradients"),
    "computed": ([leaf(), leaf() * 2], ArgumentError, r"tensors\[1\] is a leaf.*result of mul"),
    "integers": ([tl.Tensor([1, 2])], DTypeError, r"tensors\[0\] holds floating-point"),
    "twice": ((TWICE, [TWICE]), ArgumentError, r"tensors\[1\]\[0\] stands once.*tensors\[0\]"),
}


@pytest.mark.parametrize("case", UNTRAINABLE)
def test_what_cannot_be_trained_is_an_error(case: str) -> None:
    given, error, message = UNTRAINABLE[case]
    with pytest.raises(error, match=message):
        optim.Adam(given)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), "fast", None, True])
def test_a_bad_learning_rate_is_an_error(bad: Any) -> None:
    with pytest.raises(ArgumentError, match="lr is a finite number that is not negative"):
        optim.SGD([leaf()], lr=bad)
    optimizer = optim.SGD([leaf()], lr=0.1)
    with pytest.raises(ArgumentError, match="lr is a finite number that is not negative"):
        optimizer.lr = bad
    assert optimizer.lr == 0.1


def test_a_schedule_that_gives_a_bad_rate_is_an_error_at_that_step() -> None:
    weight = leaf()
    optimizer = optim.SGD([weight], lr=lambda step: 0.1 - 0.1 * step)
    weight.sum().backward()
    optimizer.step()
    optimizer.step()
    with pytest.raises(ArgumentError, match="the learning rate after 2 steps is a finite"):
        optimizer.step()
    optimizer.lr = lambda step: np.zeros(3)
    with pytest.raises(ArgumentError, match="the learning rate after 2 steps is a finite"):
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([leaf()], 0.1, momentum=-1.0), "momentum is finite and at least 0"),
        (lambda: optim.SGD([leaf()], 0.1, nesterov=True), "nesterov=True needs momentum"),
        (lambda: optim.Adam([leaf()], beta1=1.0), "beta1 is at least 0 and less than 1"),
        (lambda: optim.RMSprop([leaf()], decay=1.5), "decay is at least 0 and less than 1"),
        (lambda: optim.Adagrad([leaf()], eps="small"), "eps is finite and at least 0"),
    ],
)
def test_a_setting_out_of_range_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_the_state_of_something_else_is_an_error_and_changes_nothing() -> None:
    params = tensors(start())
    optimizer = optim.SGD(params, 0.1, momentum=0.9)
    train(optimizer, params, 2)
    before = optimizer.state_dict()
    wrong: list[tuple[Any, str]] = [
        (optim.Adam(params).state_dict(), "the state is that of SGD; given: one of Adam"),
        ({}, "the state is that of SGD; given: dict"),
        (optim.SGD([leaf()], 0.1).state_dict(), "one of 3 tensors; given: one of 1"),
        (
            optim.SGD([leaf() for _ in range(3)], 0.1, 0.9).state_dict(),
            r"tensor 0 is one for shape \(3, 4\)",
        ),
    ]
    for state, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    np.testing.assert_equal(after, before)


TORCH = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {}),
    "nesterov": ("SGD", {}),
    "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {"decay": "alpha"}),
    "rmsprop-momentum": ("RMSprop", {"decay": "alpha"}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
}


@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_trajectories_agree_with_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    kind, _, _, settings = CASES[name]
    peer, renamed = TORCH[name]
    params = tensors(start())
    train(kind(params, **settings), params, 20)
    others = [torch.tensor(a, requires_grad=True) for a in leaves(start())]
    betas = {"betas": (settings["beta1"], settings["beta2"])} if "beta1" in settings else {}
    given = {renamed.get(k, k): v for k, v in settings.items() if not k.startswith("beta")}
    optimizer = getattr(torch.optim, peer)(others, **given, **betas)
    for _ in range(20):
        optimizer.zero_grad()
        torch.sum((others[2] * torch.tanh(others[0] + others[1]) - 0.5) ** 2).backward()
        optimizer.step()
    for tensor, other in zip(leaves(params), others, strict=True):
        np.testing.assert_allclose(tensor.numpy(), other.detach().numpy(), rtol=1e-10, atol=1e-12)
