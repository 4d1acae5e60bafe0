"""What the backward phase holds: fewer bytes, equal values."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tapeless.compiler.passes.dead_nodes import eliminate_dead_nodes
from tapeless.compiler.passes.recompute import held_bytes, remade, save_or_recompute
from tapeless.ir.graph import BACKWARD, FORWARD, Graph
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph

from ...random_graphs import NEUTRAL, TINY, RandomGraph
from .equivalence import assert_same_values, check_pass, random_array


def held_before(graph: Graph) -> int:
    """What is held when all backward nodes run in the backward phase."""
    return held_bytes(graph, {n.outputs[0] for n in graph.nodes if n.phase == BACKWARD})


def checked(text: str) -> Graph:
    """Parse, apply the pass, compare values and bytes held."""
    graph = parse_graph(text)
    result = check_pass(save_or_recompute, graph, np.random.default_rng(0))
    assert held_bytes(result) <= held_before(graph)
    return result


RELU = """graph relu(x: f64[8,4], w: f64[4,4], g: f64[8,4]) {
  z: f64[8,4] = dot[batch=((),()), contract=((1,),(0,))] x w
  o: f64[] = constant[value=f64[](0.0)]
  k: f64[8,4] = broadcast[shape=(8,4), axes=()] o
  h: f64[8,4] = max z k
  s: f64[] = sum[axes=(0,1)] h
  m: bool[8,4] = gt z k   # backward
  d: f64[8,4] = select m g k   # backward
  e: f64[4,4] = dot[batch=((),()), contract=((0,),(0,))] h d   # backward
  return s, e
}"""


def test_a_mask_is_kept_instead_of_what_it_is_made_from() -> None:
    graph = parse_graph(RELU)
    assert held_before(graph) == 8 * 32 + 8 * 32
    result = checked(RELU)
    assert held_bytes(result) == 8 * 32 + 32
    (mask,) = [node for node in result.nodes if node.op.name == "gt"]
    assert mask.output not in remade(result)


TANH = """graph tanh(x: f64[8,4], w: f64[4,4], g: f64[8,4]) {
  z: f64[8,4] = dot[batch=((),()), contract=((1,),(0,))] x w
  a: f64[8,4] = tanh z
  b: f64[8,4] = mul a a
  c: f64[8,4] = add b a
  d: f64[8,4] = neg c
  s: f64[] = sum[axes=(0,1)] d
  r: f64[8,4] = exp g   # backward
  t: f64[8,4] = mul r b   # backward
  u: f64[8,4] = mul t c   # backward
  v: f64[8,4] = mul u d   # backward
  q: f64[] = sum[axes=(0,1)] v   # backward
  return s, q
}"""


def test_cheap_values_are_computed_again_from_an_expensive_one() -> None:
    assert held_before(parse_graph(TANH)) == 3 * 8 * 32
    result = checked(TANH)
    assert held_bytes(result) == 8 * 32
    again = [node.op.name for node in result.nodes if node.outputs[0] in remade(result)]
    assert again == ["mul", "add", "neg"]
    assert [node.op.name for node in result.nodes].count("tanh") == 1


def test_copies_carry_the_line_of_the_user_and_the_backward_phase() -> None:
    text = TANH.replace("c: f64[8,4] = add b a", "c: f64[8,4] = add b a   # model.py:7")
    copies = [node for node in checked(text).nodes if node.op.name == "add"]
    assert [str(node.loc) for node in copies] == ["model.py:7", "model.py:7"]
    assert [node.phase for node in copies] == [FORWARD, BACKWARD]


def test_without_a_backward_phase_nothing_happens() -> None:
    graph = parse_graph(TANH.replace("# backward", ""))
    assert save_or_recompute(graph) is graph


def test_what_a_product_reads_is_kept_because_it_lies_in_memory_anyhow() -> None:
    text = TANH.replace(
        "q: f64[] = sum[axes=(0,1)] v ",
        "q: f64[4,4] = dot[batch=((),()), contract=((0,),(0,))] c v ",
    )
    result = checked(text)
    product = result.nodes[-1]
    assert product.inputs[0] not in remade(result)


def test_what_has_to_be_stored_for_a_product_is_made_by_the_forward_kernel() -> None:
    result = checked("""graph error(x: f64[8,4], w: f64[4,4], y: f64[8,4]) {
      z: f64[8,4] = dot[batch=((),()), contract=((1,),(0,))] x w
      r: f64[8,4] = sub z y
      s: f64[8,4] = mul r r
      t: f64[] = sum[axes=(0,1)] s
      d: f64[8,4] = add r r   # backward
      e: f64[4,4] = dot[batch=((),()), contract=((0,),(0,))] x d   # backward
      return t, e
    }""")
    (gradient,) = [node for node in result.nodes if node.op.name == "add"]
    assert gradient.output not in remade(result)
    assert gradient.phase == BACKWARD
    assert held_bytes(result) == 8 * 32


def test_values_that_fail_or_cost_much_are_never_computed_again() -> None:
    text = TANH.replace("mul a a", "pow a a")
    result = checked(text)
    assert [node.op.name for node in result.nodes].count("pow") == 1


@pytest.mark.parametrize("seed", range(80))
def test_random_graphs_keep_values_and_never_hold_more(seed: int) -> None:
    graph = eliminate_dead_nodes(
        RandomGraph(seed, sizes=TINY, constants=NEUTRAL).build(steps=10 + seed % 60)
    )
    result = save_or_recompute(graph)
    rng = np.random.default_rng(seed)
    assert_same_values(graph, result, [random_array(v.type, rng) for v in graph.inputs])
    assert held_bytes(result) <= held_before(graph)


def chain(length: int) -> str:
    """A chain of cheap ops whose values the backward phase reads in turn."""
    lines = ["graph chain(x: f64[8], g: f64[8]) {", "  a0: f64[8] = tanh x"]
    lines += [f"  a{i + 1}: f64[8] = mul a{i} x" for i in range(length)]
    lines += ["  g0: f64[8] = exp g   # backward"]
    lines += [f"  g{i + 1}: f64[8] = mul g{i} a{length - i}   # backward" for i in range(length)]
    return "\n".join([*lines, f"  return a{length}, g{length}", "}"])


def test_long_chains_keep_a_value_every_few_nodes_and_take_no_flow() -> None:
    graph = parse_graph(chain(4000))
    result = save_or_recompute(graph)
    assert held_bytes(result) < held_before(graph) / 10
    assert len(result.nodes) < 1.6 * len(graph.nodes)


def test_the_usual_networks_do_not_need_networkx(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    for text in (RELU, TANH, chain(50)):
        save_or_recompute(parse_graph(text))


def test_the_same_graph_gives_the_same_text() -> None:
    texts = {
        print_graph(save_or_recompute(RandomGraph(3, sizes=TINY).build(steps=40))) for _ in range(3)
    }
    assert len(texts) == 1


def test_of_windows_that_a_late_product_reads_their_array_is_kept() -> None:
    graph = parse_graph("""graph g(x: f32[2,40], w: f32[3,4]) {
      y: f32[2,40] = exp x
      s: f32[2,37,4] = windows[axes=(1,), sizes=(4,), strides=(1,), dilations=(1,)] y
      z: f32[3,2,37] = dot[batch=((),()), contract=((1,),(2,))] w s
      t: f32[3,2,37] = tanh z                       # backward
      d: f32[3,4] = dot[batch=((),()), contract=((1,2),(0,1))] t s  # backward
      return z, d
    }""")
    assert held_bytes(save_or_recompute(graph)) == 2 * 40 * 4
