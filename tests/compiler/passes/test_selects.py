"""Writes at one place in every row: selects with the same values, and errors that stay errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.passes.selects import form_selects
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.errors import OutOfBoundsError
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph
from tapeless.runtime.executable import Executable

Array = np.ndarray[Any, Any]

ROWS = "rows: i64[5] = iota[size=5, dtype=i64]"
DOUBLED = f"{ROWS}\n  twice: i64[5] = add rows rows"

CASES = {
    "labels": ("f32[5,7]", "f32[5]", "i64[5]", ROWS, "axes=(0,1)", "rows j"),
    "doubles": ("f64[5,7]", "f64[5]", "i64[5]", ROWS, "axes=(0,1)", "rows j"),
    "integers": ("i32[5,7]", "i32[5]", "i64[5]", ROWS, "axes=(0,1)", "rows j"),
    "of columns": ("f32[7,5]", "f32[5]", "i64[5]", ROWS, "axes=(0,1)", "j rows"),
    "with an axis of one": (
        "f32[5,7]",
        "f32[5,1]",
        "i64[5,1]",
        f"{ROWS}\n  r: i64[5,1] = reshape[shape=(5,1)] rows",
        "axes=(0,1)",
        "r j",
    ),
    "rows of two axes": (
        "f32[5,3,7]",
        "f32[3,5]",
        "i64[3,5]",
        f"{ROWS}\n  a: i64[3,5] = broadcast[shape=(3,5), axes=(1,)] rows\n"
        "  h: i64[3] = iota[size=3, dtype=i64]\n"
        "  b: i64[3,5] = broadcast[shape=(3,5), axes=(0,)] h",
        "axes=(0,1,2)",
        "a b j",
    ),
    "a vector": ("f32[7]", "f32[]", "i64[]", "", "axes=(0,)", "j"),
}
"""Types of x, of the updates and of the labels, further lines, axes, positions."""

OTHERS = {
    "some rows": ("f32[6,7]", "f32[5]", "i64[5]", ROWS, "axes=(0,1)", "rows j"),
    "two columns for a row": (
        "f32[5,7]",
        "f32[5,2]",
        "i64[5,2]",
        f"{ROWS}\n  r: i64[5,2] = broadcast[shape=(5,2), axes=(0,)] rows",
        "axes=(0,1)",
        "r j",
    ),
    "rows by data": ("f32[5,7]", "f32[5]", "i64[5]", ROWS, "axes=(0,1)", "j rows"),
    "other rows": ("f32[10,7]", "f32[5]", "i64[5]", DOUBLED, "axes=(0,1)", "twice j"),
    "whole rows": ("f32[5,7]", "f32[3,7]", "i64[3]", "", "axes=(0,)", "j"),
    "booleans": ("bool[5,7]", "bool[5]", "i64[5]", ROWS, "axes=(0,1)", "rows j"),
}


def graph_of(case: tuple[str, ...], op: str) -> Graph:
    x, updates, labels, lines, axes, positions = case
    return parse_graph(
        f"graph f(x: {x}, u: {updates}, j: {labels}) {{\n  {lines}\n"
        f"  z: {x} = {op}[{axes}] x u {positions}\n  return z\n}}"
    )


def arguments(graph: Graph) -> list[Array]:
    """Labels from both ends, zeros of both signs and a NaN among the elements."""
    rng = np.random.default_rng(0)
    x, u, j = graph.inputs
    labels = rng.integers(-7, 7, j.type.shape)
    arrays = [np.asarray(9 * rng.standard_normal(v.type.shape), v.type.dtype) for v in (x, u)]
    if x.type.dtype.kind == "f":
        arrays[0].flat[:5] = [0.0, -0.0, np.nan, np.inf, -np.inf]
        arrays[1].flat[:1] = -0.0
    return [*arrays, np.asarray(labels)]


@pytest.mark.parametrize("op", ["scatter", "scatter_add"])
@pytest.mark.parametrize("name", CASES)
def test_one_position_in_every_row_is_a_select(name: str, op: str) -> None:
    graph = graph_of(CASES[name], op)
    selected = form_selects(graph)
    assert "select" in {node.op.name for node in selected.nodes}
    assert not {"scatter", "scatter_add"} & {node.op.name for node in selected.nodes}
    arrays = arguments(graph)
    (wanted,) = interpret(graph, arrays)
    (found,) = interpret(selected, arrays)
    (native,) = Executable(compile_graph(graph, check=True).program)(arrays)
    for got in (found, native):
        assert np.array_equal(np.signbit(got), np.signbit(wanted)) or got.dtype.kind != "f"
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", OTHERS)
def test_other_writes_stay_writes(name: str) -> None:
    graph = graph_of(OTHERS[name], "scatter_add")
    assert form_selects(graph) == graph


def test_one_check_of_the_labels_is_kept() -> None:
    graph = graph_of(CASES["labels"], "scatter_add")
    assert [node.op.name for node in form_selects(graph).nodes].count("gather") == 1
    text = print_graph(graph).replace(
        "  return", "  p: f32[5] = gather[axes=(0,1)] x rows j\n  return p,"
    )
    assert [n.op.name for n in form_selects(parse_graph(text)).nodes].count("gather") == 1


@pytest.mark.parametrize("label", [7, -8])
def test_a_label_out_of_bounds_is_still_an_error(label: int) -> None:
    graph = graph_of(CASES["labels"], "scatter_add")
    run = Executable(compile_graph(graph).program)
    x, u, j = arguments(graph)
    j[3] = label
    with pytest.raises(OutOfBoundsError, match="an index must lie within its axis"):
        run([x, u, j])


def test_the_gradient_at_labels_writes_nothing() -> None:
    """One kernel for the row program, forward and backward, beside the one that picks scores."""
    graph = parse_graph("""graph loss(s: f32[64,10], j: i64[64]) {
  rows: i64[64] = iota[size=64, dtype=i64]
  e: f32[64,10] = exp s
  t: f32[64] = sum[axes=(1,)] e
  l: f32[64] = log t
  p: f32[64] = gather[axes=(0,1)] s rows j
  d: f32[64] = sub l p
  o: f32[] = constant[value=f32[](1.0)]
  g: f32[64] = broadcast[shape=(64,), axes=()] o
  n: f32[64] = neg g
  k: f32[] = constant[value=f32[](0.0)]
  z: f32[64,10] = broadcast[shape=(64,10), axes=()] k
  w: f32[64,10] = scatter_add[axes=(0,1)] z n rows j
  q: f32[64] = div g t
  r: f32[64,10] = broadcast[shape=(64,10), axes=(0,)] q
  m: f32[64,10] = mul r e
  a: f32[64,10] = add w m
  return d, a
}""")
    kernels = compile_graph(graph).program.kernels
    assert sorted(kernel.kind for kernel in kernels) == ["map", "rows"]
