"""Layers: shapes, parameters, values in every mode, gradients, state; composition; summary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.ir.pytree import flatten, map_leaves
from tapeless.nn import initializers

RNG = np.random.default_rng(0)
NUMBERS = RNG.integers(0, 7, (3, 4))


@dataclass(frozen=True)
class Case:
    """A layer, the shape of an example, of its result, and of its parameters by name."""

    layer: nn.Layer
    given: tuple[int, ...]
    result: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]]
    x: Any = None

    def examples(self) -> Any:
        """Three examples."""
        return RNG.standard_normal((3, *self.given)) if self.x is None else self.x


ATTENTION = {
    name: shape
    for part in ("query", "key", "value", "output")
    for name, shape in ((part, (6, 6)), (f"{part}_bias", (6,)))
}
CASES = {
    "Dense": Case(nn.Dense(5), (4,), (5,), {"weight": (4, 5), "bias": (5,)}),
    "Dense of rows": Case(nn.Dense(5, bias=False), (2, 4), (2, 5), {"weight": (4, 5)}),
    "Conv1D": Case(
        nn.Conv1D(4, 3, stride=2, groups=2), (2, 9), (4, 4), {"weight": (4, 1, 3), "bias": (4,)}
    ),
    "Conv2D": Case(
        nn.Conv2D(4, (3, 2), padding=1, dilation=(1, 2)),
        (3, 5, 6),
        (4, 5, 6),
        {"weight": (4, 3, 3, 2), "bias": (4,)},
    ),
    "Conv2D without bias": Case(
        nn.Conv2D(2, 3, bias=False), (1, 5, 5), (2, 3, 3), {"weight": (2, 1, 3, 3)}
    ),
    "MaxPool2D": Case(nn.MaxPool2D(2), (2, 5, 7), (2, 2, 3), {}),
    "AvgPool2D": Case(nn.AvgPool2D(3, stride=1, padding=1), (2, 4, 5), (2, 4, 5), {}),
    "Flatten": Case(nn.Flatten(), (2, 3, 4), (24,), {}),
    "Flatten a number": Case(nn.Flatten(), (), (1,), {}),
    "Activation": Case(nn.Activation(nn.gelu), (4,), (4,), {}),
    "LayerNorm": Case(nn.LayerNorm(), (2, 4), (2, 4), {"scale": (4,), "shift": (4,)}),
    "RMSNorm": Case(nn.RMSNorm(), (2, 4), (2, 4), {"scale": (4,)}),
    "BatchNorm": Case(nn.BatchNorm(), (4,), (4,), {"scale": (4,), "shift": (4,)}),
    "BatchNorm of images": Case(
        nn.BatchNorm(), (2, 3, 3), (2, 3, 3), {"scale": (2,), "shift": (2,)}
    ),
    "Embedding": Case(nn.Embedding(7, 5), (4,), (4, 5), {"table": (7, 5)}, NUMBERS),
    "Dropout": Case(nn.Dropout(0.5), (4, 5), (4, 5), {}),
    "MultiHeadAttention": Case(nn.MultiHeadAttention(2, causal=True), (4, 6), (4, 6), ATTENTION),
}


def shapes(tree: Any) -> Any:
    """The shape of every leaf."""
    return map_leaves(np.shape, tree)


def perturbed(params: Any, seed: int = 1) -> Any:
    """Parameters of which none is at its initial 0 or 1."""
    rng = np.random.default_rng(seed)
    return map_leaves(lambda p: p + 0.3 * rng.standard_normal(p.shape), params)


@pytest.mark.parametrize("name", CASES)
def test_shapes_are_those_of_parameters_and_results(name: str) -> None:
    case = CASES[name]
    params = case.layer.init(np.random.default_rng(0), case.given, np.float32)
    assert {key: value.shape for key, value in params.items()} == case.parameters
    assert all(leaf.dtype == np.float32 for leaf in params.values())
    assert case.layer.output_shape(case.given) == case.result
    state = case.layer.init_state(np.random.default_rng(0), case.given)
    assert case.layer(params, case.examples(), state).shape == (3, *case.result)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_mode_gives_the_same_values_gradients_and_state(name: str, training: bool) -> None:
    case = CASES[name]
    layer, x = case.layer, case.examples()
    params = perturbed(layer.init(np.random.default_rng(0), case.given))
    start = layer.init_state(np.random.default_rng(0), case.given)
    weights = np.random.default_rng(2).standard_normal((3, *case.result))

    def step(params: Any, state: Any, x: Any) -> Any:
        def loss(params: Any, shift: Any) -> Any:
            moved = x if case.x is not None else x + shift
            return np.sum(weights * layer(params, moved, state, training=training))

        return tl.value_and_grad(loss, (0, 1))(params, np.zeros(x.shape))

    compiled = tl.compile(step)
    states = [map_leaves(np.copy, start) for _ in range(4)]
    plain = np.sum(weights * layer(params, x, states[0], training=training))
    results = [compiled(params, states[1], x), compiled.dynamic(params, states[2], x)]
    results.append(on_tensors(layer, params, states[3], x, weights, training))
    for value, gradients in results:
        np.testing.assert_allclose(value, plain, rtol=1e-10)
        assert shapes(gradients[0]) == shapes(params)
        for got, expected in zip(flatten(gradients)[0], flatten(results[0][1])[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)
    for state in states:
        for got, expected in zip(flatten(state)[0], flatten(states[0])[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


def on_tensors(
    layer: nn.Layer, params: Any, state: Any, x: Any, weights: Any, training: bool
) -> Any:
    """The loss and its gradients by `Tensor.backward()`."""
    tensors = map_leaves(lambda p: tl.Tensor(p, requires_grad=True), params)
    shift = tl.Tensor(np.zeros(x.shape), requires_grad=True)
    moved = x if x.dtype.kind != "f" else x + shift
    loss = np.sum(weights * layer(tensors, moved, state, training=training))
    if loss.requires_grad:
        loss.backward()
    gradients = map_leaves(
        lambda t: np.zeros(t.shape) if t.grad is None else t.grad.numpy(), (tensors, shift)
    )
    return loss.item(), gradients


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_numerical_ones(name: str) -> None:
    case = CASES[name]
    params = perturbed(case.layer.init(np.random.default_rng(0), case.given))
    state = case.layer.init_state(np.random.default_rng(0), case.given)
    x = case.examples()
    if case.x is not None:
        return tl.check_grads(lambda params: case.layer(params, x), (params,), order=1)
    return tl.check_grads(lambda params, x: case.layer(params, x, state), (params, x), order=1)


def test_layers_are_values() -> None:
    assert nn.Dense(5) == nn.Dense(5)
    assert hash(nn.Dense(5)) == hash(nn.Dense(5))
    assert nn.Dense(5) != nn.Dense(5, bias=False)
    assert repr(nn.Dense(5, initializer=initializers.he_normal)) == (
        "Dense(5, initializer=he_normal)"
    )
    assert repr(nn.Conv2D(4, 3, padding=1)) == "Conv2D(4, 3, padding=1)"


def test_a_layer_is_an_argument_that_steers_what_is_computed() -> None:
    x = np.ones((2, 4))
    layers = [nn.Dense(3), nn.Dense(2)]
    params = [layer.init(np.random.default_rng(0), 4) for layer in layers]
    run = tl.compile(lambda layer, params, x: layer(params, x), static=["layer"])
    for layer, p in zip(layers, params, strict=True):
        np.testing.assert_allclose(run(layer, p, x), layer(p, x), rtol=1e-14)
    np.testing.assert_allclose(tl.compile(layers[0])(params[0], x), layers[0](params[0], x))


def test_initializers_can_be_chosen() -> None:
    layer = nn.Dense(50, initializer=partial(initializers.normal, deviation=3.0))
    weight = layer.init(np.random.default_rng(0), (40,))["weight"]
    assert weight.std() == pytest.approx(3, rel=0.1)
    table = nn.Embedding(100, 25).init(np.random.default_rng(0), ())["table"]
    assert table.std() == pytest.approx(0.2, rel=0.1)


def test_attention_of_a_layer_is_that_of_the_function_head_by_head() -> None:
    layer, x = nn.MultiHeadAttention(2), RNG.standard_normal((3, 4, 6))
    context = RNG.standard_normal((3, 5, 6))
    mask = RNG.random((4, 5)) < 0.7
    params = perturbed(layer.init(np.random.default_rng(0), (4, 6)))

    def part(source: Any, name: str, head: int) -> Any:
        return (source @ params[name] + params[f"{name}_bias"])[..., 3 * head : 3 * head + 3]

    heads = [
        nn.scaled_dot_product_attention(
            part(x, "query", head), part(context, "key", head), part(context, "value", head), mask
        )
        for head in range(2)
    ]
    expected = np.concatenate(heads, -1) @ params["output"] + params["output_bias"]
    compiled = tl.compile(lambda p, x, c: layer(p, x, context=c, mask=mask))
    for got in (layer(params, x, context=context, mask=mask), compiled(params, x, context)):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)


def test_a_causal_layer_does_not_look_ahead() -> None:
    layer, x = nn.MultiHeadAttention(3, causal=True), RNG.standard_normal((2, 5, 6))
    params = layer.init(np.random.default_rng(0), (5, 6))
    changed = x.copy()
    changed[:, 3:] = 0
    np.testing.assert_allclose(
        layer(params, x)[:, :3], layer(params, changed)[:, :3], rtol=1e-13, atol=1e-14
    )


def test_sequential_is_one_layer_after_another() -> None:
    model = nn.Sequential(nn.Dense(4), np.tanh, nn.Residual(nn.Dense(4), nn.relu), nn.Dense(2))
    params = model.init(np.random.default_rng(0), (3,))
    x = RNG.standard_normal((5, 3))
    assert shapes(params) == (
        {"weight": (3, 4), "bias": (4,)},
        {},
        ({"weight": (4, 4), "bias": (4,)}, {}),
        {"weight": (4, 2), "bias": (2,)},
    )
    first, _, (inner, _), last = params
    hidden = np.tanh(x @ first["weight"])
    hidden = hidden + np.maximum(hidden @ inner["weight"], 0)
    np.testing.assert_allclose(model(params, x), hidden @ last["weight"], rtol=1e-12)
    assert model.output_shape((3,)) == (2,)
    assert repr(model) == (
        "Sequential(Dense(4), Activation(tanh), Residual(Dense(4), Activation(relu)), Dense(2))"
    )
    assert np.array_equal(nn.Sequential()((), x), x)


def test_dropout_draws_anew_on_every_call_and_only_in_training() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    state = model.init_state(np.random.default_rng(0), (1000,))
    params = model.init(np.random.default_rng(0), (1000,))
    x = np.ones((1, 1000))
    assert state[0]["stream"][0] != state[1]["stream"][0]
    run = tl.compile(lambda state, x: model(params, x, state, training=True))
    first, second = run(state, x), run(state, x)
    assert set(np.unique(first)) == {0, 4}
    assert 180 < np.count_nonzero(first) < 320
    assert not np.array_equal(first, second)
    assert state[0]["stream"][1] == 2000
    assert np.array_equal(model(params, x), x)
    assert state[0]["stream"][1] == 2000


def test_equal_generators_give_equal_parameters() -> None:
    model = nn.Sequential(nn.Dense(4), nn.Dense(3))
    a, b = (flatten(model.init(np.random.default_rng(5), 3))[0] for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_layers_of_ones_own_are_dataclasses_with_three_methods() -> None:
    @dataclass(frozen=True, repr=False)
    class Scale(nn.Layer):
        start: float

        def parameters(self, input_shape: Any) -> Any:
            fill = partial(initializers.constant, value=self.start)
            return {"factor": nn.Parameter(input_shape[-1:], fill)}

        def apply(self, params: Any, x: Any, state: Any, training: bool) -> Any:
            return x * params["factor"]

    model = nn.Sequential(Scale(2.0), nn.Dense(1))
    params = model.init(np.random.default_rng(0), (3,))
    assert params[0]["factor"].tolist() == [2, 2, 2]
    assert nn.summary(model, 3).parameters == 7
    gradient = tl.compile(tl.grad(lambda p: np.sum(model(p, np.ones((2, 3))))))(params)
    np.testing.assert_allclose(gradient[0]["factor"], 2 * params[1]["weight"][:, 0], rtol=1e-14)


FACTOR = np.array([1.0, 2.0, 3.0])


def test_arrays_that_functions_and_layers_of_ones_own_use_are_inputs() -> None:
    """Read anew on every call of a compiled function, as by Python."""

    @dataclass(frozen=True, repr=False)
    class Times(nn.Layer):
        def apply(self, params: Any, x: Any, state: Any, training: bool) -> Any:
            return x * FACTOR

    x = np.ones((2, 3))
    for layer in (Times(), lambda x: x * FACTOR):
        model = nn.Sequential(nn.Residual(layer))
        compiled = tl.compile(lambda x, model=model: model((({},),), x))
        for value in (2.0, 5.0):
            FACTOR[1] = value
            assert compiled(x)[0].tolist() == [2, 1 + value, 4]


SUMMARY = """\
layer                      output shape  parameters  bytes
──────────────────────────────────────────────────────────
input                      (1, 8, 8)
Sequential                 (10,)                  0      0
  Conv2D(4, 3, padding=1)  (4, 8, 8)             40    160
  BatchNorm()              (4, 8, 8)              8     32
  Activation(relu)         (4, 8, 8)              0      0
  Flatten()                (256,)                 0      0
  Residual                 (256,)                 0      0
    Dropout(0.5)           (256,)                 0      0
  Dense(10)                (10,)              2,570  10,280
──────────────────────────────────────────────────────────
total                      float32            2,618  10,472"""


def test_the_summary_is_a_table_of_layers_shapes_and_sizes() -> None:
    model = nn.Sequential(
        nn.Conv2D(4, 3, padding=1),
        nn.BatchNorm(),
        nn.relu,
        nn.Flatten(),
        nn.Residual(nn.Dropout(0.5)),
        nn.Dense(10),
    )
    summary = nn.summary(model, (1, 8, 8), np.float32)
    rows = [line.split() for line in str(summary).splitlines() if "─" not in line]
    assert rows == [line.split() for line in SUMMARY.splitlines() if "─" not in line]
    assert len({len(line) for line in str(summary).splitlines()[3:] if line[-1].isdigit()}) == 1
    leaves = flatten(model.init(np.random.default_rng(0), (1, 8, 8), np.float32))[0]
    assert summary.parameters == sum(leaf.size for leaf in leaves)
    assert summary.bytes == sum(leaf.nbytes for leaf in leaves)
    html = summary._repr_html_()
    assert html.count("<tr>") == 11
    assert "<td>Conv2D" not in html
    assert "Conv2D(4, 3, padding=1)</td>" in html


def test_the_summary_of_one_layer_allocates_nothing() -> None:
    summary = nn.summary(nn.Dense(10**6), 10**6)
    assert summary.parameters == 10**12 + 10**6
    assert repr(summary) == str(summary)
