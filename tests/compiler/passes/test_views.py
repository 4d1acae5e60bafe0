"""Every rule of `simplify_views`: alone, by value, and within the list."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes import views
from tapeless.compiler.passes.rewriting import rewrite
from tapeless.compiler.passes.view_composition import reshape_groups
from tapeless.compiler.passes.views import simplify_views
from tapeless.ir.graph import Graph
from tapeless.ir.parser import parse_graph

from .equivalence import assert_same_values, random_array

CASES: list[tuple[str, str, str, str]] = [
    ("transpose[0, 1, …] x", "x: f64[2,3]", "a: f64[2,3] = transpose[axes=(0,1)] x", ""),
    (
        "reshape, broadcast, slice[everything]",
        "x: f64[2,3]",
        "a: f64[2,3] = reshape[shape=(2,3)] x",
        "",
    ),
    (
        "transpose transpose",
        "x: f64[2,3,4]",
        """b: f64[3,4,2] = transpose[axes=(1,2,0)] x
        a: f64[2,4,3] = transpose[axes=(2,1,0)] b""",
        "transpose",
    ),
    (
        "transpose[extents 1 move]",
        "x: f64[2,1,3]",
        "a: f64[1,2,3] = transpose[axes=(1,0,2)] x",
        "reshape",
    ),
    (
        "transpose broadcast",
        "x: f64[3]",
        """b: f64[2,3] = broadcast[shape=(2,3), axes=(1,)] x
        a: f64[3,2] = transpose[axes=(1,0)] b""",
        "broadcast",
    ),
    (
        "transpose broadcast",
        "x: f64[3,4]",
        """b: f64[3,2,4] = broadcast[shape=(3,2,4), axes=(0,2)] x
        a: f64[4,2,3] = transpose[axes=(2,1,0)] b""",
        "transpose broadcast",
    ),
    (
        "reshape reshape",
        "x: f64[2,6]",
        """b: f64[12] = reshape[shape=(12,)] x
        a: f64[3,4] = reshape[shape=(3,4)] b""",
        "reshape",
    ),
    (
        "reshape broadcast",
        "x: f64[3]",
        """b: f64[2,3,5] = broadcast[shape=(2,3,5), axes=(1,)] x
        a: f64[2,1,3,5] = reshape[shape=(2,1,3,5)] b""",
        "broadcast",
    ),
    (
        "reshape broadcast",
        "x: f64[3,4]",
        """b: f64[6,3,4] = broadcast[shape=(6,3,4), axes=(1,2)] x
        a: f64[2,3,12] = reshape[shape=(2,3,12)] b""",
        "reshape broadcast",
    ),
    (
        "broadcast[only extents 1]",
        "x: f64[3]",
        "a: f64[1,3] = broadcast[shape=(1,3), axes=(1,)] x",
        "reshape",
    ),
    (
        "broadcast broadcast",
        "x: f64[3]",
        """b: f64[2,3] = broadcast[shape=(2,3), axes=(1,)] x
        a: f64[2,4,3] = broadcast[shape=(2,4,3), axes=(0,2)] b""",
        "broadcast",
    ),
    (
        "broadcast reshape",
        "x: f64[3]",
        """b: f64[3,1] = reshape[shape=(3,1)] x
        a: f64[3,1,4] = broadcast[shape=(3,1,4), axes=(0,1)] b""",
        "broadcast",
    ),
    (
        "slice[loose bounds]",
        "x: f64[9]",
        "a: f64[2] = slice[starts=(1,), limits=(8,), steps=(4,)] x",
        "slice",
    ),
    (
        "slice slice",
        "x: f64[20]",
        """b: f64[7] = slice[starts=(1,), limits=(20,), steps=(3,)] x
        a: f64[3] = slice[starts=(2,), limits=(7,), steps=(2,)] b""",
        "slice",
    ),
    (
        "slice broadcast",
        "x: f64[5]",
        """b: f64[5,4] = broadcast[shape=(5,4), axes=(0,)] x
        a: f64[2,3] = slice[starts=(1,1), limits=(3,4), steps=(1,1)] b""",
        "slice broadcast",
    ),
    (
        "slice transpose",
        "x: f64[5,4]",
        """b: f64[4,5] = transpose[axes=(1,0)] x
        a: f64[2,3] = slice[starts=(1,2), limits=(3,5), steps=(1,1)] b""",
        "slice transpose",
    ),
    (
        "slice reshape",
        "x: f64[5,4]",
        """b: f64[5,1,4] = reshape[shape=(5,1,4)] x
        a: f64[2,1,4] = slice[starts=(1,0,0), limits=(3,1,4), steps=(1,1,1)] b""",
        "slice reshape",
    ),
    (
        "slice reverse",
        "x: f64[9]",
        """b: f64[9] = reverse[axes=(0,)] x
        a: f64[3] = slice[starts=(1,), limits=(6,), steps=(2,)] b""",
        "slice reverse",
    ),
    ("reverse[extents 1]", "x: f64[3,1]", "a: f64[3,1] = reverse[axes=(0,1)] x", "reverse"),
    ("reverse[extents 1]", "x: f64[3,1]", "a: f64[3,1] = reverse[axes=(1,)] x", ""),
    (
        "reverse reverse",
        "x: f64[3,4]",
        """b: f64[3,4] = reverse[axes=(0,1)] x
        a: f64[3,4] = reverse[axes=(1,)] b""",
        "reverse",
    ),
    (
        "reverse broadcast",
        "x: f64[4]",
        """b: f64[3,4] = broadcast[shape=(3,4), axes=(1,)] x
        a: f64[3,4] = reverse[axes=(0,1)] b""",
        "reverse broadcast",
    ),
    (
        "view(op(inverse view x))",
        "x: f64[6]",
        """b: f64[2,3] = reshape[shape=(2,3)] x
        c: f64[2,3] = neg b
        k: f64[] = constant[value=f64[](2.0)]
        m: f64[2,3] = broadcast[shape=(2,3), axes=()] k
        d: f64[2,3] = mul c m
        a: f64[6] = reshape[shape=(6,)] d""",
        "constant broadcast neg mul",
    ),
    (
        "view(op(inverse view x))",
        "x: f64[4,2,3], y: f64[4,2,3]",
        """b: f64[2,3,4] = transpose[axes=(1,2,0)] x
        c: f64[2,3,4] = transpose[axes=(1,2,0)] y
        e: f64[2,3,4] = abs b
        d: bool[2,3,4] = lt e c
        a: bool[4,2,3] = transpose[axes=(2,0,1)] d""",
        "abs lt",
    ),
    (
        "op(transpose x, transpose y)",
        "x: f64[4,3], y: f64[4,3]",
        """b: f64[3,4] = transpose[axes=(1,0)] x
        c: f64[3,4] = transpose[axes=(1,0)] y
        a: f64[3,4] = sub b c""",
        "sub transpose",
    ),
    (
        "sum[extents 1]",
        "x: f64[4,1]",
        "a: f64[4] = sum[axes=(1,)] x",
        "reshape constant broadcast add",
    ),
    ("sum[extents 1]", "x: f64[4,1]", "a: f64[4] = prod[axes=(1,)] x", "reshape"),
    (
        "reduce_max[repeated axes]",
        "x: f64[4]",
        """b: f64[3,4] = broadcast[shape=(3,4), axes=(1,)] x
        a: f64[4] = reduce_max[axes=(0,)] b""",
        "",
    ),
    (
        "reduce_max[repeated axes]",
        "x: f64[4,2]",
        """b: f64[3,4,5,2] = broadcast[shape=(3,4,5,2), axes=(1,3)] x
        a: f64[5,2] = reduce_min[axes=(0,1)] b""",
        "reduce_min broadcast",
    ),
    ("concatenate(x, empty)", "x: f64[4]", "a: f64[4] = concatenate[axis=0] x", ""),
    (
        "slice[within y]",
        "x: f64[4], y: f64[5], z: f64[6]",
        """b: f64[15] = concatenate[axis=0] x y z
        a: f64[3] = slice[starts=(5,), limits=(8,), steps=(1,)] b""",
        "slice",
    ),
    (
        "slice[within x]",
        "x: f64[4]",
        """b: f64[9] = pad[low=(2,), high=(3,), interior=(0,), fill=1.0] x
        a: f64[2] = slice[starts=(3,), limits=(5,), steps=(1,)] b""",
        "slice",
    ),
    (
        "pad[nothing]",
        "x: f64[4]",
        "a: f64[4] = pad[low=(0,), high=(0,), interior=(0,), fill=0] x",
        "",
    ),
    (
        "update[everything]",
        "x: f64[4], y: f64[4]",
        "a: f64[4] = update[starts=(0,), limits=(4,), steps=(1,)] x y",
        "",
    ),
    (
        "update[everything]",
        "x: f64[4], y: f64[0]",
        "a: f64[4] = update[starts=(2,), limits=(2,), steps=(1,)] x y",
        "",
    ),
    (
        "dot(transpose x, y)",
        "x: f64[4,3], y: f64[4,5]",
        """b: f64[3,4] = transpose[axes=(1,0)] x
        a: f64[3,5] = dot[batch=((),()), contract=((1,),(0,))] b y""",
        "dot",
    ),
    (
        "dot(transpose x, y)",
        "x: f64[2,3,4], y: f64[2,5,4]",
        """b: f64[4,2,5] = transpose[axes=(2,0,1)] y
        a: f64[2,3,5] = dot[batch=((0,),(1,)), contract=((2,),(0,))] x b""",
        "dot",
    ),
    (
        "transpose dot",
        "x: f64[2,3,4], y: f64[2,4,5]",
        """b: f64[2,3,5] = dot[batch=((0,),(0,)), contract=((2,),(1,))] x y
        a: f64[2,5,3] = transpose[axes=(0,2,1)] b""",
        "dot",
    ),
    (
        "windows[side by side]",
        "x: f64[7,3]",
        "a: f64[3,2,3] = windows[axes=(0,), sizes=(2,), strides=(2,), dilations=(1,)] x",
        "slice reshape",
    ),
    (
        "windows[side by side]",
        "x: f64[6,4]",
        """a: f64[2,3,4,1] = windows[axes=(0,1), sizes=(3,1), strides=(3,1), dilations=(1,2)] x""",
        "reshape",
    ),
    (
        "unwindow[side by side]",
        "y: f64[3,2,3]",
        "a: f64[7,3] = unwindow[axes=(0,), extents=(7,), strides=(2,), dilations=(1,)] y",
        "constant broadcast add reshape pad",
    ),
    (
        "windows transpose",
        "x: f64[5,3,7]",
        """b: f64[7,5,3] = transpose[axes=(2,0,1)] x
        a: f64[5,3,1,2,3] = windows[axes=(0,1), sizes=(3,2), strides=(1,3), dilations=(1,2)] b""",
        "windows transpose",
    ),
    (
        "slice windows",
        "x: f64[12,3]",
        """b: f64[8,5,3] = windows[axes=(0,), sizes=(5,), strides=(1,), dilations=(1,)] x
        a: f64[3,2,2] = slice[starts=(1,1,0), limits=(8,5,2), steps=(3,3,1)] b""",
        "slice windows",
    ),
]
"""How a rule's text starts, inputs, nodes that end in `a`, and the ops left by this rule alone."""


def graph_of(inputs: str, nodes: str) -> Graph:
    """A graph that returns `a`."""
    return parse_graph(f"graph case({inputs}) {{\n {nodes}\n return a\n}}")


@pytest.mark.parametrize(("rule", "inputs", "nodes", "left"), CASES, ids=[c[0] for c in CASES])
def test_a_rule_fires_alone_and_within_the_list(
    rule: str, inputs: str, nodes: str, left: str
) -> None:
    before = graph_of(inputs, nodes)
    (found,) = [each for each in views.RULES if each.text.startswith(rule)]
    alone = rewrite(before, [found])
    arrays = [random_array(v.type, np.random.default_rng(0)) for v in before.inputs]
    assert alone != before
    assert_same_values(before, alone, arrays)
    whole = simplify_views(before)
    assert_same_values(before, whole, arrays)
    assert [node.op.name for node in whole.nodes] == left.split()


def test_every_rule_has_a_case() -> None:
    unproven = [
        rule.text
        for rule in views.RULES
        if not any(rule.text.startswith(start) for start, *_ in CASES)
    ]
    assert not unproven


UNTOUCHED: dict[str, tuple[str, str]] = {
    "a transpose that swaps the free axes of a product": (
        "x: f64[2,3,4], y: f64[4,5]",
        """b: f64[3,2,4] = transpose[axes=(1,0,2)] x
        a: f64[3,2,5] = dot[batch=((),()), contract=((2,),(0,))] b y""",
    ),
    "a sum of a broadcast, whose rounding differs from a product's": (
        "x: f64[3]",
        """b: f64[3,10] = broadcast[shape=(3,10), axes=(0,)] x
        a: f64[3] = sum[axes=(1,)] b""",
    ),
    "a reshape that mixes repeated and other axes": (
        "x: f64[3]",
        """b: f64[3,4] = broadcast[shape=(3,4), axes=(0,)] x
        a: f64[12] = reshape[shape=(12,)] b""",
    ),
    "a view of an op whose other operand would need a view": (
        "x: f64[6], y: f64[2,3]",
        """b: f64[2,3] = reshape[shape=(2,3)] x
        c: f64[2,3] = add b y
        a: f64[6] = reshape[shape=(6,)] c""",
    ),
    "a slice across the seam of a concatenation": (
        "x: f64[4], y: f64[5]",
        """b: f64[9] = concatenate[axis=0] x y
        a: f64[2] = slice[starts=(3,), limits=(5,), steps=(1,)] b""",
    ),
}


@pytest.mark.parametrize(("inputs", "nodes"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_would_not_be_exact_or_not_shorter_is_left(inputs: str, nodes: str) -> None:
    graph = graph_of(inputs, nodes)
    assert simplify_views(graph) is graph


def test_a_product_that_is_read_elsewhere_is_not_computed_twice() -> None:
    graph = parse_graph("""graph twice(x: f64[3,4], y: f64[4,5]) {
      b: f64[3,5] = dot[batch=((),()), contract=((1,),(0,))] x y
      a: f64[5,3] = transpose[axes=(1,0)] b
      return a, b
    }""")
    assert simplify_views(graph) is graph


def test_reshapes_are_factored_into_the_smallest_runs_of_axes() -> None:
    assert reshape_groups((2, 3, 4, 5), (6, 4, 5)) == [([0, 1], [0]), ([2], [1]), ([3], [2])]
    assert reshape_groups((1, 6, 1), (2, 1, 3)) == [([1], [0, 2])]
    assert reshape_groups((4, 3), (6, 2)) == [([0, 1], [0, 1])]
