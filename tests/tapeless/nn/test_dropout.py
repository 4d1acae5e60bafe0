"""Random numbers inside programs, and dropout made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import ArgumentError, DTypeError, ShapeError

from .modes import everywhere, gradients


def stream(key: int, count: int = 0) -> Any:
    """A stream of a known key."""
    return np.array([key, count], np.uint64)


def test_numbers_are_those_of_splitmix64() -> None:
    """The first outputs of the published generator, seeded with 1234567."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    expected = [(each >> 11) * 2.0**-53 for each in published]
    assert nn.uniform(stream(1234567), (5,)).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_mode_draws_the_same_numbers_and_moves_the_stream_on(dtype: Any) -> None:
    def draw(state: Any) -> Any:
        return nn.uniform(state, (3, 4), dtype), nn.uniform(state, (5,), dtype)

    compiled = tl.compile(draw)
    whole = nn.uniform(stream(7), (17,), dtype)
    for run in (draw, compiled, compiled.dynamic):
        state = stream(7)
        first, second = run(state)
        assert first.dtype == dtype
        assert first.ravel().tolist() == whole[:12].tolist()
        assert second.tolist() == whole[12:].tolist()
        assert state.tolist() == [7, 17]
        assert not np.array_equal(run(state)[1], second)


def test_streams_wrap_around_without_a_warning() -> None:
    state = stream(2**64 - 1, 2**64 - 2)
    assert 0 <= nn.uniform(state, (4,)).min()
    assert state.tolist() == [2**64 - 1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_evenly_distributed_and_independent(dtype: Any) -> None:
    x = nn.uniform(nn.stream(np.random.default_rng(0)), (400_000,), dtype).astype(np.float64)
    assert 0 <= x.min() < 1e-5
    assert 1 - 1e-5 < x.max() < 1
    counts = np.bincount((x * 100).astype(int), minlength=100)
    chi_squared = np.sum((counts - 4000) ** 2 / 4000)
    assert 60 < chi_squared < 150  # 99 degrees of freedom: 0.1 % lie outside
    for lag in (1, 2, 7, 64):
        assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < 0.006  # deviation 0.0016


def test_streams_of_one_generator_differ() -> None:
    generator = np.random.default_rng(0)
    a, b = nn.stream(generator), nn.stream(generator)
    assert (a.dtype, a.shape, a[1], b[1]) == (np.dtype(np.uint64), (2,), 0, 0)
    assert a[0] != b[0]
    assert abs(np.corrcoef(nn.uniform(a, (10000,)), nn.uniform(b, (10000,)))[0, 1]) < 0.04


def test_a_number_is_a_shape() -> None:
    assert nn.uniform(stream(3), 4).tolist() == nn.uniform(stream(3), (4,)).tolist()


@pytest.mark.parametrize("state", [np.zeros(2), np.zeros(3, np.uint64), 5, None])
def test_what_is_no_stream_is_refused(state: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"^test_dropout\.py:\d+: random numbers come from a st"
    ):
        nn.uniform(state, (2,))


def test_only_floats_are_drawn() -> None:
    with pytest.raises(DTypeError, match=r"float32 or float64.*int64"):
        nn.uniform(stream(0), (2,), np.int64)


X = np.linspace(1, 2, 2000).reshape(40, 50)


def test_dropout_leaves_out_its_share_and_scales_the_rest() -> None:
    noise = np.random.default_rng(0).random(X.shape)
    for got in everywhere(lambda x, n: nn.dropout(x, 0.25, n), X, noise).values():
        kept = got != 0
        assert kept.tolist() == (noise >= 0.25).tolist()
        np.testing.assert_allclose(got[kept], X[kept] / 0.75, rtol=1e-15)
    for got in gradients(lambda x, n: nn.dropout(x, 0.25, n), X, noise).values():
        np.testing.assert_allclose(got, np.where(noise >= 0.25, 1 / 0.75, 0), rtol=1e-15)
    assert np.array_equal(nn.dropout(X, 0.0, noise), X)


def test_noise_may_broadcast_and_the_dtype_is_that_of_x() -> None:
    noise = np.random.default_rng(0).random((40, 1))
    got = nn.dropout(X.astype(np.float32), 0.5, noise)
    assert got.dtype == np.float32
    assert (got != 0).tolist() == np.broadcast_to(noise >= 0.5, X.shape).tolist()
    with pytest.raises(ShapeError, match=r"broadcasts to x of shape \(50,\).*\(40, 1\)"):
        nn.dropout(X[0], 0.5, noise)


def test_a_generator_serves_bare_arrays_and_is_refused_while_compiling() -> None:
    dropped = nn.dropout(X, 0.5, np.random.default_rng(1))
    assert np.array_equal(dropped, nn.dropout(X, 0.5, np.random.default_rng(1)))
    assert 0.45 < np.mean(dropped == 0) < 0.55
    generator = np.random.default_rng(1)
    compiled = tl.compile(lambda x: nn.dropout(x, 0.5, generator))
    with pytest.raises(ArgumentError, match=r"^test_dropout\.py:\d+: .*would draw once.*\n.*strea"):
        compiled(X)
    again = np.random.default_rng(1)
    gradient = tl.compile(tl.grad(lambda x: np.sum(nn.dropout(x, 0.5, again)))).dynamic(X)
    assert np.array_equal(gradient, np.where(dropped == 0, 0, 2))


@pytest.mark.parametrize("rate", [1.0, -0.1, None, np.nan])
def test_rates_are_probabilities_below_one(rate: Any) -> None:
    with pytest.raises(ArgumentError, match=r"rate of dropout is a number from \[0, 1\)"):
        nn.dropout(X, rate, X)
