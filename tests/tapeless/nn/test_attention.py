"""Attention: the definition, masks, rows without a key, derivatives; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import DTypeError, ShapeError

from .modes import everywhere, gradients

RNG = np.random.default_rng(0)
Q, K = RNG.standard_normal((2, 3, 4, 6)), RNG.standard_normal((2, 3, 5, 6))
V = RNG.standard_normal((2, 3, 5, 7))


def attention(q: Any, k: Any, v: Any, allowed: Any) -> Any:
    """Query by query, over the keys that it may attend to."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    allowed = np.broadcast_to(allowed, (*q.shape[:-1], k.shape[-2]))
    for index in np.ndindex(q.shape[:-1]):
        keys = np.flatnonzero(allowed[index])
        if keys.size:
            scores = np.exp(k[index[:-1]][keys] @ q[index] / np.sqrt(q.shape[-1]))
            out[index] = scores / scores.sum() @ v[index[:-1]][keys]
    return out


MASKS: dict[str, Any] = {
    "everything": True,
    "by key": RNG.random((5,)) < 0.7,
    "by query and key": RNG.random((4, 5)) < 0.6,
    "by example": RNG.random((2, 1, 4, 5)) < 0.6,
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_values_are_weighted_by_their_keys(name: str, causal: bool) -> None:
    mask = None if name == "everything" else MASKS[name]
    allowed = MASKS[name] & np.tri(4, 5, dtype=bool) if causal else MASKS[name]
    expected = attention(Q, K, V, allowed)

    def f(q: Any, k: Any, v: Any) -> Any:
        return nn.scaled_dot_product_attention(q, k, v, mask, causal=causal)

    for got in everywhere(f, Q, K, V).values():
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_masks_of_floats_are_added_to_the_scores() -> None:
    mask = np.where(np.tri(4, 5, dtype=bool), 0.0, -np.inf)
    expected = nn.scaled_dot_product_attention(Q, K, V, causal=True)
    for got in everywhere(nn.scaled_dot_product_attention, Q, K, V, mask).values():
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_a_query_without_keys_gives_zeros_and_passes_no_gradient() -> None:
    mask = np.ones((4, 5), bool)
    mask[2] = False

    def f(q: Any) -> Any:
        return nn.scaled_dot_product_attention(q, K, V, mask)

    for got in everywhere(f, Q).values():
        assert np.isfinite(got).all()
        assert not got[:, :, 2].any()
        assert got[:, :, 1].all()
    for got in gradients(f, Q).values():
        assert np.isfinite(got).all()
        assert not got[:, :, 2].any()


def test_gradients_are_numerical_ones() -> None:
    q, k, v = Q[:1, 0], K[:1, 0], V[:1, 0]
    tl.check_grads(
        lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, causal=True), (q, k, v), order=2
    )
    tl.check_grads(lambda *args: nn.scaled_dot_product_attention(*args), (q, k, v), order=1)


def test_large_scores_do_not_overflow() -> None:
    q, k = 1e3 * Q, 1e3 * K

    def f(q: Any) -> Any:
        return nn.scaled_dot_product_attention(q, k, V, causal=True)

    for got in (*everywhere(f, q).values(), *gradients(f, q).values()):
        assert np.isfinite(got).all()


def test_the_scale_may_be_given() -> None:
    got = nn.scaled_dot_product_attention(Q, K, V, scale=0.5)
    expected = nn.scaled_dot_product_attention(Q * (0.5 * np.sqrt(6)), K, V)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_float32_stays_float32() -> None:
    arrays = [a.astype(np.float32) for a in (Q, K, V)]
    mask = np.zeros((4, 5))
    for given in ((), (mask,), (mask == 0,)):
        for got in everywhere(nn.scaled_dot_product_attention, *arrays, *given).values():
            assert got.dtype == np.float32


def test_the_causal_mask_is_a_triangle() -> None:
    assert nn.causal_mask(3).tolist() == np.tri(3, dtype=bool).tolist()
    assert nn.causal_mask(2, 4).tolist() == np.tri(2, 4, dtype=bool).tolist()


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (ShapeError, r"takes a query.*\(2, 3, 4, 6\)", (Q, K[..., :5], V)),
        (ShapeError, r"takes a query", (Q, K, V[..., :4, :])),
        (ShapeError, r"takes a query", (Q[0, 0, 0], K, V)),
        (
            ShapeError,
            r"broadcasts to the scores \(2, 3, 4, 5\).*\(5, 4\)",
            (Q, K, V, np.ones((5, 4), bool)),
        ),
        (DTypeError, r"booleans, or floats to add.*int64", (Q, K, V, np.ones((4, 5), int))),
    ],
)
def test_what_does_not_fit_is_said(error: Any, message: str, arguments: Any) -> None:
    with pytest.raises(error, match=r"^test_attention\.py:\d+: .*" + message):
        nn.scaled_dot_product_attention(*arguments)
    with pytest.raises(error, match=message):
        tl.compile(nn.scaled_dot_product_attention)(*arguments)


def test_a_mask_of_floats_is_causal_itself() -> None:
    with pytest.raises(DTypeError, match=r"booleans, if causal.*float64"):
        nn.scaled_dot_product_attention(Q, K, V, np.zeros((4, 5)), causal=True)
