"""What bad input gets: an error of our own that says what was required and what was given, names
the user's file and line, and gives a hint. Compiled and, where it applies, warm.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import (
    ArgumentError,
    DifferentiationError,
    DTypeError,
    GraphError,
    OutOfBoundsError,
    ShapeError,
    TapelessError,
    TraceError,
    TraceWarning,
    UnsupportedError,
)

X = np.arange(3.0)
GENERATOR = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    """A function that must fail, with which error, and what the message says."""

    fn: Callable[[Any], Any]
    error: type[Exception]
    requirement: str
    given: str
    hint: str = ""
    argument: Any = None


def shrinks(params):
    del params["w"]
    return 1.0


UNKNOWN = "needs a value, and a traced one is known only when the program runs"

CASES: dict[str, Case] = {
    "if": Case(
        lambda x: x if x[0] > 0 else -x,
        TraceError,
        UNKNOWN,
        r"the result of gt of type bool\[\]",
        r"np\.where\(condition, x, y\)",
    ),
    "and": Case(lambda x: (x > 0) and x, TraceError, UNKNOWN, r"bool\[3\]", r"combine .* with &"),
    "while": Case(
        lambda x: [0 for _ in iter(lambda: bool(x[0]), False)],
        TraceError,
        UNKNOWN,
        "the argument x",
        "static",
    ),
    "float()": Case(
        lambda x: float(x[0]), TraceError, r"float\(\) " + UNKNOWN, "the argument x", "astype"
    ),
    "int()": Case(lambda x: int(x[0]), TraceError, r"int\(\) " + UNKNOWN, "x", "astype"),
    "math.sin": Case(
        lambda x: __import__("math").sin(x[0]), TraceError, r"float\(\) " + UNKNOWN, "x", "astype"
    ),
    "range()": Case(
        lambda x: range(x.astype(int)[0]), TraceError, r"range\(\)", r"i64\[\]", "static"
    ),
    "list index": Case(
        lambda x: [1, 2, 3][x.astype(int)[0]], TraceError, "a Python index", r"i64\[\]", "arrays"
    ),
    "np.asarray": Case(lambda x: np.asarray(x), TraceError, r"np\.asarray", "x", r"np\.stack"),
    "np.array of traced": Case(
        lambda x: np.array([x[0], x[1]]), TraceError, r"np\.array", "x", r"np\.stack"
    ),
    "item": Case(lambda x: x[0].item(), TraceError, r"\.item\(\)", "x", "use the value"),
    "tolist": Case(lambda x: x.tolist(), TraceError, r"\.tolist\(\)", "x", "use the array"),
    "iteration of a scalar": Case(
        lambda x: list(np.sum(x)), TraceError, "iteration needs at least one axis", "sum"
    ),
    "len of a scalar": Case(lambda x: len(np.sum(x)), TraceError, "at least one axis", "sum"),
    "containment": Case(lambda x: 1.0 in x, TraceError, "`in`", "x", r"np\.any"),
    "a dict that loses a key": Case(
        shrinks, TraceError, "structure of the argument", "entries were", "", {"w": X, "b": X}
    ),
    "fft": Case(
        lambda x: np.fft.fft(x),
        UnsupportedError,
        "tapeless understands",
        r"np\.fft\.fft",
        "outside",
    ),
    "svd": Case(
        lambda x: np.linalg.svd(np.outer(x, x)),
        UnsupportedError,
        "tapeless understands",
        r"np\.linalg\.svd",
        "outside",
    ),
    "unique": Case(
        lambda x: np.unique(x),
        UnsupportedError,
        "understands",
        r"np\.unique",
        "depends on the data",
    ),
    "broadcast": Case(
        lambda x: x + np.ones(4), ShapeError, "broadcast together", r"\(3,\) and \(4,\)", "extents"
    ),
    "matmul": Case(lambda x: x @ np.ones((4, 2)), ShapeError, "a matrix product", "3 against 4"),
    "reshape": Case(lambda x: x.reshape(2, 2), ShapeError, "fit together", r"\(2,2\)"),
    "concatenate": Case(
        lambda x: np.concatenate([x, np.ones((2, 2))]), ShapeError, "agree", r"\(3,\) and \(2, 2\)"
    ),
    "object array": Case(
        lambda x: x + np.array([1, None, 2], dtype=object),
        DTypeError,
        "must be booleans, integers, float32 or float64",
        "dtype object",
        r"\.astype\(np\.float64\)",
    ),
    "complex": Case(lambda x: x + 1j, DTypeError, "numbers are real", "1j"),
    "complex astype": Case(
        lambda x: x.astype(complex), DTypeError, "must be booleans", "complex128", "astype"
    ),
    "gradient of a non-scalar": Case(
        lambda x: tl.grad(lambda a: a * 2)(x),
        DifferentiationError,
        "a gradient is of a floating-point scalar",
        r"f64\[3\]",
        r"np\.sum or np\.mean",
    ),
    "gradient of an integer": Case(
        lambda x: tl.grad(lambda a, n: np.sum(a) * n, argnums="n")(x, np.array(2)),
        DifferentiationError,
        "with respect to floating-point arguments",
        "n: dtype int64",
        "2.0 instead of 2",
    ),
    "an index known to be outside": Case(
        lambda x: x[5], OutOfBoundsError, "fit the array", "index 5 is out of bounds"
    ),
    "an index found outside": Case(
        lambda x: x[x.astype(int) * 2], OutOfBoundsError, "lie within its axis", "", r"np\.clip"
    ),
}


def line_of(fn: Callable[..., Any]) -> range:
    """The lines of this file on which a case's function stands."""
    lines, start = inspect.getsourcelines(fn)
    return range(start, start + len(lines))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_errors_say_what_was_required_given_and_where(case):
    compiled = tl.compile(case.fn)
    argument = X if case.argument is None else case.argument
    for _ in range(2):
        with pytest.raises(case.error) as caught:
            compiled(argument)
        error = caught.value
        assert isinstance(error, TapelessError)
        assert re.search(case.requirement, error.requirement)
        assert re.search(case.given, error.given)
        assert re.search(case.hint, error.hint)
        assert error.loc is not None
        assert error.loc.file == __file__
        assert str(error).startswith(f"test_errors.py:{error.loc.line}: {error.requirement}")
    assert tl.compile(lambda x: x * 2)(np.ones(1)).tolist() == [2.0]


FOUND_AFTERWARDS = ("a dict that loses a key",)
"""Cases found when the function is over: they name the line of the call."""


@pytest.mark.parametrize("name", [name for name in CASES if name not in FOUND_AFTERWARDS])
def test_errors_name_the_line_of_the_operation(name):
    case = CASES[name]
    with pytest.raises(TapelessError) as caught:
        tl.compile(case.fn)(X)
    assert caught.value.loc.line in line_of(case.fn)


ARGUMENTS: dict[str, tuple[Any, type[Exception], str, str]] = {
    "string": ("text", ArgumentError, r"the argument p is an array, a number", "static"),
    "nested string": ({"w": [X, "t"]}, ArgumentError, r"the argument p\['w'\]\[1\] is", "static"),
    "function": (np.sin, ArgumentError, "the argument p is an array, a number", "static"),
    "object": (object(), ArgumentError, "the argument p is an array, a number", "static"),
    "object array": (np.array([None]), DTypeError, "the elements of p are booleans", "astype"),
    "nested complex": ([X, X * 1j], DTypeError, r"the elements of p\[1\] are booleans", "astype"),
    "masked": (np.ma.masked_array(X), ArgumentError, "the argument p is a plain", "np.asarray"),
}


@pytest.mark.parametrize(("bad", "error", "match", "hint"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_are_none_are_named(bad, error, match, hint):
    compiled = tl.compile(lambda p: p)
    for _ in range(2):
        with pytest.raises(error, match=rf"^test_errors.py:\d+: {match}") as caught:
            compiled(bad)
        assert hint in caught.value.hint


def test_containers_that_hold_themselves_are_refused():
    loop: list[Any] = [X]
    loop.append(loop)
    with pytest.raises((ArgumentError, RecursionError)):
        tl.compile(lambda p: p)(loop)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x + np.random.normal(size=3),
        lambda x: x + GENERATOR.normal(size=3),
    ],
    ids=["numpy.random", "a Generator"],
)
def test_random_numbers_drawn_while_tracing_give_a_warning(fn):
    with pytest.warns(TraceWarning, match="random numbers were drawn while tracing"):
        first = tl.compile(fn)(X)
    assert first.shape == (3,)


def test_a_traced_value_that_escaped_is_refused_where_it_is_used():
    escaped: list[Any] = []

    @tl.compile
    def leak(x):
        escaped.append(x * 2)
        return x

    leak(X)
    with pytest.raises(TraceError, match=r"test_errors.py:\d+: a traced array lives only while"):
        escaped[0] + 1


def test_a_result_that_is_no_value_is_refused():
    with pytest.raises(TraceError, match=r"the result is made of arrays.*given: object <object"):
        tl.compile(lambda x: object())(X)
    with pytest.raises(TraceError, match=r"the result\['f'\] is made of arrays.*given: function"):
        tl.compile(lambda x: {"f": test_a_result_that_is_no_value_is_refused})(X)


def test_exceptions_of_the_users_own_pass_through():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tl.compile(broken)(X)


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (TraceError, TypeError),
        (UnsupportedError, NotImplementedError),
        (ShapeError, ValueError),
        (DTypeError, TypeError),
        (ArgumentError, TypeError),
        (DifferentiationError, TypeError),
        (OutOfBoundsError, IndexError),
        (tl.errors.DomainError, ValueError),
        (GraphError, ValueError),
    ],
)
def test_errors_are_also_what_numpy_or_python_would_raise(ours, numpys):
    assert issubclass(ours, numpys)
    assert issubclass(ours, TapelessError)


def test_no_warning_is_given_for_floating_point_special_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = tl.compile(lambda x: (np.log(x), 1 / x, np.sqrt(-x)))(X)
        assert np.isneginf(out[0][0])
        dynamic = tl.compile(lambda x: tl.grad(lambda a: np.sum(np.log(a)))(x)).dynamic(X)
        assert np.isposinf(dynamic[0])
