"""Calls by native entries do what the function does, and are used wherever they can be."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless import native as native_module
from tapeless.ir.pytree import flatten

from .native_calls import is_native, needs_native, warm

pytestmark = needs_native


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Model:
    weight: Any


X = np.arange(6.0)


def twice(x):
    return x * 2


def write(params, state):
    params["w"] = params["w"] * 0.5
    state[0] = np.sum(params["w"])
    state[1][0] += 1.0


CASES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "array": (twice, (X,)),
    "zero-d array": (lambda x: (x + 1.0, np.copy(x)), (np.array(2.0),)),
    "empty array": (twice, (X[:0].copy(),)),
    "reduction": (np.sum, (X,)),
    "float": (lambda a: (a * 2, a > 1, a), (1.5,)),
    "int": (lambda n: (n * 2, n // 2, n), (-(2**62),)),
    "bool": (lambda b, x: np.where(b, x, -x), (True, X)),
    "float32 scalar": (lambda s: (s * 2, s), (np.float32(0.1),)),
    "uint8 scalar": (lambda s: s + s, (np.uint8(100),)),
    "bool scalar": (lambda s: (~s, s), (np.bool_(True),)),
    "dict": (lambda p: {k: v * 2 for k, v in p.items()}, ({"b": X, "a": X[:2].copy()},)),
    "empty containers": (lambda x, t: (x * 2, t, [], {}, ()), (X, ({}, [], ()))),
    "nested": (lambda t: [t[0]["u"][0] * 2, (t[1], {"n": None})], ([{"u": (X,)}, 2.0, None],)),
    "named tuple": (lambda p: Point(p.y, p.x * 2), (Point(X, 1.0),)),
    "None": (lambda x: None, (X,)),
    "constant": (lambda x: (x, "text", 3, None), (X,)),
    "argument and view": (lambda x: (x, x[1:3], x.reshape(2, 3).T), (X,)),
    "views of a result": (lambda x: (lambda y: (y, y[::2], y))(x * 2), (X,)),
    "update": (lambda x, lr: x.__isub__(lr * x), (X, 0.1)),
    "update that overlaps itself": (lambda x: x.__setitem__(slice(1, None), x[:-1]), (X,)),
    "swap": (lambda x, y: (lambda t: (x.__imul__(0.0) + y, y.__imul__(0) + t))(x * 1), (X, X + 1)),
    "containers written": (write, ({"w": X}, [0.0, [X.copy()]])),
    "float32 and int": (lambda x, n: x + n, (np.arange(3, dtype=np.float32), 7)),
    "every dtype": (
        lambda *arrays: [a + a for a in arrays],
        tuple(np.ones(3, code) for code in "?bBhHiIlLfd"),
    ),
}


@pytest.mark.parametrize(("fn", "arguments"), CASES.values(), ids=CASES)
def test_native_calls_do_what_the_function_does(fn, arguments):
    compiled = warm(fn, *arguments)
    for _ in range(3):
        mine, twins = copy.deepcopy(arguments), copy.deepcopy(arguments)
        before = compiled.cache_info().native
        got, expected = compiled(*mine), fn(*twins)
        assert compiled.cache_info().native == before + 1
        _require_alike(got, expected)
        _require_alike(mine, twins)


def _require_alike(got: Any, expected: Any) -> None:
    got_leaves, got_tree = flatten(got)
    leaves, tree = flatten(expected)
    assert got_tree == tree
    for mine, theirs in zip(got_leaves, leaves, strict=True):
        assert type(mine) is type(theirs)
        np.testing.assert_array_almost_equal_nulp(*map(np.asarray, _numbers(mine, theirs)), 4)
        if isinstance(theirs, np.ndarray | np.generic):
            assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)


def _numbers(mine: Any, theirs: Any) -> tuple[Any, Any]:
    """What can be compared by distance; text must be equal."""
    if isinstance(theirs, str):
        assert mine == theirs
        return 0.0, 0.0
    return np.float64(mine), np.float64(theirs)


def test_the_callers_own_objects_come_back():
    compiled = warm(lambda p: (p["w"], p["w"][1:], p["n"]), {"w": X, "n": 12345.5})
    params = {"w": X.copy(), "n": 0.25}
    w, tail, n = compiled(params)
    assert w is params["w"]
    assert n is params["n"]
    assert tail.base is w


def test_captured_arrays_are_read_and_updated_where_they_lie():
    total, weight = np.zeros(3), np.ones(3)

    def add(x):
        total[...] += x * weight
        return np.sum(total)

    compiled = warm(add, np.zeros(3))
    weight[...] = 2.0
    assert is_native(compiled, np.ones(3))
    assert total.tolist() == [2.0, 2.0, 2.0]


def test_keywords_go_in_any_order_each_its_own_entry():
    compiled = tl.compile(lambda x, y=2.0, *, z=3.0: x * y + z)
    for _ in range(4):
        assert compiled(X, y=4.0)[1] == 7.0
        assert compiled(y=4.0, x=X)[1] == 7.0
        assert compiled(X, z=1.0, y=1.0)[1] == 2.0
        assert compiled(z=1.0, x=X, y=1.0)[1] == 2.0
    assert compiled.cache_info().native == 8
    assert compiled.cache_info().signatures == 2


def test_further_arguments_and_static_ones_are_native():
    rest = warm(lambda x, *more, **named: x + sum(more) + sum(named.values()), X, X, b=2.0, a=X)
    assert is_native(rest, X, X, b=1.0, a=X)
    power = tl.compile(
        lambda x, n, mode="plain": x**n if mode == "plain" else -x, static=["n", "mode"]
    )
    for _ in range(3):
        assert power(X, 2)[2] == 4.0
        assert power(X, 3)[2] == 8.0
        assert power(X, n=2, mode="negative")[2] == -2.0
    assert power.cache_info().native == 3


def test_keywords_and_keys_need_not_be_the_same_string_objects():
    compiled = tl.compile(lambda p, lr: p["weight"] * lr)
    for _ in range(4):
        key, name = "".join(["wei", "ght"]), "".join(["l", "r"])
        compiled({key: X}, **{name: 0.5})
    assert compiled.cache_info().native == 2


def test_arrays_with_a_copy_of_their_dtype_are_recognized():
    copied = pickle.loads(pickle.dumps(X))
    assert copied.dtype is not X.dtype
    assert is_native(warm(twice, X), copied)


def test_several_signatures_are_tried_in_turn():
    compiled = tl.compile(twice)
    arrays = [np.ones(n) for n in range(1, 6)]
    for _ in range(2):
        for array in arrays:
            compiled(array)
    assert all(is_native(compiled, array) for array in arrays * 3)


def test_more_signatures_than_the_chain_holds_still_give_right_results():
    compiled = tl.compile(twice)
    arrays = [np.full(n, float(n)) for n in range(1, 21)]
    for _ in range(4):
        for array in arrays:
            assert compiled(array).tolist() == [2.0 * array.size] * array.size
    info = compiled.cache_info()
    assert (info.misses, info.hits) == (20, 60)
    compiled(arrays[3])
    assert is_native(compiled, arrays[3])


def test_methods_are_native_for_each_instance():
    class Counter:
        def __init__(self) -> None:
            self.total = np.zeros(2)

        @tl.compile
        def add(self, x):
            self.total += x
            return np.sum(self.total)

    a, b = Counter(), Counter()
    for _ in range(3):
        a.add(np.ones(2))
        b.add(np.ones(2))
    assert is_native(a.add, np.ones(2))
    assert (a.total.tolist(), b.total.tolist()) == ([4.0, 4.0], [3.0, 3.0])


def test_compiled_functions_are_inlined_into_one_another_though_native():
    inner = warm(lambda x: np.sin(x) * 2, X)
    outer = warm(lambda x: np.sum(inner(x)), X)
    np.testing.assert_allclose(outer(X), np.sum(np.sin(X) * 2))
    before = inner.cache_info().native
    outer(X[:3].copy())  # traced anew, while the entry of the inner function is ready
    assert inner.cache_info().native == before
    assert isinstance(tl.compile(lambda x: inner(x)).dynamic(X), np.ndarray)
    assert is_native(inner, X)


def test_calls_while_another_thread_traces_take_the_python_path():
    compiled = warm(twice, X)
    tracing, done = threading.Event(), threading.Event()

    def slow(x):
        tracing.set()
        assert done.wait(10)
        return x * 3

    worker = threading.Thread(target=tl.compile(slow), args=(X,))
    worker.start()
    assert tracing.wait(10)
    assert not is_native(compiled, X)
    done.set()
    worker.join()
    assert is_native(compiled, X)


def test_a_compiled_function_is_what_it_was_though_native():
    def scale(x, factor=2.0):
        """Some text."""
        return x * factor

    compiled = warm(scale, X)
    assert isinstance(compiled, tl.CompiledFunction)
    assert (compiled.__name__, compiled.__doc__) == ("scale", "Some text.")
    assert compiled.__wrapped__ is scale
    assert str(inspect.signature(compiled)) == "(x, factor=2.0)"
    assert repr(compiled) == "<compiled function scale>"
    assert functools.partial(compiled, X)()[1] == 2.0
    assert list(map(compiled, [X, X]))[1][2] == 4.0
    assert callable(compiled)


def test_the_number_of_threads_may_change_between_calls():
    big = np.linspace(0.0, 1.0, 600_000)
    compiled = tl.compile(lambda x: np.exp(x) * 2)
    before = tl.get_threads()
    try:
        results = []
        for threads in (1, 3, 2):
            tl.set_threads(threads)
            results += [compiled(big) for _ in range(4)]
            assert is_native(compiled, big)
    finally:
        tl.set_threads(before)
    assert all(np.array_equal(result, results[0]) for result in results)


def test_equal_entries_share_their_code():
    one, two = warm(twice, X), warm(twice, np.ones((3, 4)))
    codes = {
        known._code
        for compiled in (one, two)
        for found in compiled._specializations.values()
        for known in found.natives.entries()
    }
    assert len(codes) == 1


REASONS: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "dataclass": (lambda m: m.weight * 2, (Model(X),), "an argument holds a Model"),
    "OrderedDict": (lambda d: d["a"] * 2, (OrderedDict(a=X),), "an argument holds a OrderedDict"),
    "strided": (twice, (X[::2],), "an array is not row-major and aligned"),
}


@pytest.mark.parametrize(("fn", "arguments", "reason"), REASONS.values(), ids=REASONS)
def test_calls_that_stay_in_python_say_why(fn, arguments, reason):
    compiled = tl.compile(fn)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(*arguments), fn(*arguments))
    info = compiled.cache_info()
    assert info.native == 0
    assert len(info.reasons) == 1
    assert info.reasons[0].startswith(reason)


def test_an_interpreter_that_is_laid_out_otherwise_keeps_to_python(monkeypatch):
    monkeypatch.setattr(native_module, "obstacle", lambda: "arrays lie otherwise")
    compiled = tl.compile(twice)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(X), X * 2)
    info = compiled.cache_info()
    assert (info.native, info.hits) == (0, 2)
    assert info.reasons == ("arrays lie otherwise",)


def test_programs_that_fail_raise_at_the_users_line_and_can_be_called_again():
    def pick(x, i):
        x *= 2.0
        return x[i]

    compiled = warm(pick, X, np.array([0, -1]))
    for _ in range(2):
        x = X.copy()
        with pytest.raises(IndexError, match=r"test_native.py:\d+: an index must lie within"):
            compiled(x, np.array([0, 99]))
        assert x.tolist() in ((X * 2).tolist(), X.tolist())  # once, or not at all
    assert is_native(compiled, X.copy(), np.array([1, 1]))
