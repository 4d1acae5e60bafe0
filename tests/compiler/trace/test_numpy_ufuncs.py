"""Every ufunc of the table against NumPy: values, element types, kinds, options, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.ufunc_methods import METHODS
from tapeless.compiler.trace.ufuncs import ALTERNATIVES, COMPARISONS, UFUNCS
from tapeless.ir.errors import DTypeError, ShapeError, TraceError, UnsupportedError

from .comparing import DTYPES, REFUSED, agree, attempt, sample

ELEMENTWISE = [ufunc for ufunc in UFUNCS if ufunc.signature is None]
UNARY = [ufunc for ufunc in ELEMENTWISE if ufunc.nin == 1]
BINARY = [ufunc for ufunc in ELEMENTWISE if ufunc.nin == 2]
CLIP = np._core.umath.clip

ROUNDED = {np.hypot: 2, np.logaddexp: 4, np.logaddexp2: 8, np.power: 1, np.float_power: 1}
"""Ufuncs with several roundings, and the units in the last place that they may be off.

NumPy's own powers differ by one unit between its vector and its scalar loops.
"""


def _operands(ufunc: np.ufunc, *arrays: Any) -> list[Any]:
    """Operands on which the result is defined: no negative integer powers, no signs of NaNs."""
    if ufunc is np.power and all(x.dtype.kind in "biu" for x in arrays):
        return [arrays[0], np.maximum(arrays[1], 0)]
    if ufunc in (np.signbit, np.copysign):
        return [np.where(x != x, 1, x).astype(x.dtype) for x in arrays]
    return list(arrays)


@pytest.mark.parametrize("ufunc", UNARY, ids=lambda ufunc: ufunc.__name__)
def test_unary_ufuncs_give_numpys_values_and_types(ufunc: np.ufunc) -> None:
    for dtype in DTYPES:
        agree(lambda x: attempt(ufunc, x), *_operands(ufunc, sample(dtype)))


@pytest.mark.parametrize("ufunc", BINARY, ids=lambda ufunc: ufunc.__name__)
def test_binary_ufuncs_give_numpys_values_and_types(ufunc: np.ufunc) -> None:
    for number, left in enumerate(DTYPES):
        # Every element type meets itself and four others; every pair is met in some order.
        for right in [DTYPES[(number + step) % len(DTYPES)] for step in (0, 1, 3, 4, 8)]:
            operands = _operands(ufunc, sample(left, seed=1), sample(right, seed=2))
            agree(lambda a, b: attempt(ufunc, a, b), *operands, ulps=ROUNDED.get(ufunc, 0))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_pair_of_element_types_adds_and_compares_as_in_numpy(dtype: np.dtype[Any]) -> None:
    for other in DTYPES:
        x, y = sample(dtype, seed=1), sample(other, seed=2)
        agree(lambda x, y: [attempt(u, x, y) for u in (np.add, *COMPARISONS)], x, y)


NUMBERS = [3, 2.5, True, np.float32(1.5), np.int8(3)]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_python_numbers_are_weak_and_numpy_scalars_are_not(number: Any) -> None:
    def both(x: Any) -> Any:
        return [attempt(u, *pair) for u in BINARY for pair in ((x, number), (number, x))]

    for dtype in DTYPES:
        x = np.array([1, 0, 2, 3], dtype)
        agree(both, x, ulps=8)


@pytest.mark.parametrize("number", [3, 2.5, True], ids=repr)
def test_python_numbers_passed_at_run_time_are_weak_too(number: Any) -> None:
    names = (np.add, np.true_divide, np.maximum, np.power, np.less, np.left_shift, np.equal)
    for dtype in DTYPES:
        x = np.array([1, 0, 2, 3], dtype)
        agree(
            lambda x, n: [attempt(u, *p) for u in names for p in ((x, n), (n, x))],
            x,
            number,
            ulps=1,
        )


@pytest.mark.parametrize("number", [300, -1, 2**40])
def test_python_integers_out_of_range_compare_exactly_and_do_not_convert(number: int) -> None:
    for dtype in (np.uint8, np.int16, np.uint64):
        agree(lambda x: [compare(x, number) for compare in COMPARISONS], sample(dtype))
        agree(lambda x: [compare(number, x) for compare in COMPARISONS], sample(dtype))
    agree(lambda x, n: [compare(n, x) for compare in COMPARISONS], sample(np.uint8), number)
    with pytest.raises(OverflowError):
        trace_function(lambda x: x + 300, (sample(np.uint8),), {})


def test_arrays_without_axes_give_numpy_scalars() -> None:
    x = np.array(2.0)
    agree(lambda x: [np.exp(x), np.add(x, 1), np.modf(x), -x, x > 1, np.float64(2) * x], x)


POWERS = [0, 1, 2, 3, -1, 0.5, 2.0, -2.0, 1.5]


@pytest.mark.parametrize("power", POWERS)
def test_powers_by_known_numbers_have_numpys_element_types_and_values(power: Any) -> None:
    for dtype in DTYPES:
        x = np.array([1, 2, 3, 5, 7], dtype)
        if (power == -1 and dtype.kind in "biu") or (power == 2 and dtype.kind == "b"):
            continue  # the one raises, the other is int8 or int64 depending on the spelling
        agree(lambda x: attempt(lambda: x**power), x, ulps=1)


def test_known_powers_are_cheap_operations() -> None:
    traced = trace_function(lambda x: (x**2, x**0.5, x**-1), (np.ones(3),), {})
    assert "pow" not in {node.op.name for node in traced.graph.nodes}


def test_clip_as_ufunc_agrees_with_numpy() -> None:
    for dtype in DTYPES:
        agree(lambda x: attempt(CLIP, x, 1, 2.0), sample(dtype))
        agree(lambda x, y: attempt(CLIP, x, y, x), sample(dtype), sample(np.int32, seed=3))


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((2, 3), (6, 5, 3, 2)),
    ((3,), (5, 3, 2)),
    ((5, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul_agrees_with_numpy(shapes: Any) -> None:
    for dtype in DTYPES:
        x, y = sample(dtype, (*shapes[0],)), sample(dtype, (*shapes[1],), seed=1)
        x, y = np.nan_to_num(x, posinf=2, neginf=2), np.nan_to_num(y, posinf=2, neginf=2)
        agree(lambda x, y: [np.matmul(x, y), x @ y], x / 3 if dtype.kind == "f" else x, y, ulps=1e9)
        agree(lambda x, y: np.matmul(x, y), np.ones(shapes[0], np.float32), y, ulps=1e4)


def test_products_along_axes_agree_with_numpy() -> None:
    a, b = sample(np.float64, (4, 2, 3)), sample(np.float64, (2, 3))
    agree(lambda a, b: np.vecdot(a, b), a, b, ulps=1e4)
    agree(lambda a, b: np.vecdot(a, b, axis=0), a, sample(np.float64, (4, 1, 3)), ulps=1e4)
    agree(lambda a, b: np.matvec(a, b), a, sample(np.float64, (4, 3)), ulps=1e4)
    agree(lambda a, b: np.vecmat(b, a), a, sample(np.float64, (4, 2)), ulps=1e4)
    agree(lambda a, b: np.vecdot(a, b), sample(bool, (2, 3)), sample(bool, (2, 3)))


def _in_place(x: Any, y: Any) -> Any:
    x += y
    x[1:] *= 2
    np.add(x, y, out=x)
    np.exp(y, out=y)
    x -= 1
    return x


def test_results_go_where_out_says() -> None:
    agree(_in_place, sample(np.float64, (4, 3)), sample(np.float64, (3,)), ulps=1)
    agree(lambda x, y: np.add(1, 2, out=x), sample(np.float32, (3,)), 1)
    agree(lambda x, y: np.add(x, y, out=y), sample(np.float64), sample(np.float32))
    agree(lambda x, y, z: np.modf(x, y, z), np.ones(3) * 1.5, np.ones(3), np.ones(3))
    agree(lambda x, y: np.modf(x, out=(None, y)), np.ones(3) * 1.5, np.ones(3))


def test_where_keeps_what_out_holds() -> None:
    x, y = sample(np.float64), sample(np.float64, seed=4)
    agree(lambda x, y: np.sqrt(x, out=y, where=x > 0), x, y)
    agree(lambda x, y: np.divide(x, y, out=np.zeros_like(x), where=y != 0), x, y)
    with pytest.raises(UnsupportedError, match=r"where=.*needs out="):
        trace_function(lambda x: np.sqrt(x, where=x > 0), (x,), {})


def test_dtype_and_casting_choose_the_loop() -> None:
    x = sample(np.float64)
    agree(lambda x: np.add(x, 1, dtype=np.float32, casting="same_kind"), x)
    agree(lambda x: np.multiply(x, 2, dtype=np.float64), sample(np.int16))
    agree(lambda x: np.add(x, x, signature=(None, None, np.dtype(np.float64))), sample(np.int16))
    with pytest.raises(DTypeError, match="casting"):
        trace_function(lambda x: np.add(x, 1, dtype=np.int32, casting="same_kind"), (x,), {})
    with pytest.raises(DTypeError, match="Cannot cast"):
        trace_function(lambda x, i: np.add(x, i, out=i), (x, sample(np.int64)), {})


FOLDED = [np.add, np.multiply, np.maximum, np.minimum, np.logical_and, np.logical_or]


@pytest.mark.parametrize("ufunc", FOLDED, ids=lambda ufunc: ufunc.__name__)
def test_methods_of_ufuncs_agree_with_numpy(ufunc: np.ufunc) -> None:
    for dtype in DTYPES:
        x = np.nan_to_num(sample(dtype, (3, 4)))
        agree(lambda x: ufunc.reduce(x), x, ulps=8)
        agree(lambda x: ufunc.reduce(x, axis=(0, 1), keepdims=True), x, ulps=64)
        agree(lambda x: ufunc.reduce(x, axis=-1, initial=2), x, ulps=64)
        agree(lambda x: attempt(ufunc.accumulate, x), x, ulps=64)
        agree(lambda x: attempt(ufunc.accumulate, x, axis=1), x, ulps=64)
        agree(lambda x: ufunc.outer(x, x[0]), x)


def test_at_accumulates_at_repeated_positions() -> None:
    def counted(x: Any, i: Any) -> Any:
        np.add.at(x, i, 1.5)
        np.subtract.at(x, (i, 0), x[0, 0])
        np.add.at(x, 1, x[2])
        np.add.at(x, (slice(None), [0, 0, 1]), np.ones((3, 3)))
        return x

    agree(counted, sample(np.float64, (3, 2)), np.array([0, 2, 0, 0]))


ERRORS: list[tuple[str, Callable[..., Any], type[Exception], str]] = [
    ("shapes", lambda x: x + np.ones(4), ShapeError, r"\(3,\) and \(4,\)"),
    ("out shape", lambda x: np.add(np.ones((2, 3)), 1, out=x), ShapeError, r"\(3,\)"),
    ("rows", lambda x: x @ np.ones((4, 2)), ShapeError, r"\(3,\) and \(4, 2\)"),
    ("scalar", lambda x: x @ 2.0, ShapeError, "at least one axis"),
    ("half", lambda x: np.exp(x.astype(np.int8)), DTypeError, "float16"),
    ("not bool", lambda x: -(x > 0), DTypeError, "negative"),
    ("bool", lambda x: (x > 0) - (x > 1), DTypeError, "subtract"),
    ("float bits", lambda x: x & x, DTypeError, "bitwise_and"),
    ("complex", lambda x: x + 1j, DTypeError, "real"),
    ("unknown", lambda x: np.nextafter(x, x), UnsupportedError, r"np\.nextafter"),
    ("hint", lambda x: np.ldexp(x, 2), UnsupportedError, r"x \* np\.exp2\(n\)"),
    ("method", lambda x: np.add.reduceat(x, [0, 1]), UnsupportedError, r"np\.add\.reduceat"),
    ("fold", lambda x: np.hypot.reduce(x), UnsupportedError, r"np\.hypot\.reduce"),
    ("at", lambda x: np.multiply.at(x, [0], 2), UnsupportedError, r"np\.multiply\.at"),
    ("axes", lambda x: np.matmul(x, x, axes=[0, 0, 0]), UnsupportedError, "axes"),
    ("empty", lambda x: np.max(x[:0]), ShapeError, "at least one element"),
    ("out scalar", lambda x: np.add(x[0], 1, out=x[0]), TraceError, "updated in place is an array"),
]


@pytest.mark.parametrize(("name", "fn", "error", "match"), ERRORS, ids=[row[0] for row in ERRORS])
def test_what_is_not_understood_is_refused_by_name_and_line(
    name: str, fn: Callable[..., Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        trace_function(fn, (np.ones(3),), {})


def test_errors_name_the_users_line() -> None:
    with pytest.raises(ShapeError, match=r"test_numpy_ufuncs\.py:\d+") as caught:
        trace_function(lambda x: x + np.ones(4), (np.ones(3),), {})
    assert caught.value.loc is not None


def test_every_ufunc_of_numpy_is_understood_or_has_an_alternative() -> None:
    known = {value for value in vars(np).values() if isinstance(value, np.ufunc)}
    assert known - UFUNCS.keys() - ALTERNATIVES.keys() == {np.isnat}
    assert UFUNCS.keys() - known == {CLIP}


def test_refusals_are_compared_too() -> None:
    agree(lambda x: attempt(np.subtract, x, x), np.ones(2, bool))
    assert attempt(np.exp, np.ones(2, np.int8)) == REFUSED


def test_every_ufunc_method_is_met_above() -> None:
    assert METHODS.keys() == {"reduce", "accumulate", "outer", "at"}
