"""What is computed at compile time, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes import constants
from tapeless.compiler.passes.constants import EXACT, MAX_ELEMENTS, fold_constants
from tapeless.compiler.passes.rewriting import rewrite
from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.ops import OPS, Family
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import DTYPE_NAMES

from .equivalence import assert_same_values, bits, specials


def ops_after(nodes: str, result: str = "a") -> tuple[Graph, list[str]]:
    """Fold a graph without inputs; the graph and its ops."""
    before = parse_graph(f"graph case() {{\n {nodes}\n return {result}\n}}")
    after = fold_constants(before)
    assert_same_values(before, after, [])
    return after, [node.op.name for node in after.nodes]


CASES: list[tuple[str, str, str]] = [
    (
        "constant[c c … c]",
        "a: f64[3] = constant[value=f64[3](2.0, 2.0, 2.0)]",
        "constant broadcast",
    ),
    (
        "op(broadcast c, broadcast d)",
        """x: f64[] = constant[value=f64[](2.0)]
        y: f64[3] = broadcast[shape=(3,), axes=()] x
        z: f64[] = constant[value=f64[](-0.0)]
        w: f64[3] = broadcast[shape=(3,), axes=()] z
        a: f64[3] = mul y w""",
        "constant broadcast",
    ),
    (
        "view(broadcast c)",
        """x: f64[] = constant[value=f64[](nan)]
        y: f64[3,2] = broadcast[shape=(3,2), axes=()] x
        z: f64[2,3] = transpose[axes=(1,0)] y
        a: f64[6] = reshape[shape=(6,)] z""",
        "constant broadcast",
    ),
    (
        "max(broadcast c)",
        """x: f64[] = constant[value=f64[](-0.0)]
        y: f64[3,2] = broadcast[shape=(3,2), axes=()] x
        a: f64[2] = reduce_max[axes=(0,)] y""",
        "constant broadcast",
    ),
    (
        "sum of no elements",
        """x: f64[0] = iota[size=0, dtype=f64]
        y: f64[0,2] = broadcast[shape=(0,2), axes=(0,)] x
        a: f64[2] = sum[axes=(0,)] y""",
        "constant broadcast",
    ),
    (
        "sum(broadcast c)",
        """x: f32[] = constant[value=f32[](-3.0)]
        y: f32[1000,2] = broadcast[shape=(1000,2), axes=()] x
        a: f32[2] = sum[axes=(0,)] y""",
        "constant broadcast",
    ),
    (
        "op(c, d) -> constant",
        """x: f64[2] = constant[value=f64[2](1.0, 3.0)]
        y: f64[2] = constant[value=f64[2](0.0, 7.0)]
        a: f64[2] = div x y""",
        "constant",
    ),
]
"""How a rule's text starts, nodes, and the ops that are left."""


@pytest.mark.parametrize(("rule", "nodes", "left"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_fires_alone_and_within_the_list(rule: str, nodes: str, left: str) -> None:
    _, ops = ops_after(nodes)
    assert ops == left.split()
    (found,) = [each for each in constants.RULES if each.text.startswith(rule)]
    before = parse_graph(f"graph case() {{\n {nodes}\n return a\n}}")
    alone = rewrite(before, [found])
    assert alone != before
    assert_same_values(before, alone, [])


def test_every_rule_has_a_case() -> None:
    starts = [start for start, *_ in CASES]
    assert all(any(rule.text.startswith(s) for s in starts) for rule in constants.RULES)


SIZE = MAX_ELEMENTS + 1
UNFOLDED: dict[str, str] = {
    "elementary functions": """x: f64[] = constant[value=f64[](2.0)]
        a: f64[] = exp x""",
    "float sums, whose order is open": """x: f64[2] = constant[value=f64[2](0.1, 3.0)]
        a: f64[] = sum[axes=(0,)] x""",
    "repeated fractions": """x: f64[] = constant[value=f64[](0.1)]
        y: f64[30] = broadcast[shape=(30,), axes=()] x
        a: f64[] = sum[axes=(0,)] y""",
    "sums beyond the mantissa": """x: f32[] = constant[value=f32[](16777216.0)]
        y: f32[30] = broadcast[shape=(30,), axes=()] x
        a: f32[] = sum[axes=(0,)] y""",
    "conversions out of range": """x: f64[] = constant[value=f64[](3e9)]
        a: i32[] = convert[dtype=i32] x""",
    "the larger of two zeros": """x: f64[] = constant[value=f64[](0.0)]
        y: f64[] = constant[value=f64[](-0.0)]
        a: f64[] = max x y""",
    "operations that can fail": """x: i64[] = constant[value=i64[](2)]
        a: i64[] = pow x x""",
    "stop_gradient": """x: f64[] = constant[value=f64[](2.0)]
        a: f64[] = stop_gradient x""",
    "ranges": "a: i64[5] = iota[size=5, dtype=i64]",
    "broadcasts": """x: f64[2] = constant[value=f64[2](0.0, 1.0)]
        a: f64[3,2] = broadcast[shape=(3,2), axes=(1,)] x""",
}


@pytest.mark.parametrize("nodes", UNFOLDED.values(), ids=UNFOLDED)
def test_what_would_not_be_exact_or_small_is_left(nodes: str) -> None:
    graph = parse_graph(f"graph case() {{\n {nodes}\n return a\n}}")
    assert fold_constants(graph) is graph


def test_large_results_are_not_computed() -> None:
    builder = GraphBuilder("large")
    (x,) = builder.emit(OPS["constant"], [], {"value": np.arange(float(SIZE))})
    graph = builder.build(builder.emit(OPS["neg"], [x]))
    assert fold_constants(graph) is graph
    (y,) = builder.emit(OPS["slice"], [x], {"starts": (3,), "limits": (5,), "steps": (1,)})
    graph = builder.build(builder.emit(OPS["neg"], [y]))
    assert fold_constants(graph) is graph


@pytest.mark.parametrize("name", [n for n in EXACT if OPS[n].family is Family.ELEMENTWISE])
def test_special_values_fold_to_the_bits_that_numpy_gives(name: str) -> None:
    op = OPS[name]
    folded = 0
    for dtype in DTYPE_NAMES.values():
        for element in specials(dtype):
            builder = GraphBuilder("special")
            (x,) = builder.emit(OPS["constant"], [], {"value": np.asarray(element)})
            try:
                attrs = {"dtype": DTYPE_NAMES["f32"]} if name == "convert" else {}
                result: tuple[Value, ...] = builder.emit(op, [x] * (op.arity or 1), attrs)
            except ValueError:
                continue
            graph = builder.build(result)
            after = fold_constants(graph)
            assert_same_values(graph, after, [])
            folded += after is not graph
    assert folded


def test_constants_keep_the_payload_of_nan_and_the_sign_of_zero() -> None:
    nan = np.array(0x7FF8_0000_0000_1234, np.uint64).view(np.float64)
    builder = GraphBuilder("nan")
    (x,) = builder.emit(OPS["constant"], [], {"value": np.full(3, nan)})
    after = fold_constants(builder.build([x]))
    assert bits(after.nodes[0].attrs["value"]) == bits(nan)
    assert after.nodes[1].op.name == "broadcast"


def test_folded_nodes_keep_line_and_phase() -> None:
    graph = parse_graph("""graph kept() {
      x: f64[] = constant[value=f64[](2.0)]
      a: f64[] = neg x   # backward model.py:7
      return a
    }""")
    (node,) = fold_constants(graph).nodes
    assert str(node.loc) == "model.py:7"
    assert node.phase == "backward"
