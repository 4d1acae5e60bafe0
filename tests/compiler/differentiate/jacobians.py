"""Jacobians of graphs: numerical ones, and those of both modes, as dense float64 matrices.

Rows are the elements of all floating outputs in order, columns those of all floating inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.compiler.differentiate.expand import expand
from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS
from tapeless.ir.types import is_float
from tapeless.ir.verifier import verify

Array = np.ndarray[Any, Any]

WEIGHTS = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
"""Central differences of order 8 (Fornberg, Math. Comp. 51 (1988), table 1)."""
STEP = 2.0**-8


def float_positions(values: Sequence[Value]) -> tuple[int, ...]:
    """Positions of the values that have derivatives."""
    return tuple(i for i, value in enumerate(values) if is_float(value.type.dtype))


def vjp_graph(graph: Graph) -> Graph:
    """(inputs, a cotangent per float output) to the cotangents of the float inputs."""
    wrt, seeded = float_positions(graph.inputs), float_positions(graph.outputs)
    builder = GraphBuilder(f"{graph.name}_vjp")
    operands = [builder.input(value.type) for value in graph.inputs]
    operands += [builder.input(graph.outputs[i].type) for i in seeded]
    attrs = {"graph": graph, "wrt": wrt, "seeded": seeded}
    results = builder.emit(OPS["vjp"], operands, attrs)
    return builder.build(results[len(graph.outputs) :])


def jvp_graph(graph: Graph) -> Graph:
    """(inputs, a tangent per float input) to the tangents of the float outputs."""
    wrt = float_positions(graph.inputs)
    builder = GraphBuilder(f"{graph.name}_jvp")
    operands = [builder.input(value.type) for value in graph.inputs]
    operands += [builder.input(graph.inputs[i].type) for i in wrt]
    results = builder.emit(OPS["jvp"], operands, {"graph": graph, "wrt": wrt})
    return builder.build(results[len(graph.outputs) :])


def run(graph: Graph, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Expand, verify and interpret a graph."""
    flat = expand(graph)
    verify(flat)
    return interpret(flat, arrays)


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0), *(np.ravel(a) for a in arrays if is_float(a.dtype))])


def _units(values: Sequence[Value]) -> list[list[Array]]:
    """For every element of the float values: arrays that are 1 there and 0 elsewhere."""
    floats = [values[i].type for i in float_positions(values)]
    units = []
    for position, type in enumerate(floats):
        for element in range(type.size):
            arrays = [np.zeros(other.shape, other.dtype) for other in floats]
            arrays[position].flat[element] = 1
            units.append(arrays)
    return units


def numerical(graph: Graph, arrays: Sequence[Array]) -> Array:
    """By central differences."""
    flat = expand(graph)
    columns = []
    for position in float_positions(graph.inputs):
        for element in range(arrays[position].size):
            columns.append(_difference(flat, list(arrays), position, element))
    return _transposed(graph, columns)


def _transposed(graph: Graph, columns: Sequence[Array]) -> Array:
    return np.array(columns).reshape(len(columns), _count(graph.outputs)).T


def _count(values: Sequence[Value]) -> int:
    return sum(values[i].type.size for i in float_positions(values))


def _difference(graph: Graph, arrays: list[Array], position: int, element: int) -> Array:
    total = np.zeros(())
    for reach, weight in enumerate(WEIGHTS, 1):
        for sign in (1, -1):
            moved = arrays[position].copy()
            moved.flat[element] += sign * reach * STEP
            outputs = interpret(graph, [*arrays[:position], moved, *arrays[position + 1 :]])
            total = total + sign * weight * _flat(outputs)
    return total / STEP


def _products(graph: Graph, arrays: Sequence[Array], units: list[list[Array]]) -> list[Array]:
    flat = expand(graph)
    verify(flat)
    return [_flat(interpret(flat, [*arrays, *unit])) for unit in units]


def by_forward(graph: Graph, arrays: Sequence[Array]) -> Array:
    """Column by column, in forward mode."""
    return _transposed(graph, _products(jvp_graph(graph), arrays, _units(graph.inputs)))


def by_reverse(graph: Graph, arrays: Sequence[Array]) -> Array:
    """Row by row, in reverse mode."""
    rows = _products(vjp_graph(graph), arrays, _units(graph.outputs))
    return np.array(rows).reshape(len(rows), _count(graph.inputs))


def assert_agree(got: Array, expected: Array, scale: float = 1.0) -> None:
    """Equal to 1e-8 of each entry, or to 1e-10 of the largest entry (or `scale`)."""
    scale = max(scale, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10 * scale)


def random_like(arrays: Sequence[Array], seed: int) -> list[Array]:
    """Random cotangents or tangents, one for each floating array."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, a.shape).astype(a.dtype) for a in arrays if is_float(a.dtype)]


def graph_of(
    types: Sequence[Any], build: Callable[[Callable[..., Value], list[Value]], Sequence[Value]]
) -> Graph:
    """A graph made by `build(emit, inputs)`, where `emit(op, *inputs, **attrs)` gives one value."""
    builder = GraphBuilder("f")
    inputs = [builder.input(type) for type in types]

    def emit(op: str, *operands: Value, **attrs: Any) -> Value:
        (output,) = builder.emit(OPS[op], operands, attrs)
        return output

    return builder.build(build(emit, inputs))
