"""What a function reaches by name is found, and watched for other objects bound to the names."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.reachable import search
from tapeless.ir.errors import TraceError, TraceWarning

from .running import call
from .test_captures import Model, scaled

X = np.array([1.0, 2.0, 3.0])
WEIGHT = np.array([2.0, 3.0, 4.0])
RATE = 0.5


def test_binding_another_number_array_or_function_to_a_name_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    helper = lambda x: x * RATE  # noqa: E731

    def f(x: Any) -> Any:
        return helper(x) + WEIGHT

    traced = trace_function(f, (X,), {})
    assert traced.is_current()
    monkeypatch.setitem(f.__globals__, "RATE", 0.25 + 0.25)
    assert traced.is_current()
    monkeypatch.setitem(f.__globals__, "RATE", 0.75)
    assert not traced.is_current()
    monkeypatch.setitem(f.__globals__, "RATE", 0.5)
    assert traced.is_current()
    monkeypatch.setitem(f.__globals__, "WEIGHT", WEIGHT.copy())
    assert not traced.is_current()
    monkeypatch.undo()
    assert traced.is_current()
    helper = scaled
    assert not traced.is_current()


def test_a_global_with_the_name_of_an_attribute_is_another_thing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def f(x: Any) -> Any:
        return x.T * np.array([y.WEIGHT for y in ()] or [RATE])

    traced = trace_function(f, (X,), {})
    assert {str(watched.text) for watched in traced.watched} == {"RATE"}
    monkeypatch.setitem(f.__globals__, "WEIGHT", WEIGHT.copy())
    assert traced.is_current()


def test_attributes_and_container_entries_are_noticed() -> None:
    model = Model()
    traced = trace_function(model.forward, (X,), {})
    model.steps += 1
    model.note = "another"
    assert traced.is_current()
    model.rate = 0.2
    assert not traced.is_current()
    model.rate = 0.1
    assert traced.is_current()
    model.layers.append(np.zeros(3))
    assert not traced.is_current()


def test_a_traced_value_kept_by_the_function_is_an_error_when_it_is_used() -> None:
    history: list[Any] = []
    model = Model()

    def f(x: Any) -> Any:
        model.cache = x * 2  # type: ignore[attr-defined]
        history.append(x.sum())
        return model.cache + 1  # type: ignore[attr-defined]

    traced = trace_function(f, (X,), {})
    np.testing.assert_array_equal(call(traced, X), 2 * X + 1)
    for kept in (history[0], model.cache):  # type: ignore[attr-defined]
        with pytest.raises(TraceError, match="lives only while"):
            kept + 1


def test_bookkeeping_while_tracing_does_not_count() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x

    assert trace_function(f, (X,), {}).is_current()


def test_numpy_and_modules_are_not_watched() -> None:
    traced = trace_function(lambda x: np.exp(x) + functools.reduce(min, [1, 2]), (X,), {})
    assert traced.watched == ()


def test_the_search_is_bounded() -> None:
    big = [[np.zeros(1)] for _ in range(20_000)]
    found = search(lambda: big)
    assert not found.complete
    assert len(found.watch()) <= 1_000
    with (
        pytest.warns(TraceWarning, match="too many entries"),
        pytest.warns(TraceWarning, match="more objects than are searched"),
    ):
        trace_function(lambda x: x + big[19_999][0], (X,), {})


def test_a_container_too_large_to_be_watched_warns() -> None:
    numbers = [0.5] * 20_000
    with pytest.warns(TraceWarning, match="numbers has too many entries"):
        traced = trace_function(lambda x: x * numbers[7], (X,), {})
    assert [watched.text for watched in traced.watched] == ["numbers"]


def test_the_search_survives_cycles_and_odd_objects() -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    loop: dict[str, Any] = {"w": np.zeros(2), "odd": Odd()}
    loop["self"] = loop
    assert list(search(lambda: loop).arrays) == [id(loop["w"])]
