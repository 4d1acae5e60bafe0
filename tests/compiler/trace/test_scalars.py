"""Python numbers are weakly typed: they take the element type of what they meet."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.ir.errors import ArgumentError

from .running import check

F32 = np.array([1.5, -2.5, 3.0], np.float32)
I8 = np.array([100, -3, 7], np.int8)
BOOLS = np.array([True, False, True])


@pytest.mark.parametrize("number", [3, 2.5, True], ids=repr)
@pytest.mark.parametrize("array", [F32, I8, BOOLS, F32[0], I8[0]], ids=lambda a: str(a.dtype))
def test_an_argument_that_is_a_number_takes_the_other_operands_type(
    number: Any, array: Any
) -> None:
    check(lambda x, n: (x + n, n * x, x < n, np.maximum(n, x)), array, number)


@pytest.mark.parametrize("number", [3, 2.5, True], ids=repr)
@pytest.mark.parametrize("array", [F32, I8, BOOLS], ids=lambda a: str(a.dtype))
def test_so_does_a_literal(number: Any, array: Any) -> None:
    check(lambda x: (x + number, number * x, x < number, np.maximum(number, x)), array)


@pytest.mark.parametrize(
    "op",
    [
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
        operator.lt,
        operator.eq,
        divmod,
    ],
    ids=lambda op: op.__name__,
)
@pytest.mark.parametrize("x", [7, -2.5, True], ids=repr)
@pytest.mark.parametrize("y", [2, 0.5, True], ids=repr)
def test_arithmetic_of_python_numbers_gives_python_numbers(op: Any, x: Any, y: Any) -> None:
    check(op, x, y)
    check(lambda a: (op(a, y), op(y, a)), x)


def test_powers_and_signs_of_python_numbers() -> None:
    check(lambda a, b: (a**b, -a, +a, abs(a), a**2, 2**b), -3, 2)
    check(lambda a, b: (a**b, -a, +a, abs(a), a**2, 2**b), 1.5, -2.0)
    check(lambda a: (a**-2, a**3, (-2) ** a), 4)
    check(lambda a: (-a, +a, abs(a), a & True, a | False, a ^ True, a & 6), True)
    check(lambda a: (a << 2, a >> 1, a & 6, a | 9, ~a), 13)


def test_results_of_python_arithmetic_stay_weak() -> None:
    check(lambda x, n: x * (n * 2 + 1), F32, 2.5)
    check(lambda x, n: x + (n - 1) * 2, I8, 3)


def test_numpy_functions_of_python_numbers_give_numpy_scalars() -> None:
    check(lambda n: (np.exp(n), np.add(n, 1), np.sqrt(n) * 2), 3)


def test_a_python_number_is_returned_as_it_came() -> None:
    traced = check(lambda n, x: (n, x, 3, 2.5, None), 4, 1.5)
    assert len(traced.graph.outputs) == 0


def test_a_literal_out_of_range_overflows_as_in_numpy() -> None:
    with pytest.raises(OverflowError, match="300 out of bounds for int8"):
        trace_function(lambda x: x + 300, (I8,), {})


def test_the_range_of_a_runtime_integer_is_recorded() -> None:
    traced = trace_function(lambda x, n, m: (x + n, m + 1), (I8, 5, 6), {})
    assert dict(traced.ranges) == {1: (-128, 127)}
    both = trace_function(lambda x, y, n: (x + n, y + n), (I8, I8.astype(np.uint16), 5), {})
    assert dict(both.ranges) == {2: (0, 127)}


def test_an_integer_beyond_64_bits_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"the integer n fits into 64 bits; given: 1\.0+e\+30"):
        trace_function(lambda n: n, (10**30,), {})


def test_float32_literals_that_overflow_are_infinite_as_in_numpy() -> None:
    check(lambda x: x * 1e300, F32)
