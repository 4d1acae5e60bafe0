"""Functions that choose between elements or compare them, and roundings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....ir.errors import DTypeError, ShapeError, UnsupportedError
from ....ir.types import BOOL, FLOAT64
from ..array import Kind, TracedArray, with_kind
from ..contraction import broadcast_shapes
from ..lift import broadcast_to, convert, emit, lift
from ..promotion import result_type
from ..reductions import into
from ..ufuncs import CLIP
from ..views import as_array, fresh
from .understood import Handler, Table


def where(condition: Any, x: Any = None, y: Any = None, /) -> TracedArray:
    """`np.where(condition, x, y)`; Python numbers take the type of the other branch."""
    if x is None or y is None:
        raise UnsupportedError(
            "np.where takes a condition and two values",
            given="a condition alone, whose number of positions is known only at run time",
            hint="np.where(condition, x, 0) keeps the shape",
        )
    mask, then, otherwise = convert(lift(condition), BOOL), lift(x), lift(y)
    dtype = result_type(then, otherwise)
    shape = broadcast_shapes("np.where", mask.shape, then.shape, otherwise.shape)
    operands = (mask, convert(then, dtype), convert(otherwise, dtype))
    spread = [broadcast_to(operand, shape) for operand in operands]
    chosen: TracedArray = emit("select", *spread, kind=Kind.ARRAY)
    return chosen


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> TracedArray:
    """`np.select`: for each element the choice of the first condition that holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(
            "np.select takes one choice per condition, and at least one",
            given=f"{len(condlist)} conditions and {len(choicelist)} choices",
        )
    conditions = [as_array(condition) for condition in condlist]
    if any(condition.dtype != BOOL for condition in conditions):
        raise DTypeError("conditions of np.select are booleans", given=str(conditions[0].dtype))
    choices = [lift(choice) for choice in choicelist]
    dtype = result_type(*choices, lift(default))
    shapes = [x.shape for x in (*conditions, *choices)]
    result = broadcast_to(convert(default, dtype), broadcast_shapes("np.select", *shapes))
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, convert(choice, dtype), result)
    return fresh(result)


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> TracedArray:
    """`np.choose` among arrays by an integer per element, wrapped or clipped into range."""
    if mode not in ("wrap", "clip"):
        raise UnsupportedError(
            "np.choose is understood in the modes 'wrap' and 'clip'", given=f"mode={mode!r}"
        )
    options = [as_array(choice) for choice in choices]
    index = as_array(a)
    count = len(options)
    within = np.remainder(index, count) if mode == "wrap" else np.clip(index, 0, count - 1)
    conditions = [within == number for number in range(count)]
    chosen = select(conditions, options, options[0])
    return chosen if out is None else into(out, chosen)


def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    dtype: Any = None,
    casting: Any = None,
) -> Any:
    """`np.clip`: a bound that is None does not bound."""
    low, high = a_min if min is None else min, a_max if max is None else max
    given = (("out", out), ("dtype", dtype), ("casting", casting))
    options = {name: value for name, value in given if value is not None}
    if low is None and high is None:
        return np.positive(lift(a), **options)
    if low is None:
        return np.minimum(lift(a), high, **options)
    if high is None:
        return np.maximum(lift(a), low, **options)
    return CLIP(lift(a), low, high, **options)


# -- roundings --------


def round_(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """`np.round`: scaled by a power of ten, rounded to even, scaled back, as NumPy does."""
    x = as_array(a)
    rounded: Any
    if x.dtype.kind in "iu" and decimals >= 0:
        rounded = fresh(x, Kind.ARRAY if x.shape else Kind.SCALAR)
    elif decimals == 0:
        rounded = np.rint(x)
    else:
        rounded = _rounded(x, decimals)
    return rounded if out is None else into(out, rounded)


def _rounded(x: TracedArray, decimals: int) -> Any:
    # Integers are rounded to tens or hundreds in float64.
    number = convert(x, np.float64) if x.dtype.kind in "iu" else x
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return np.true_divide(np.rint(np.multiply(number, scale)), scale)
    return convert(np.multiply(np.rint(np.true_divide(number, scale)), scale), x.dtype)


def fix(x: Any, out: Any = None) -> Any:
    """`np.fix`: towards zero."""
    cut: Any = np.trunc(as_array(x))
    return cut if out is None else into(out, cut)


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """`np.nan_to_num`: NaNs and infinities replaced by numbers."""
    array = as_array(x)
    result = array
    if array.dtype.kind == "f":
        info = np.finfo(array.dtype)
        largest = info.max if posinf is None else posinf
        smallest = info.min if neginf is None else neginf
        result = where(np.isnan(array), _like(nan, array), array)
        result = where(array == np.inf, _like(largest, array), result)
        result = where(array == -np.inf, _like(smallest, array), result)
    if not copy:
        return into(array, result)
    return fresh(result, Kind.ARRAY if result.shape else Kind.SCALAR)


def _like(value: Any, x: TracedArray) -> TracedArray:
    return convert(value, x.dtype)


# -- comparisons --------


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """`np.isclose`: |a - b| ≤ atol + rtol |b| where finite, equality elsewhere."""
    x, y = lift(a), lift(b)
    if y.dtype.kind != "f":
        y = convert(y, FLOAT64)
    near = np.less_equal(np.abs(np.subtract(x, y)), atol + rtol * np.abs(y))
    result = (near & np.isfinite(y)) | np.equal(x, y)
    if equal_nan:
        result = result | (np.isnan(x) & np.isnan(y))
    return result


def allclose(
    a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False
) -> TracedArray:
    """`np.allclose`: a Python boolean in NumPy, a traced one here."""
    return with_kind(np.all(isclose(a, b, rtol, atol, equal_nan)), Kind.BOOL)  # type: ignore


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> TracedArray:
    """`np.array_equal`: one shape and equal elements."""
    x, y = as_array(a1), as_array(a2)
    if x.shape != y.shape:
        return lift(False)
    same: Any = np.equal(x, y)
    if equal_nan:
        same = same | (np.isnan(x) & np.isnan(y))
    return with_kind(np.all(same), Kind.BOOL)  # type: ignore[arg-type]


def array_equiv(a1: Any, a2: Any) -> TracedArray:
    """`np.array_equiv`: shapes that broadcast and equal elements."""
    x, y = as_array(a1), as_array(a2)
    try:
        broadcast_shapes("np.array_equiv", x.shape, y.shape)
    except ShapeError:
        return lift(False)
    return with_kind(np.all(np.equal(x, y)), Kind.BOOL)  # type: ignore[arg-type]


def _infinite(sign: float) -> Handler:
    def handler(x: Any, out: Any = None) -> Any:
        result: Any = np.equal(as_array(x), sign * np.inf)
        return result if out is None else into(out, result)

    return handler


def sinc(x: Any) -> Any:
    """`np.sinc`: sin(πx) / (πx), 1 at zero."""
    array = as_array(x)
    if array.dtype.kind != "f":
        array = convert(array, np.float64)
    angle = np.pi * where(array == 0, 1.0e-20, array)
    return np.sin(angle) / angle


TABLE: Table = {
    np.where: where,
    np.select: select,
    np.choose: choose,
    np.clip: clip,
    np.round: round_,
    np.around: round_,
    np.fix: fix,
    np.nan_to_num: nan_to_num,
    np.isclose: isclose,
    np.allclose: allclose,
    np.array_equal: array_equal,
    np.array_equiv: array_equiv,
    np.isposinf: _infinite(1),
    np.isneginf: _infinite(-1),
    np.sinc: sinc,
}
"""Choosing, comparing and rounding functions."""
