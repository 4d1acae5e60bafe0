"""Warm native entries are as strict as the Python path, for every unusual argument and call."""

from __future__ import annotations

import copy
import types
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DTypeError, TapelessError, TraceError

from .native_calls import is_native, needs_native, warm

pytestmark = needs_native

X = np.arange(6.0)


class Pair(NamedTuple):
    a: Any
    b: Any


class OtherPair(NamedTuple):
    a: Any
    b: Any


class MyDict(dict[str, Any]):
    """A dict of another type."""


class MyFloat(float):
    """A float of another type."""


class MyInt(int):
    """An int of another type."""


def misaligned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    fixed = array.copy()
    fixed.flags.writeable = False
    return fixed


ARRAYS: dict[str, Any] = {
    "big-endian": X.astype(">f8"),
    "masked": np.ma.masked_array(X),
    "subclass": X.view(np.recarray),
    "read-only": read_only(X),
    "misaligned": misaligned(X),
    "strided": np.repeat(X, 2)[::2],
    "reversed": X[::-1],
    "transposed": X.reshape(2, 3).T,
    "zero stride": np.broadcast_to(np.float64(3.0), (6,)),
    "zero size": X[:0],
    "zero-d": np.array(3.0),
    "longer": np.arange(7.0),
    "two-d": X.reshape(1, 6),
    "float32": X.astype(np.float32),
    "int64": X.astype(np.int64),
    "uint64": X.astype(np.uint64),
    "bool": X.astype(bool),
    "complex": X.astype(complex),
    "float16": X.astype(np.float16),
    "object": X.astype(object),
    "structured": np.zeros(6, [("a", "f8")]),
    "datetime": np.zeros(6, "M8[s]"),
    "text": np.array(["a"] * 6),
    "float": 3.0,
    "int": 3,
    "huge int": 2**70,
    "bool number": True,
    "float32 scalar": np.float32(3.0),
    "float64 scalar": np.float64(3.0),
    "float subclass": MyFloat(3.0),
    "int subclass": MyInt(3),
    "None": None,
    "list": [1.0, 2.0],
    "str": "text",
    "dict": {"x": X},
    "complex number": 1j,
}
"""What is passed where an array of six doubles, a float or an int is usual."""

USUAL: dict[str, Any] = {
    "array": X,
    "float": 0.5,
    "int": 3,
    "float64": np.float64(0.5),
    "bool": True,
}


def alike(got: Any, expected: Any) -> bool:
    """Equal in type, dtype, shape and value."""
    return (
        type(got) is type(expected)
        and getattr(got, "dtype", None) == getattr(expected, "dtype", None)
        and np.array_equal(np.asarray(got), np.asarray(expected), equal_nan=True)
    )


@pytest.mark.parametrize("usual", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("unusual", ARRAYS.values(), ids=ARRAYS)
def test_other_arguments_give_what_numpy_gives_or_an_error_of_ours(usual, unusual):
    def double(x):
        return x + x

    compiled = warm(double, usual)
    cold = tl.compile(double)
    for _ in range(4):
        try:
            expected = cold.fresh()(unusual)
        except (TapelessError, TypeError) as error:  # None and dicts cannot be added
            with pytest.raises(type(error)):
                compiled(unusual)
        else:
            assert alike(compiled(unusual), expected)
            if not isinstance(unusual, list | dict):
                assert alike(expected, double(unusual))
    assert is_native(compiled, usual)


@pytest.mark.parametrize("name", ["read-only", "zero stride"])
def test_what_cannot_be_updated_is_refused_warm(name):
    def update(x):
        x *= 2.0

    compiled = warm(update, X)
    before = ARRAYS[name].copy()
    for _ in range(3):
        with pytest.raises(ArgumentError, match="x is updated in place and must"):
            compiled(ARRAYS[name])
    np.testing.assert_array_equal(ARRAYS[name], before)


@pytest.mark.parametrize(
    "views",
    [
        lambda m: (m[:6], m[1:7]),
        lambda m: (m[1:7], m[:6]),
        lambda m: (m[5:11], m[:6]),
        lambda m: (m[:6], m[5:11]),
    ],
    ids=["shifted", "shifted back", "last on first", "first on last"],
)
def test_overlapping_arguments_are_refused_warm_wherever_they_move(views):
    def add(x, y):
        x += y

    compiled = warm(add, X, X)
    memory = np.arange(12.0)
    compiled(memory[:6], memory[6:])
    for _ in range(3):
        before = memory.copy()
        with pytest.raises(ArgumentError, match="x is updated in place and must not overlap y"):
            compiled(*views(memory))
        np.testing.assert_array_equal(memory, before)
        assert is_native(compiled, memory[:6], memory[6:])
        assert is_native(compiled, memory[6:], memory[:6])


def test_the_same_array_twice_is_one_array_warm():
    def both(x, y):
        x += y
        y *= 2.0

    compiled = warm(both, X, X)
    for _ in range(3):
        x, twin = X.copy(), X.copy()
        compiled(x, x)
        both(twin, twin)
        np.testing.assert_array_equal(x, twin)


def test_neighbours_that_touch_do_not_overlap():
    def add(x, y):
        x += y

    memory = np.arange(12.0)
    assert is_native(warm(add, X, X), memory[:6], memory[6:])


DICTS: dict[str, Any] = {
    "reordered": {"b": X, "a": X},
    "missing": {"a": X},
    "extra": {"a": X, "b": X, "c": X},
    "other key": {"a": X, "z": X},
    "other kind of key": {"a": X, 1: X},
    "subclass": MyDict(a=X, b=X),
    "OrderedDict": OrderedDict(a=X, b=X),
    "defaultdict": defaultdict(float, a=X, b=X),
    "not a dict": [X, X],
    "other leaf": {"a": X, "b": 2.0},
    "nested": {"a": {"a": X}, "b": X},
    "None": {"a": X, "b": None},
}


@pytest.mark.parametrize("other", DICTS.values(), ids=DICTS)
def test_other_dicts_are_what_they_are(other):
    def describe(tree):
        return tl.ir.pytree.map_leaves(lambda leaf: leaf * 2, tree)

    _same_as_cold(describe, {"a": X, "b": X}, other)


SEQUENCES: dict[str, Any] = {
    "tuple": (X, X),
    "longer": [X, X, X],
    "shorter": [X],
    "empty": [],
    "named tuple": Pair(X, X),
    "nested": [[X], X],
    "number": [X, 1.0],
    "other named tuple": OtherPair(X, X),
}


@pytest.mark.parametrize("usual", [[X, X], Pair(X, X)], ids=["list", "named tuple"])
@pytest.mark.parametrize("other", SEQUENCES.values(), ids=SEQUENCES)
def test_other_sequences_are_what_they_are(usual, other):
    def describe(tree):
        return tl.ir.pytree.map_leaves(lambda leaf: leaf * 2, tree)

    _same_as_cold(describe, usual, other)


def _same_as_cold(fn: Any, usual: Any, other: Any) -> None:
    """What a warm function does with `other` is what a fresh one does."""
    compiled = warm(fn, usual)
    for _ in range(4):
        try:
            expected = tl.compile(fn)(copy.deepcopy(other))
        except TapelessError as error:
            with pytest.raises(type(error)):
                compiled(other)
            continue
        got_leaves, got_tree = tl.ir.pytree.flatten(compiled(other))
        leaves, tree = tl.ir.pytree.flatten(expected)
        assert got_tree == tree
        assert all(map(alike, got_leaves, leaves))
    assert is_native(compiled, usual)


CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "none": ((), {}),
    "too many": ((X, 1.0, 2.0), {}),
    "wrong keyword": ((X,), {"q": 2.0}),
    "duplicate": ((X,), {"x": X}),
    "duplicate second": ((X, 2.0), {"y": 2.0}),
    "keyword only": ((), {"y": 2.0}),
}


@pytest.mark.parametrize(("args", "kwargs"), CALLS.values(), ids=CALLS)
def test_calls_that_do_not_fit_the_parameters_are_refused_warm(args, kwargs):
    compiled = tl.compile(lambda x, y=1.0: x * y)
    for _ in range(3):
        compiled(X)
        compiled(X, 2.0)
        compiled(X, y=2.0)
    for _ in range(3):
        with pytest.raises(TypeError):
            compiled(*args, **kwargs)


def test_keywords_must_be_strings():
    compiled = tl.compile(lambda x, **named: x)
    warm(compiled, X, a=1.0)
    with pytest.raises(TypeError, match="keywords must be strings"):
        compiled(X, **{1: 2.0})


def test_integers_out_of_range_are_refused_warm():
    narrow = warm(lambda x, n: x + n, np.array([1, 2], np.int8), 5)
    for n in (127, -128):
        assert is_native(narrow, np.zeros(2, np.int8), n)
    for n in (128, -129, 2**40, -(2**40), 2**63, 2**200):
        with pytest.raises((ArgumentError, OverflowError), match="n "):
            narrow(np.zeros(2, np.int8), n)
    wide = warm(lambda x, n: x + n, X, 5)
    for n in (2**63 - 1, -(2**63)):
        assert is_native(wide, X, n)
        np.testing.assert_array_equal(wide(X, n), X + n)
    for n in (2**63, -(2**63) - 1):
        with pytest.raises(ArgumentError, match="the integer n fits into 64 bits"):
            wide(X, n)


def test_static_arguments_are_compared_by_value_and_type():
    compiled = tl.compile(lambda x, n: x * (10 if type(n) is bool else n), static="n")
    for _ in range(4):
        assert compiled(X, 1)[1] == 1.0
        assert compiled(X, True)[1] == 10.0
        assert compiled(X, 1.0)[1] == 1.0
        assert compiled(X, int("1000"))[1] == 1000.0  # not the same object each time
    assert compiled.cache_info().signatures == 4


def _module(source: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType("a_user_module")
    vars(module).update(names)
    exec(source, vars(module))
    return module


def test_a_deleted_global_is_missed_warm():
    module = _module("def f(x): return x * factor", factor=2.0)
    compiled = warm(module.f, X)
    del module.factor
    for _ in range(2):
        with pytest.raises(NameError, match="factor"):
            compiled(X)
    module.factor = 3.0
    assert compiled(X)[1] == 3.0


def test_globals_bound_anew_are_seen_warm():
    module = _module("def f(x): return g(x) * factor", factor=2.0, g=lambda x: x + 1)
    compiled = warm(module.f, X)
    assert is_native(compiled, X)
    module.factor = 5.0
    assert compiled(X)[0] == 5.0
    module.g = lambda x: x + 2
    assert compiled(X)[0] == 10.0
    module.factor = 2.0 * 2.5  # equal, another object
    assert compiled(X)[0] == 10.0


def test_a_replaced_closure_cell_is_seen_warm():
    weight = np.ones(6)
    compiled = warm(lambda x: x * weight, X)
    assert is_native(compiled, X)
    weight = np.full(6, 7.0)
    assert compiled(X)[1] == 7.0


def test_an_emptied_closure_cell_is_seen_warm():
    def make():
        weight = 2.0

        def f(x):
            return x * weight

        def forget():
            nonlocal weight
            del weight

        return f, forget

    f, forget = make()
    compiled = warm(f, X)
    forget()
    with pytest.raises(NameError, match="weight"):
        compiled(X)


def test_containers_attributes_and_defaults_are_watched_warm():
    table, items = {"a": 2.0}, [3.0]

    class Settings:
        scale = 5.0

    settings = Settings()
    settings.shift = 7.0

    def f(x, factor=11.0):
        return x * table["a"] * items[0] * Settings.scale * settings.shift * factor

    compiled = warm(f, X)
    changes = [
        lambda: table.update(a=3.0),
        lambda: items.__setitem__(0, 1.0),
        lambda: items.append(9.0),
        lambda: table.update(b=1.0),
        lambda: setattr(Settings, "scale", 1.0),
        lambda: setattr(settings, "shift", 2.0),
        lambda: setattr(f, "__defaults__", (0.5,)),
        table.clear,
    ]
    for change in changes[:-1]:
        assert is_native(warm(compiled, X), X)
        change()
        np.testing.assert_array_equal(compiled(X), f(X))
    changes[-1]()
    with pytest.raises(KeyError):
        compiled(X)


def test_what_only_python_can_compare_is_watched_warm():
    class Slotted:
        __slots__ = ("factor",)

    holder = Slotted()
    holder.factor = 2.0
    compiled = warm(lambda x: x * holder.factor, X)
    assert is_native(compiled, X)
    holder.factor = 3.0
    assert compiled(X)[1] == 3.0
    del holder.factor
    with pytest.raises(AttributeError):
        compiled(X)


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # from NumPy 2.5 on
def test_captured_arrays_that_change_are_seen_warm():
    weight = np.ones(4)
    compiled = warm(lambda x: np.sum(weight, axis=0) * x, X)
    assert is_native(compiled, X)
    weight.shape = (2, 2)
    assert compiled(np.ones(2)).tolist() == [2.0, 2.0]
    weight.shape = (4,)
    assert compiled(X)[1] == 4.0


def test_a_captured_array_that_became_read_only_is_not_updated_warm():
    total = np.zeros(6)

    def f(x):
        total[...] += x

    compiled = warm(f, np.zeros(6))
    total.flags.writeable = False
    with pytest.raises(TraceError, match="must be writable"):
        compiled(X)
    assert total.tolist() == [0.0] * 6


def test_a_captured_array_that_is_also_an_updated_argument_is_refused_warm():
    weight = np.ones(6)

    def f(x):
        x += weight

    compiled = warm(f, X)
    with pytest.raises(ArgumentError, match="x is updated in place and must not overlap weight"):
        compiled(weight)
    assert weight.tolist() == [1.0] * 6


def test_big_endian_captures_stay_refused():
    weight = X.astype(">f8")
    compiled = tl.compile(lambda x: x * weight)
    for _ in range(4):
        with pytest.raises(DTypeError, match="byte order"):
            compiled(X)
