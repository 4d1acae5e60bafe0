"""Traced arrays behave as the NumPy arrays they stand for."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.results import Fixed
from tapeless.ir.errors import TraceError, UnsupportedError

from .running import check

X = np.array([[1.5, -2.0, 3.0], [0.25, 5.0, -6.0]])
Y = np.array([[2.0, 3.0, -1.0], [4.0, 0.5, 2.0]])
I = np.array([[7, -3, 2], [1, 5, -8]])  # noqa: E741


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
        operator.le,
        operator.gt,
        operator.ge,
        operator.eq,
        operator.ne,
        divmod,
    ],
    ids=lambda op: op.__name__,
)
@pytest.mark.parametrize("other", [Y, I, 2, 2.5, np.float32(1.5), True], ids=repr)
def test_operators_and_their_reflections(op: Any, other: Any) -> None:
    check(lambda x, y: (op(x, y), op(y, x)), X, other)
    check(lambda x: (op(x, other), op(other, x)), X)


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor])
def test_bit_operators(op: Any) -> None:
    check(lambda x, y: (op(x, y), op(y, 3), op(5, x), op(x > 1, y > 1)), I, I.T.copy().T)


def test_shifts_powers_and_unary_operators() -> None:
    check(lambda i: (i << 2, i >> 1, 2 << abs(i), ~i, -i, +i, abs(i), i**2, i**3), I)
    check(lambda x: (-x, +x, abs(x), x**2, x**3, x**0.5, 2**x, x**-1), abs(X))


def test_matmul_both_ways() -> None:
    constant = np.ones((3, 2))
    check(lambda x: (x @ constant, constant @ x), X)


@pytest.mark.parametrize("value", [Y, 2.0, 3, Y[0]], ids=["array", "float", "int", "row"])
@pytest.mark.parametrize(
    "op",
    [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.imod, operator.ipow],
    ids=lambda op: op.__name__,
)
def test_in_place_operators_change_the_argument_and_keep_its_identity(op: Any, value: Any) -> None:
    def f(x: Any, v: Any) -> Any:
        y = op(x, v)
        return y is x, x

    traced = check(f, abs(X), value)
    assert list(traced.updates.values()) == [0]


def test_in_place_keeps_the_element_type_of_the_target() -> None:
    def f(x: Any, y: Any) -> Any:
        x += y
        return x

    check(f, X.astype(np.float32), Y)
    check(f, X, I)


def test_in_place_refuses_casts_that_numpy_refuses() -> None:
    def f(x: Any, y: Any) -> Any:
        x += y
        return x

    with pytest.raises(TypeError, match="same_kind"):
        trace_function(f, (I, Y), {})


def test_in_place_on_numbers_binds_the_name_anew() -> None:
    def f(a: Any, s: Any) -> Any:
        before, old = a, s
        a += 1
        s += 1
        return before, a, old, s

    check(f, 2.5, np.float64(1.5))
    check(f, 2, np.int32(4))


def test_static_properties() -> None:
    def f(x: Any) -> Any:
        assert x.shape == (2, 3)
        assert (x.ndim, x.size, x.nbytes, x.itemsize, len(x)) == (2, 6, 48, 8, 2)
        assert x.dtype == np.float64
        assert x.T.shape == (3, 2)
        return x.T, x.real

    check(f, X)


def test_iteration_goes_over_the_first_axis() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for row in x:
            first, *_ = row
            total = total + first
        return total, list(x), [s * 2 for s in x[0]]

    check(f, X)


def test_arrays_on_the_left_hand_side_of_operators_defer_to_traced_ones() -> None:
    constant = X.copy()

    def f(x: Any) -> Any:
        return constant + x, np.float64(2) * x, np.float32(2) - x, constant[0, 0] / x

    check(f, Y)


class _Defers:
    __array_ufunc__ = None

    def __radd__(self, other: Any) -> str:
        return "handled"


def test_operands_that_opt_out_of_numpy_get_their_turn() -> None:
    traced = trace_function(lambda x: x + _Defers(), (X,), {})
    assert traced.results == (Fixed("handled"),)


@pytest.mark.parametrize(
    ("ask", "words", "hint"),
    [
        (lambda x: 1 if x > 0 else 2, "`if`", r"np\.where"),
        (lambda x: float(x), r"float\(\)", r"astype"),
        (lambda x: int(x), r"int\(\)", "static"),
        (lambda x: complex(x), r"complex\(\)", "not supported"),
        (lambda x: range(x), "range", "static"),
        (lambda x: [1, 2][x], "index", "static"),
        (lambda x: x.item(), r"item\(\)", "as it is"),
        (lambda x: x.tolist(), r"tolist\(\)", "return it"),
        (lambda x: x.tobytes(), r"tobytes\(\)", "return"),
        (lambda x: np.asarray(x), r"np\.asarray", r"np\.stack"),
        (lambda x: np.array([x, x]), r"np\.asarray", r"np\.stack"),
        (lambda x: math.sqrt(x), r"float\(\)", "as it is"),
        (lambda x: 3.0 in x, "`in`", r"np\.any"),
        (lambda x: f"{x:.3f}", "format", "print the result"),
    ],
)
def test_values_asked_for_while_tracing_are_refused_with_a_hint(
    ask: Any, words: str, hint: str
) -> None:
    with pytest.raises(TraceError, match=rf"(?s)test_array\.py:\d+: .*{words}.*hint: .*{hint}"):
        trace_function(ask, (np.float64(1.0),), {})


@pytest.mark.parametrize("name", ["flags", "strides", "data", "ctypes", "flat"])
def test_attributes_about_memory_are_refused_with_a_hint(name: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"traced arrays have no \.{name}(?s:.*)hint"):
        trace_function(lambda x: getattr(x, name), (X,), {})


def test_shapes_are_not_assigned_and_arrays_not_pickled_or_rounded_by_python() -> None:
    def assign(x: Any) -> None:
        x.shape = (3, 2)

    with pytest.raises(UnsupportedError, match=r"reshape"):
        trace_function(assign, (X,), {})
    with pytest.raises(TraceError, match=r"pickling"):
        trace_function(pickle.dumps, (X,), {})
    with pytest.raises(TraceError, match=r"round\(\) needs a value(?s:.*)np\.round"):
        trace_function(round, (1.5,), {})


def test_python_copies_are_copies() -> None:
    def f(p: Any) -> Any:
        deep, shallow = copy.deepcopy(p), copy.copy(p["w"])
        p["w"] += 1
        deep["w"] *= 2
        return deep, shallow

    check(f, {"w": X, "n": 3})


def test_the_error_names_the_argument_that_was_asked() -> None:
    with pytest.raises(TraceError, match=r"given: the argument params\['w'\] of type f64\[\]"):
        trace_function(lambda params: bool(params["w"]), ({"w": np.float64(1)},), {})


def test_filling_a_numpy_buffer_is_refused_with_a_hint() -> None:
    def f(x: Any) -> Any:
        out = np.zeros(3)
        out[0] = x[0]
        return out

    with pytest.raises(TraceError, match="zeros_like"):
        trace_function(f, (X[0].copy(),), {})


def test_traced_arrays_are_not_hashable_and_print_no_values() -> None:
    def f(x: Any) -> Any:
        with pytest.raises(TypeError, match="unhashable"):
            hash(x)
        assert repr(x) == "<traced array f64[2,3]: the argument x>"
        assert repr(x[0, 0] + 1) == "<traced scalar f64[]: the result of add>"
        return x

    trace_function(f, (X,), {})


def test_length_and_iteration_need_an_axis() -> None:
    with pytest.raises(TraceError, match=r"len\(\) needs at least one axis"):
        trace_function(lambda x: len(x), (1.0,), {})
    with pytest.raises(TraceError, match="iteration needs at least one axis"):
        trace_function(lambda x: list(x), (1.0,), {})


# -- views -----------------------------------------------------------------------------------------


def test_updates_through_a_view_are_seen_by_base_and_other_views() -> None:
    def f(x: Any) -> Any:
        row, column, flipped = x[0], x[:, 1], x[::-1]
        row += 10
        column *= 2
        flipped[1, 2] = -1
        return x, row, column, flipped, x.T

    check(f, X)


def test_views_of_views_write_through_to_the_argument() -> None:
    def f(x: Any) -> Any:
        inner = x[1:].T[1:]
        inner[...] = 7
        inner[0] += 1
        return inner.sum()

    check(f, X)


def test_a_view_taken_before_an_update_of_the_base_shows_it() -> None:
    def f(x: Any) -> Any:
        view = x[0]
        before = view + 0
        x *= 3
        return before, view

    check(f, X)


def test_scalars_and_copies_do_not_follow_the_base() -> None:
    def f(x: Any) -> Any:
        scalar, copied = x[0, 0], x.copy()
        x += 1
        return scalar, copied

    check(f, X)


def test_views_of_new_arrays_follow_them_too() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        view = y[0]
        y += 1
        view -= 5
        return view, y

    check(f, X)


def test_a_reshape_that_splits_axes_is_a_view_whatever_the_layout() -> None:
    def f(x: Any) -> Any:
        y = x.reshape(2, 3, 1)
        y += 1
        return y

    check(f, np.asfortranarray(X))
    check(f, X)


def test_a_reshape_of_a_contiguous_argument_is_a_view() -> None:
    def f(x: Any) -> Any:
        flat = x.reshape(-1)
        flat[2] = 100
        x += 1
        return flat

    check(f, X)


def test_a_reshape_of_an_unknown_layout_may_be_read() -> None:
    def f(x: Any) -> Any:
        flat = x.reshape(-1)
        return flat * 2, flat

    check(f, np.asfortranarray(X))


def test_updating_a_reshape_of_an_unknown_layout_is_refused() -> None:
    def through(x: Any) -> Any:
        flat = x.reshape(-1)
        flat += 1

    def beneath(x: Any) -> Any:
        flat = x.reshape(-1)
        x += 1
        return flat

    for f in (through, beneath):
        with pytest.raises(UnsupportedError, match=r"view or a copy.*(?s:.)*\.copy\(\)"):
            trace_function(f, (np.asfortranarray(X),), {})


def test_updating_the_base_after_the_last_use_of_such_a_reshape_is_fine() -> None:
    def f(x: Any) -> Any:
        total = x.reshape(-1).sum()
        x += total
        return total

    check(f, np.asfortranarray(X))


def test_a_read_only_view_refuses_updates() -> None:
    def f(x: Any) -> Any:
        y = np.broadcast_to(x, (4, 2, 3))
        y += 1

    with pytest.raises(TraceError, match=r"writable; given: a read-only view"):
        trace_function(f, (X,), {})


def test_an_array_kept_from_another_trace_is_refused() -> None:
    kept: list[Any] = []
    trace_function(lambda x: kept.append(x), (X,), {})
    with pytest.raises(TraceError, match="lives only while the function that made it is traced"):
        trace_function(lambda x: x + kept[0], (X,), {})
    with pytest.raises(TraceError, match="lives only while"):
        kept[0] + 1
