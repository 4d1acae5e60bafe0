"""One record per op: what to run it on, how exact it has to be, and where it has derivatives.

The records drive the generated tests: value against NumPy, first and second derivatives, round
trips of the text. An op without a record needs a reason in `EXCUSED`.
"""

from __future__ import annotations

from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.ops import OPS
from tapeless.ir.types import is_float, type_of

from .agreement import any_zero, exact
from .op_record import Record, Sample
from .op_records_convolution import CONVOLUTION
from .op_records_elementwise import ELEMENTWISE
from .op_records_indexing import INDEXING
from .op_records_reduction import REDUCTION
from .op_records_shaping import SHAPING

RECORDS: dict[str, Record] = {
    record.op: record for record in (*ELEMENTWISE, *SHAPING, *CONVOLUTION, *REDUCTION, *INDEXING)
}
"""The record of every op that NumPy can run by itself."""

EXCUSED: dict[str, str] = {
    "vjp": "has no value of its own: expansion replaces it; tests/compiler/differentiate",
    "jvp": "has no value of its own: expansion replaces it; tests/compiler/differentiate",
    "vmap": "has no reference of its own: it loops over its graph; tests/compiler/batch",
    "custom_vjp": "runs its graph; its derivative is the user's; tests/compiler/differentiate",
    "fused": "runs its graph; made by fusion, whose tests compare values before and after",
}
"""Ops without a record, and where they are tested instead."""


GROUPS: list[tuple[str, str]] = [
    (record.op, dtype) for record in RECORDS.values() for dtype in record.dtypes
]
"""Every pair of an op and an element type that its record has samples for."""


EITHER_ZERO = frozenset(name for name, record in RECORDS.items() if record.agreement is any_zero)
"""Ops that may give 0.0 or -0.0 where both are right."""

ROUNDED = frozenset(
    name for name, record in RECORDS.items() if record.agreement not in (exact, any_zero)
)
"""Ops whose floating results may be rounded in more than one way."""


def op_graph(name: str, sample: Sample) -> Graph:
    """A graph that applies one op to one sample's operands."""
    builder = GraphBuilder(name)
    operands = [builder.input(type_of(array)) for array in sample.arrays]
    return builder.build(builder.emit(OPS[name], operands, sample.attrs))


def batch_graph(name: str, samples: list[Sample]) -> Graph:
    """A graph that applies one op to every sample, with one output for each."""
    builder = GraphBuilder(name)
    outputs: list[Value] = []
    for sample in samples:
        operands = [builder.input(type_of(array)) for array in sample.arrays]
        outputs += builder.emit(OPS[name], operands, sample.attrs)
    return builder.build(outputs)


def float_operands(sample: Sample) -> tuple[int, ...]:
    """The positions of the operands in which there can be a derivative."""
    return tuple(i for i, array in enumerate(sample.arrays) if is_float(array.dtype))
