"""Weighted sums, rows looked up, labels encoded; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import ArgumentError, DTypeError, ShapeError

from .modes import everywhere, gradients

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((4, 5)), RNG.standard_normal(5)


def test_linear_is_a_product_and_a_sum() -> None:
    for got in everywhere(nn.linear, X, W, B).values():
        np.testing.assert_allclose(got, X @ W + B, rtol=1e-13)
    for got in everywhere(nn.linear, X[0, 0], W).values():
        np.testing.assert_allclose(got, X[0, 0] @ W, rtol=1e-13)
    tl.check_grads(nn.linear, (X, W, B), order=2)


@pytest.mark.parametrize(
    "arguments", [(X, W.T), (X, W, B[:4]), (X, W[0]), (X, W, 1.0), (np.float64(1), W)]
)
def test_linear_says_what_does_not_fit(arguments: Any) -> None:
    with pytest.raises(ShapeError, match=r"^test_linear\.py:\d+: linear takes x.*given: x"):
        nn.linear(*arguments)


def test_embedding_looks_rows_up_and_adds_their_gradients() -> None:
    numbers = np.array([[0, 2], [2, -1]])
    for got in everywhere(nn.embedding, W, numbers).values():
        assert got.tolist() == W[numbers].tolist()
    for got in gradients(nn.embedding, W, numbers).values():
        assert got[:, 0].tolist() == [1, 0, 2, 1]
    with pytest.raises(DTypeError, match=r"embedding: the numbers of rows are integers.*float64"):
        nn.embedding(W, np.zeros(2))
    with pytest.raises(ShapeError, match=r"the table is \(rows, width\).*\(5,\)"):
        nn.embedding(B, numbers)
    for lookup in (nn.embedding, tl.compile(nn.embedding)):
        with pytest.raises(IndexError):
            lookup(W, numbers + 2)


def test_one_hot_marks_the_label() -> None:
    labels = np.array([[0, 2], [1, 1]], np.int32)
    for got in everywhere(lambda labels: nn.one_hot(labels, 3, np.float32), labels).values():
        assert got.dtype == np.float32
        assert got.tolist() == np.eye(3)[labels].tolist()
    assert not nn.one_hot(np.array([-1, 3]), 3).any()
    with pytest.raises(DTypeError, match="labels are integers"):
        nn.one_hot(np.array([0.5]), 3)
    with pytest.raises(ArgumentError, match=r"0 classes or more.*-1"):
        nn.one_hot(labels, -1)
