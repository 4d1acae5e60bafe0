"""Unusual arguments: a compiled call does what the function does, or raises an error of ours that
names the argument; the first time (cold) and once a usual call has been compiled (warm).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DTypeError

Array = np.ndarray[Any, Any]


def usual() -> Array:
    return np.arange(1.0, 7.0)


def double_and_sum(x: Array, scale: Array) -> tuple[Any, Any]:
    return x * scale, np.sum(x)


def update(x: Array, scale: Array) -> Any:
    x *= scale
    x[0] += 1.0
    return np.sum(x)


def misaligned(like: Array) -> Array:
    memory = np.zeros(like.nbytes + 1, np.uint8)
    array = memory[1:].view(like.dtype).reshape(like.shape)
    array[...] = like
    return array


def strided(like: Array) -> Array:
    memory = np.zeros(2 * like.size)
    memory[::2] = like
    return memory[::2]


def reversed_(like: Array) -> Array:
    return like[::-1].copy()[::-1]


def transposed(like: Array) -> Array:
    return np.asfortranarray(like.reshape(2, 3))


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "misaligned": misaligned,
    "strided": strided,
    "reversed": reversed_,
    "fortran order": transposed,
    "zero size": lambda like: like[:0],
    "zero-d": lambda like: np.array(like[1]),
    "one element": lambda like: like[:1].copy(),
    "three-d": lambda like: like.reshape(1, 2, 3).copy(),
    "zero size, two-d": lambda like: np.empty((0, 3)),
}


def prepared(fn: Callable[..., Any], temperature: str) -> tl.CompiledFunction:
    compiled = tl.compile(fn)
    if temperature == "warm":
        compiled(usual(), np.array(2.0))
        compiled(usual(), np.array(2.0))
    return compiled


@pytest.fixture(params=["cold", "warm"])
def temperature(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_reading_does_not_depend_on_layout(layout, temperature):
    compiled = prepared(double_and_sum, temperature)
    for _ in range(2):
        array = layout(usual())
        expected = double_and_sum(array, np.array(2.0))
        got = compiled(array, np.array(2.0))
        np.testing.assert_array_equal(got[0], expected[0], strict=True)
        assert type(got[0]) is type(expected[0])
        assert got[1] == expected[1]


@pytest.mark.parametrize(
    "layout",
    [LAYOUTS[k] for k in LAYOUTS if "zero" not in k],
    ids=[k for k in LAYOUTS if "zero" not in k],
)
def test_updates_reach_the_callers_memory_whatever_its_layout(layout, temperature):
    compiled = prepared(update, temperature)
    for _ in range(2):
        array, twin = layout(usual()), layout(usual())
        base = array if array.base is None else array.base
        twin_base = twin if twin.base is None else twin.base
        if array.ndim != 1:
            array, twin = array.reshape(-1, order="A"), twin.reshape(-1, order="A")
        assert compiled(array, np.array(2.0)) == update(twin, np.array(2.0))
        np.testing.assert_array_equal(array, twin)
        np.testing.assert_array_equal(base, twin_base)


def test_copies_for_layout_are_counted():
    compiled = tl.compile(double_and_sum)
    compiled(usual(), np.array(2.0))
    assert compiled.cache_info().copies == 0
    compiled(strided(usual()), np.array(2.0))
    compiled(strided(usual()), misaligned(np.array(2.0)))
    assert compiled.cache_info().copies == 3


def test_layouts_share_native_code():
    compiled = tl.compile(double_and_sum)
    compiled(usual(), np.array(2.0))
    compiled(strided(usual()), np.array(2.0))
    assert compiled.cache_info().signatures == 2
    assert len(compiled._state.programs) == 1


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "big-endian": (usual().astype(">f8"), DTypeError, "byte order; given: dtype '>f8'"),
    "masked": (np.ma.masked_array(usual()), ArgumentError, "x is a plain numpy.ndarray"),
    "matrix subclass": (usual().view(np.recarray), ArgumentError, "x is a plain numpy.ndarray"),
    "object": (usual().astype(object), DTypeError, "elements of x are .*; given: dtype object"),
    "structured": (np.zeros(3, [("a", "f8")]), DTypeError, "elements of x are"),
    "complex": (usual().astype(complex), DTypeError, "elements of x are .* complex128"),
    "float16": (usual().astype(np.float16), DTypeError, "elements of x are .* float16"),
    "long double": (usual().astype(np.longdouble), DTypeError, "elements of x are"),
    "string array": (np.array(["a"]), DTypeError, "elements of x are .*<U1"),
    "datetime": (np.zeros(2, "M8[s]"), DTypeError, "elements of x are"),
    "float16 scalar": (np.float16(1), DTypeError, "elements of x are .* float16"),
    "string": ("abc", ArgumentError, "x is an array, a number, .*given: str 'abc'"),
    "object()": (object(), ArgumentError, "x is an array, a number"),
    "set": ({1.0}, ArgumentError, "x is an array, a number"),
    "complex number": (1j, ArgumentError, "x is real"),
    "huge integer": (2**63, ArgumentError, "the integer x fits into 64 bits"),
}


@pytest.mark.parametrize(("bad", "error", "match"), REFUSED.values(), ids=REFUSED)
def test_what_programs_cannot_take_is_refused_by_name(bad, error, match, temperature):
    compiled = prepared(double_and_sum, temperature)
    if temperature == "warm":
        compiled(3, np.array(2.0))  # a Python integer of usual size
    for _ in range(2):
        with pytest.raises(error, match=match):
            compiled(bad, np.array(2.0))
    assert compiled(usual(), np.array(2.0))[1] == 21.0


def test_a_huge_integer_is_refused_warm():
    compiled = tl.compile(lambda x, n: x * n)
    compiled(usual(), 3)
    with pytest.raises(ArgumentError, match=r"the integer n fits into 64 bits"):
        compiled(usual(), 2**64)


def test_integers_that_meet_narrow_arrays_keep_their_range(temperature):
    compiled = tl.compile(lambda x, n: x + n)
    x = np.array([1, 2], np.int8)
    if temperature == "warm":
        assert compiled(x, 5).tolist() == [6, 7]
    for n in (128, -129):
        with pytest.raises((ArgumentError, OverflowError), match="n "):
            compiled(x, n)
        with pytest.raises(OverflowError):
            x + n


def test_read_only_arrays_can_be_read_but_not_updated(temperature):
    fixed = usual()
    fixed.flags.writeable = False
    assert prepared(double_and_sum, temperature)(fixed, np.array(2.0))[1] == 21.0
    compiled = prepared(update, temperature)
    for _ in range(2):
        with pytest.raises(ArgumentError, match=r"test_strictness.py:\d+: x is updated in place"):
            compiled(fixed, np.array(2.0))
    assert fixed.tolist() == usual().tolist()


def test_zero_stride_arrays_can_be_read_but_not_updated(temperature):
    repeated = np.lib.stride_tricks.as_strided(np.ones(1), (6,), (0,))
    assert prepared(double_and_sum, temperature)(repeated, np.array(2.0))[1] == 6.0
    compiled = prepared(update, temperature)
    if temperature == "warm":
        compiled(strided(usual()), np.array(2.0))  # looks alike but for its strides
    for _ in range(2):
        with pytest.raises(ArgumentError, match="x is updated in place and must have memory of"):
            compiled(repeated, np.array(2.0))


def test_the_same_array_twice_is_one_array(temperature):
    def both(x: Array, y: Array) -> Any:
        x += y
        y *= 2.0
        return np.sum(x)

    compiled = tl.compile(both)
    if temperature == "warm":
        compiled(usual(), usual())
    for _ in range(2):
        x, twin = usual(), usual()
        assert compiled(x, x) == both(twin, twin)
        np.testing.assert_array_equal(x, twin)
        x, twin = usual(), usual()
        assert compiled(x, x[:]) == both(twin, twin[:])
        np.testing.assert_array_equal(x, twin)
    x, y = usual(), usual()
    compiled(x, y)
    assert x.tolist() == (2 * usual()).tolist()


@pytest.mark.parametrize(
    "overlapping",
    [lambda m: (m[:6], m[1:7]), lambda m: (m[1:7], m[:6]), lambda m: (m[:6], m[:12:2])],
    ids=["shifted", "shifted back", "strided"],
)
def test_arrays_that_overlap_an_updated_one_are_refused(overlapping, temperature):
    def add(x: Array, y: Array) -> None:
        x += y

    compiled = tl.compile(add)
    if temperature == "warm":
        compiled(*(part.copy() for part in overlapping(np.arange(12.0))))
    memory = np.arange(12.0)
    for _ in range(2):
        with pytest.raises(ArgumentError, match="x is updated in place and must not overlap y"):
            compiled(*overlapping(memory))
    assert memory.tolist() == np.arange(12.0).tolist()


def test_interleaved_arrays_do_not_overlap():
    def add(x: Array, y: Array) -> None:
        x += y

    memory, twin = np.arange(12.0), np.arange(12.0)
    tl.compile(add)(memory[::2], memory[1::2])
    add(twin[::2], twin[1::2])
    np.testing.assert_array_equal(memory, twin)


def test_overlapping_arguments_that_are_only_read_are_fine(temperature):
    compiled = tl.compile(lambda x, y: x + y)
    if temperature == "warm":
        compiled(usual(), usual())
    memory = np.arange(8.0)
    np.testing.assert_array_equal(compiled(memory[:6], memory[2:]), memory[:6] + memory[2:])
    np.testing.assert_array_equal(compiled(memory, memory), 2 * memory)


def test_no_references_leak_on_success_or_error():
    compiled = tl.compile(update)
    x, scale, bad = usual(), np.array(2.0), usual().astype(object)
    compiled(x, scale)
    held = [sys.getrefcount(o) for o in (x, scale, bad)]
    for _ in range(20):
        compiled(x, scale)
        compiled(strided(usual()), scale)
        with pytest.raises(DTypeError):
            compiled(bad, scale)
    assert [sys.getrefcount(o) for o in (x, scale, bad)] == held


def test_zero_size_arrays_are_updated_without_harm(temperature):
    compiled = tl.compile(lambda x: x.__imul__(2.0))
    if temperature == "warm":
        compiled(usual())
    empty = np.empty((0, 4))
    assert compiled(empty) is empty
