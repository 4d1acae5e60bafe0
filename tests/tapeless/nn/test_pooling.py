"""Pooling against loops over windows, in every mode; ties and overlaps; errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, ShapeError

Array = np.ndarray[Any, Any]
POOLS = {"max": (tl.nn.max_pool2d, np.max, -np.inf), "avg": (tl.nn.avg_pool2d, np.mean, 0)}

GRID = [
    (size, stride, padding)
    for size, stride, padding in product(
        [(2, 2), (3, 2), (1, 4)], [None, (1, 1), (2, 3)], [(0, 0), (0, 1), (1, 1)]
    )
    if all(p < s for p, s in zip(padding, size, strict=True))
]
"""Every combination in which no window is empty."""


def one_by_one(x: Array, reduce: Any, fill: float, size: Any, stride: Any, padding: Any) -> Array:
    """Window after window."""
    (i, j), (s, t), (a, b) = size, stride or size, padding
    x = np.pad(x, ((0, 0), (0, 0), (a, a), (b, b)), constant_values=fill)
    rows, columns = (x.shape[2] - i) // s + 1, (x.shape[3] - j) // t + 1
    out = np.empty((*x.shape[:2], rows, columns), x.dtype)
    for p, q in np.ndindex(rows, columns):
        window = x[:, :, p * s : p * s + i, q * t : q * t + j]
        out[:, :, p, q] = reduce(window, axis=(2, 3))
    return out


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(("size", "stride", "padding"), GRID)
@pytest.mark.parametrize("shape", [(2, 3, 9, 10), (1, 2, 5, 37), (2, 1, 4, 4)])
def test_values_are_those_of_every_window(name: str, size, stride, padding, shape) -> None:
    pool, reduce, fill = POOLS[name]
    x = np.random.default_rng(0).standard_normal(shape)

    def f(x: Array) -> Array:
        return pool(x, size, stride, padding)

    expected = one_by_one(x, reduce, fill, size, stride, padding)
    compiled = tl.compile(f)
    for got in (f(x), compiled(x), compiled.dynamic(x)):
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(("size", "stride", "padding"), GRID)
def test_gradients_are_numerical_ones_in_both_modes(name: str, size, stride, padding) -> None:
    pool, _, _ = POOLS[name]
    rng = np.random.default_rng(1)
    x = rng.permutation(np.arange(42.0)).reshape(1, 1, 6, 7)  # no ties, and none near
    tl.check_grads(lambda x: np.sin(0.1 * pool(x, size, stride, padding)), (x,), order=2)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(("size", "stride", "padding"), GRID)
def test_compiled_gradients_are_those_of_the_tape(name: str, size, stride, padding) -> None:
    pool, _, _ = POOLS[name]
    x = np.rint(2 * np.random.default_rng(2).standard_normal((2, 3, 9, 21)))  # many ties
    weights = np.random.default_rng(3).standard_normal((2, 3, 12, 24))

    def loss(x: Array) -> Any:
        y = pool(x, size, stride, padding)
        return np.sum(y * weights[:, :, : y.shape[2], : y.shape[3]])

    gradient = tl.compile(tl.grad(loss))
    np.testing.assert_allclose(gradient(x), gradient.dynamic(x), rtol=1e-13, atol=1e-13)


def test_equal_maxima_share_the_gradient() -> None:
    x = np.array([[[[1.0, 1.0, 0.0, 2.0], [1.0, 0.0, 3.0, 3.0]]]])
    gradient = tl.compile(tl.grad(lambda x: np.sum(tl.nn.max_pool2d(x, 2))))(x)
    assert gradient.tolist() == [[[[1 / 3, 1 / 3, 0, 0], [1 / 3, 0, 0.5, 0.5]]]]


def test_nan_wins_and_padding_never_does() -> None:
    x = np.array([[[[-1.0, -2.0], [np.nan, -4.0]]]])
    got = tl.compile(lambda x: tl.nn.max_pool2d(x, 2, 1, 1))(x)
    expected = [[-1, -1, -2], [np.nan, np.nan, -2], [np.nan, np.nan, -4]]
    np.testing.assert_array_equal(got, [[expected]])


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f4"])
def test_element_types_are_kept_by_the_largest_and_made_floating_by_the_mean(dtype: str) -> None:
    x = (np.random.default_rng(4).random((1, 2, 5, 6)) * 7 - 3).astype(np.int8).astype(dtype)
    for name, (pool, reduce, _) in POOLS.items():
        fill = np.iinfo(dtype).min if dtype[0] in "iu" and name == "max" else 0
        plain, compiled = pool(x, 3, 2), tl.compile(lambda x, pool=pool: pool(x, 3, 2))(x)
        assert plain.dtype == compiled.dtype == reduce(x).dtype
        expected = one_by_one(x.astype(plain.dtype), reduce, fill, (3, 3), (2, 2), (0, 0))
        np.testing.assert_allclose(plain, expected, rtol=1e-6)
        np.testing.assert_allclose(compiled, expected, rtol=1e-6)


def test_a_batch_of_poolings_is_one_after_another() -> None:
    x = np.random.default_rng(5).standard_normal((4, 2, 3, 6, 7))
    for pool, _, _ in POOLS.values():
        got = tl.compile(tl.vmap(lambda x, pool=pool: pool(x, 3, 2, 1)))(x)
        expected = np.stack([pool(each, 3, 2, 1) for each in x])
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)


X = np.ones((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ShapeError, "axes \\(n, c, h, w\\).*\\(3, 4, 5\\)", lambda p: p(X[0], 2)),
        (ShapeError, "fits into the padded input.*5 elements.*of 4", lambda p: p(X, 5)),
        (ArgumentError, "size is an int or 2 of them, 1 or more.*0", lambda p: p(X, 0)),
        (ArgumentError, "stride.*'x'", lambda p: p(X, 2, "x")),
        (ArgumentError, "padding is less than the size.*2", lambda p: p(X, 2, 1, 2)),
    ],
)
@pytest.mark.parametrize("name", POOLS)
def test_what_does_not_fit_is_said(error, message: str, call, name: str) -> None:
    pool, _, _ = POOLS[name]
    with pytest.raises(error, match=f"{name}_pool2d.*{message}"):
        call(pool)
    with pytest.raises(error, match=message):
        tl.compile(lambda: call(pool))()
