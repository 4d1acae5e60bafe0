"""The table of docs/gradients.md: what derivatives are at ties, kinks and poles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tapeless.ir.graph import Graph
from tapeless.ir.types import TensorType

from .jacobians import Array, graph_of, jvp_graph, run, vjp_graph

INF, NAN = np.inf, np.nan
F64 = np.dtype(np.float64)


def _unary(op: str, count: int) -> Graph:
    return graph_of([TensorType(F64, (count,))], lambda emit, xs: [emit(op, *xs)])


def _binary(op: str, count: int) -> Graph:
    return graph_of([TensorType(F64, (count,))] * 2, lambda emit, xs: [emit(op, *xs)])


def _with_literal(op: str, count: int, literal: float, *, first: bool = False) -> Graph:
    def build(emit: Callable[..., Any], xs: Sequence[Any]) -> Sequence[Any]:
        number = emit("constant", value=np.array(literal))
        repeated = emit("broadcast", number, shape=(count,), axes=())
        return [emit(op, repeated, *xs) if first else emit(op, *xs, repeated)]

    return graph_of([TensorType(F64, (count,))], build)


def _gradients(graph: Graph, arrays: Sequence[Array]) -> list[list[float]]:
    """By reverse mode, checked against forward mode with a unit tangent per input."""
    count = arrays[0].size
    backward = run(vjp_graph(graph), [*arrays, np.ones(count)])
    for position, gradient in enumerate(backward):
        tangents = [np.zeros(count) for _ in arrays]
        tangents[position][:] = 1
        (forward,) = run(jvp_graph(graph), [*arrays, *tangents])
        np.testing.assert_array_equal(forward, gradient)
    return [list(gradient) for gradient in backward]


def _check(graph: Graph, arrays: Sequence[Sequence[float]], *expected: Sequence[float]) -> None:
    got = _gradients(graph, [np.array(x, F64) for x in arrays])
    np.testing.assert_array_equal(got, [list(map(float, row)) for row in expected])


@pytest.mark.parametrize(
    ("op", "at", "derivative"),
    [
        ("abs", [-2, -0.0, 0, 3], [-1, 0, 0, 1]),
        ("sign", [-2, 0, 3], [0, 0, 0]),
        ("floor", [-1, 0, 0.5, 2], [0, 0, 0, 0]),
        ("ceil", [-1, 0, 0.5, 2], [0, 0, 0, 0]),
        ("trunc", [-1, 0, 0.5, 2], [0, 0, 0, 0]),
        ("rint", [-0.5, 0, 0.5, 2.5], [0, 0, 0, 0]),
        ("sqrt", [0, 4], [INF, 0.25]),
        ("cbrt", [0, 8], [INF, 1 / 12]),
        ("log", [0, 2], [INF, 0.5]),
        ("log1p", [-1, 0], [INF, 1]),
        ("arcsin", [-1, 0, 1], [INF, 1, INF]),
        ("arccos", [-1, 0, 1], [-INF, -1, -INF]),
        ("arccosh", [1], [INF]),
        ("arctanh", [-1, 0, 1], [INF, 1, INF]),
        ("exp", [-INF, 0, 710], [0, 1, INF]),
        ("expm1", [-INF, 0], [0, 1]),
        ("tanh", [-INF, 0, 1000, INF], [0, 1, 0, 0]),
        ("logistic", [-INF, -1000, 0, 1000, INF], [0, 0, 0.25, 0, 0]),
        ("arctan", [-INF, 0, 1e300, INF], [0, 1, 0, 0]),
    ],
)
def test_derivatives_of_one_operand(
    op: str, at: Sequence[float], derivative: Sequence[float]
) -> None:
    _check(_unary(op, len(at)), [at], derivative)


@pytest.mark.parametrize(
    ("op", "first", "second"),
    [("max", [0, 0.5, 1], [1, 0.5, 0]), ("min", [1, 0.5, 0], [0, 0.5, 1])],
)
def test_a_tie_between_two_variables_is_split_evenly(
    op: str, first: Sequence[float], second: Sequence[float]
) -> None:
    _check(_binary(op, 3), [[1, 2, 3], [2, 2, 2]], first, second)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(("op", "derivative"), [("max", [0, 0, 0, 1]), ("min", [1, 0, 0, 0])])
def test_a_tie_with_a_literal_goes_to_the_literal(
    op: str, derivative: Sequence[float], first: bool
) -> None:
    _check(_with_literal(op, 4, 0.0, first=first), [[-1, 0, -0.0, 1]], derivative)


@pytest.mark.parametrize("op", ["max", "min"])
def test_the_larger_or_smaller_of_a_variable_and_itself_has_derivative_one(op: str) -> None:
    graph = graph_of([TensorType(F64, (3,))], lambda emit, xs: [emit(op, xs[0], xs[0])])
    _check(graph, [[-1, 0, 1]], [1, 1, 1])


@pytest.mark.parametrize(
    ("op", "values"), [("reduce_max", [3, 1, 3, 3]), ("reduce_min", [1, 2, 1, 1])]
)
def test_the_largest_and_smallest_split_evenly_among_ties(op: str, values: list[float]) -> None:
    graph = graph_of([TensorType(F64, (4,))], lambda emit, xs: [emit(op, *xs, axes=(0,))])
    (gradient,) = run(vjp_graph(graph), [np.array(values, F64), np.array(1.0)])
    np.testing.assert_array_equal(gradient, [1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2, 0, 5], [0, 10, 0]),
        ([0, 3, 0], [0, 0, 0]),
        ([0, 3, 4, 5, 6], [360, 0, 0, 0, 0]),
        ([7], [1]),
        ([0], [1]),
    ],
)
def test_a_product_has_the_right_gradient_with_any_number_of_zeros(
    values: list[float], expected: list[float]
) -> None:
    graph = graph_of(
        [TensorType(F64, (len(values),))], lambda emit, xs: [emit("prod", *xs, axes=(0,))]
    )
    (gradient,) = run(vjp_graph(graph), [np.array(values, F64), np.array(1.0)])
    np.testing.assert_array_equal(gradient, expected)


def test_a_product_with_two_zeros_has_the_right_second_derivative() -> None:
    graph = graph_of([TensorType(F64, (3,))], lambda emit, xs: [emit("prod", *xs, axes=(0,))])
    second = jvp_graph(vjp_graph(graph))
    x, g = np.array([0.0, 0.0, 5.0]), np.array(1.0)
    hessian = [run(second, [x, g, unit, np.array(0.0)])[0] for unit in np.eye(3)]
    np.testing.assert_array_equal(hessian, [[0, 5, 0], [5, 0, 0], [0, 0, 0]])


def test_powers_of_variables_at_zero() -> None:
    x, y = [0, 0, 0, 0, 2], [0, 1, 2, 3, 3]
    _check(_binary("pow", 5), [x, y], [0, 1, 0, 0, 12], [0, 0, 0, 0, 8 * np.log(2)])


@pytest.mark.parametrize(
    ("exponent", "derivative"),
    [(0.0, [0, 0, 0]), (1.0, [1, 1, 1]), (2.0, [0, -2, 4]), (3.0, [0, 3, 12])],
)
def test_powers_with_a_literal_exponent_at_zero_and_below(
    exponent: float, derivative: Sequence[float]
) -> None:
    _check(_with_literal("pow", 3, exponent), [[0, -1, 2]], derivative)


@pytest.mark.parametrize(
    ("base", "derivative"),
    [(2.0, [0.25 * np.log(2), np.log(2), 4 * np.log(2)]), (1.0, [0, 0, 0]), (0.0, [-INF, 0, 0])],
)
def test_powers_of_a_literal_base(base: float, derivative: Sequence[float]) -> None:
    _check(_with_literal("pow", 3, base, first=True), [[-2, 0, 2]], derivative)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("op", ["max", "min", "pow"])
def test_rules_beside_a_literal_keep_float32(op: str, first: bool) -> None:
    def build(emit: Callable[..., Any], xs: Sequence[Any]) -> Sequence[Any]:
        number = emit("constant", value=np.float32(3))
        return [emit(op, number, *xs) if first else emit(op, *xs, number)]

    graph = graph_of([TensorType(np.dtype(np.float32))], build)
    (gradient,) = run(vjp_graph(graph), [np.array(2, np.float32), np.array(1, np.float32)])
    assert gradient.dtype == np.float32


def test_derivatives_of_a_square_at_zero_are_right_to_third_order() -> None:
    graph = _with_literal("pow", 1, 2.0)
    one, zero = np.ones(1), np.zeros(1)
    second = jvp_graph(jvp_graph(graph))
    assert run(second, [zero, one, one, zero])[0] == 2
    third = jvp_graph(second)
    assert run(third, [zero, one, one, zero, one, zero, zero, zero])[0] == 0


def test_the_untaken_branch_of_a_select_does_not_leak_its_infinite_derivative() -> None:
    def build(emit: Callable[..., Any], xs: Sequence[Any]) -> Sequence[Any]:
        (x,) = xs
        zero = emit("broadcast", emit("constant", value=np.array(0.0)), shape=(2,), axes=())
        one = emit("broadcast", emit("constant", value=np.array(1.0)), shape=(2,), axes=())
        positive = emit("gt", x, zero)
        safe = emit("select", positive, x, one)
        return [emit("select", positive, emit("sqrt", safe), zero)]

    graph = graph_of([TensorType(F64, (2,))], build)
    _check(graph, [[0, 4]], [0, 0.25])


def test_remainder_follows_the_quotient_and_floor_division_is_flat() -> None:
    x, y = [7, -7, 7.5, 6], [2, 2, -2, 3]
    _check(_binary("remainder", 4), [x, y], [1, 1, 1, 1], [-3, 4, 4, -2])
    _check(_binary("floor_divide", 4), [x, y], [0] * 4, [0] * 4)


def test_the_last_of_two_writes_to_one_place_gets_the_cotangent() -> None:
    types = [TensorType(F64, (3,)), TensorType(F64, (3,)), TensorType(np.dtype(np.int64), (3,))]
    graph = graph_of(types, lambda emit, xs: [emit("scatter", *xs, axes=(0,))])
    arrays = [np.zeros(3), np.ones(3), np.array([1, -2, 0]), np.array([2.0, 3.0, 5.0])]
    array, updates = run(vjp_graph(graph), arrays)
    np.testing.assert_array_equal(array, [0, 0, 5])
    np.testing.assert_array_equal(updates, [0, 3, 2])


def test_the_angle_has_no_derivative_at_the_origin() -> None:
    _check(_binary("arctan2", 1), [[0], [0]], [NAN], [NAN])


def test_equal_maxima_of_windows_share_and_windows_that_overlap_add_up() -> None:
    def build(emit: Callable[..., Any], xs: Sequence[Any]) -> Sequence[Any]:
        attrs = {"axes": (0,), "sizes": (2,), "strides": (1,), "dilations": (1,)}
        return [emit("reduce_max", emit("windows", *xs, **attrs), axes=(1,))]

    graph = graph_of([TensorType(F64, (4,))], build)
    (gradient,) = run(vjp_graph(graph), [np.array([1.0, 1, 0, 0]), np.array([1.0, 1, 1])])
    assert gradient.tolist() == [0.5, 1.5, 0.5, 0.5]


def test_a_nan_that_wins_gets_no_derivative() -> None:
    _check(_binary("max", 2), [[NAN, 1], [1, NAN]], [0, 0], [0, 0])
    graph = graph_of([TensorType(F64, (2,))], lambda emit, xs: [emit("reduce_max", *xs, axes=(0,))])
    (gradient,) = run(vjp_graph(graph), [np.array([NAN, 1]), np.array(1.0)])
    assert gradient.tolist() == [0, 0]


def test_a_negative_base_has_no_derivative_in_the_exponent() -> None:
    base, exponent = run(vjp_graph(_binary("pow", 1)), [np.full(1, v) for v in (-2.0, 2.0, 1.0)])
    np.testing.assert_array_equal([base, exponent], [[-4], [NAN]])


def test_cotangents_of_repeated_reads_add_up() -> None:
    types = [TensorType(F64, (3,)), TensorType(np.dtype(np.int64), (4,))]
    graph = graph_of(types, lambda emit, xs: [emit("gather", *xs, axes=(0,))])
    arrays = [np.zeros(3), np.array([1, -2, 0, 1]), np.array([2.0, 3.0, 5.0, 7.0])]
    assert run(vjp_graph(graph), arrays)[0].tolist() == [5, 12, 0]
