"""Every op of the table as machine code: values against NumPy, derivatives against numbers.

Generated from the records of the ops (`tests/op_records.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from tapeless.ir.errors import DomainError, OutOfBoundsError
from tapeless.ir.graph import Graph, Value
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS

from ..compiler.differentiate.jacobians import (
    assert_agree,
    float_positions,
    jvp_graph,
    numerical,
    random_like,
    run,
    vjp_graph,
)
from ..op_records import GROUPS, RECORDS, batch_graph, op_graph
from .native import Programs, native, run_guarded

Array = np.ndarray[Any, Any]
Product = Callable[[Sequence[Array]], Sequence[Array]]


@pytest.mark.parametrize("in_registers", [True, False])
@pytest.mark.parametrize(("name", "dtype"), GROUPS)
def test_native_values_are_numpys(name: str, dtype: str, in_registers: bool) -> None:
    """All samples of an element type in one program; tiny arrays in registers, or like others."""
    record = RECORDS[name]
    samples = list(record.samples(dtype))
    program = native(batch_graph(name, samples), in_registers=in_registers)
    results = run_guarded(program, [array for sample in samples for array in sample.arrays])
    for sample, result in zip(samples, results, strict=True):
        record.agreement(OPS[name], sample.arrays, sample.attrs, result)


@pytest.mark.parametrize("name", [name for name, record in RECORDS.items() if record.failing])
def test_native_code_raises_where_numpy_does(name: str) -> None:
    for sample in RECORDS[name].failing:
        graph = op_graph(name, sample)
        with pytest.raises((OutOfBoundsError, DomainError)) as reference:
            interpret(graph, sample.arrays)
        for in_registers in (True, False):
            with pytest.raises(reference.type):
                native(graph, in_registers=in_registers)(sample.arrays)


def unit_arrays(values: Sequence[Value]) -> list[list[Array]]:
    """For every element of the float values: arrays that are 1 there and 0 elsewhere."""
    types = [values[position].type for position in float_positions(values)]
    units = []
    for position, type in enumerate(types):
        for element in range(type.size):
            arrays = [np.zeros(other.shape, other.dtype) for other in types]
            arrays[position].flat[element] = 1
            units.append(arrays)
    return units


def by_units(product: Product, arrays: Sequence[Array], units: Sequence[Sequence[Array]]) -> Array:
    """The product with every unit, one row each."""
    rows = [np.concatenate([x.ravel() for x in product([*arrays, *unit])]) for unit in units]
    return np.array(rows)


def check_jacobians(
    graph: Graph, arrays: Sequence[Array], forward: Product, reverse: Product
) -> None:
    """Both modes give the numerical Jacobian of `graph`."""
    expected = numerical(graph, list(arrays))
    largest = max(float(np.max(np.abs(x), initial=1.0)) for x in run(graph, arrays))
    columns = by_units(forward, arrays, unit_arrays(graph.inputs))
    rows = by_units(reverse, arrays, unit_arrays(graph.outputs))
    # The shapes, too, for a Jacobian without rows or columns.
    assert_agree(columns.reshape(expected.T.shape).T, expected, largest)
    assert_agree(rows.reshape(expected.shape), expected, largest)


@pytest.mark.parametrize("name", [name for name, record in RECORDS.items() if record.smooth])
def test_native_derivatives_to_second_order_are_the_numerical_ones(name: str) -> None:
    """First: J from vjp and jvp. Second: the Jacobian of the vjp, from its own vjp and jvp."""
    graphs: list[Graph] = []
    arguments: list[list[Array]] = []
    checks: list[tuple[Graph, list[Array]]] = []
    for sample in RECORDS[name].smooth:
        graph = op_graph(name, sample)
        seeds = random_like(interpret(graph, sample.arrays), seed=1)
        checks += [(graph, list(sample.arrays)), (vjp_graph(graph), [*sample.arrays, *seeds])]
    for graph, arrays in checks:
        graphs += [jvp_graph(graph), vjp_graph(graph)]
        arguments += [
            [*arrays, *random_like(arrays, seed=2)],
            [*arrays, *random_like(run(graph, arrays), seed=3)],
        ]
    programs = Programs(graphs, arguments)
    for position, (graph, arrays) in enumerate(checks):
        products = (partial(programs, 2 * position), partial(programs, 2 * position + 1))
        check_jacobians(graph, arrays, *products)


def test_a_gradient_is_stopped() -> None:
    sample = next(RECORDS["stop_gradient"].samples("f64"))
    graph = op_graph("stop_gradient", sample)
    seeds = random_like(sample.arrays, seed=1)
    for product in (vjp_graph, jvp_graph):
        (result,) = native(product(graph))([*sample.arrays, *seeds])
        assert not result.any()
