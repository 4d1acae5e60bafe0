"""Arithmetic between two Python numbers of a traced function: weak in, weak out.

The results are Python's as far as static types allow. Where they cannot be: a runtime int has 64
bits and wraps around; `int ** int` stays an int, so a negative runtime exponent raises when the
program runs; a division by a runtime zero gives NumPy's result (infinity, NaN, or 0 for integers)
where Python raises. Two numbers known while tracing are left to Python itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .array import Kind, TracedArray, with_kind
from .lift import convert, lift
from .surface import SURFACE

_PYTHON: dict[np.ufunc, Callable[[Any, Any], Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor,
    np.left_shift: operator.lshift,
    np.right_shift: operator.rshift,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
}

_BITWISE = {np.bitwise_and, np.bitwise_or, np.bitwise_xor}
"""Arithmetic under which Python does not turn booleans into integers."""

_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}

_WEAK_KINDS = {"b": Kind.BOOL, "i": Kind.INT, "f": Kind.FLOAT}


def weak_kind(dtype: np.dtype[Any]) -> Kind:
    """The Python number that a NumPy result of `dtype` stands for."""
    return _WEAK_KINDS[dtype.kind]


def weak_operator(ufunc: np.ufunc, x: Any, y: Any) -> Any:
    """`x op y` for two weak numbers, at least one of them traced."""
    left, right = lift(x), lift(y)
    if left.literal is not None and right.literal is not None and ufunc in _PYTHON:
        return lift(_PYTHON[ufunc](left.literal, right.literal))
    if ufunc in _COMPARISONS:  # NumPy would compare two Python integers as objects
        left, right = convert(left, left.dtype), convert(right, right.dtype)
    elif ufunc not in _BITWISE:
        left, right = _integer(left), _integer(right)
    if ufunc is np.power and right.literal is not None and right.literal < 0:
        left = convert(left, np.float64)  # Python gives a float
    result = SURFACE.apply_ufunc(ufunc, "__call__", (left, right), {})
    return with_kind(result, weak_kind(result.dtype))


def weak_unary(ufunc: np.ufunc, x: TracedArray) -> Any:
    """`op x` for a traced weak number; `True` counts as 1."""
    result = SURFACE.apply_ufunc(ufunc, "__call__", (_integer(lift(x)),), {})
    return with_kind(result, weak_kind(result.dtype))


def _integer(x: TracedArray) -> TracedArray:
    if x.kind is not Kind.BOOL:
        return x
    return (
        lift(int(x.literal)) if x.literal is not None else with_kind(convert(x, np.int64), Kind.INT)
    )
