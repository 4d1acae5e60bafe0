"""Values that share a kernel although nothing but their extents ties them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl

X = np.random.default_rng(0).normal(size=(3, 4))
W = np.random.default_rng(1).normal(size=5)


def _moved(x: Any) -> Any:
    y = x * 2
    y[2] = x[1]
    return np.sum(np.sin(y.T)), np.sum(x * x)


def _moved_rows(x: Any) -> Any:
    y = x * 2
    y[2] = x[1]
    return np.sum(np.sin(y.T), axis=0), np.sum(x * x, axis=1)


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x, w: ((x * w[:3]).sum(axis=1), w * w), (np.arange(15.0).reshape(5, 3), W)),
    (lambda x, w: ((x * w[:3]).sum(axis=1) + 1, w * w + w), (np.arange(15.0).reshape(5, 3), W)),
    (_moved, (X,)),
    (_moved_rows, (X,)),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_siblings_of_a_reduction_run_over_their_own_elements(case: int) -> None:
    fn, args = CASES[case]
    for ours, plain in zip(tl.compile(fn)(*args), fn(*args), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-13)
