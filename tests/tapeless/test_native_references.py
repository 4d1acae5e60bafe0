"""Native entries keep references and memory in order: leaks, reuse, re-entrance, threads, fork."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.ir.entry import Word

from .native_calls import is_native, needs_native, warm

pytestmark = needs_native

X = np.arange(6.0)
CALLS = 2_000


class Pair(NamedTuple):
    a: Any
    b: Any


def write(params, state):
    params["w"] = params["w"] * 0.5
    state[0] = np.sum(params["w"])


CASES: dict[str, tuple[Any, Callable[[], tuple[Any, ...]]]] = {
    "scalar": (np.sum, lambda: (X,)),
    "numbers": (lambda a, n, b: (a * 2, n + 1, n > 2, a, b), lambda: (0.1, 1000, True)),
    "NumPy scalars": (lambda a, b: (a * 2, ~b), lambda: (np.float32(2), np.bool_(True))),
    "arrays": (lambda p: {k: v * 2 for k, v in p.items()}, lambda: ({"a": X, "b": X[:2].copy()},)),
    "nested": (lambda t: [t[0][0] * 2, (None, {"s": t[1]})], lambda: ([(X, None), 2.5],)),
    "views": (lambda x: (x[1:], (x * 2)[::2], x), lambda: (X,)),
    "named tuple": (lambda p: Pair(p.a * 2, p.b), lambda: (Pair(X, 3),)),
    "update": (lambda x: x.__imul__(1.0), lambda: (X.copy(),)),
    "containers": (write, lambda: ({"w": X.copy()}, [1.0])),
    "long enough to release the lock": (lambda p: p["a"] @ p["a"], lambda: ({"a": np.eye(80)},)),
}


def objects_in(tree: Any) -> list[Any]:
    """The containers, keys and leaves of nested containers."""
    below = [*tree, *tree.values()] if isinstance(tree, dict) else tree
    if not isinstance(tree, dict | list | tuple):
        return [tree]
    return [tree, *(item for child in below for item in objects_in(child))]


def references(objects: list[Any]) -> list[int]:
    gc.collect()
    return [sys.getrefcount(item) for item in objects]


def nearly_equal(counts: list[int], others: list[int]) -> bool:
    """Not off by one for each of many calls; numbers and None are referred to from everywhere."""
    return all(abs(x - y) < 20 for x, y in zip(counts, others, strict=True))


@pytest.mark.parametrize(("fn", "make"), CASES.values(), ids=CASES)
def test_calls_leave_no_references_and_no_memory(fn, make):
    compiled = warm(fn, *make())
    arguments = make()
    for _ in range(4):
        compiled(*arguments)
    # Entries that are bound anew at each call are not the caller's any more.
    watched = [*objects_in(arguments), np.dtype(float), np.ndarray, dict, list, tuple, Pair]
    before, blocks = references(watched), sys.getallocatedblocks()
    native = compiled.cache_info().native
    for _ in range(CALLS):
        compiled(*arguments)
    assert compiled.cache_info().native == native + CALLS
    assert sys.getallocatedblocks() - blocks < CALLS // 10
    if fn is not write:
        assert nearly_equal(references(watched), before)


def test_calls_that_fail_or_are_declined_leave_no_references():
    compiled = warm(lambda p, i: p["x"][i], {"x": X}, np.array([1]))
    params, far, other = {"x": X}, np.array([77]), {"x": X, "y": X}
    watched = [*objects_in(params), *objects_in(other), far]

    def fail_often() -> None:
        for _ in range(200):
            with pytest.raises(IndexError):
                compiled(params, far)
            with pytest.raises(TypeError):
                compiled(params, far, far)
            with pytest.raises(TypeError):
                compiled(params, j=far)
            compiled(other, np.array([1]))

    fail_often()
    before, blocks = references(watched), sys.getallocatedblocks()
    fail_often()
    assert nearly_equal(references(watched), before)
    assert sys.getallocatedblocks() - blocks < 100


def test_a_view_that_cannot_be_made_leaves_no_references():
    compiled = warm(lambda x: (x * 2, x[1:]), X)
    (found,) = compiled._specializations.values()
    (entry,) = found.natives.entries()

    def fail(array: Any) -> Any:
        raise RuntimeError("no view today")

    places = [i for i, word in enumerate(entry._block.tolist()) if word == id(_view_of(found))]
    entry._block[places] = id(fail)
    before = references([X])
    for _ in range(50):
        with pytest.raises(RuntimeError, match="no view today"):
            compiled(X)
    assert references([X]) == before


def _view_of(found: Any) -> Any:
    (view,) = [result.view for result in found.entry.plan.results if result.view is not None]
    return view


def test_dropped_results_are_reused_and_held_ones_never():
    compiled = warm(lambda x: x + 1.0, X)
    kept = [compiled(np.full(6, float(i))) for i in range(10)]
    assert [array[0] for array in kept] == [i + 1.0 for i in range(10)]
    assert len({id(array) for array in kept}) == 10
    del kept
    places = {compiled(X).__array_interface__["data"][0] for _ in range(50)}
    assert len(places) <= 2


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "view": lambda array: array[1:3],
    "view of a view": lambda array: array[1:][:2],
    "memoryview": memoryview,
    "weak reference": weakref.ref,
    "container": lambda array: [array],
    "flat": lambda array: array.flat,
    "iterator": iter,
    "frombuffer": lambda array: np.frombuffer(array),
    "interface": lambda array: np.asarray(_Interface(array)),
}


class _Interface:
    """Shares an array's memory through the array interface."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_results_that_something_refers_to_are_not_reused(hold):
    compiled = warm(lambda x: x + 1.0, X)
    array = compiled(X)
    place, held = id(array), hold(array)
    copy = array.copy()
    del array
    others = [compiled(np.zeros(6)) for _ in range(5)]
    if isinstance(held, weakref.ref):
        array = held()  # given up, or as it was
        assert array is None or np.array_equal(array, copy)
    else:
        assert place not in map(id, others)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "read-only": lambda array: array.setflags(write=False),
    "shape": lambda array: setattr(array, "shape", (2, 3)),
    "dtype": lambda array: setattr(array, "dtype", np.int64),
    "byte order": lambda array: setattr(array, "dtype", array.dtype.newbyteorder(">")),
}


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # from NumPy 2.5 on
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_results_that_were_changed_are_not_reused(change):
    compiled = warm(lambda x: x + 1.0, X)
    for _ in range(5):
        array = compiled(X)
        assert array.flags.num == X.flags.num
        np.testing.assert_array_equal(array, X + 1.0, strict=True)
        change(array)
        del array


def test_results_outlive_the_function():
    results = [warm(lambda x: x + 1.0, X)(X) for _ in range(3)]
    gc.collect()
    assert all(np.array_equal(result, X + 1.0) for result in results)


def test_entries_die_with_their_function():
    compiled = warm(lambda x: x + 1.0, X)
    (found,) = compiled._specializations.values()
    gone = weakref.ref(found.natives.entries()[0])
    array = compiled(X)
    held = sys.getrefcount(array)
    del compiled, found
    gc.collect()
    assert gone() is None
    assert sys.getrefcount(array) == held - 1


@pytest.fixture
def on_collection() -> Iterator[list[Callable[[], None]]]:
    """Functions to be called whenever the garbage collector runs, which is all the time."""
    actions: list[Callable[[], None]] = []
    running = threading.local()

    def act(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and not getattr(running, "now", False):
            running.now = True
            for action in actions:
                action()
            running.now = False

    threshold = gc.get_threshold()
    gc.callbacks.append(act)
    gc.set_threshold(1)
    yield actions
    gc.set_threshold(*threshold)
    gc.callbacks.remove(act)


def test_a_function_may_be_called_while_its_result_is_being_built(on_collection):
    compiled = tl.compile(lambda p: [{"y": p["x"] * 2}, (np.sum(p["x"]), p["x"])])
    inner: list[bool] = []

    def call() -> None:
        (ys, (total, _)) = compiled({"x": np.full(6, 7.0)})
        inner.append(ys["y"].tolist() == [14.0] * 6 and total == 42.0)

    for i in range(3):
        compiled({"x": np.full(6, float(i))})
    on_collection.append(call)
    kept = []  # containers that are freed are made again without the collector's notice
    for i in range(200):
        x = np.full(6, float(i))
        kept.append(compiled({"x": x}))
        ys, (total, same) = kept[-1]
        assert ys["y"].tolist() == [2.0 * i] * 6
        assert total == 6.0 * i
        assert same is x
    assert len(inner) > 10
    assert all(inner)


def test_containers_may_be_emptied_while_the_result_is_being_built(on_collection):
    compiled = tl.compile(lambda p: [[p["x"]], {"y": p["y"] * 2}, p["x"]])
    for _ in range(3):
        compiled({"x": X.copy(), "y": X})
    params: dict[str, Any] = {}
    cleared: list[int] = []

    def clear() -> None:
        cleared.append(len(params))
        params.clear()

    on_collection.append(clear)
    kept = []
    for _ in range(200):
        params.update(x=X.copy(), y=X.copy())
        kept.append(compiled(params))
        first, second, third = kept[-1]
        assert first[0] is third
        assert third.tolist() == X.tolist()
        assert second["y"].tolist() == (2 * X).tolist()
    assert cleared.count(2) > 10


def test_callbacks_of_displaced_results_may_call_the_function():
    compiled = warm(lambda x: x + 1.0, X)
    seen: list[Any] = []
    refs = []
    for i in range(50):
        array = compiled(np.full(6, float(i)))
        assert array.tolist() == [i + 1.0] * 6
        refs.append(weakref.ref(array, lambda _: seen.append(compiled(np.full(6, -5.0))[0])))
        del array
    refs.clear()
    assert set(seen) <= {-4.0}
    assert len(seen) > 10


def test_an_entry_may_be_given_up_while_it_runs(on_collection):
    kept = []
    gone = []
    for _ in range(10):
        compiled = warm(lambda p: [{"y": p["x"] * 2}], {"x": X})
        (found,) = compiled._specializations.values()
        gone.append(weakref.ref(found.natives.entries()[0]))
        native = compiled._state.native
        on_collection.append(lambda native=native, found=found: native.retire(found.natives))
        for _ in range(20):
            kept.append(compiled({"x": X}))
            assert kept[-1][0]["y"].tolist() == (2 * X).tolist()
        on_collection.clear()
    assert all(entry() is None for entry in gone)


def test_a_busy_entry_leaves_calls_to_the_python_path():
    compiled = warm(lambda a: a @ a, np.eye(80))
    (found,) = compiled._specializations.values()
    (entry,) = found.natives.entries()
    entry._block[Word.BUSY] = 1
    assert not is_native(compiled, np.eye(80))
    entry.end_run()  # as after a fork
    assert is_native(compiled, np.eye(80))


def test_concurrent_calls_that_release_the_lock_do_not_disturb_each_other():
    a = np.linspace(0, 1, 300 * 300).reshape(300, 300)
    compiled = warm(lambda p, k: {"y": np.sum(p["a"] @ p["a"]) * k, "a": p["a"]}, {"a": a}, 1.0)
    expected = np.sum(a @ a)
    together = threading.Barrier(4)

    def work(number: int) -> bool:
        together.wait()
        ok = True
        for i in range(30):
            params = {"a": a.copy()}
            got = compiled(params, float(number + i))
            ok = ok and np.isclose(got["y"], expected * (number + i)) and got["a"] is params["a"]
        return ok

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert compiled.cache_info().native > 10


def test_arrays_in_containers_are_kept_while_the_lock_is_released():
    n = 400
    compiled = warm(lambda p: np.sum(p["a"] @ p["b"]), {"a": np.ones((n, n)), "b": np.ones((n, n))})
    params: dict[str, Any] = {}
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            params.update(a=np.ones((n, n)), b=np.ones((n, n)))

    params.update(a=np.ones((n, n)), b=np.ones((n, n)))
    worker = threading.Thread(target=disturb)
    worker.start()
    results = [compiled(params) for _ in range(20)]
    stop.set()
    worker.join()
    assert results == [float(n) ** 3] * 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_use_the_entries_that_they_inherit():
    compiled = warm(lambda x: np.sum(x * 2), X)
    child = os.fork()
    if child == 0:
        os._exit(0 if is_native(compiled, X) and compiled(X) == 30.0 else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert is_native(compiled, X)
