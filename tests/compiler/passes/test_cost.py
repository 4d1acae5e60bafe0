"""Static counts of arithmetic and traffic."""

from __future__ import annotations

from tapeless.compiler.cost import Cost, graph_cost, kernel_info, node_cost
from tapeless.ir.parser import parse_graph

GRAPH = parse_graph("""graph costs(x: f64[8,16], y: f64[16,4], w: f32[5]) {
  d: f64[8,4] = dot[batch=((),()), contract=((1,),(0,))] x y
  a: f64[8,4] = add d d
  r: f64[32] = reshape[shape=(32,)] a
  s: f64[] = sum[axes=(0,)] r
  v: f32[5] = div w w
  return s, v
}""")


def test_a_product_counts_two_flops_for_each_multiply_add() -> None:
    cost = node_cost(GRAPH.nodes[0])
    assert cost == Cost(2 * 8 * 16 * 4, 8 * (8 * 16 + 16 * 4), 8 * 8 * 4)


def test_an_operand_that_is_read_twice_is_fetched_once() -> None:
    assert node_cost(GRAPH.nodes[1]) == Cost(32, 256, 256)


def test_renaming_memory_costs_nothing() -> None:
    assert node_cost(GRAPH.nodes[2]) == Cost()


def test_a_reduction_counts_its_operand() -> None:
    assert node_cost(GRAPH.nodes[3]) == Cost(32, 256, 8)


def test_a_graph_costs_the_sum_of_its_nodes() -> None:
    assert graph_cost(GRAPH) == Cost(1024 + 32 + 32 + 20, 1536 + 256 + 256 + 20, 256 + 256 + 8 + 20)
    assert graph_cost(GRAPH).bytes == 2068 + 540


def test_a_fused_kernel_has_its_body_s_flops_and_its_own_traffic() -> None:
    graph = parse_graph("""graph outer(x: f64[10]) {
      y: f64[10] = fused[graph=graph inner(x: f64[10]) {
        a: f64[10] = neg x
        b: f64[10] = sqrt a
        return b
      }, kind="map"] x
      return y
    }""")
    info = kernel_info("k0", graph.nodes[0])
    assert (info.name, info.kind) == ("k0", "map")
    assert (info.flops, info.bytes_read, info.bytes_written) == (10 + 80, 80, 80)
