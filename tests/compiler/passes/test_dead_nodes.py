"""Unneeded nodes go; errors that NumPy would raise stay."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.dead_nodes import eliminate_dead_nodes
from tapeless.compiler.passes.failing import bounds, checks
from tapeless.ir.errors import OutOfBoundsError
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph


def ops_left(inputs: str, nodes: str, result: str) -> list[str]:
    """The ops that survive."""
    graph = parse_graph(f"graph case({inputs}) {{\n {nodes}\n return {result}\n}}")
    return [node.op.name for node in eliminate_dead_nodes(graph).nodes]


def test_chains_that_nobody_reads_are_dropped() -> None:
    nodes = """a: f64[2] = exp x
    b: f64[2] = sin a
    c: f64[2] = neg x"""
    assert ops_left("x: f64[2]", nodes, "c") == ["neg"]


def test_a_graph_without_dead_nodes_stays_the_same_object() -> None:
    graph = parse_graph("graph live(x: f64[2]) {\n a: f64[2] = exp x\n return a, x\n}")
    assert eliminate_dead_nodes(graph) is graph


INPUTS = "x: f64[5], i: i64[2]"
GATHER = "a: f64[2] = gather[axes=(0,)] x i\n"


def test_a_read_out_of_bounds_is_raised_though_nobody_needs_its_result() -> None:
    text = f"graph case({INPUTS}) {{\n {GATHER} b: f64[5] = neg x\n return b\n}}"
    graph = parse_graph(text)
    arrays = [np.zeros(5), np.array([0, 9])]
    for each in (graph, eliminate_dead_nodes(graph)):
        with pytest.raises(OutOfBoundsError, match="gather"):
            interpret(each, arrays)


def test_a_check_that_a_needed_node_makes_is_not_kept_twice() -> None:
    nodes = GATHER + "b: f64[2] = neg a\n u: f64[5] = scatter_add[axes=(0,)] x y i"
    assert ops_left(INPUTS + ", y: f64[2]", nodes, "u") == ["scatter_add"]


def test_of_equal_unneeded_checks_one_is_kept() -> None:
    nodes = GATHER + GATHER.replace("a:", "b:") + "c: f64[5] = neg x"
    assert ops_left(INPUTS, nodes, "c") == ["gather", "neg"]


def test_a_check_against_another_extent_is_another_check() -> None:
    nodes = GATHER + "u: f64[9] = scatter_add[axes=(0,)] z y i"
    assert ops_left(INPUTS + ", y: f64[2], z: f64[9]", nodes, "u") == ["gather", "scatter_add"]


SAFE: dict[str, str] = {
    "constant": "i: i64[2] = constant[value=i64[2](-5, 4)]",
    "range": "j: i64[4] = iota[size=4, dtype=i64]\n"
    " i: i64[2] = slice[starts=(1,), limits=(3,), steps=(1,)] j",
    "converted range": "j: u8[2] = iota[size=2, dtype=u8]\n i: i64[2] = convert[dtype=i64] j",
}


@pytest.mark.parametrize("index", SAFE.values(), ids=SAFE)
def test_reads_that_are_known_to_be_in_bounds_need_no_check(index: str) -> None:
    assert ops_left("x: f64[5]", f"{index}\n {GATHER} b: f64[5] = neg x", "b") == ["neg"]


UNSAFE: dict[str, str] = {
    "constant": "i: i64[2] = constant[value=i64[2](-6, 4)]",
    "range": "j: i64[6] = iota[size=6, dtype=i64]\n"
    " i: i64[2] = slice[starts=(4,), limits=(6,), steps=(1,)] j",
    "float": "j: f64[2] = iota[size=2, dtype=f64]\n i: i64[2] = convert[dtype=i64] j",
}


@pytest.mark.parametrize("index", UNSAFE.values(), ids=UNSAFE)
def test_reads_that_may_be_out_of_bounds_are_checked(index: str) -> None:
    assert "gather" in ops_left("x: f64[5]", f"{index}\n {GATHER} b: f64[5] = neg x", "b")


POWERS: dict[str, tuple[str, bool]] = {
    "floats": ("f64", False),
    "unsigned": ("u8", False),
    "signed": ("i64", True),
}


@pytest.mark.parametrize(("dtype", "fails"), POWERS.values(), ids=POWERS)
def test_only_signed_integer_powers_are_checked(dtype: str, fails: bool) -> None:
    ops = ops_left(f"x: {dtype}[2]", f"a: {dtype}[2] = pow x x\n b: {dtype}[2] = add x x", "b")
    assert ("pow" in ops) == fails


def test_a_range_that_wraps_around_has_no_known_bounds() -> None:
    graph = parse_graph("graph wrap() {\n a: i8[200] = iota[size=200, dtype=i8]\n return a\n}")
    assert bounds(graph.outputs[0], graph.producers()) is None


FUSED = """graph outer(x: f64[5], i: i64[2], j: f64[2]) {{
  k: i64[2] = {index}
  y: f64[2] = fused[graph=graph inner(x: f64[5], i: i64[2]) {{
    a: f64[2] = gather[axes=(0,)] x i
    return a
  }}, kind="map"] x k
  return y
}}"""


def test_checks_inside_kernels_are_those_of_their_operands() -> None:
    graph = parse_graph(FUSED.format(index="add i i"))
    add, kernel = graph.nodes
    assert checks(kernel, graph.producers()) == {("index", add.output, 5)}
    graph = parse_graph(FUSED.format(index="iota[size=2, dtype=i64]"))
    assert not checks(graph.nodes[1], graph.producers())
