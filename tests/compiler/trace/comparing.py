"""Compares a traced function, run by the interpreter, with the same function run by NumPy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.compiler.trace.function import trace_function
from tapeless.ir.pytree import flatten
from tapeless.ir.types import DTYPE_NAMES

from .running import call

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
DTYPES = list(DTYPE_NAMES.values())

REFUSED = "refused"


def attempt(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`fn(...)`, or `REFUSED` for a TypeError or element types that programs cannot hold."""
    try:
        result = fn(*args, **kwargs)
    except TypeError:
        return REFUSED
    leaves, _ = flatten(result)
    held = all(getattr(leaf, "dtype", DTYPES[0]) in DTYPES for leaf in leaves)
    return result if held else REFUSED


def agree(fn: Callable[..., Any], *args: Any, ulps: float = 0, updates: bool = True) -> None:
    """Assert that tracing `fn` and running the graph gives what calling `fn` gives.

    Structure, Python types, element types, shapes, values (bit for bit, or to `ulps` units in the
    last place) and the arguments afterwards.
    """
    plain, ours = copy.deepcopy(args), copy.deepcopy(args)
    traced = trace_function(fn, args, {})
    with np.errstate(all="ignore"):
        expected = fn(*plain)
    same(call(traced, *ours), expected, ulps)
    if updates:
        same(ours, plain, ulps)


def same(actual: Any, expected: Any, ulps: float = 0) -> None:
    """Assert equal structures of equal leaves."""
    leaves, structure = flatten(actual)
    wanted, wanted_structure = flatten(expected)
    assert structure == wanted_structure
    for path, leaf, want in zip(structure.paths("result"), leaves, wanted, strict=True):
        assert type(leaf) is type(want), f"{path}: {leaf!r} for {want!r}"
        if isinstance(want, np.ndarray | np.generic):
            assert (leaf.dtype, leaf.shape) == (want.dtype, want.shape), path
            _same_values(path, np.asarray(leaf), np.asarray(want), ulps)
        else:
            assert leaf == want or (leaf != leaf and want != want), path


def _same_values(path: str, actual: Any, expected: Any, ulps: float) -> None:
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, err_msg=path)
        return
    message = f"{path}:\n{actual}\n{expected}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=message)
    if ulps == 0:
        signs = np.signbit(actual[finite]) == np.signbit(expected[finite])
        assert signs.all(), message
        np.testing.assert_array_equal(actual[finite], expected[finite], err_msg=message)
        return
    unit = np.spacing(np.abs(expected[finite]))
    error = np.abs(actual[finite] - expected[finite])
    assert (error <= ulps * unit).all(), message


def sample(dtype: Any, shape: tuple[int, ...] = (24,), seed: int = 0) -> np.ndarray[Any, Any]:
    """Elements of `dtype`: small numbers of both signs, and for vectors the special ones too."""
    dtype, rng = np.dtype(dtype), np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        array = rng.integers(max(info.min, -9), 10, shape).astype(dtype)
        special = np.array([0, 1, info.max, info.min, info.max - 1], dtype)
    else:
        array = rng.normal(scale=2, size=shape).astype(dtype)
        special = np.array(
            [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan, 1e30, -3.0], dtype
        )
    if len(shape) == 1:
        count = min(len(special), shape[0])
        array[rng.permutation(shape[0])[:count]] = special[:count]
    return array
