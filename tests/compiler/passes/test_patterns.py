"""Rules as text: what parses, and what a pattern matches."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.patterns import (
    Apply,
    Literal,
    Variable,
    parse_pattern,
    pattern_rule,
)
from tapeless.compiler.passes.rewriting import rewrite
from tapeless.ir.errors import GraphError
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import DTYPE_NAMES


def test_text_becomes_a_tree() -> None:
    expected = Apply("add", (Variable("x"), Apply("neg", (Literal("-0.0"),))))
    assert parse_pattern("add(x, neg(-0.0))") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add(x, y) z", "last bracket"),
        ("frobnicate(x)", "ops of the table"),
        ("add(x; y)", "ops, variables and literals"),
    ],
)
def test_text_that_is_no_pattern_is_refused(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_pattern(text)


def test_a_rule_starts_with_an_op() -> None:
    with pytest.raises(GraphError, match="applies an op"):
        pattern_rule("f", "x -> neg(x)")


@pytest.mark.parametrize(
    ("text", "dtype", "element"),
    [
        ("0", "f64", np.float64(0.0)),
        ("-0.0", "f32", np.float32(-0.0)),
        ("0", "bool", np.False_),
        ("~0", "u8", np.uint8(255)),
        ("~0", "bool", np.True_),
        ("true", "bool", np.True_),
        ("-1", "i8", np.int8(-1)),
    ],
)
def test_literals_are_elements_of_the_type(text: str, dtype: str, element) -> None:
    found = Literal(text).element(DTYPE_NAMES[dtype])
    assert found is not None
    assert (found.dtype, found.tobytes()) == (element.dtype, element.tobytes())


@pytest.mark.parametrize(
    ("text", "dtype"), [("-1", "u8"), ("~0", "f64"), ("true", "i32"), ("1", "bool")]
)
def test_literals_that_a_type_lacks_match_nothing(text: str, dtype: str) -> None:
    assert Literal(text).element(DTYPE_NAMES[dtype]) is None


SUB = "graph g(x: f64[], y: f64[]) {{\n b: f64[] = neg {0}\n a: f64[] = sub {1} b\n return a\n}}"


def test_a_variable_that_occurs_twice_is_one_value() -> None:
    rule = pattern_rule("f", "sub(x, neg(x)) -> x")
    same, other = parse_graph(SUB.format("x", "x")), parse_graph(SUB.format("y", "x"))
    assert rewrite(same, [rule]).nodes == ()
    assert rewrite(other, [rule]) is other


def test_a_rule_holds_for_its_dtypes_only() -> None:
    graph = parse_graph(SUB.format("x", "x"))
    assert rewrite(graph, [pattern_rule("iu", "sub(x, neg(x)) -> x")]) is graph


def test_what_a_rule_builds_has_the_line_and_phase_of_what_it_replaces() -> None:
    text = SUB.format("x", "y").replace("sub y b", "sub y b   # backward model.py:3")
    rule = pattern_rule("f", "sub(x, neg(y)) -> mul(x, y)")
    (node,) = rewrite(parse_graph(text), [rule]).nodes
    assert (node.op.name, str(node.loc), node.phase) == ("mul", "model.py:3", "backward")
