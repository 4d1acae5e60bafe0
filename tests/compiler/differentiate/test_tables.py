"""Every op has its derivative and batching rules, or says that it has none."""

from __future__ import annotations

import pytest
from tapeless.compiler.batch.rules import BATCHING, NEVER_MAPPED
from tapeless.compiler.differentiate.rules import BESIDE_LITERAL, NOT_DIFFERENTIABLE, VJP
from tapeless.compiler.differentiate.tangents import JVP
from tapeless.ir.ops import OPS, Family

from ...op_records import RECORDS

PRIMITIVES = {name for name, op in OPS.items() if op.family is not Family.STRUCTURE}


def test_every_op_has_a_reverse_rule_or_is_not_differentiable() -> None:
    assert VJP.keys() | NOT_DIFFERENTIABLE == PRIMITIVES
    assert not VJP.keys() & NOT_DIFFERENTIABLE


def test_every_op_with_a_reverse_rule_has_a_forward_rule_and_the_other_way_round() -> None:
    assert VJP.keys() == JVP.keys()


def test_every_op_has_a_batching_rule_or_is_never_mapped() -> None:
    assert BATCHING.keys() | NEVER_MAPPED == PRIMITIVES
    assert not BATCHING.keys() & NEVER_MAPPED


@pytest.mark.parametrize("name", sorted(VJP))
def test_a_reverse_row_has_one_rule_per_operand(name: str) -> None:
    row = VJP[name]
    assert (OPS[name].arity is None) if callable(row) else (len(row) == OPS[name].arity)


def test_ops_without_a_derivative_have_no_floating_result_that_depends_on_floats() -> None:
    for name in NOT_DIFFERENTIABLE:
        assert not RECORDS[name].smooth or OPS[name].arity == 0


def test_rules_beside_a_literal_replace_rules_of_two_operand_ops() -> None:
    assert all(OPS[name].arity == 2 and name in VJP for name in BESIDE_LITERAL)
