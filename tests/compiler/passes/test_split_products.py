"""Products cut along the summed axis: which ones, into what, and with the same values."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.split_products import split_products
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.sharing import chunks, is_tall
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.ir.verifier import verify
from tapeless.runtime.executable import Executable


def product(x: str, y: str, axes: tuple[int, int], result: str, more: str = "") -> Graph:
    """A product that is summed along these axes, and another one beside it."""
    return parse_graph(
        f"""graph products(x: f32[{x}], y: f32[{y}], z: f32[3,3]) {{
  p: f32[{result}] = dot[batch=((),()), contract=(({axes[0]},),({axes[1]},))] x y
  r: f32[{result}] = tanh p
  q: f32[3,3] = dot[batch=((),()), contract=((1,),(0,))] z z
  return r, q
}}"""
    )


CUT = {
    "a tall weight": (product("64,1000", "1000,100", (1, 0), "64,100"), 2),
    "a wide weight, its gradient on the way back": (
        product("64,1000", "100,1000", (1, 1), "64,100"),
        2,
    ),
    "the gradient of a small weight, of many rows": (
        product("4096,16", "4096,40", (0, 0), "16,40"),
        16,
    ),
    "a stack of rows": (product("2,32,1024", "1024,64", (2, 0), "2,32,64"), 4),
}

WHOLE = {
    "a wide weight": product("64,512", "512,1024", (1, 0), "64,1024"),
    "a tall weight, its gradient on the way back": product("64,100", "1000,100", (1, 1), "64,1000"),
    "a square result": product("256,256", "256,256", (1, 0), "256,256"),
    "little work": product("4,1000", "1000,20", (1, 0), "4,20"),
    "a prime number of terms": product("64,1009", "1009,100", (1, 0), "64,100"),
}


@pytest.mark.parametrize(("graph", "count"), CUT.values(), ids=CUT)
def test_the_sum_is_cut_where_the_larger_operand_is_shared_out(graph: Graph, count: int) -> None:
    split = split_products(graph)
    verify(split)
    first = next(node for node in split.nodes if node.op.name == "dot")
    assert first.output.type.shape == (count, *graph.nodes[0].output.type.shape)


@pytest.mark.parametrize("graph", WHOLE.values(), ids=WHOLE)
def test_other_products_stay_whole(graph: Graph) -> None:
    assert chunks(graph.nodes[0]) == 1
    assert [node.op for node in split_products(graph).nodes] == [node.op for node in graph.nodes]


@pytest.mark.parametrize(("graph", "count"), CUT.values(), ids=CUT)
def test_values_stay(graph: Graph, count: int) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    expected = interpret(graph, arrays)
    compiled = Executable(compile_graph(graph, check=True).program)(arrays)
    for results in (interpret(split_products(graph), arrays), compiled):
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("columns", "cut"), [(100, False), (60, True)])
def test_a_product_by_itself_is_cut_if_its_result_has_few_tiles(columns: int, cut: bool) -> None:
    graph = product("64,1024", f"1024,{columns}", (1, 0), f"64,{columns}")
    dot = graph.nodes[0]
    alone = Graph(graph.name, graph.inputs[:2], (dot,), dot.outputs)
    assert chunks(dot) == 4
    first = next(node for node in split_products(alone).nodes if node.op.name == "dot")
    assert (first.output.type.rank > 2) == cut


def test_a_weight_is_shared_out_alike_wherever_it_is_read() -> None:
    """x @ w sums along the rows of w exactly where x @ w.T does not sum along its columns."""
    for rows, columns in [(1000, 100), (100, 1000), (1024, 512), (4096, 64)]:
        forward = product(f"8,{rows}", f"{rows},{columns}", (1, 0), f"8,{columns}").nodes[0]
        backward = product(f"8,{columns}", f"{rows},{columns}", (1, 1), f"8,{rows}").nodes[0]
        assert (chunks(forward) > 1) <= is_tall(rows, columns)
        assert (chunks(backward) > 1) <= (not is_tall(rows, columns))
