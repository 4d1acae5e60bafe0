"""The shape of the derivative tables; tests/structure asks that they are complete."""

from __future__ import annotations

import pytest

from tapeless.compiler.differentiate.rules import BESIDE_LITERAL, NOT_DIFFERENTIABLE, VJP
from tapeless.ir.ops import OPS

from ...op_records import RECORDS


@pytest.mark.parametrize("name", sorted(VJP))
def test_a_reverse_row_has_one_rule_per_operand(name: str) -> None:
    row = VJP[name]
    assert (OPS[name].arity is None) if callable(row) else (len(row) == OPS[name].arity)


@pytest.mark.parametrize("name", sorted(VJP))
def test_every_rule_is_compared_with_numerical_derivatives_or_says_why_not(name: str) -> None:
    assert bool(RECORDS[name].smooth) != bool(RECORDS[name].derivative)


@pytest.mark.parametrize("name", sorted(NOT_DIFFERENTIABLE))
def test_ops_without_a_derivative_are_not_recorded_as_smooth(name: str) -> None:
    assert not RECORDS[name].smooth


@pytest.mark.parametrize("name", sorted(BESIDE_LITERAL))
def test_rules_beside_a_literal_are_for_ops_with_two_operands(name: str) -> None:
    assert OPS[name].arity == len(BESIDE_LITERAL[name]) == 2
