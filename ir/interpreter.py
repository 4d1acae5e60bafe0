"""The reference interpreter: a graph run by NumPy, one node after another.

It defines what a graph computes. Passes and generated code are right when they agree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import ArgumentError, DomainError, GraphError, OutOfBoundsError, TapelessError
from .graph import Graph, Node, Value
from .types import TensorType

Array = np.ndarray[Any, Any]


def interpret(graph: Graph, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs of `graph` for `arrays`, which have exactly the types of its inputs.

    The results are fresh contiguous arrays of exactly the recorded types; the arguments are not
    changed. No floating-point warnings are given. Raises `ArgumentError` for arguments of other
    types, `OutOfBoundsError` for an index outside its axis, `DomainError` for a negative integer
    power, and `GraphError` for a graph whose transformations are not yet expanded.
    """
    _check_arguments(graph, arrays)
    with np.errstate(all="ignore"):
        outputs = _run(graph, arrays)
    return tuple(np.array(array, order="C") for array in outputs)


def _check_arguments(graph: Graph, arrays: Sequence[Array]) -> None:
    if len(arrays) != len(graph.inputs):
        raise ArgumentError(
            f"graph {graph.name} takes {len(graph.inputs)} arrays", given=str(len(arrays))
        )
    for value, array in zip(graph.inputs, arrays, strict=True):
        given = (array.dtype, array.shape)
        if given != (value.type.dtype, value.type.shape):
            raise ArgumentError(
                f"input {value.name!r} of graph {graph.name} is {value.type}",
                given=f"{array.dtype} of shape {array.shape}",
            )


def _run(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    env: dict[Value, Array] = dict(zip(graph.inputs, arrays, strict=True))
    dying = _last_uses(graph)
    for position, node in enumerate(graph.nodes):
        results = run_node(node, [env[value] for value in node.inputs])
        env.update(zip(node.outputs, results, strict=True))
        for value in dying.get(position, ()):
            del env[value]
    return [env[value] for value in graph.outputs]


def _last_uses(graph: Graph) -> dict[int, list[Value]]:
    """For each node position, the values that nothing after it reads."""
    last: dict[Value, int] = {}
    for position, node in enumerate(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            last[value] = position
    for value in graph.outputs:
        last.pop(value, None)
    dying: dict[int, list[Value]] = {}
    for value, position in last.items():
        dying.setdefault(position, []).append(value)
    return dying


def run_node(node: Node, arrays: Sequence[Array]) -> list[Array]:
    """The results of one node, checked against their recorded types; they may alias `arrays`."""
    if node.op.name in _STRUCTURE:
        results = _STRUCTURE[node.op.name](node, arrays)
    elif node.op.reference is None:
        raise GraphError(
            f"the interpreter runs graphs without {node.op.name} nodes",
            given=f"graph {node.attrs['graph'].name} under {node.op.name}",
            hint="expand the transformations first: compiler.differentiate.expand",
            loc=node.loc,
        )
    else:
        results = _apply_reference(node, arrays)
    for value, array in zip(node.outputs, results, strict=True):
        _check_result(node, value.type, array)
    return results


def _apply_reference(node: Node, arrays: Sequence[Array]) -> list[Array]:
    assert node.op.reference is not None
    try:
        results = node.op.reference(*arrays, **node.attrs)
    except tuple(_FAILURES) as error:
        if not node.op.fails:
            raise
        requirement = f"{node.op.name} needs operands for which it is defined"
        raise _FAILURES[type(error)](requirement, given=str(error), loc=node.loc) from None
    if not isinstance(results, tuple):
        results = (results,)
    return [np.asarray(result) for result in results]


_FAILURES: Mapping[type[Exception], type[TapelessError]] = {
    IndexError: OutOfBoundsError,
    ValueError: DomainError,
}
"""What NumPy raises in a reference that can fail, and what becomes of it."""


def _check_result(node: Node, type: TensorType, array: Array) -> None:
    if (array.dtype, array.shape) != (type.dtype, type.shape):
        raise GraphError(
            f"the reference of {node.op.name} gives what its type rule says, {type}",
            given=f"{array.dtype} of shape {array.shape}",
            loc=node.loc,
        )


def _run_graph(node: Node, arrays: Sequence[Array]) -> list[Array]:
    return _run(node.attrs["graph"], arrays)


def _run_batched(node: Node, arrays: Sequence[Array]) -> list[Array]:
    graph, size, batched = node.attrs["graph"], node.attrs["size"], node.attrs["batched"]
    results = [np.empty(value.type.shape, value.type.dtype) for value in node.outputs]
    for index in range(size):
        rows = [
            np.asarray(array[index]) if mapped else array
            for array, mapped in zip(arrays, batched, strict=True)
        ]
        for result, row in zip(results, _run(graph, rows), strict=True):
            result[index] = row
    return results


_STRUCTURE: Mapping[str, Callable[[Node, Sequence[Array]], list[Array]]] = {
    "fused": _run_graph,
    "custom_vjp": _run_graph,
    "vmap": _run_batched,
}
"""Ops that hold graphs and can run as they are."""
