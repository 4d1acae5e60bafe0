"""Convolution and pooling against torch and JAX, where they are installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

pytestmark = pytest.mark.peers

CASES = [
    # image, kernel, stride, padding, dilation, groups
    ((4, 1, 28, 28), (6, 1, 5, 5), (1, 1), (2, 2), (1, 1), 1),
    ((4, 6, 14, 14), (16, 6, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 8, 17, 19), (12, 4, 3, 3), (2, 2), (1, 1), (1, 1), 2),
    ((2, 4, 20, 15), (4, 1, 3, 5), (1, 2), (2, 4), (2, 2), 4),
]


def _arrays(case: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(case[0]), rng.standard_normal(case[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_and_their_gradients_are_torchs(case: Any) -> None:
    torch = pytest.importorskip("torch")
    x, w = _arrays(case)

    @tl.compile
    def value_and_gradients(x: Any, w: Any) -> Any:
        def loss(x: Any, w: Any) -> Any:
            return np.sum(np.sin(tl.nn.conv2d(x, w, *case[2:])))

        return tl.value_and_grad(loss, (0, 1))(x, w)

    tx, tw = (torch.tensor(a, requires_grad=True) for a in (x, w))
    value = torch.nn.functional.conv2d(tx, tw, None, *case[2:]).sin().sum()
    value.backward()
    got, (gx, gw) = value_and_gradients(x, w)
    np.testing.assert_allclose(got, value.item(), rtol=1e-10)
    np.testing.assert_allclose(gx, tx.grad.numpy(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(gw, tw.grad.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 0), (3, 2, 1), ((2, 3), (1, 2), (0, 1))]
)
def test_poolings_and_their_gradients_are_torchs(size: Any, stride: Any, padding: Any) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).standard_normal((3, 2, 11, 14))
    for name in ("max_pool2d", "avg_pool2d"):
        pool = getattr(tl.nn, name)
        given = torch.tensor(x, requires_grad=True)
        expected = getattr(torch.nn.functional, name)(given, size, stride, padding)
        expected.sin().sum().backward()

        def loss(x: Any, pool: Any = pool) -> Any:
            return np.sum(np.sin(pool(x, size, stride, padding)))

        got = tl.compile(tl.grad(loss))(x)
        value = tl.compile(lambda x, pool=pool: pool(x, size, stride, padding))(x)
        np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(got, given.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_are_jaxs(case: Any) -> None:
    jax = pytest.importorskip("jax")
    x, w = (a.astype(np.float32) for a in _arrays(case))
    _, _, stride, padding, dilation, groups = case
    expected = jax.lax.conv_general_dilated(
        x,
        w,
        stride,
        [(p, p) for p in padding],
        rhs_dilation=dilation,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=groups,
    )
    got = tl.compile(lambda x, w: tl.nn.conv2d(x, w, *case[2:]))(x, w)
    np.testing.assert_allclose(got, np.asarray(expected), rtol=2e-4, atol=2e-4)
