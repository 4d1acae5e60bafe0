"""One op, one row per table: derivative, batching, lowering and a record that generates tests."""

from __future__ import annotations

import pytest

from tapeless.compiler.batch.rules import BATCHING, NEVER_MAPPED
from tapeless.compiler.codegen.elementwise import ELEMENTWISE
from tapeless.compiler.differentiate.rules import NOT_DIFFERENTIABLE, VJP
from tapeless.compiler.differentiate.tangents import JVP
from tapeless.compiler.lower import LOWERING
from tapeless.compiler.lower.folds import _FOLDS as FOLDS
from tapeless.compiler.lower.pull import READABLE
from tapeless.ir.errors import GraphError
from tapeless.ir.ops import OPS, Family, Op
from tapeless.ir.types import DTYPE_NAMES, TensorType

from ..op_records import RECORDS

PRIMITIVES = {name: op for name, op in OPS.items() if op.family is not Family.STRUCTURE}
ELEMENTWISE_OPS = {name for name, op in PRIMITIVES.items() if op.family is Family.ELEMENTWISE}

EMITTED_DIRECTLY = {"select", "convert"}
"""Elementwise ops whose operands differ in type: code generation treats them by name."""

ERASED = {"stop_gradient"}
"""Ops that are gone before lowering."""


def accepts(op: Op, type: TensorType) -> bool:
    """Whether the type rule takes operands that are all of `type`."""
    try:
        op.infer([type] * (op.arity or 1), {})
    except GraphError:
        return False
    return True


@pytest.mark.parametrize("name", PRIMITIVES)
def test_op_is_declared_in_full(name: str) -> None:
    op = PRIMITIVES[name]
    assert op.reference is not None
    assert op.doc
    assert op.name == name


@pytest.mark.parametrize("name", PRIMITIVES)
def test_op_is_differentiable_in_both_modes_or_said_not_to_be(name: str) -> None:
    assert (name in VJP) == (name in JVP)
    assert (name in VJP) != (name in NOT_DIFFERENTIABLE)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_op_can_be_batched_or_has_no_operands(name: str) -> None:
    assert (name in BATCHING) != (name in NEVER_MAPPED)
    assert name in BATCHING or OPS[name].arity == 0


@pytest.mark.parametrize("name", PRIMITIVES)
def test_op_has_a_record_that_generates_its_tests(name: str) -> None:
    assert name in RECORDS


@pytest.mark.parametrize("name", sorted(PRIMITIVES.keys() - ELEMENTWISE_OPS))
def test_op_becomes_loops(name: str) -> None:
    assert name in READABLE | LOWERING.keys() | FOLDS.keys()


@pytest.mark.parametrize("name", sorted(ELEMENTWISE_OPS - EMITTED_DIRECTLY - ERASED))
def test_elementwise_op_has_code_for_every_dtype_that_it_accepts(name: str) -> None:
    kinds = {
        dtype.kind for dtype in DTYPE_NAMES.values() if accepts(OPS[name], TensorType(dtype, (2,)))
    }
    assert kinds
    assert kinds <= {kind for kind, rows in ELEMENTWISE.items() if name in rows}


def test_tables_have_no_rows_for_ops_that_do_not_exist() -> None:
    tables = {
        "VJP": VJP,
        "JVP": JVP,
        "BATCHING": BATCHING,
        "READABLE": READABLE,
        "FOLDS": FOLDS,
        "RECORDS": RECORDS,
    }
    strangers = {name: set(table) - OPS.keys() for name, table in tables.items()}
    assert not any(strangers.values()), strangers
