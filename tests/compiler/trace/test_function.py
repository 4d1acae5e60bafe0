"""Traced functions do what the plain functions do, to results and arguments."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeless.compiler.trace.arguments import ArgumentSpec
from tapeless.compiler.trace.array import Kind
from tapeless.compiler.trace.function import alias_groups, trace_function
from tapeless.compiler.trace.results import Computed, Input, ViewOf
from tapeless.ir.errors import ArgumentError, DTypeError, TraceError

from .running import call, check

X = np.array([[1.5, -2.0, 3.0], [0.25, 5.0, -6.0]])
B = np.array([1.0, 2.0, 3.0])


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


class State(NamedTuple):
    mean: Any
    count: Any


def params() -> dict[str, Any]:
    return {"w": X.copy(), "b": B.copy()}


# -- arguments -------------------------------------------------------------------------------------


def test_inputs_are_the_argument_leaves_in_flatten_order_with_readable_names() -> None:
    traced = check(
        lambda p, x, *, scale: p["w"] * x + p["b"] * scale[0],
        params(),
        X,
        scale=[2.0],
    )
    assert traced.input_names == ("p['w']", "p['b']", "x", "scale[0]")
    assert [str(value.type) for value in traced.graph.inputs] == [
        "f64[2,3]", "f64[3]", "f64[2,3]", "f64[]",
    ]  # fmt: skip
    assert [spec.kind for spec in traced.arguments] == [Kind.ARRAY] * 3 + [Kind.FLOAT]


def test_specs_stand_for_arrays() -> None:
    spec = ArgumentSpec(np.dtype(np.float32), (4, 3))
    traced = trace_function(
        lambda x, n: x * n, (spec, ArgumentSpec(np.dtype(int), (), Kind.INT)), {}
    )
    result = call(traced, np.ones((4, 3), np.float32), 3)
    np.testing.assert_array_equal(result, np.full((4, 3), 3, np.float32))


def test_star_arguments_and_defaults_get_names() -> None:
    def f(first: Any, *rest: Any, scale: float = 2.0, **more: Any) -> Any:
        return first * rest[1] * scale + more["shift"]

    traced = check(f, X, B, B, shift=1.0)
    assert traced.input_names == ("first", "argument 1", "argument 2", "shift")


def test_the_same_array_twice_is_one_array() -> None:
    def f(a: Any, b: Any) -> Any:
        a += 1
        b *= 2
        return a - b

    x = X.copy()
    check(lambda pair: f(*pair), (x, x))
    traced = trace_function(f, (x, x), {})
    assert traced.aliases == (0, 0)
    assert traced.updates == {1: 0}
    distinct = check(f, X.copy(), X.copy())
    assert distinct.aliases == (0, 1)
    specs = (ArgumentSpec(x.dtype, x.shape),) * 2
    assert trace_function(f, specs, {}, aliases=alias_groups((x, x))).graph == traced.graph


@pytest.mark.parametrize(
    ("leaf", "error", "words"),
    [
        (
            "relu",
            ArgumentError,
            r"argument p\['w'\] is an array.*given: str 'relu'.*static=\['p'\]",
        ),
        (print, ArgumentError, r"argument p\['w'\] is an array.*builtin_function_or_method"),
        (1j, ArgumentError, r"argument p\['w'\] is real; given: 1j"),
        (np.ma.array([1.0]), ArgumentError, r"plain numpy.ndarray; given: a MaskedArray"),
        (np.array(["a"]), DTypeError, r"elements of p\['w'\] .* given: dtype <U1"),
        (np.array([None]), DTypeError, "dtype object"),
        (np.array([1j]), DTypeError, "dtype complex128"),
        (np.float16(1), DTypeError, "dtype float16"),
        (np.array([1], "datetime64[s]"), DTypeError, "datetime64"),
        (np.zeros(1, [("x", float)]), DTypeError, r"\('x', '<f8'\)"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_cannot_be_an_argument_is_named(leaf: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        trace_function(lambda p: p, ({"w": leaf},), {})


def test_big_endian_arrays_are_arguments_of_the_native_type() -> None:
    traced = trace_function(lambda x: x, (B.astype(">f8"),), {})
    assert traced.arguments[0].dtype == np.dtype("=f8")


# -- results ---------------------------------------------------------------------------------------


def test_results_have_the_structure_and_types_of_the_plain_call() -> None:
    def f(x: Any, n: Any) -> Any:
        return {"sum": np.sum(x), "pair": (x * 2, [n, None]), "state": State(x[0], n + 1)}

    check(f, X, 3)
    check(f, X.astype(np.float32), 2.5)


def test_an_argument_returned_is_the_argument_itself() -> None:
    x = X.copy()
    traced = trace_function(lambda x: (x, x[1:], x.T), (x,), {})
    same, view, transposed = call(traced, x)
    assert same is x
    assert np.shares_memory(view, x)
    assert transposed.base is x
    view[...] = 7
    assert x[1, 0] == 7


def test_a_view_of_an_updated_argument_is_a_view_of_the_callers_array() -> None:
    def f(x: Any) -> Any:
        row = x[0]
        x += 1
        return row

    x = X.copy()
    view = call(trace_function(f, (x,), {}), x)
    np.testing.assert_array_equal(view, X[0] + 1)
    assert np.shares_memory(view, x)


def test_the_same_new_array_twice_is_the_same_object_twice() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return y, {"again": y}, y[0], y.T

    traced = check(f, X)
    first, again, row, transposed = call(traced, X)
    assert first is again["again"]
    assert row.base is first
    assert transposed.base is first
    assert len(traced.graph.outputs) == 1


def test_copies_are_separate_objects() -> None:
    traced = check(lambda x: (x * 2, x * 2, x.copy()), X)
    assert [type(result) for result in traced.results] == [Computed] * 3


def test_a_row_at_a_runtime_index_is_computed() -> None:
    traced = check(lambda x, i: x[i], X, 1)
    assert traced.results == (Computed(0, Kind.ARRAY),)


def test_a_reshape_of_an_argument_is_a_view_where_numpy_makes_one() -> None:
    traced = trace_function(lambda x: x.reshape(-1), (np.asfortranarray(X),), {})
    assert isinstance(traced.results[0], ViewOf)
    contiguous, fortran = X.copy(), np.asfortranarray(X)
    assert np.shares_memory(call(traced, contiguous), contiguous)
    assert not np.shares_memory(call(traced, fortran), fortran)
    np.testing.assert_array_equal(call(traced, fortran), X.ravel())


def test_numpy_arrays_made_by_the_function_are_results_of_their_own_at_each_call() -> None:
    traced = trace_function(lambda x: (np.arange(3.0), x + 1), (X,), {})
    first, second = call(traced, X)[0], call(traced, X)[0]
    np.testing.assert_array_equal(first, np.arange(3.0))
    assert first is not second


def test_what_cannot_be_returned_is_refused_by_path() -> None:
    with pytest.raises(TraceError, match=r"the result\['model'\]\[1\] is made of arrays"):
        trace_function(lambda x: {"model": [x, object()]}, (X,), {})


def test_nothing_returned() -> None:
    check(lambda x: None, X)


# -- updates of arguments --------------------------------------------------------------------------


def test_updates_of_arguments_reach_the_caller() -> None:
    def step(p: Any, x: Any, rate: Any) -> Any:
        h = np.maximum(x * p["w"] + p["b"], 0)
        for name in p:
            p[name] -= rate * h.sum()
        return h.sum()

    traced = check(step, params(), X, 0.1)
    assert sorted(traced.updates.values()) == [0, 1]
    assert traced.writes == ()


def test_every_way_of_updating_in_place() -> None:
    def f(x: Any, y: Any) -> Any:
        x[0, 1] = 5
        x[1] = y[0]
        x[:, 2] += 1
        np.exp(y, out=y)
        np.add(y, 1, y)
        y.T[1] = 0
        x[x > 4] = 3

    check(f, X, X * 0.1)


def test_an_update_that_is_undone_by_rebinding_still_counts() -> None:
    def f(x: Any) -> Any:
        y = x
        y += 1
        y = y * 2
        return y

    check(f, X)


def test_an_array_only_read_is_no_update() -> None:
    assert check(lambda x: (x + 1, x.T), X).updates == {}


def test_swapping_the_contents_of_two_arguments() -> None:
    def f(x: Any, y: Any) -> Any:
        kept = x.copy()
        x[...] = y
        y[...] = kept

    check(f, X, X * 3)


# -- containers of the caller ----------------------------------------------------------------------


def test_entries_bound_anew_are_bound_in_the_callers_containers() -> None:
    def f(p: Any, items: Any, layer: Any) -> Any:
        p["w"] = p["w"] - 0.5
        items[1] = items[0]
        items[0] = p["w"]
        layer.b = layer.w * 2
        p["n"] = 7
        return p["w"]

    traced = check(f, {**params(), "n": 3}, [X, B], Layer(X, B))
    assert len(traced.writes) == 5


def test_entries_bound_to_other_arguments_are_these_objects() -> None:
    def f(items: Any) -> Any:
        items[0], items[1] = items[1], items[0]

    a, b = X.copy(), X * 2
    pair = [a, b]
    call(trace_function(f, (pair,), {}), pair)
    assert pair[0] is b
    assert pair[1] is a


def test_numbers_in_containers_stay_python_numbers() -> None:
    def f(state: Any) -> Any:
        state["t"] = state["t"] + 1
        return state["t"]

    state = {"t": 3}
    assert call(trace_function(f, (state,), {}), state) == 4
    assert state == {"t": 4}
    assert type(state["t"]) is int


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, q: p.update(new=1.0), r"structure of the argument p .*added or removed"),
        (lambda p, q: p.pop("w"), "added or removed"),
        (lambda p, q: q[0].append(2.0), r"argument q\[0\] .*added or removed"),
        (lambda p, q: q.__setitem__(0, [1.0]), r"argument q\[0\] .*replaced by another"),
        (lambda p, q: q.__setitem__(0, 1.0), r"argument q\[0\] .*replaced by another"),
        (lambda p, q: p.__setitem__("w", [1.0]), r"argument p\['w'\] .*replaced by another"),
    ],
)
def test_changes_of_structure_are_refused(change: Any, words: str) -> None:
    with pytest.raises(TraceError, match=f"{words}(?s:.*)hint"):
        trace_function(lambda p, q: change(p, q), (params(), [[X]]), {})


def test_a_container_written_with_the_same_object_is_left_alone() -> None:
    def f(p: Any) -> Any:
        p["w"] = p["w"]
        p["b"] += 1

    assert check(f, params()).writes == ()


# -- errors and state ------------------------------------------------------------------------------


def test_errors_of_the_function_pass_through_and_leave_no_trace_behind() -> None:
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        trace_function(f, (X,), {})
    check(lambda x: x + 1, X)


def test_value_errors_of_the_function_keep_their_cause() -> None:
    def f(x: Any) -> Any:
        raise ValueError("outer") from KeyError("inner")

    with pytest.raises(ValueError, match="outer"):
        trace_function(f, (X,), {})


def test_nodes_know_the_users_line() -> None:
    traced = trace_function(lambda x: np.exp(x) + 1, (X,), {})
    files = {(node.loc.file, node.loc.function) for node in traced.graph.nodes if node.loc}
    assert files == {(__file__, "<lambda>")}
    assert all(node.loc for node in traced.graph.nodes)


def test_tracing_is_deterministic() -> None:
    def f(p: Any, x: Any) -> Any:
        p["w"] += x
        return p["w"] @ p["b"], x.T

    assert trace_function(f, (params(), X), {}).graph == trace_function(f, (params(), X), {}).graph


def test_traces_nest_without_mixing() -> None:
    def outer(x: Any) -> Any:
        inner = trace_function(lambda y: y * 2, (np.ones(2),), {})
        assert call(inner, np.ones(2)).tolist() == [2, 2]
        return x + 1

    trace_function(outer, (X,), {})


def test_an_input_result_is_the_object_passed() -> None:
    assert trace_function(lambda x: x, (X,), {}).results == (Input(0),)
