"""The verifier finds every way in which a graph can be wrong, and shows where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tapeless.ir.errors import GraphError
from tapeless.ir.graph import Graph, Node, Value
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import FLOAT32, FLOAT64, TensorType
from tapeless.ir.verifier import verify

from .graphs import NESTED, STEP, chain

V = TensorType(FLOAT64, (3,))
LINE = Location("/home/me/model.py", 7)


def node(
    op: str, inputs: tuple[Value, ...], *types: TensorType, attrs: Mapping[str, Any] | None = None
) -> Node:
    return Node(OPS[op], inputs, tuple(Value(type) for type in types), attrs or {}, LINE)


def graph_of(x: Value, *nodes: Node) -> Graph:
    return Graph("bad", (x,), nodes, nodes[-1].outputs)


@pytest.fixture
def x() -> Value:
    return Value(V, "x")


@pytest.mark.parametrize("text", [STEP, NESTED])
def test_well_formed_graphs_pass(text: str) -> None:
    verify(parse_graph(text))


def test_long_graphs_pass() -> None:
    verify(chain(20_000))


def test_wrong_recorded_type_is_found_and_shown(x: Value) -> None:
    wrong = node("neg", (x,), TensorType(FLOAT32, (3,)))
    with pytest.raises(GraphError) as caught:
        verify(graph_of(x, node("neg", (x,), V), wrong))
    assert str(caught.value) == (
        "model.py:7: graph bad: the type rule of neg gives f64[3]; given: recorded f32[3]\n"
        "    graph bad(x: f64[3]) {\n"
        f"{'      a: f64[3] = neg x':<60}# model.py:7\n"
        f"{'      b: f32[3] = neg x':<60}# model.py:7\n"
        "      ^^^^^^^^^^^^^^^^^ recorded f32[3]\n"
        "      return b\n"
        "    }"
    )


def test_wrong_number_of_results_is_found(x: Value) -> None:
    with pytest.raises(GraphError, match=r"gives f64\[3\]; given: recorded f64\[3\], f64\[3\]"):
        verify(graph_of(x, node("neg", (x,), V, V)))


def test_wrong_arity_is_found(x: Value) -> None:
    with pytest.raises(GraphError, match="add takes 2 operands; given: 1"):
        verify(graph_of(x, node("add", (x,), V)))


def test_use_before_definition_is_found(x: Value) -> None:
    late = node("neg", (x,), V)
    early = node("exp", late.outputs, V)
    with pytest.raises(GraphError, match=r"defined before it is used; given: operand 0"):
        verify(graph_of(x, early, late))


def test_use_of_another_graphs_value_is_found(x: Value) -> None:
    stray = Value(V, "stray")
    with pytest.raises(GraphError, match=r"operand 1 \('stray', f64\[3\]\) is not defined here"):
        verify(graph_of(x, node("add", (x, stray), V)))


def test_undefined_output_is_found(x: Value) -> None:
    with pytest.raises(GraphError, match=r"output 1 \('y', f64\[3\]\) is not defined here"):
        verify(Graph("bad", (x,), (), (x, Value(V, "y"))))


def test_double_definition_is_found(x: Value) -> None:
    once = node("neg", (x,), V)
    for twice in (replace(once), replace(node("neg", (x,), V), outputs=(x,))):
        with pytest.raises(GraphError, match="a value is defined once"):
            verify(graph_of(x, once, twice))
    with pytest.raises(GraphError, match="a value is defined once"):
        verify(Graph("bad", (x, x), (), (x,)))


def test_op_outside_the_table_is_found(x: Value) -> None:
    foreign = replace(OPS["neg"])
    with pytest.raises(GraphError, match="ops are those of the table; given: neg"):
        verify(graph_of(x, replace(node("neg", (x,), V), op=foreign)))


def test_unknown_phase_is_found(x: Value) -> None:
    with pytest.raises(GraphError, match="phase is forward or backward; given: 'sideways'"):
        verify(graph_of(x, replace(node("neg", (x,), V), phase="sideways")))


def test_impossible_types_are_found() -> None:
    for type in (TensorType(np.dtype(np.complex128)), TensorType(FLOAT64, (-1,))):
        with pytest.raises(GraphError, match="a value has a tensor type"):
            verify(Graph("bad", (Value(type, "x"),), (), ()))


@pytest.mark.parametrize(
    ("op", "attrs", "message"),
    [
        ("sum", {}, r"takes the attributes \['axes'\]"),
        ("sum", {"axes": [0]}, "axes of sum is a tuple of ints; given: list"),
        ("sum", {"axes": (np.int64(0),)}, "axes of sum is a tuple of ints"),
        ("sum", {"axes": (True,)}, "axes of sum is a tuple of ints"),
        ("convert", {"dtype": float}, "dtype of convert is an element type"),
        ("convert", {"dtype": np.dtype(">f8")}, "dtype of convert is an element type"),
        ("argmax", {"axis": 0.0}, "axis of argmax is an int"),
        ("cumsum", {"axis": 0, "reverse": 1}, "reverse of cumsum is a bool"),
        ("fused", {"graph": None, "kind": "map"}, "graph of fused is a graph"),
    ],
)
def test_bad_attributes_are_found(
    x: Value, op: str, attrs: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(GraphError, match=message):
        verify(graph_of(x, node(op, (x,), V, attrs=attrs)))


def test_sub_graphs_are_verified_and_named(x: Value) -> None:
    inner = Value(V, "i")
    body = graph_of(inner, node("neg", (inner,), TensorType(FLOAT32, (3,))))
    attrs = {"graph": body, "kind": "map"}
    with pytest.raises(GraphError, match="graph bad in fused of graph bad: the type rule of neg"):
        verify(graph_of(x, node("fused", (x,), TensorType(FLOAT32, (3,)), attrs=attrs)))


STRUCTURE = [
    ("vjp", {"wrt": (1,), "seeded": (0,)}, "distinct positions of 1 inputs"),
    ("vjp", {"wrt": (0, 0), "seeded": (0,)}, "distinct positions of 1 inputs"),
    ("vjp", {"wrt": (0,), "seeded": (3,)}, "distinct positions of 1 outputs"),
    ("vjp", {"wrt": (0,), "seeded": (0,)}, "vjp takes operands of types"),
    ("jvp", {"wrt": (-1,)}, "distinct positions of 1 inputs"),
    ("vmap", {"size": 3, "batched": ()}, "one mark per input"),
    ("vmap", {"size": -1, "batched": (True,)}, "vmap takes a size"),
    ("vmap", {"size": 3, "batched": (True,)}, "vmap takes operands of types"),
]


@pytest.mark.parametrize(("op", "attrs", "message"), STRUCTURE)
def test_bad_transformations_are_found(
    x: Value, op: str, attrs: dict[str, Any], message: str
) -> None:
    inner = Value(V, "i")
    body = graph_of(inner, node("neg", (inner,), V))
    with pytest.raises(GraphError, match=message):
        verify(graph_of(x, node(op, (x,), V, attrs={"graph": body, **attrs})))


def test_only_the_surroundings_of_a_culprit_in_a_long_graph_are_shown() -> None:
    graph = chain(5_000)
    nodes = list(graph.nodes)
    nodes[2_500] = replace(nodes[2_500], outputs=(replace(nodes[2_500].output, type=V),))
    bad = replace(nodes[2_500], attrs={"axis": 0})
    with pytest.raises(GraphError, match="sin takes the attributes") as caught:
        verify(Graph("long", graph.inputs, (*graph.nodes[:2_500], bad), ()))
    assert len(str(caught.value).splitlines()) < 40
