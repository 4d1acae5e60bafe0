"""Rewrite rules written as text: `mul(x, 1) -> x` is the rule and its documentation.

A pattern is a variable, a literal, or an elementwise op applied to patterns. A variable that
occurs twice stands for the same value. A literal stands for a constant whose elements all have
exactly its bits: `0` never matches -0.0, and `-0.0` matches only that; `~0` has all bits set; for
booleans `0` is false.
Operands of commutative ops match in both orders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import TypeAlias

import numpy as np

from ...ir.errors import GraphError
from ...ir.graph import Node, Value
from ...ir.ops import OPS
from ...ir.types import DType
from .rewriting import Array, Rewriter, Rule


@dataclass(frozen=True, slots=True)
class Variable:
    """Any value."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    text: str

    def element(self, dtype: DType) -> Array | None:
        """The element of this type with the literal's value; None if the type has none."""
        if self.text == "~0":
            return np.invert(np.zeros((), dtype)) if dtype.kind in "iub" else None
        if self.text in ("true", "false"):
            return np.asarray(self.text == "true") if dtype.kind == "b" else None
        if dtype.kind == "b":
            return np.asarray(False) if self.text == "0" else None
        number = float(self.text)
        if dtype.kind == "f":
            return np.asarray(number, dtype)
        fits = np.iinfo(dtype).min <= number <= np.iinfo(dtype).max
        return np.asarray(int(number), dtype) if fits else None


@dataclass(frozen=True, slots=True)
class Apply:
    """An op applied to patterns."""

    op: str
    operands: tuple[Pattern, ...]


Pattern: TypeAlias = Variable | Literal | Apply
Bindings: TypeAlias = dict[str, Value]

COMMUTATIVE = frozenset({"add", "mul", "max", "min", "and", "or", "xor", "eq", "ne"})
"""Ops whose operands patterns match in both orders."""

_TOKEN = re.compile(r"\s*([a-z_]\w*|-?\d+(?:\.\d+)?|~0|[(),])")


def parse_pattern(text: str) -> Pattern:
    """The pattern that `text` spells; raises `GraphError` if it spells none."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        raise GraphError("a pattern of ops, variables and literals", given=text)
    position, pattern = _parse(tokens, 0, text)
    if position != len(tokens):
        raise GraphError("a pattern ends with its last bracket", given=text)
    return pattern


def _parse(tokens: list[str], position: int, text: str) -> tuple[int, Pattern]:
    token = tokens[position]
    position += 1
    if token in ("true", "false") or not token[0].isalpha():
        return position, Literal(token)
    if position == len(tokens) or tokens[position] != "(":
        return position, Variable(token)
    if token not in OPS:
        raise GraphError(f"a pattern of ops of the table, not {token}", given=text)
    operands = []
    while tokens[position] != ")":
        position, operand = _parse(tokens, position + 1, text)
        operands.append(operand)
    return position + 1, Apply(token, tuple(operands))


@dataclass(frozen=True, slots=True)
class PatternRule(Rule):
    """A rule made from text; it holds for the dtype kinds in `kinds` of its variable x."""

    kinds: str = ""
    before: Apply = Apply("", ())


def pattern_rule(kinds: str, text: str) -> PatternRule:
    """The rule `before -> after` for values whose variable `x` is of the dtype kinds `kinds`."""
    left, right = text.split("->")
    before, after = parse_pattern(left), parse_pattern(right)
    if not isinstance(before, Apply):
        raise GraphError("the left side of a rule applies an op", given=text)
    apply = partial(_rewrite, kinds, before, after)
    return PatternRule(f"{kinds}: {text}", (before.op,), apply, kinds, before)


def _rewrite(
    kinds: str, before: Apply, after: Pattern, node: Node, rewriter: Rewriter
) -> Value | None:
    if not all(_occurs(operand, node, rewriter) for operand in before.operands):
        return None
    for bindings in _match_operands(before, node, {}, rewriter):
        if bindings["x"].type.dtype.kind in kinds:
            return _build(after, node, bindings, rewriter)
    return None


def _occurs(pattern: Pattern, node: Node, rewriter: Rewriter) -> bool:
    """Whether some operand of `node` is at least of the pattern's kind: most nodes have none."""
    if isinstance(pattern, Variable):
        return True
    if isinstance(pattern, Literal):
        return any(rewriter.uniform(value) is not None for value in node.inputs)
    return any(rewriter.definition(value, pattern.op) is not None for value in node.inputs)


def _match(
    pattern: Pattern, value: Value, bindings: Bindings, rewriter: Rewriter
) -> Iterator[Bindings]:
    """Every way to read `value` as `pattern`, as the bindings extended accordingly."""
    if isinstance(pattern, Variable):
        if bindings.get(pattern.name, value) is value:
            yield {**bindings, pattern.name: value}
    elif isinstance(pattern, Literal):
        element, known = pattern.element(value.type.dtype), rewriter.uniform(value)
        if element is not None and known is not None and element.tobytes() == known.tobytes():
            yield bindings
    else:
        definition = rewriter.definition(value, pattern.op)
        if definition is not None:
            yield from _match_operands(pattern, definition, bindings, rewriter)


def _match_operands(
    pattern: Apply, node: Node, bindings: Bindings, rewriter: Rewriter
) -> Iterator[Bindings]:
    orders = permutations(node.inputs) if pattern.op in COMMUTATIVE else [node.inputs]
    for values in orders:
        partial_matches = [bindings]
        for operand, value in zip(pattern.operands, values, strict=True):
            partial_matches = [
                longer
                for match in partial_matches
                for longer in _match(operand, value, match, rewriter)
            ]
        yield from partial_matches


def _build(pattern: Pattern, node: Node, bindings: Bindings, rewriter: Rewriter) -> Value:
    """The value that `pattern` stands for; literals take the type of the node replaced."""
    if isinstance(pattern, Variable):
        return bindings[pattern.name]
    if isinstance(pattern, Literal):
        element = pattern.element(node.output.type.dtype)
        assert element is not None
        return rewriter.filled(element, node.output.type)
    operands = [_build(operand, node, bindings, rewriter) for operand in pattern.operands]
    return rewriter.emit(pattern.op, *operands)
