"""Random functions on random pytrees of arrays in any layout: compiled (cold, then warm) and
define-by-run they give what the function gives, change what it changes, and share what it shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.ir.pytree import flatten, map_leaves

Array = np.ndarray[Any, Any]
Statement = tuple[int, int, float]

DTYPES = (np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_)
NUMBERS = (1.5, 3, True, np.float32(2.5), np.int8(4))


def random_array(rng: np.random.Generator) -> Array:
    """At most two axes, some of them empty; row-major, strided, column-major or reversed."""
    shape = tuple(int(n) for n in rng.integers(rng.random() > 0.1, 4, size=rng.integers(3)))
    values = np.abs(rng.normal(size=shape) * 3)
    array = np.asarray(values).astype(DTYPES[rng.integers(len(DTYPES))])
    return laid_out(array, int(rng.integers(5)))


def laid_out(array: Array, layout: int) -> Array:
    """A copy of `array` in one of several layouts."""
    if layout == 0 and array.ndim:
        memory = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
        view: Array = memory[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == 1:
        return np.array(array, order="F")
    if layout == 2 and array.ndim:
        return np.flip(np.flip(array).copy())
    return np.array(array)


def random_tree(rng: np.random.Generator, depth: int = 0) -> Any:
    """Nested dicts, lists and tuples of arrays and numbers."""
    kind = rng.random()
    if depth > 2 or kind < 0.5:
        return random_array(rng) if rng.random() < 0.7 else NUMBERS[rng.integers(len(NUMBERS))]
    children = [random_tree(rng, depth + 1) for _ in range(rng.integers(1, 4))]
    if kind < 0.7:
        return {f"k{i}": child for i, child in enumerate(children)}
    return children if kind < 0.85 else tuple(children)


def same_layout(leaf: Any) -> Any:
    """A copy of an array with the strides of the original."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    if leaf.base is not None and leaf.strides and leaf.size and min(leaf.strides) < 0:
        return laid_out(leaf, 2)
    return laid_out(leaf, 0 if not leaf.flags.forc else 1 if leaf.flags.f_contiguous else 3)


def multiply(x: Any, c: float, out: list[Any]) -> None:
    x *= c
    out.append(x)


def set_first(x: Any, c: float, out: list[Any]) -> None:
    if x.shape[0]:
        x[0] = c


def set_all(x: Any, c: float, out: list[Any]) -> None:
    x[...] = x + c


def update_view(x: Any, c: float, out: list[Any]) -> None:
    view = x[::-1]
    view += c
    out.append(view)


READS: list[Callable[[Any, float, list[Any]], None]] = [
    lambda x, c, out: out.append(np.sin(x * 1.0)),
    lambda x, c, out: out.append(np.sum(x)),
    lambda x, c, out: out.append(x),
    lambda x, c, out: out.append(x * 2 + c),
    lambda x, c, out: out.extend((x.T, x[..., ::-1]) if np.ndim(x) else ()),
]
WRITES = [multiply, set_first, set_all, update_view]


CALLS = 4
"""Traced; by Python, which makes the native entry; natively, twice."""


def function_of(statements: list[Statement]) -> Callable[[Any], list[Any]]:
    """A function that executes `statements` on the leaves of its argument."""

    def run(tree: Any) -> list[Any]:
        leaves, out = flatten(tree)[0], []
        for kind, position, c in statements:
            x = leaves[position % len(leaves)]
            if kind < len(READS):
                READS[kind](x, c, out)
            elif np.ndim(x) and x.dtype.kind == "f":
                WRITES[kind - len(READS)](x, c, out)
        if isinstance(tree, dict):
            tree.update({key: x * 2 for key, x in tree.items() if np.ndim(x)})
        return out

    return run


def assert_alike(got: Any, expected: Any) -> None:
    got_leaves, got_tree = flatten(got)
    leaves, tree = flatten(expected)
    assert got_tree == tree
    for mine, theirs in zip(got_leaves, leaves, strict=True):
        assert type(mine) is type(theirs)
        single = np.result_type(theirs) == np.float32
        np.testing.assert_allclose(mine, theirs, rtol=1e-5 if single else 1e-12, atol=1e-6)
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype


def sharing(arrays: list[Any], arguments: list[Any]) -> list[tuple[bool, bool]]:
    """For each pair whether it is one object, and whether it is the same memory."""
    return [
        (x is y, bool(x.size) and np.shares_memory(x, y))
        for x in arrays
        for y in arguments
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_calls_agree_with_the_function_itself(seed):
    rng = np.random.default_rng(seed)
    tree = [random_tree(rng), random_array(rng)] if seed % 2 else {"t": random_array(rng)}
    count = len(READS) + len(WRITES)
    statements = [
        (int(rng.integers(count)), int(rng.integers(9)), float(rng.integers(1, 5)))
        for _ in range(rng.integers(1, 7))
    ]
    fn = function_of(statements)
    compiled = tl.compile(fn)
    for way in (*[compiled] * CALLS, compiled.dynamic):
        mine, theirs = map_leaves(same_layout, tree), map_leaves(same_layout, tree)
        mine_before, theirs_before = flatten(mine)[0], flatten(theirs)[0]
        got, expected = way(mine), fn(theirs)
        assert_alike(got, expected)
        assert_alike(mine, theirs)
        assert_alike(mine_before, theirs_before)
        assert sharing(got, mine_before) == sharing(expected, theirs_before)
    assert compiled.cache_info().hits == CALLS - 1
