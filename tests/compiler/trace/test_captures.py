"""Arrays of closures, globals and objects are inputs by reference; other names are watched."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.reachable import search
from tapeless.ir.errors import DTypeError, TraceError, TraceWarning, UnsupportedError

from .running import call

X = np.array([1.0, 2.0, 3.0])

WEIGHT = np.array([2.0, 3.0, 4.0])
TABLE = {"a": np.array([1.0, 1.0, 1.0]), "n": 2}
RATE = 0.5
GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _fresh_globals() -> Iterator[None]:
    before = WEIGHT.copy()
    yield
    WEIGHT[...] = before


def scaled(x: Any) -> Any:
    return x * WEIGHT


class Model:
    shared = np.array([10.0, 20.0, 30.0])

    def __init__(self) -> None:
        self.w = np.array([1.0, 2.0, 3.0])
        self.layers = [np.array([5.0, 5.0, 5.0])]
        self.rate = 0.1
        self.note = "text"
        self.steps = 0

    def forward(self, x: Any) -> Any:
        return x * self.w + self.layers[0] * self.rate + self.shared

    def train(self, x: Any) -> Any:
        self.w -= self.rate * x
        return self.w


class Slotted:
    __slots__ = ("w",)

    def __init__(self) -> None:
        self.w = np.array([1.0, 2.0, 3.0])


# -- captured by reference -------------------------------------------------------------------------


def test_a_global_array_is_an_input_whose_changes_are_seen() -> None:
    traced = trace_function(scaled, (X,), {})
    assert traced.input_names == ("x", "WEIGHT")
    assert traced.captures[0] is WEIGHT
    np.testing.assert_array_equal(call(traced, X), X * WEIGHT)
    WEIGHT[1] = 100
    np.testing.assert_array_equal(call(traced, X), X * WEIGHT)
    assert traced.is_current()


def test_an_array_of_a_closure() -> None:
    w = np.ones(3)
    traced = trace_function(lambda x: x + w, (X,), {})
    w *= 7
    np.testing.assert_array_equal(call(traced, X), X + 7)


def test_arrays_reached_through_other_functions_partials_defaults_and_decorators() -> None:
    inner = np.array([1.0, 0.0, 0.0])

    def helper(x: Any, *, add: Any = inner) -> Any:
        return scaled(x) + add

    @functools.wraps(helper)
    def wrapped(x: Any) -> Any:
        return helper(x)

    fn = functools.partial(lambda k, x: wrapped(x) + k, np.array([0.0, 1.0, 0.0]))
    traced = trace_function(fn, (X,), {})
    inner[0] = 50
    WEIGHT[0] = -1
    np.testing.assert_array_equal(call(traced, X), fn(X))
    assert len(traced.captures) == 3


def test_arrays_of_objects_and_containers() -> None:
    model = Model()
    traced = trace_function(model.forward, (X,), {})
    assert sorted(traced.input_names[1:]) == ["self.layers[0]", "self.shared", "self.w"]
    model.w[0], model.layers[0][1] = 9, 9
    np.testing.assert_allclose(call(traced, X), model.forward(X), rtol=1e-15)


def test_arrays_of_slots_modules_and_dicts() -> None:
    slotted = Slotted()
    module = types.ModuleType("settings")
    module.__dict__["offset"] = np.array([1.0, 2.0, 3.0])

    def f(x: Any) -> Any:
        return x + slotted.w + module.offset + TABLE["a"]

    traced = trace_function(f, (X,), {})
    assert len(traced.captures) == 3
    slotted.w[0] = 5
    module.offset[1] = 5
    np.testing.assert_array_equal(call(traced, X), f(X))


def test_an_update_in_place_is_written_back_at_each_call() -> None:
    counter = np.zeros(3)

    def f(x: Any) -> Any:
        counter[...] += x
        return counter * 2

    traced = trace_function(f, (X,), {})
    np.testing.assert_array_equal(counter, 0)
    np.testing.assert_array_equal(call(traced, X), 2 * X)
    np.testing.assert_array_equal(call(traced, X), 4 * X)
    np.testing.assert_array_equal(counter, 2 * X)


def test_in_place_operators_on_outside_names_leave_the_names_bound_to_the_array() -> None:
    model, table = Model(), {"w": np.ones(3)}
    w = np.ones(3)

    def f(x: Any) -> Any:
        nonlocal w
        global WEIGHT
        w += x
        WEIGHT *= x
        table["w"] -= x
        return model.train(x)

    arrays = w, WEIGHT, table["w"], model.w
    traced = trace_function(f, (X,), {})
    for before, now in zip(arrays, (w, WEIGHT, table["w"], model.w), strict=True):
        assert now is before
    result = call(traced, X)
    assert result is model.w
    np.testing.assert_array_equal(w, 1 + X)
    np.testing.assert_array_equal(table["w"], 1 - X)
    np.testing.assert_allclose(model.w, [0.9, 1.8, 2.7], rtol=1e-15)
    assert traced.is_current()


def test_a_view_of_an_outside_array_is_by_reference_too() -> None:
    traced = trace_function(lambda x: x[:2] * WEIGHT[1:], (X,), {})
    WEIGHT[2] = 50
    np.testing.assert_array_equal(call(traced, X), X[:2] * WEIGHT[1:])


def test_an_outside_array_is_returned_itself() -> None:
    traced = trace_function(lambda x: (WEIGHT, x), (X,), {})
    assert call(traced, X)[0] is WEIGHT


def test_binding_an_outside_name_to_a_new_array_is_refused_and_undone() -> None:
    model = Model()
    before = model.w

    def f(x: Any) -> Any:
        model.w = model.w - x
        return x

    with pytest.raises(TraceError, match=r"model\.w was bound to another object(?s:.*)\[\.\.\.\]"):
        trace_function(f, (X,), {})
    assert model.w is before


def test_an_outside_array_of_another_byte_order_is_refused_when_it_is_used() -> None:
    swapped = WEIGHT.astype(">f8")

    def shape_only(x: Any) -> Any:
        return x * swapped.shape[0]

    assert trace_function(shape_only, (X,), {}).captures == ()
    with pytest.raises(DTypeError, match=r"swapped is in this machine's byte order.*'>f8'"):
        trace_function(lambda x: x + swapped, (X,), {})


def test_a_callable_object_is_searched() -> None:
    class Affine:
        def __init__(self) -> None:
            self.w = np.ones(3)

        def __call__(self, x: Any) -> Any:
            return x * self.w + WEIGHT

    affine = Affine()
    traced = trace_function(affine, (X,), {})
    affine.w[0], WEIGHT[1] = 7, 7
    np.testing.assert_array_equal(call(traced, X), affine(X))


def test_updating_memory_captured_twice_is_refused() -> None:
    w = np.ones(4)
    half = w[:3]

    def f(x: Any) -> Any:
        half[...] = x
        return w * 2

    with pytest.raises(UnsupportedError, match=r"one name only; given: .* share memory"):
        trace_function(f, (X,), {})


def test_updating_a_read_only_array_is_refused() -> None:
    w = np.ones(3)
    w.flags.writeable = False

    def f(x: Any) -> Any:
        w[...] = x

    with pytest.raises((TraceError, ValueError), match=r"writable|read-only"):
        trace_function(f, (X,), {})


def test_an_outside_array_of_objects_is_refused() -> None:
    names = np.array(["a", "b", "c"], object)
    with pytest.raises(DTypeError, match="given: dtype object"):
        trace_function(lambda x: x + names, (X,), {})


# -- made while tracing ----------------------------------------------------------------------------


def test_an_array_made_by_the_function_is_a_constant_and_accumulates() -> None:
    def f(x: Any) -> Any:
        total = np.zeros(3)
        for k in range(3):
            total += x * k
        total[0] = x[2]
        return total

    traced = trace_function(f, (X,), {})
    assert traced.captures == ()
    np.testing.assert_array_equal(call(traced, X), f(X))


@pytest.mark.parametrize(
    "fill",
    [
        lambda out, x: np.add(x, 1, out=out),
        lambda out, x: np.sum(x, out=out[:1].reshape(())),
        lambda out, x: np.copyto(out, x),
        lambda out, x: np.add(out, x, out=out),
    ],
)
def test_filling_an_array_made_by_the_function_with_traced_values_is_refused(fill: Any) -> None:
    def f(x: Any) -> Any:
        out = np.empty(3)
        fill(out, x)
        return out

    with pytest.raises(TraceError, match=r"is a traced array(?s:.*)zeros_like"):
        trace_function(f, (X,), {})


def test_an_array_that_numpy_changes_between_two_uses_has_both_values() -> None:
    def f(x: Any) -> Any:
        k = np.ones(3)
        first = x * k
        k[0] = 10
        return first, x * k

    for result, want in zip(call(trace_function(f, (X,), {}), X), f(X), strict=True):
        np.testing.assert_array_equal(result, want)


def test_older_names_of_an_accumulator_are_followed_or_refused() -> None:
    def alias(x: Any) -> Any:
        k = np.ones(3)
        other = k
        k += x
        return other * 1, x + other

    def both(x: Any) -> Any:
        k = np.ones(3)
        other = k
        k += x
        other[0] = 10
        return x + other

    def view(x: Any) -> Any:
        k = np.ones(3)
        part = k[1:]
        k += x
        return x[1:] + part

    traced = trace_function(lambda x: alias(x)[1], (X,), {})
    np.testing.assert_array_equal(call(traced, X), alias(X)[1])
    with pytest.raises(UnsupportedError, match="not by both"):
        trace_function(both, (X,), {})
    with pytest.raises(UnsupportedError, match="a view of an array made while tracing"):
        trace_function(view, (X,), {})


# -- besides operations ----------------------------------------------------------------------------


def test_what_numpy_does_with_an_outside_array_alone_is_part_of_the_function() -> None:
    def f(x: Any) -> Any:
        return x * np.sum(WEIGHT) + (WEIGHT * 2)[0] + WEIGHT.mean()

    traced = trace_function(f, (X,), {})
    WEIGHT[0] = 77
    np.testing.assert_allclose(call(traced, X), f(X), rtol=1e-15)


def test_counting_in_an_outside_array_is_repeated_at_each_call() -> None:
    seen, log = np.zeros(1), np.zeros((2, 3))

    def f(x: Any) -> Any:
        seen[0] += 1
        log[1] = x
        np.multiply(x, 2, out=log[0])
        return x

    traced = trace_function(f, (X,), {})
    assert seen[0] == 0
    call(traced, X)
    call(traced, X)
    assert seen[0] == 2
    np.testing.assert_array_equal(log, [2 * X, X])


def test_asking_an_outside_array_for_its_shape_makes_it_no_input() -> None:
    def f(x: Any) -> Any:
        return x * WEIGHT.shape[0] + len(WEIGHT) + WEIGHT.ndim

    assert trace_function(f, (X,), {}).captures == ()


def test_arrays_in_tuples_partials_and_defaults_are_by_reference() -> None:
    pair = (np.ones(3), (np.ones(3), "text"))
    add = functools.partial(np.add, np.ones(3))

    def f(x: Any, *, k: Any = np.ones(3)) -> Any:  # noqa: B008
        return add(x) * pair[0].sum() + np.max(pair[1][0]) + np.min(k)

    traced = trace_function(f, (X,), {})
    assert pair[1][0] is search(f).arrays[id(pair[1][0])][0]
    pair[0][0], pair[1][0][1], add.args[0][2] = 5, 6, 7
    f.__kwdefaults__["k"][0] = -3
    np.testing.assert_array_equal(call(traced, X), f(X))


def test_names_are_bound_to_the_arrays_again_after_an_error() -> None:
    before = WEIGHT

    def f(x: Any) -> Any:
        raise KeyError(repr(WEIGHT))

    with pytest.raises(KeyError, match="traced array"):
        trace_function(f, (X,), {})
    assert WEIGHT is before


def test_a_number_that_the_function_counts_up_warns() -> None:
    steps = 0

    def f(x: Any) -> Any:
        nonlocal steps
        steps += 1
        return x * steps

    with pytest.warns(TraceWarning, match="steps was changed while tracing"):
        trace_function(f, (X,), {})


def test_a_number_bound_to_a_traced_value_is_refused_and_restored() -> None:
    total = 0.0

    def f(x: Any) -> Any:
        nonlocal total
        total += x.sum()
        return x

    with pytest.raises(TraceError, match="total was bound to a new traced value"):
        trace_function(f, (X,), {})
    assert total == 0.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda: np.random.rand(3),
        lambda: GENERATOR.normal(size=3),
    ],
    ids=["global", "generator"],
)
def test_random_numbers_drawn_while_tracing_warn(draw: Any) -> None:
    with pytest.warns(TraceWarning, match="constants of the compiled function") as caught:
        trace_function(lambda x: x + draw(), (X,), {})
    assert caught[0].filename == __file__
