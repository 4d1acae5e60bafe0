"""Every rule of `simplify_algebra`: alone, by value on special operands, and within the list."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes import algebra
from tapeless.compiler.passes.algebra import is_lossless, simplify_algebra
from tapeless.compiler.passes.patterns import Apply, Literal, Pattern, PatternRule, Variable
from tapeless.compiler.passes.rewriting import rewrite
from tapeless.ir.errors import GraphError
from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.ops import OPS
from tapeless.ir.types import BOOL, DTYPE_NAMES, FLOAT32, FLOAT64, DType, TensorType

from .equivalence import Array, assert_same_values, bits, specials

PATTERN_RULES = [rule for rule in algebra.RULES if isinstance(rule, PatternRule)]


def _variables(pattern: Pattern, dtype: DType, found: dict[str, DType]) -> dict[str, DType]:
    """The dtype of every variable when x has `dtype`; conditions of select are booleans."""
    if isinstance(pattern, Variable):
        found[pattern.name] = dtype
    elif isinstance(pattern, Apply):
        for position, operand in enumerate(pattern.operands):
            condition = pattern.op == "select" and position == 0
            _variables(operand, BOOL if condition else dtype, found)
    return found


def _emit(
    builder: GraphBuilder, pattern: Pattern, type: TensorType, env: dict[str, Value]
) -> Value:
    """The pattern as nodes; literals as broadcasts of scalars."""
    if isinstance(pattern, Variable):
        return env[pattern.name]
    if isinstance(pattern, Literal):
        element = pattern.element(type.dtype)
        assert element is not None
        (scalar,) = builder.emit(OPS["constant"], [], {"value": element})
        attrs = {"shape": type.shape, "axes": ()}
        return builder.emit(OPS["broadcast"], [scalar], attrs)[0]
    operands = []
    for position, operand in enumerate(pattern.operands):
        condition = pattern.op == "select" and position == 0
        operands.append(_emit(builder, operand, type.with_dtype(BOOL) if condition else type, env))
    return builder.emit(OPS[pattern.op], operands)[0]


def _instance(rule: PatternRule, dtype: DType) -> tuple[Graph, list[Array]] | None:
    """The left side of a rule as a graph, with every combination of special values."""
    dtypes = _variables(rule.before, dtype, {})
    grids = np.meshgrid(*(specials(each) for each in dtypes.values()), indexing="ij")
    arrays = [np.ascontiguousarray(grid.ravel()) for grid in grids]
    builder = GraphBuilder("rule")
    env = {
        name: builder.input(TensorType(each, arrays[0].shape), name)
        for name, each in dtypes.items()
    }
    try:
        result = _emit(builder, rule.before, TensorType(dtype, arrays[0].shape), env)
    except (GraphError, AssertionError):
        return None  # the op or the literal does not exist in this type
    return builder.build([result]), arrays


@pytest.mark.parametrize("rule", PATTERN_RULES, ids=str)
def test_a_pattern_rule_fires_alone_and_keeps_every_bit(rule: PatternRule) -> None:
    tried = 0
    for dtype in DTYPE_NAMES.values():
        if dtype.kind not in rule.kinds or (instance := _instance(rule, dtype)) is None:
            continue
        before, arrays = instance
        after = rewrite(before, [rule])
        assert after != before
        assert_same_values(before, after, arrays)
        assert rewrite(before, algebra.RULES) != before
        assert_same_values(before, simplify_algebra(before), arrays)
        tried += 1
    assert tried


def test_pattern_rules_fire_on_both_orders_of_a_commutative_op() -> None:
    builder = GraphBuilder("swapped")
    x = builder.input(TensorType(FLOAT64), "x")
    (one,) = builder.emit(OPS["constant"], [], {"value": np.array(1.0)})
    (y,) = builder.emit(OPS["mul"], [one, x])
    assert simplify_algebra(builder.build([y])).outputs == (x,)


INEXACT = {
    "x + 0 keeps -0.0": ("add", 0.0),
    "0 - x is not -x": ("sub", 0.0),
    "x * 0 is NaN for infinities": ("mul", 0.0),
    "x * -1 is not -x for NaN": ("mul", -1.0),
    "x / 3 is not x times a third": ("div", 3.0),
    "x - -0.0 turns -0.0 into 0.0": ("sub", -0.0),
}


@pytest.mark.parametrize(("op", "constant"), INEXACT.values(), ids=INEXACT)
def test_inexact_identities_are_left_alone(op: str, constant: float) -> None:
    builder = GraphBuilder("inexact")
    x = builder.input(TensorType(FLOAT64), "x")
    (c,) = builder.emit(OPS["constant"], [], {"value": np.array(constant)})
    operands = [c, x] if (op, str(constant)) == ("sub", "0.0") else [x, c]
    graph = builder.build(builder.emit(OPS[op], operands))
    assert simplify_algebra(graph) is graph


CONVERSIONS = [(a, b, c) for a in DTYPE_NAMES for b in DTYPE_NAMES for c in DTYPE_NAMES]


def test_conversions_merge_exactly_where_nothing_is_lost() -> None:
    merged = 0
    for source, middle, target in CONVERSIONS:
        x_type = TensorType(DTYPE_NAMES[source], specials(DTYPE_NAMES[source]).shape)
        builder = GraphBuilder("convert")
        x = builder.input(x_type, "x")
        (y,) = builder.emit(OPS["convert"], [x], {"dtype": DTYPE_NAMES[middle]})
        graph = builder.build(builder.emit(OPS["convert"], [y], {"dtype": DTYPE_NAMES[target]}))
        after = simplify_algebra(graph)
        if len(after.nodes) < 2:
            merged += 1
            assert_same_values(graph, after, [specials(DTYPE_NAMES[source])])
    assert merged > len(CONVERSIONS) // 4


def test_a_type_holds_another_exactly_when_the_round_trip_is_the_identity() -> None:
    for source in DTYPE_NAMES.values():
        for target in DTYPE_NAMES.values():
            elements = specials(source)
            with np.errstate(all="ignore"):
                back = elements.astype(target).astype(source)
            same = bits(back) == bits(elements)
            assert not is_lossless(source, target) or same, (source, target)
            if source.kind in "iu" and target.kind in "f":
                assert is_lossless(source, target) == same, (source, target)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("exponent", [-1060, -126, -3, 0, 1, 10, 127, 128, 1022, 1023])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_division_by_a_power_of_two_is_a_multiplication(
    dtype: DType, exponent: int, sign: float
) -> None:
    with np.errstate(over="ignore", under="ignore"):
        divisor = np.asarray(sign * 2.0**exponent, dtype)
    builder = GraphBuilder("divide")
    elements = specials(dtype)
    x = builder.input(TensorType(dtype, elements.shape), "x")
    (c,) = builder.emit(OPS["constant"], [], {"value": divisor})
    (d,) = builder.emit(OPS["broadcast"], [c], {"shape": elements.shape, "axes": ()})
    graph = builder.build(builder.emit(OPS["div"], [x, d]))
    after = simplify_algebra(graph)
    assert_same_values(graph, after, [elements])
    if exponent in (-3, 1, 10):
        assert [node.op.name for node in after.nodes] == ["constant", "broadcast", "mul"]


@pytest.mark.parametrize("op", ["sum", "prod", "reduce_max", "reduce_min"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "u8"])
def test_a_reduction_over_no_axes_disappears(op: str, dtype: str) -> None:
    elements = specials(DTYPE_NAMES[dtype])
    builder = GraphBuilder("reduce")
    x = builder.input(TensorType(DTYPE_NAMES[dtype], elements.shape), "x")
    graph = builder.build(builder.emit(OPS[op], [x], {"axes": ()}))
    after = simplify_algebra(graph)
    assert all(node.op.name != op for node in after.nodes)
    assert_same_values(graph, after, [elements])


def test_every_rule_reads_before_arrow_after() -> None:
    assert all("->" in str(rule) for rule in algebra.RULES)
    assert len({rule.text for rule in algebra.RULES}) == len(algebra.RULES)
