"""Results share memory with arguments exactly where NumPy's do."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.array import TracedArray
from tapeless.compiler.trace.function import trace_function
from tapeless.ir.errors import TraceError, UnsupportedError
from tapeless.ir.pytree import flatten

from .running import call, check
from .test_numpy_functions import ARGUMENTS, CALLS

X = np.array([[1.5, -2.0, 3.0], [0.25, 5.0, -6.0], [1.0, 2.0, 3.0]])


def sources(result: Any, arguments: dict[str, Any]) -> list[list[str]]:
    """For each array of a result the arguments whose memory it shares."""
    return [
        [
            name
            for name, argument in arguments.items()
            if isinstance(argument, np.ndarray) and np.shares_memory(argument, leaf)
        ]
        for leaf in flatten(result)[0]
        if isinstance(leaf, np.ndarray)
    ]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_call_shares_memory_as_numpy_and_knows_which_results_are_contiguous(
    order: Any,
) -> None:
    arguments = {
        name: np.array(value, order=order) if isinstance(value, np.ndarray) else value
        for name, value in ARGUMENTS.items()
    }
    wrong = []
    for text in CALLS:
        code = compile(text, "a call", "eval")
        claims: list[bool] = []

        def fn(names: dict[str, Any], code: Any = code, claims: list[bool] = claims) -> Any:
            result = eval(code, {"np": np, **names})
            leaves = flatten(result)[0]
            claims.extend(leaf.contiguous for leaf in leaves if isinstance(leaf, TracedArray))
            return result

        plain, ours = copy.deepcopy(arguments), copy.deepcopy(arguments)
        try:
            traced = trace_function(fn, (ours,), {})
        except UnsupportedError as error:
            assert "unknown strides" in str(error)  # noqa: PT017
            continue
        expected = fn(plain)
        flags = [x.flags.c_contiguous for x in flatten(expected)[0] if isinstance(x, np.ndarray)]
        overstated = len(claims) == len(flags) and any(
            claim and not flag for claim, flag in zip(claims, flags, strict=True)
        )
        if overstated or sources(call(traced, ours), ours) != sources(expected, plain):
            wrong.append(text)
    assert wrong == []


def test_a_diagonal_follows_its_matrix_and_is_read_only() -> None:
    def f(x: Any) -> Any:
        diagonal, corner = np.diagonal(x), np.diag(x, 1)
        x *= 2
        return diagonal.sum(), corner

    check(f, X)

    def write(x: Any) -> None:
        diagonal = np.diagonal(x)
        diagonal += 1

    with pytest.raises(TraceError, match="writable"):
        trace_function(write, (X,), {})


def test_views_made_by_einsum() -> None:
    def f(x: Any) -> Any:
        turned, diagonal = np.einsum("ij->ji", x), np.einsum("ii->i", x)
        turned[0, 1] = 100
        x += 1
        return turned, diagonal

    check(f, X)

    def write(x: Any) -> None:
        np.einsum("ii->i", x)[...] = 0

    with pytest.raises(UnsupportedError, match="fill_diagonal"):
        trace_function(write, (X,), {})
