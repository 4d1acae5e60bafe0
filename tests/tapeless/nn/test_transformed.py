"""The functions under the transformations: batches of examples, gradients of each, Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.ir.pytree import flatten

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 6))
LABELS = RNG.integers(0, 6, (3, 4))
SHARES = RNG.dirichlet(np.ones(6), (3, 4))
NOISE = RNG.random((3, 4, 6))

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "softmax": (nn.softmax, (X,)),
    "log_softmax": (lambda x: nn.log_softmax(x, 0), (X,)),
    "layer_norm": (nn.layer_norm, (X, X[:, 0], X[:, 1])),
    "rms_norm": (nn.rms_norm, (X,)),
    "gelu exact": (lambda x: nn.gelu(x, exact=True), (X,)),
    "selu": (nn.selu, (X,)),
    "mish": (nn.mish, (X,)),
    "attention": (lambda x: nn.scaled_dot_product_attention(x, 2 * x, x, causal=True), (X,)),
    "dropout": (lambda x, noise: nn.dropout(x, 0.3, noise), (X, NOISE)),
    "embedding": (nn.embedding, (X, LABELS % 4)),
    "one_hot": (lambda labels: nn.one_hot(labels, 6), (LABELS,)),
    "linear": (nn.linear, (X, np.swapaxes(X, 1, 2), X[:, 0, :4])),
    "cross_entropy by labels": (nn.cross_entropy, (X, LABELS)),
    "cross_entropy by shares": (nn.cross_entropy, (X, SHARES)),
    "multiclass_hinge": (nn.multiclass_hinge, (X, LABELS)),
    "binary_cross_entropy_with_logits": (nn.binary_cross_entropy_with_logits, (X, NOISE)),
    "binary_cross_entropy": (nn.binary_cross_entropy, (NOISE, SHARES)),
    "huber": (nn.huber, (X, NOISE)),
    "rmse": (nn.rmse, (X, NOISE)),
    "l2_penalty": (nn.l2_penalty, (X,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_one_example_after_another(name: str) -> None:
    function, args = CASES[name]
    expected = np.stack([function(*(arg[i] for arg in args)) for i in range(3)])
    got = tl.compile(tl.vmap(function))(*args)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in CASES if name != "one_hot"])
def test_gradients_of_single_examples_are_those_one_after_another(name: str) -> None:
    function, args = CASES[name]

    def loss(*args: Any) -> Any:
        return np.sum(np.sin(function(*args)))

    gradient = tl.compile(tl.grad(loss))
    expected = np.stack([gradient(*(arg[i] for arg in args)) for i in range(3)])
    got = tl.compile(tl.vmap(tl.grad(loss)))(*args)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "rms_norm", "gelu exact", "mish", "attention"])
def test_second_derivatives_define_by_run_are_the_compiled_ones(name: str) -> None:
    function, args = CASES[name]

    def inner(x: Any) -> Any:
        return np.sum(np.sin(function(x)))

    second = tl.compile(tl.grad(lambda x: np.sum(tl.grad(inner)(x) ** 2)))
    np.testing.assert_allclose(second.dynamic(args[0]), second(args[0]), rtol=1e-9, atol=1e-11)


def test_a_function_is_one_node_of_a_tensors_graph() -> None:
    x = tl.Tensor(X, requires_grad=True)
    for name in ("softmax", "gelu", "layer_norm", "mish"):
        node = getattr(nn, name)(np.negative(x)).grad_fn
        assert node.name == name
        assert [source.name for source, _ in node.inputs] == ["negative"]


def test_gradients_per_example_of_a_model() -> None:
    model = nn.Sequential(nn.Dense(5), nn.gelu, nn.LayerNorm(), nn.Dense(3))
    params = model.init(np.random.default_rng(0), 4)
    x, labels = RNG.standard_normal((6, 4)), RNG.integers(0, 3, 6)

    def loss(params: Any, x: Any, label: Any) -> Any:
        return nn.cross_entropy(model(params, x[None]), label[None])

    each = tl.compile(tl.vmap(tl.grad(loss), in_axes=(None, 0, 0)))(params, x, labels)
    whole = tl.compile(tl.grad(lambda p: nn.cross_entropy(model(p, x), labels)))(params)
    for got, expected in zip(flatten(each)[0], flatten(whole)[0], strict=True):
        np.testing.assert_allclose(got.mean(axis=0), expected, rtol=1e-10, atol=1e-13)


def test_the_jacobian_of_softmax_is_the_known_one() -> None:
    shares = nn.softmax(X[0, 0])
    expected = np.diag(shares) - np.outer(shares, shares)
    for jacobian in (tl.jacrev, tl.jacfwd):
        np.testing.assert_allclose(
            tl.compile(jacobian(nn.softmax))(X[0, 0]), expected, rtol=1e-12, atol=1e-15
        )


def test_the_hessian_of_cross_entropy_is_the_known_one() -> None:
    shares = nn.softmax(X[0, 0])
    got = tl.compile(tl.hessian(lambda s: nn.cross_entropy(s, np.int64(2))))(X[0, 0])
    np.testing.assert_allclose(got, np.diag(shares) - np.outer(shares, shares), atol=1e-14)
