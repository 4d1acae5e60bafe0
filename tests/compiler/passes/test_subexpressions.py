"""Equal computations are done once, and only equal ones."""

from __future__ import annotations

from tapeless.compiler.passes.subexpressions import share_common_subexpressions
from tapeless.ir.graph import Graph
from tapeless.ir.parser import parse_graph


def shared(inputs: str, nodes: str, result: str) -> Graph:
    """The graph after the pass."""
    graph = parse_graph(f"graph case({inputs}) {{\n {nodes}\n return {result}\n}}")
    return share_common_subexpressions(graph)


def test_equal_chains_become_one() -> None:
    nodes = """a: f64[2] = exp x
    b: f64[2] = neg a
    c: f64[2] = exp x
    d: f64[2] = neg c"""
    graph = shared("x: f64[2]", nodes, "b, d")
    assert [node.op.name for node in graph.nodes] == ["exp", "neg"]
    assert graph.outputs[0] is graph.outputs[1]


def test_the_first_of_equals_stays_with_its_line_and_phase() -> None:
    nodes = """a: f64[2] = exp x   # model.py:1
    b: f64[2] = exp x   # backward model.py:2"""
    (node,) = shared("x: f64[2]", nodes, "a, b").nodes
    assert (str(node.loc), node.phase) == ("model.py:1", "forward")


def test_constants_differ_by_their_bits() -> None:
    nodes = """a: f64[] = constant[value=f64[](0.0)]
    b: f64[] = constant[value=f64[](-0.0)]
    c: f32[] = constant[value=f32[](0.0)]
    d: f64[] = constant[value=f64[](0.0)]"""
    assert len(shared("", nodes, "a, b, c, d").nodes) == 3


def test_operand_order_matters_where_a_result_may_depend_on_it() -> None:
    swapped = "a: {0}[2] = add x y\n b: {0}[2] = add y x"
    assert len(shared("x: i64[2], y: i64[2]", swapped.format("i64"), "a, b").nodes) == 1
    assert len(shared("x: f64[2], y: f64[2]", swapped.format("f64"), "a, b").nodes) == 2
    minus = "a: i64[2] = sub x y\n b: i64[2] = sub y x"
    assert len(shared("x: i64[2], y: i64[2]", minus, "a, b").nodes) == 2


FUSED = """{name}: f64[2] = fused[graph=graph inner(x: f64[2]) {{
    a: f64[2] = {op} x
    b: f64[2] = {op} x
    c: f64[2] = mul a b
    return c
  }}, kind="map"] x"""


def test_sub_graphs_are_shared_and_compared_by_structure() -> None:
    nodes = "\n".join(
        FUSED.format(name=name, op=op) for name, op in [("d", "exp"), ("e", "exp"), ("f", "sin")]
    )
    graph = shared("x: f64[2]", nodes, "d, e, f")
    assert len(graph.nodes) == 2
    assert [node.op.name for node in graph.nodes[0].attrs["graph"].nodes] == ["exp", "mul"]


def test_programs_that_wait_for_differentiation_are_not_touched() -> None:
    graph = parse_graph("""graph outer(x: f64[]) {
      y: f64[], g: f64[] = vjp[graph=graph inner(x: f64[]) {
        a: f64[] = exp x
        b: f64[] = exp x
        c: f64[] = max a b
        return c
      }, wrt=(0,), seeded=(0,)] x x
      return y, g
    }""")
    assert share_common_subexpressions(graph) is graph
