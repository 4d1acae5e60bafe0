"""The table of ops: every op is recorded, and its type rule says what its reference gives."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.ir.attributes import KINDS
from tapeless.ir.errors import DomainError, DTypeError, GraphError, OutOfBoundsError
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS, Family
from tapeless.ir.parser import parse_graph
from tapeless.ir.printer import print_graph
from tapeless.ir.types import DTYPE_NAMES, FLOAT64, INT64, TensorType, type_of
from tapeless.ir.verifier import verify

from ..agreement import any_zero, exact, reference, ulps_off, wide_reference
from ..op_records import EXCUSED, GROUPS, RECORDS, batch_graph, op_graph
from ..op_values import FLOATS

F = TensorType(FLOAT64, (2, 3))


def test_every_op_has_a_record_or_a_reason() -> None:
    assert sorted([*RECORDS, *EXCUSED]) == sorted(OPS)


def test_every_op_that_needs_a_record_has_a_reference() -> None:
    assert all((OPS[name].reference is None) == (name in EXCUSED) for name in OPS)


def test_every_attribute_has_a_kind_and_every_kind_is_used() -> None:
    assert {name for op in OPS.values() for name in op.attrs} == set(KINDS)


def test_every_op_is_documented() -> None:
    assert all(op.doc for op in OPS.values())


@pytest.mark.parametrize(("name", "dtype"), GROUPS)
def test_reference_gives_what_the_type_rule_says(name: str, dtype: str) -> None:
    """The interpreter compares every result with the recorded type."""
    samples = list(RECORDS[name].samples(dtype))
    assert samples
    graph = batch_graph(name, samples)
    verify(graph)
    # Warnings are errors here: the interpreter silences those of floating point.
    interpret(graph, [array for sample in samples for array in sample.arrays])


ROUNDED = [
    (name, dtype)
    for name, dtype in GROUPS
    if OPS[name].family is Family.ELEMENTWISE
    and RECORDS[name].agreement not in (exact, any_zero)
    and dtype in FLOATS
]


@pytest.mark.parametrize(("name", "dtype"), ROUNDED)
def test_numpy_is_within_a_few_ulps_of_the_wide_reference(name: str, dtype: str) -> None:
    """So neither the wide reference nor the measure of distance is far off."""
    for sample in RECORDS[name].samples(dtype):
        values = reference(OPS[name], sample.arrays, sample.attrs)
        wide = wide_reference(OPS[name], sample.arrays, sample.attrs)
        assert ulps_off(values, wide).max(initial=0) < 5


@pytest.mark.parametrize(("name", "dtype"), GROUPS)
def test_graphs_of_every_op_survive_printing(name: str, dtype: str) -> None:
    graph = batch_graph(name, list(RECORDS[name].samples(dtype)))
    assert parse_graph(print_graph(graph)) == graph


@pytest.mark.parametrize("name", [name for name in RECORDS if RECORDS[name].failing])
def test_samples_that_should_raise_do(name: str) -> None:
    assert OPS[name].fails
    for sample in RECORDS[name].failing:
        with pytest.raises((OutOfBoundsError, DomainError)):
            interpret(op_graph(name, sample), sample.arrays)


def test_ops_that_can_fail_have_failing_samples() -> None:
    assert {name for name, op in OPS.items() if op.fails} == {
        name for name, record in RECORDS.items() if record.failing
    }


@pytest.mark.parametrize(("name", "dtype"), GROUPS)
def test_no_other_element_types_are_accepted(name: str, dtype: str) -> None:
    """An elementwise op takes the element types of its record and no others."""
    record = RECORDS[name]
    if OPS[name].family is not Family.ELEMENTWISE:
        return
    sample = next(iter(record.samples(record.dtypes[0])))
    for other in DTYPE_NAMES.keys() - set(record.dtypes):
        types = [TensorType(DTYPE_NAMES[other], array.shape) for array in sample.arrays]
        with pytest.raises(GraphError, match="is defined on kinds"):
            OPS[name].infer(types, sample.attrs)


def infer(name: str, *types: TensorType, **attrs: object) -> tuple[TensorType, ...]:
    return OPS[name].infer(types, attrs)


INTS = TensorType(INT64, (2, 3))
V = TensorType(FLOAT64, (3,))
EMPTY = TensorType(FLOAT64, (0, 3))
POSITION = TensorType(INT64, (4,))

ILL_TYPED: list[tuple[str, str, tuple[TensorType, ...], dict[str, object]]] = [
    ("takes 2 operands", "add", (F,), {}),
    ("takes the attributes", "sum", (F,), {}),
    ("takes the attributes", "neg", (F,), {"axis": 0}),
    ("operands of one type", "add", (F, V), {}),
    ("operands of one type", "add", (F, INTS), {}),
    ("select needs", "select", (F, F, F), {}),
    ("broadcast to", "broadcast", (V,), {"shape": (2, 4), "axes": (1,)}),
    ("broadcast to", "broadcast", (F,), {"shape": (3, 2), "axes": (1, 0)}),
    ("broadcast to", "broadcast", (V,), {"shape": (3,), "axes": (1,)}),
    ("keeps the number", "reshape", (F,), {"shape": (5,)}),
    ("keeps the number", "reshape", (F,), {"shape": (-2, -3)}),
    ("permutation", "transpose", (F,), {"axes": (0, 0)}),
    ("lie within", "slice", (V,), {"starts": (0,), "limits": (4,), "steps": (1,)}),
    ("lie within", "slice", (V,), {"starts": (2,), "limits": (1,), "steps": (1,)}),
    ("lie within", "slice", (V,), {"starts": (0,), "limits": (3,), "steps": (0,)}),
    ("distinct axes", "reverse", (F,), {"axes": (0, 0)}),
    ("pad takes", "pad", (V,), {"low": (-1,), "high": (0,), "interior": (0,), "fill": 0}),
    ("pad fills", "pad", (INTS,), {"low": (0, 0), "high": (0, 0), "interior": (0, 0), "fill": 0.5}),
    ("concatenate along", "concatenate", (), {"axis": 0}),
    ("concatenate along", "concatenate", (F, V), {"axis": 0}),
    ("update writes", "update", (V, V), {"starts": (0,), "limits": (2,), "steps": (1,)}),
    ("increasing axes", "sum", (F,), {"axes": (1, 0)}),
    ("at least one element", "reduce_max", (EMPTY,), {"axes": (0,)}),
    ("at least one element", "argmax", (EMPTY,), {"axis": 0}),
    ("running|cumsum", "cumsum", (F,), {"axis": 2, "reverse": False}),
    ("equal extents", "dot", (F, F), {"batch": ((), ()), "contract": ((1,), (0,))}),
    ("every axis once", "dot", (F, F), {"batch": ((0,), (0,)), "contract": ((0,), (0,))}),
    ("one type", "dot", (F, INTS), {"batch": ((), ()), "contract": ((1,), (1,))}),
    ("indices for", "gather", (F, POSITION), {"axes": (0, 1)}),
    ("indices for", "gather", (F,), {"axes": ()}),
    ("indices are i64", "gather", (F, V), {"axes": (0,)}),
    ("updates of the type", "scatter", (F, F, POSITION), {"axes": (0,)}),
    ("iota of numbers", "iota", (), {"size": -1, "dtype": FLOAT64}),
    ("supported type", "constant", (), {"value": np.zeros(2, np.complex128)}),
    ("supported type", "constant", (), {"value": np.zeros(2, ">f8")}),
]


@pytest.mark.parametrize(("message", "name", "types", "attrs"), ILL_TYPED)
def test_ill_typed_nodes_are_refused(
    message: str, name: str, types: tuple[TensorType, ...], attrs: dict[str, object]
) -> None:
    with pytest.raises(GraphError, match=message):
        infer(name, *types, **attrs)


def test_conversion_to_a_type_that_programs_cannot_hold_is_refused() -> None:
    with pytest.raises(DTypeError, match="float32 or float64"):
        infer("convert", F, dtype=np.dtype(np.complex128))


def test_references_do_not_change_their_operands() -> None:
    for name, record in RECORDS.items():
        sample = next(iter(record.samples(record.dtypes[-1])))
        before = [array.tobytes() for array in sample.arrays]
        interpret(op_graph(name, sample), sample.arrays)
        assert [array.tobytes() for array in sample.arrays] == before, name
        assert [type_of(array) for array in sample.arrays] == [
            value.type for value in op_graph(name, sample).inputs
        ]
