"""Activations, normalization, attention and losses against torch, where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn

pytestmark = pytest.mark.peers

X = np.concatenate([np.random.default_rng(0).standard_normal(40) * 4, [-30, -1, 0.5, 1, 30, 90]])
IMAGES = np.random.default_rng(1).standard_normal((4, 3, 5, 6))
SCORES = np.random.default_rng(2).standard_normal((6, 5)) * 3
LABELS = np.array([0, 4, 2, 2, 1, 3])
SHARES = np.random.default_rng(3).dirichlet(np.ones(5), 6)
WEIGHTS = np.array([1.0, 2.0, 0.5, 0.1, 3.0])
TARGET = np.random.default_rng(4).random((6, 5))

Build = Callable[[Any], Callable[..., Any]]

ACTIVATIONS: dict[str, tuple[Callable[..., Any], Build]] = {
    "relu": (nn.relu, lambda F: F.relu),
    "relu6": (nn.relu6, lambda F: F.relu6),
    "leaky_relu": (nn.leaky_relu, lambda F: F.leaky_relu),
    "elu": (lambda x: nn.elu(x, 1.5), lambda F: lambda x: F.elu(x, 1.5)),
    "selu": (nn.selu, lambda F: F.selu),
    "celu": (lambda x: nn.celu(x, 1.5), lambda F: lambda x: F.celu(x, 1.5)),
    "gelu": (nn.gelu, lambda F: lambda x: F.gelu(x, approximate="tanh")),
    "gelu exact": (lambda x: nn.gelu(x, exact=True), lambda F: F.gelu),
    "silu": (nn.silu, lambda F: F.silu),
    "mish": (nn.mish, lambda F: F.mish),
    "softplus": (nn.softplus, lambda F: lambda x: F.softplus(x, threshold=1e9)),
    "softsign": (nn.softsign, lambda F: F.softsign),
    "sigmoid": (nn.sigmoid, lambda F: F.sigmoid),
    "log_sigmoid": (nn.log_sigmoid, lambda F: F.logsigmoid),
    "tanh": (nn.tanh, lambda F: F.tanh),
    "hardtanh": (nn.hardtanh, lambda F: F.hardtanh),
    "hard_sigmoid": (nn.hard_sigmoid, lambda F: F.hardsigmoid),
    "hard_silu": (nn.hard_silu, lambda F: F.hardswish),
}

OTHERS: dict[str, tuple[Any, Callable[..., Any], Callable[..., Any]]] = {
    # input, ours, theirs (given torch)
    "softmax": (SCORES, nn.softmax, lambda t, x: t.softmax(x, -1)),
    "log_softmax": (SCORES, lambda x: nn.log_softmax(x, 0), lambda t, x: t.log_softmax(x, 0)),
    "layer_norm": (IMAGES, nn.layer_norm, lambda t, x: t.nn.functional.layer_norm(x, (6,))),
    "rms_norm": (
        IMAGES,
        lambda x: nn.rms_norm(x, eps=1e-3),
        lambda t, x: t.nn.functional.rms_norm(x, (6,), eps=1e-3),
    ),
    "cross_entropy by labels": (
        SCORES,
        lambda x: nn.cross_entropy(x, LABELS),
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(LABELS)),
    ),
    "cross_entropy weighted": (
        SCORES,
        lambda x: nn.cross_entropy(x, LABELS, weights=WEIGHTS),
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(LABELS), t.tensor(WEIGHTS)),
    ),
    "cross_entropy smoothed": (
        SCORES,
        lambda x: nn.cross_entropy(x, LABELS, smoothing=0.3),
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(LABELS), label_smoothing=0.3),
    ),
    "cross_entropy by probabilities": (
        SCORES,
        lambda x: nn.cross_entropy(x, SHARES),
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor(SHARES)),
    ),
    "binary_cross_entropy_with_logits": (
        SCORES,
        lambda x: nn.binary_cross_entropy_with_logits(x, TARGET),
        lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x, t.tensor(TARGET)),
    ),
    "binary_cross_entropy": (
        SHARES,
        lambda x: nn.binary_cross_entropy(x, TARGET),
        lambda t, x: t.nn.functional.binary_cross_entropy(x, t.tensor(TARGET)),
    ),
    "huber": (
        SCORES,
        lambda x: nn.huber(x, TARGET, 1.5),
        lambda t, x: t.nn.functional.huber_loss(x, t.tensor(TARGET), delta=1.5),
    ),
    "mse": (
        SCORES,
        lambda x: nn.mse(x, TARGET),
        lambda t, x: t.nn.functional.mse_loss(x, t.tensor(TARGET)),
    ),
    "multiclass_hinge": (
        SCORES,
        lambda x: nn.multiclass_hinge(x, LABELS) / 5,
        lambda t, x: t.nn.functional.multi_margin_loss(x, t.tensor(LABELS)),
    ),
    "attention": (
        IMAGES,
        lambda x: nn.scaled_dot_product_attention(x, 2 * x, np.tanh(x), causal=True),
        lambda t, x: t.nn.functional.scaled_dot_product_attention(
            x, 2 * x, t.tanh(x), is_causal=True
        ),
    ),
}


def _compare(
    ours: Callable[..., Any], theirs: Callable[..., Any], x: Any, error: float = 1e-10
) -> None:
    torch = pytest.importorskip("torch")
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    torch.sin(expected).sum().backward()
    value, gradient = tl.compile(
        lambda x: (ours(x), tl.grad(lambda x: np.sum(np.sin(ours(x))))(x))
    )(x)
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradient, given.grad.numpy(), rtol=error, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_gradients_are_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, build = ACTIVATIONS[name]
    # torch rounds the slope of its hard sigmoid to float32.
    _compare(ours, build(torch.nn.functional), X, 1e-7 if name == "hard_sigmoid" else 1e-10)


@pytest.mark.parametrize("name", OTHERS)
def test_functions_and_their_gradients_are_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    x, ours, theirs = OTHERS[name]
    _compare(ours, lambda given: theirs(torch, given), x)


def test_batch_norm_and_its_running_statistics_are_torchs() -> None:
    torch = pytest.importorskip("torch")
    mean, variance = np.linspace(-1, 1, 3), np.linspace(0.5, 2, 3)
    running = {"mean": mean.copy(), "variance": variance.copy()}
    theirs = torch.tensor(mean), torch.tensor(variance)
    got = tl.compile(lambda x, r: nn.batch_norm(x, r, training=True))(IMAGES, running)
    expected = torch.nn.functional.batch_norm(torch.tensor(IMAGES), *theirs, training=True)
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(running["mean"], theirs[0].numpy(), rtol=1e-13)
    np.testing.assert_allclose(running["variance"], theirs[1].numpy(), rtol=1e-13)


def test_a_layer_of_attention_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    layer, x = nn.MultiHeadAttention(2), np.random.default_rng(5).standard_normal((3, 5, 8))
    params = layer.init(np.random.default_rng(6), (5, 8))
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    inward = np.concatenate([params[name].T for name in ("query", "key", "value")])
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.tensor(inward))
        theirs.out_proj.weight.copy_(torch.tensor(params["output"].T.copy()))
        given = torch.tensor(x)
        expected, _ = theirs(given, given, given)
    np.testing.assert_allclose(tl.compile(layer)(params, x), expected.numpy(), rtol=1e-10)
