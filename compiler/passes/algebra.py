"""Algebraic simplification: identities that hold for every bit pattern.

What is missing here is missing on purpose: `x + 0` turns -0.0 into 0.0, `x * 0` is NaN for
infinite x, `x - x` likewise, and `-(x - y)` has another zero than `y - x`.
"""

from __future__ import annotations

import math

import numpy as np

from ...ir.graph import Graph, Node, Value
from ...ir.types import DType
from .patterns import pattern_rule
from .rewriting import Rewriter, Rule, rewrite

BOOLS, INTEGERS, FLOATS = "b", "iu", "f"
NUMBERS, SIGNED, BITS, ANY = "iuf", "if", "biu", "biuf"

_PATTERNS: dict[str, tuple[str, ...]] = {
    ANY: (
        "max(x, x) -> x",
        "min(x, x) -> x",
        "select(c, x, x) -> x",
        "select(true, x, y) -> x",
        "select(false, y, x) -> x",
        "select(not(c), x, y) -> select(c, y, x)",
        "select(c, select(c, x, y), z) -> select(c, x, z)",
        "select(c, x, select(c, y, z)) -> select(c, x, z)",
        "not(eq(x, y)) -> ne(x, y)",
        "not(ne(x, y)) -> eq(x, y)",
        "lt(x, x) -> false",
        "gt(x, x) -> false",
        "stop_gradient(x) -> x",
    ),
    NUMBERS: (
        "mul(x, 1) -> x",
        "sub(x, 0) -> x",
        "neg(neg(x)) -> x",
        "abs(abs(x)) -> abs(x)",
        "sign(sign(x)) -> sign(x)",
        "pow(x, 0) -> 1",
        "pow(x, 1) -> x",
        "pow(x, 2) -> mul(x, x)",
    ),
    SIGNED: (
        # For an unsigned x, neg(x) wraps around.
        "abs(neg(x)) -> abs(x)",
    ),
    FLOATS: (
        "add(x, -0.0) -> x",
        "div(x, 1) -> x",
        "ne(x, x) -> isnan(x)",
        "floor(floor(x)) -> floor(x)",
        "ceil(ceil(x)) -> ceil(x)",
        "trunc(trunc(x)) -> trunc(x)",
        "rint(rint(x)) -> rint(x)",
    ),
    INTEGERS: (
        "add(x, 0) -> x",
        "mul(x, 0) -> 0",
        "sub(x, x) -> 0",
        "sub(add(x, y), y) -> x",
        "add(sub(x, y), y) -> x",
        "sub(0, x) -> neg(x)",
        "mul(x, -1) -> neg(x)",
        "neg(sub(x, y)) -> sub(y, x)",
        "add(x, neg(y)) -> sub(x, y)",
        "sub(x, neg(y)) -> add(x, y)",
        "floor_divide(x, 1) -> x",
        "remainder(x, 1) -> 0",
        "shift_left(x, 0) -> x",
        "shift_right(x, 0) -> x",
    ),
    BITS: (
        "not(not(x)) -> x",
        "and(x, x) -> x",
        "or(x, x) -> x",
        "xor(x, x) -> 0",
        "and(x, 0) -> 0",
        "or(x, 0) -> x",
        "xor(x, 0) -> x",
        "and(x, ~0) -> x",
        "or(x, ~0) -> ~0",
        "xor(x, ~0) -> not(x)",
        "max(max(x, y), y) -> max(x, y)",
        "min(min(x, y), y) -> min(x, y)",
        "not(lt(x, y)) -> ge(x, y)",
        "not(ge(x, y)) -> lt(x, y)",
        "not(gt(x, y)) -> le(x, y)",
        "not(le(x, y)) -> gt(x, y)",
        "eq(x, x) -> true",
        "le(x, x) -> true",
        "ge(x, x) -> true",
        "ne(x, x) -> false",
    ),
    BOOLS: (
        "select(x, true, false) -> x",
        "select(x, false, true) -> not(x)",
        "eq(x, true) -> x",
        "ne(x, false) -> x",
        "ne(x, true) -> not(x)",
        "eq(x, false) -> not(x)",
    ),
}
"""By the dtype kinds of x: `before -> after`."""


def _convert_to_same(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    return x if x.type.dtype == node.attrs["dtype"] else None


def is_lossless(source: DType, target: DType) -> bool:
    """Every element of type `source` has an equal one of type `target`, -0.0 and NaN included."""
    if source.kind in "iu" and target.kind == "f":
        bits = source.itemsize * 8 - (source.kind == "i")
        return bits <= np.finfo(target).nmant + 1
    return np.can_cast(source, target, "safe")


def _convert_twice(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "convert")
    if inner is None:
        return None
    (x,), target = inner.inputs, node.attrs["dtype"]
    if not is_lossless(x.type.dtype, node.inputs[0].type.dtype):
        return None
    # A float outside the range of an integer type converts differently from float32 and float64.
    through_float = inner.attrs["dtype"].kind == "f" and target.kind in "iu"
    if through_float and not np.can_cast(x.type.dtype, target, "safe"):
        return None
    return rewriter.emit("convert", x, dtype=target)


def _divide_by_power_of_two(node: Node, rewriter: Rewriter) -> Value | None:
    x, y = node.inputs
    divisor = rewriter.uniform(y)
    if divisor is None or not _has_exact_inverse(float(divisor), y.type.dtype):
        return None
    inverse = np.asarray(1 / float(divisor), y.type.dtype)
    return rewriter.emit("mul", x, rewriter.filled(inverse, y.type))


def _has_exact_inverse(divisor: float, dtype: DType) -> bool:
    if not math.isfinite(divisor) or abs(math.frexp(divisor)[0]) != 0.5:
        return False
    tiny = float(np.finfo(dtype).tiny)
    return tiny <= abs(divisor) <= 1 / tiny


def _reduce_no_axes(node: Node, rewriter: Rewriter) -> Value | None:
    return node.inputs[0] if node.attrs["axes"] == () else None


def _sum_no_axes(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    if node.attrs["axes"] != ():
        return None
    return rewriter.emit("add", x, rewriter.filled(np.zeros((), x.type.dtype), x.type))


RULES: tuple[Rule, ...] = (
    *(pattern_rule(kinds, text) for kinds, texts in _PATTERNS.items() for text in texts),
    Rule("convert[the same type] x -> x", ("convert",), _convert_to_same),
    Rule(
        "convert[A] convert[B] x -> convert[A] x, if B holds every x", ("convert",), _convert_twice
    ),
    Rule("div(x, 2^k) -> mul(x, 2^-k), if both are normal", ("div",), _divide_by_power_of_two),
    Rule(
        "prod[axes=()] x -> x; reduce_max, reduce_min alike",
        ("prod", "reduce_max", "reduce_min"),
        _reduce_no_axes,
    ),
    # A sum starts from 0.0, which is how a sum of -0.0 becomes 0.0.
    Rule("sum[axes=()] x -> add(x, 0)", ("sum",), _sum_no_axes),
)
"""All rules of this pass, in the order in which they are tried."""


def simplify_algebra(graph: Graph) -> Graph:
    """Requires: a graph whose transformations are expanded (`stop_gradient` is dropped).
    Ensures: no rule of `RULES` fits any more; equal values, bit for bit.
    """
    return rewrite(graph, RULES)
