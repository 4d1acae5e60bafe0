"""Layers as wide as the one before, with a batch of one: the axes of one weight fit those of the
next, but in the other order."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.fuse import explain_fusion, fuse_kernels
from tapeless.compiler.passes.vector_products import expand_vector_products
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

FORWARD = """graph forward(x: f32[64], w: f32[64,64], v: f32[64,64]) {
  a: f32[64] = dot[batch=((),()), contract=((0,),(0,))] x w
  h: f32[64] = tanh a
  y: f32[64] = dot[batch=((),()), contract=((0,),(0,))] h v
  return y
}"""
BY_ROWS = FORWARD.replace("contract=((0,),(0,))", "contract=((0,),(1,))")
UPDATE = """graph update(x: f32[64], g: f32[64], w: f32[64,64], v: f32[64,64]) {
  d: f32[64] = dot[batch=((),()), contract=((1,),(0,))] v g
  o: f32[64,64] = dot[batch=((),()), contract=((),())] x d
  n: f32[64,64] = sub w o
  return n
}"""
GRAPHS = {"forward": FORWARD, "forward by rows": BY_ROWS, "update": UPDATE}


def kernels(graph: Graph) -> list[tuple[str, list[str]]]:
    """Kind and types of the results of every kernel."""
    nodes = fuse_kernels(expand_vector_products(graph)).nodes
    return [
        (node.attrs["kind"], [str(value.type) for value in node.outputs])
        for node in nodes
        if node.op.name == "fused"
    ]


def test_a_product_is_in_the_kernel_of_its_sum_and_is_never_stored() -> None:
    for text in (FORWARD, BY_ROWS):
        assert kernels(parse_graph(text)) == [("rows", ["f32[64]"]), ("rows", ["f32[64]"])]


def test_a_weight_is_updated_in_the_order_in_which_it_lies() -> None:
    graph = parse_graph(UPDATE)
    assert kernels(graph) == [("rows", ["f32[64]"]), ("map", ["f32[64,64]"])]
    (separation,) = explain_fusion(expand_vector_products(graph))
    assert "across the order" in separation.reason


@pytest.mark.parametrize("name", GRAPHS)
def test_values_are_those_of_the_graph(name: str) -> None:
    graph = parse_graph(GRAPHS[name])
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(np.float32) / 8 for v in graph.inputs]
    (got,) = Executable(compile_graph(graph, check=True).program)(arrays)
    np.testing.assert_allclose(got, interpret(graph, arrays)[0], rtol=1e-4, atol=1e-5)
