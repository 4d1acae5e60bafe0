"""Signatures, captures, methods, threads: when a function is traced anew, and when it is not."""

from __future__ import annotations

import gc
import itertools
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, TraceError, TraceWarning


def test_each_signature_is_compiled_once():
    traced = itertools.count()

    @tl.compile
    def f(x):
        next(traced)
        return x * 2

    for _ in range(3):
        f(np.ones(2))
        f(np.ones(3))
        f(np.ones(3, np.float32))
    assert next(traced) == 3
    info = f.cache_info()
    assert (info.misses, info.hits, info.signatures) == (3, 6, 3)


def test_python_numbers_are_runtime_inputs():
    f = tl.compile(lambda x, a, n: x * a + n)
    for a, n in ((0.5, 1), (2.5, 7), (-1.0, -3)):
        assert f(np.ones(2), a, n).tolist() == [a + n, a + n]
    assert f.cache_info().misses == 1


def test_captured_arrays_are_inputs_by_reference():
    weight = np.ones(2)
    f = tl.compile(lambda x: x * weight)
    assert f(np.ones(2)).tolist() == [1.0, 1.0]
    weight[...] = 5.0
    assert f(np.ones(2)).tolist() == [5.0, 5.0]
    assert f.cache_info().misses == 1


def test_captured_arrays_are_updated_in_place():
    total = np.zeros(2)

    @tl.compile
    def f(x):
        total[...] += x
        return np.sum(total)

    assert [f(np.ones(2)) for _ in range(3)] == [2.0, 4.0, 6.0]
    assert total.tolist() == [3.0, 3.0]


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # from NumPy 2.5 on
def test_a_captured_array_that_changes_shape_is_traced_anew():
    weight = np.ones(4)
    f = tl.compile(lambda x: np.sum(weight, axis=0) * x)
    assert f(np.ones(2)).tolist() == [4.0, 4.0]
    weight.shape = (2, 2)
    assert f(np.ones(2)).tolist() == [2.0, 2.0]


def test_a_captured_array_that_became_read_only_is_not_updated():
    total = np.zeros(2)

    @tl.compile
    def f(x):
        total[...] += x
        return np.sum(total)

    assert f(np.ones(2)) == 2.0
    total.flags.writeable = False
    with pytest.raises(TraceError, match="must be writable; given: total"):
        f(np.ones(2))
    assert total.tolist() == [1.0, 1.0]


def test_captured_arrays_and_static_arguments_go_together():
    weight = np.ones(2)
    f = tl.compile(lambda x, n: x * weight * n, static="n")
    assert f(np.ones(2), 3).tolist() == [3.0, 3.0]
    weight[...] = 2.0
    assert f(np.ones(2), 3).tolist() == [6.0, 6.0]
    assert f.cache_info().misses == 1


def test_names_bound_anew_are_seen():
    factor = 2.0
    weight = np.ones(2)

    def f(x):
        return x * factor * weight

    compiled = tl.compile(f)
    assert compiled(np.ones(2)).tolist() == [2.0, 2.0]
    factor = 3.0
    assert compiled(np.ones(2)).tolist() == [3.0, 3.0]
    weight = np.full(2, 10.0)
    assert compiled(np.ones(2)).tolist() == [30.0, 30.0]
    assert compiled.cache_info().misses == 3


def test_a_name_bound_anew_before_every_call_is_told_once():
    factor = 0
    scaled = tl.compile(lambda x: x * factor)
    scaled(1.0)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        for factor in range(1, 12):
            assert scaled(1.0) == factor
    (warning,) = met
    assert issubclass(warning.category, TraceWarning)
    assert "was traced and compiled 8 times anew because factor was" in str(warning.message)


def test_a_captured_array_that_is_also_an_updated_argument_is_refused():
    weight = np.ones(2)

    @tl.compile
    def f(x):
        x += weight
        return np.sum(x)

    assert f(np.zeros(2)) == 2.0
    with pytest.raises(ArgumentError, match="x is updated in place and must not overlap weight"):
        f(weight)


class Counter:
    """An object with an array and a compiled method."""

    def __init__(self, start: float) -> None:
        self.total = np.full(2, start)

    @tl.compile
    def add(self, x):
        """Add x to the total."""
        self.total += x
        return np.sum(self.total)


def test_methods_work_on_each_instance():
    a, b = Counter(0.0), Counter(10.0)
    assert [a.add(np.ones(2)), a.add(np.ones(2)), b.add(np.ones(2))] == [2.0, 4.0, 22.0]
    assert a.total.tolist() == [2.0, 2.0]
    assert a.add.cache_info().misses == 1
    assert a.add.cache_info().hits == 1
    assert Counter.add.__doc__ == "Add x to the total."


def test_instances_are_not_kept_alive():
    a = Counter(0.0)
    a.add(np.ones(2))
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None


def test_compiled_functions_are_inlined_into_one_another():
    inner = tl.compile(lambda x: np.sin(x) * 2)

    @tl.compile
    def outer(x):
        return np.sum(inner(x) + inner(x * 2))

    x = np.linspace(0, 1, 5)
    np.testing.assert_allclose(outer(x), np.sum(np.sin(x) * 2 + np.sin(2 * x) * 2))
    assert inner.cache_info().misses == 0


def test_concurrent_calls_compile_once_and_agree():
    traced = itertools.count()

    @tl.compile
    def f(x, w):
        next(traced)
        return np.sum(np.exp(x * w))

    w = np.linspace(0, 1, 1000)
    together = threading.Barrier(8)

    def work(i: int) -> bool:
        together.wait()
        x = np.full(1000, float(i))
        return all(np.allclose(f(x, w), np.sum(np.exp(x * w)), rtol=1e-12) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert next(traced) == 1
    info = f.cache_info()
    assert (info.misses, info.signatures) == (1, 1)


def test_functions_that_share_arrays_are_traced_by_several_threads():
    weight = np.linspace(0, 1, 50)
    functions = [tl.compile(lambda x, k=k: np.sum(np.sin(x * weight)) * k) for k in range(16)]
    x = np.linspace(1, 2, 50)
    expected = np.sum(np.sin(x * weight)) * np.arange(16)
    together = threading.Barrier(8)

    def work(start: int) -> list[float]:
        together.wait()
        results = {k: functions[k](x) for k in (*range(start, 16), *range(start))}
        return [results[k] for k in range(16)]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(work, range(8)):
            np.testing.assert_allclose(results, expected, rtol=1e-12)
