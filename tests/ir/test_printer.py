"""The text of graphs: readable, deterministic, and exact."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.ir.graph import Graph, GraphBuilder, Node, Value
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph, value_names
from tapeless.ir.types import DTYPE_NAMES, FLOAT64, TensorType

from ..op_values import ALL, random_bits, specials
from .graphs import NESTED, STEP, chain, named, of_constant


@pytest.mark.parametrize("text", [STEP, NESTED])
def test_text_is_printed_as_it_was_read(text: str) -> None:
    assert print_graph(parse_graph(text)) == text


def test_text_of_a_graph_matches_the_golden_file(golden) -> None:
    builder = GraphBuilder("<lambda>")
    w = builder.input(TensorType(FLOAT64, (2, 3)), 'params["w"][0]')
    rng = np.random.default_rng(0)
    (table,) = builder.emit(OPS["constant"], [], {"value": rng.random((2, 3, 4))})
    (small,) = builder.emit(OPS["constant"], [], {"value": np.array([[1.5, -0.0, np.nan]])})
    loc = Location("/home/me/model.py", 12)
    (wide,) = builder.emit(OPS["broadcast"], [w], {"shape": (2, 3, 4), "axes": (0, 1)}, loc=loc)
    (total,) = builder.emit(OPS["add"], [wide, table], loc=loc, phase="backward")
    attrs = {"low": (0, 0), "high": (1, 0), "interior": (0, 0), "fill": -np.inf}
    (padded,) = builder.emit(OPS["pad"], [small], attrs)
    (integers,) = builder.emit(OPS["convert"], [padded], {"dtype": DTYPE_NAMES["i32"]})
    assert print_graph(builder.build([total, integers])) == golden("everything.txt")


@pytest.mark.parametrize("name", ALL)
def test_constants_survive_bit_by_bit(name: str) -> None:
    rng = np.random.default_rng(1)
    values = [np.asarray(value) for value in specials(name)]
    values += [specials(name), specials(name)[0], np.zeros((0, 3), DTYPE_NAMES[name])]
    values += [random_bits(rng, name, shape) for shape in [(), (3,), (4, 4), (17,), (5, 33)]]
    values += [np.full((9, 9), value) for value in specials(name)]
    for value in values:
        again = parse_graph(print_graph(of_constant(value))).nodes[0].attrs["value"]
        assert (again.dtype, again.shape) == (value.dtype, value.shape)
        assert again.tobytes() == value.tobytes()


def test_nan_payloads_and_signs_survive() -> None:
    bits = np.array([0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000123], np.uint64)
    again = parse_graph(print_graph(of_constant(bits.view(np.float64)))).nodes[0].attrs["value"]
    assert again.tobytes() == bits.tobytes()


def test_short_decimals_are_used_where_they_are_exact() -> None:
    text = print_graph(of_constant(np.array([0.1, -0.0, 1e-45, np.inf], np.float32)))
    assert "value=f32[4](0.1,-0.0,1e-45,inf)" in text


def test_an_array_of_one_value_is_printed_as_that_value() -> None:
    assert "value=f64[100,100](1.0)" in print_graph(of_constant(np.ones((100, 100))))


def test_long_arrays_come_after_the_graph_and_once() -> None:
    builder = GraphBuilder("twice")
    table = np.random.default_rng(0).random(40)
    for value in (table, table.reshape(5, 8), table + 1):
        builder.emit(OPS["constant"], [], {"value": value})
    lines = print_graph(builder.build([])).splitlines()
    assert [line.partition(" = ")[0] for line in lines[-2:]] == ["data 0", "data 1"]
    assert parse_graph("\n".join(lines)) == builder.build([])


def test_names_are_kept_made_unique_and_made_up() -> None:
    graph = named("x", "x", "x_1", "", "return", 'params["w"]', "Ünï", "1st", "a")
    names = list(value_names(graph).values())
    assert names == ["x", "x_2", "x_1", "b", "return_", "params_w", "n", "v1st", "a", "c"]
    assert len(set(names)) == len(names)
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)


def test_names_do_not_depend_on_where_values_lie_in_memory() -> None:
    assert len({print_graph(chain(50)) for _ in range(3)}) == 1


def test_many_inputs_are_printed_one_to_a_line() -> None:
    graph = named(*(f"parameter{number}" for number in range(12)))
    text = print_graph(graph)
    assert "\n    parameter11: f32[]\n) {" in text
    assert parse_graph(text) == graph


def test_a_graph_without_inputs_nodes_and_outputs_survives() -> None:
    graph = Graph("nothing", (), (), ())
    assert print_graph(graph) == "graph nothing() {\n  return\n}\n"
    assert parse_graph(print_graph(graph)) == graph


def test_locations_and_phases_survive() -> None:
    graph = chain(4)
    again = parse_graph(print_graph(graph))
    assert [node.loc for node in again.nodes] == [node.loc for node in graph.nodes]
    assert [node.phase for node in again.nodes] == ["forward", "backward"] * 2


def test_strings_with_quotes_and_line_ends_survive() -> None:
    body = parse_graph("graph g(x: f64[]) {\n  return x\n}")
    builder = GraphBuilder("strings")
    x = builder.input(TensorType(FLOAT64))
    outputs = builder.emit(OPS["fused"], [x], {"graph": body, "kind": 'a"b\\\n\té#'})
    graph = builder.build(outputs)
    assert parse_graph(print_graph(graph)) == graph


def test_a_value_without_definition_is_marked() -> None:
    stray = Value(TensorType(FLOAT64), "stray")
    node = Node(OPS["neg"], (stray,), (Value(stray.type),))
    assert "neg ?stray" in print_graph(Graph("bad", (), (node,), node.outputs))


def test_a_chain_of_20000_nodes_prints_and_parses() -> None:
    graph = chain(20_000)
    text = print_graph(graph)
    assert text.count("\n") == 20_003
    assert parse_graph(text) == graph
