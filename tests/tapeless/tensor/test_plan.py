"""Plans: derivatives as short NumPy functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl


def leaf(*shape: int, dtype: Any = np.float64) -> tl.Tensor:
    """A leaf of ones."""
    return tl.Tensor(np.ones(shape), dtype, requires_grad=True)


def source(result: Any) -> str:
    """The text of the function that is the derivative of the operation behind a result."""
    text: str = result.grad_fn.pullback.plan.source
    return text


def test_a_plan_is_a_function_of_numpy_calls() -> None:
    assert source(leaf(3) * leaf(3)) == (
        "def run(x0, x1, x2):\n    t3 = mul(x0, x2)\n    t4 = mul(x0, x1)\n    return (t3, t4, )"
    )


@pytest.mark.parametrize(
    ("make", "has", "lacks"),
    [
        (lambda: leaf(3) + leaf(3), [], ["add", "broadcast_to"]),
        (lambda: leaf(4, 3) * leaf(3), ["add_reduce"], ["broadcast_to"]),
        (lambda: leaf(4, 3).mean(), ["ndarray((4, 3)"], ["broadcast_to"]),
        (lambda: leaf(4, 3).sum(axis=1), ["x0.reshape((4, 1))", "broadcast_to"], []),
        (lambda: leaf(4, 3) @ leaf(3, 2), ["matmul", "x1.T", "x2.T"], ["reshape", "dot"]),
        (lambda: np.exp(leaf(3)), ["mul(x0, x1)"], ["exp"]),
        (lambda: leaf(3).reshape(3, 1), ["x0.reshape((3,))"], []),
        (lambda: leaf(3)[1], ["pad"], []),
        (lambda: leaf(40)[1], ["add_at_position"], ["scatter_add"]),
        (lambda: np.float64(2) * leaf(3, dtype=np.float32), ["astype"], []),
        (lambda: 2 * leaf(3, dtype=np.float32), ["float32(x1)"], ["astype"]),
    ],
)
def test_nothing_is_done_that_numpy_does_by_itself(
    make: Callable[[], Any], has: list[str], lacks: list[str]
) -> None:
    text = source(make())
    assert [part for part in has if part not in text] == [], text
    assert [part for part in lacks if part in text] == [], text


def test_gradients_never_share_memory_with_one_another() -> None:
    w, x = leaf(3), leaf(20, 3)
    out = x * 1.0
    row = out[7]
    row[...] = w * 1.0
    row = out[9]
    row[...] = w
    (out * np.arange(60.0).reshape(20, 3)).sum().backward()
    expected = np.arange(60.0).reshape(20, 3)
    assert w.grad.numpy().tolist() == (expected[7] + expected[9]).tolist()
    expected[[7, 9]] = 0.0
    assert x.grad.numpy().tolist() == expected.tolist()
    assert not np.shares_memory(w.grad.numpy(), x.grad.numpy())
    assert w.grad.numpy().base.base is None


def test_results_that_share_memory_are_marked() -> None:
    owned = {
        "sum": (leaf(3) + leaf(3), (False, False)),
        "product": (leaf(3) * leaf(3), (True, True)),
        "mean": (leaf(3).mean(), (False,)),
        "reshape": (leaf(3).reshape(3, 1), (False,)),
    }
    for result, expected in owned.values():
        assert result.grad_fn.pullback.plan.owned == expected
