"""Transformations in a graph: what they expand to, nested, and large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.differentiate.expand import expand
from tapeless.ir.errors import DifferentiationError
from tapeless.ir.graph import BACKWARD, FORWARD, Graph, GraphBuilder
from tapeless.ir.interpreter import interpret
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph
from tapeless.ir.types import FLOAT64, INT64, TensorType

from .jacobians import by_forward, by_reverse, graph_of, jvp_graph, numerical, run, vjp_graph

SCALAR = TensorType(FLOAT64)
VECTOR = TensorType(FLOAT64, (3,))
Emit = Callable[..., Any]


def _gradient(graph: Graph, wrt: tuple[int, ...] | None = None) -> Graph:
    """The gradient of a graph with one scalar output, as a graph of the same inputs."""
    builder = GraphBuilder("gradient")
    inputs = [builder.input(value.type) for value in graph.inputs]
    (one,) = builder.emit(OPS["constant"], (), {"value": np.array(1.0)})
    attrs = {"graph": graph, "wrt": wrt or tuple(range(len(inputs))), "seeded": (0,)}
    return builder.build(builder.emit(OPS["vjp"], [*inputs, one], attrs)[1:])


def _ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def _cube(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
    return [emit("mul", xs[0], emit("mul", xs[0], xs[0]))]


def test_the_gradient_of_a_dense_layer_reads_as_expected(golden: Callable[[str], Any]) -> None:
    graph = parse_graph(
        """
        graph loss(w: f64[4,2], b: f64[2], x: f64[3,4], y: f64[3,2]) {
          product: f64[3,2] = dot[batch=((), ()), contract=((1,), (0,))] x w
          bias: f64[3,2] = broadcast[shape=(3, 2), axes=(1,)] b
          z: f64[3,2] = add product bias
          h: f64[3,2] = tanh z
          r: f64[3,2] = sub h y
          s: f64[3,2] = mul r r
          total: f64[] = sum[axes=(0, 1)] s
          return total
        }
        """
    )
    assert print_graph(expand(_gradient(graph, (0, 1)))) == golden("dense_gradient.txt")


def test_derivatives_of_a_cube_are_right_to_fourth_order() -> None:
    graph = graph_of([SCALAR], _cube)
    got = []
    for _ in range(4):
        graph = _gradient(graph)
        got.append(float(run(graph, [np.array(2.0)])[0]))
    assert got == [12, 12, 6, 0]


@pytest.mark.parametrize("wrap", ["vjp", "jvp"])
def test_perturbations_are_not_confused(wrap: str) -> None:
    """d/dx (x · d/dy (x + y)) = 1 (Siskind and Pearlmutter 2005, section 2)."""
    inner = graph_of([SCALAR, SCALAR], lambda emit, xs: [emit("add", *xs)])
    builder = GraphBuilder("outer")
    x = builder.input(SCALAR)
    (one,) = builder.emit(OPS["constant"], (), {"value": np.array(1.0)})
    attrs: dict[str, Any] = {"graph": inner, "wrt": (1,)}
    if wrap == "vjp":
        attrs["seeded"] = (0,)
    slope = builder.emit(OPS[wrap], [x, one, one], attrs)[1]
    outer = builder.build(builder.emit(OPS["mul"], [x, slope]))
    assert run(_gradient(outer), [np.array(5.0)]) == (1.0,)
    assert run(jvp_graph(outer), [np.array(5.0), np.array(1.0)]) == (1.0,)


def test_the_same_array_passed_twice_has_partial_derivatives_of_its_own() -> None:
    product = graph_of([SCALAR, SCALAR], lambda emit, xs: [emit("mul", emit("exp", xs[0]), xs[1])])
    builder = GraphBuilder("f")
    x = builder.input(SCALAR)
    (one,) = builder.emit(OPS["constant"], (), {"value": np.array(1.0)})
    attrs = {"graph": product, "wrt": (1,), "seeded": (0,)}
    graph = builder.build(builder.emit(OPS["vjp"], [x, x, one], attrs)[1:])
    np.testing.assert_allclose(run(graph, [np.array(0.5)])[0], np.exp(0.5), rtol=1e-15)


def test_an_input_that_is_returned_gets_its_cotangent_and_tangent_back() -> None:
    graph = graph_of([SCALAR, SCALAR], lambda emit, xs: [xs[0], xs[0]])
    got = run(vjp_graph(graph), [np.array(v) for v in (1.0, 2.0, 3.0, 5.0)])
    assert got == (8.0, 0.0)
    assert run(jvp_graph(graph), [np.array(v) for v in (1.0, 2.0, 3.0, 5.0)]) == (3.0, 3.0)


def test_only_seeded_outputs_and_requested_inputs_are_differentiated() -> None:
    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        return [emit("mul", emit("sin", xs[0]), emit("tan", xs[1])), emit("exp", xs[0])]

    builder = GraphBuilder("f")
    x, y, seed = builder.input(SCALAR), builder.input(SCALAR), builder.input(SCALAR)
    attrs = {"graph": graph_of([SCALAR] * 2, build), "wrt": (0,), "seeded": (0,)}
    flat = expand(builder.build(builder.emit(OPS["vjp"], [x, y, seed], attrs)))
    backward = [node.op.name for node in flat.nodes if node.phase == BACKWARD]
    assert backward == ["mul", "cos", "mul"]


def test_zeros_appear_only_where_the_answer_is_zero() -> None:
    graph = graph_of([VECTOR, VECTOR], lambda emit, xs: [emit("mul", xs[0], xs[0])])
    flat = expand(vjp_graph(graph))
    assert _ops(flat).count("constant") == 1
    assert run(vjp_graph(graph), [np.ones(3)] * 3)[1].tolist() == [0, 0, 0]


def test_appended_nodes_are_backward_and_carry_the_line_that_they_differentiate() -> None:
    here, there = Location("model.py", 7), Location("model.py", 9)
    builder = GraphBuilder("f")
    x = builder.input(SCALAR)
    (s,) = builder.emit(OPS["sin"], [x], loc=here)
    graph = builder.build(builder.emit(OPS["exp"], [s], loc=there))
    flat = expand(_gradient(graph))
    forward = [n for n in flat.nodes if n.phase == FORWARD and n.op.name != "constant"]
    assert [(n.op.name, n.loc) for n in forward] == [("sin", here), ("exp", there)]
    backward = [(n.op.name, n.loc) for n in flat.nodes if n.phase == BACKWARD]
    assert backward == [("mul", there), ("cos", here), ("mul", here)]


def test_integers_pass_through_without_derivatives() -> None:
    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        x, i = xs
        picked = emit("gather", x, i, axes=(0,))
        rounded = emit("convert", picked, dtype=INT64)
        return [rounded, emit("mul", picked, emit("convert", rounded, dtype=FLOAT64))]

    graph = graph_of([VECTOR, TensorType(INT64)], build)
    x, i, one = np.array([1.5, 2.5, 3.5]), np.array(1), np.array(1.0)
    assert run(vjp_graph(graph), [x, i, one])[0].tolist() == [0, 2, 0]
    assert run(jvp_graph(graph), [x, i, np.array([0.0, 1.0, 0.0])]) == (2.0,)


def test_stop_gradient_blocks_both_modes_and_vanishes() -> None:
    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        return [emit("mul", xs[0], emit("stop_gradient", xs[0]))]

    graph = graph_of([SCALAR], build)
    assert run(_gradient(graph), [np.array(3.0)]) == (3.0,)
    assert run(jvp_graph(graph), [np.array(3.0), np.array(1.0)]) == (3.0,)
    assert run(_gradient(_gradient(graph)), [np.array(3.0)]) == (0.0,)
    assert "stop_gradient" not in _ops(expand(_gradient(graph)))


def _custom(loc: Location | None = None) -> Graph:
    """x y, with forward returning (x y, x, y) and a backward that doubles the cotangent of x."""
    primal = graph_of([SCALAR, SCALAR], lambda emit, xs: [emit("mul", *xs)])
    forward = graph_of([SCALAR] * 2, lambda emit, xs: [emit("mul", *xs), xs[0], xs[1]])

    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        x, y, g = xs
        plain = emit("mul", g, y)
        return [emit("add", plain, plain), emit("mul", g, x)]

    backward = graph_of([SCALAR] * 3, build)
    builder = GraphBuilder("custom")
    inputs = [builder.input(SCALAR), builder.input(SCALAR)]
    attrs = {"graph": primal, "forward": forward, "backward": backward}
    outputs = builder.emit(OPS["custom_vjp"], inputs, attrs, loc=loc)
    return builder.build(builder.emit(OPS["sin"], outputs))


def test_custom_vjp_uses_the_users_backward_in_reverse_mode() -> None:
    x, y = np.array(0.5), np.array(0.75)
    got = run(_gradient(_custom()), [x, y])
    np.testing.assert_allclose(got, [2 * y * np.cos(x * y), x * np.cos(x * y)], rtol=1e-15)


def test_custom_vjp_is_its_primal_graph_where_nothing_is_differentiated() -> None:
    flat = expand(_custom())
    assert _ops(flat) == ["mul", "sin"]
    constant_in_x = _gradient(graph_of([SCALAR], lambda emit, xs: [emit("sin", xs[0])]))
    assert "custom_vjp" not in _ops(expand(constant_in_x))


def test_the_users_backward_is_differentiated_in_turn() -> None:
    gradient = _gradient(_custom())
    point = [np.array(0.5), np.array(0.75)]
    expected = numerical(gradient, point)
    np.testing.assert_allclose(by_forward(gradient, point), expected, rtol=1e-8)
    np.testing.assert_allclose(by_reverse(gradient, point), expected, rtol=1e-8)


def test_forward_mode_through_custom_vjp_is_an_error_that_names_the_line() -> None:
    graph = _custom(Location("model.py", 12))
    with pytest.raises(DifferentiationError, match=r"model\.py:12.*custom_vjp"):
        expand(jvp_graph(graph))


def test_forward_mode_beside_custom_vjp_is_fine() -> None:
    primal = _custom()
    builder = GraphBuilder("f")
    x, y = builder.input(SCALAR), builder.input(SCALAR)
    (custom,) = builder.inline(primal, [x, x])
    graph = builder.build([custom, *builder.emit(OPS["exp"], [y])])
    outer = GraphBuilder("g")
    inputs = [outer.input(SCALAR) for _ in range(3)]
    results = outer.emit(OPS["jvp"], inputs, {"graph": graph, "wrt": (1,)})
    got = run(outer.build(results[2:]), [np.array(0.5), np.array(0.0), np.array(3.0)])
    assert got == (0.0, 3.0)


def test_a_vmapped_gradient_expands() -> None:
    gradient = _gradient(graph_of([SCALAR], _cube))
    builder = GraphBuilder("f")
    x = builder.input(VECTOR)
    attrs = {"graph": gradient, "size": 3, "batched": (True,)}
    graph = builder.build(builder.emit(OPS["vmap"], [x], attrs))
    assert run(graph, [np.array([1.0, 2.0, 3.0])])[0].tolist() == [3, 12, 27]


def test_a_gradient_through_vmap_adds_up_shared_operands() -> None:
    product = graph_of([SCALAR, SCALAR], lambda emit, xs: [emit("mul", *xs)])
    builder = GraphBuilder("f")
    x, w = builder.input(VECTOR), builder.input(SCALAR)
    attrs = {"graph": product, "size": 3, "batched": (True, False)}
    (mapped,) = builder.emit(OPS["vmap"], [x, w], attrs)
    graph = builder.build(builder.emit(OPS["sum"], [mapped], {"axes": (0,)}))
    dx, dw = run(_gradient(graph), [np.array([1.0, 2.0, 4.0]), np.array(3.0)])
    assert dx.tolist() == [3, 3, 3]
    assert dw == 7


def test_a_gradient_through_vmap_of_a_custom_vjp_uses_its_backward() -> None:
    builder = GraphBuilder("f")
    x, w = builder.input(VECTOR), builder.input(SCALAR)
    attrs = {"graph": _custom(), "size": 3, "batched": (True, False)}
    (mapped,) = builder.emit(OPS["vmap"], [x, w], attrs)
    graph = builder.build(builder.emit(OPS["sum"], [mapped], {"axes": (0,)}))
    point, shared = np.array([0.1, 0.2, 0.4]), np.array(0.3)
    dx, dw = run(_gradient(graph), [point, shared])
    slope = np.cos(point * shared)
    np.testing.assert_allclose(dx, 2 * shared * slope, rtol=1e-15)
    np.testing.assert_allclose(dw, np.sum(point * slope), rtol=1e-15)


def test_a_literal_is_recognized_after_conversion() -> None:
    """The tie of max(x, 0) goes to the 0 even if that was written as an integer."""

    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        zero = emit("convert", emit("constant", value=np.array(256)), dtype=np.dtype(np.int8))
        return [emit("max", xs[0], emit("convert", zero, dtype=FLOAT64))]

    assert run(_gradient(graph_of([SCALAR], build)), [np.array(0.0)]) == (0.0,)


def test_a_chain_of_twenty_thousand_nodes_is_differentiated_without_recursion() -> None:
    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        value = xs[0]
        for _ in range(10_000):
            value = emit("neg", emit("sin", value))
        return [value]

    flat = expand(_gradient(graph_of([SCALAR], build)))
    assert len(flat.nodes) > 40_000
    tangent = jvp_graph(graph_of([SCALAR], build))
    x = np.array(1.0)
    np.testing.assert_allclose(run(tangent, [x, np.array(1.0)]), interpret(flat, [x]), rtol=1e-12)


def test_a_fan_of_a_thousand_uses_sums_all_cotangents() -> None:
    def build(emit: Emit, xs: Sequence[Any]) -> Sequence[Any]:
        terms = [emit("exp", xs[0]) for _ in range(1000)]
        stacked = [emit("reshape", term, shape=(1,)) for term in terms]
        return [emit("sum", emit("concatenate", *stacked, axis=0), axes=(0,))]

    (gradient,) = run(_gradient(graph_of([SCALAR], build)), [np.array(0.0)])
    assert gradient == 1000


def test_expansion_gives_the_same_text_every_time() -> None:
    graph = _gradient(_gradient(graph_of([SCALAR], _cube)))
    assert print_graph(expand(graph)) == print_graph(expand(graph))
