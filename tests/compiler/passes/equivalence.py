"""Is a pass right? The graph before and after it, run by the interpreter on the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.printer import print_graph
from tapeless.ir.types import DType, TensorType
from tapeless.ir.verifier import verify

Array = np.ndarray[Any, Any]


def specials(dtype: DType) -> Array:
    """Elements at which identities break: zeros of both signs, infinities, NaN, extremes, ties."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = [0, 1, 2, 3, 7, limits.max, limits.max - 1, limits.min, limits.min + 1]
        return np.array([*values, *([-1, -2, -5] if dtype.kind == "i" else [])], dtype)
    limits = np.finfo(dtype)
    values = [0.0, 0.5, 1.0, 1.5, 2.5, 3.25, 1e-3, np.pi, 1e6, np.inf, np.nan]
    values += [float(x) for x in (limits.max, limits.tiny, limits.smallest_subnormal, limits.eps)]
    positive = np.array(values, dtype)
    return np.concatenate([positive, -positive])


def random_array(type: TensorType, rng: np.random.Generator, special: float = 0.2) -> Array:
    """An array of this type, some of its elements special."""
    if type.dtype.kind == "b":
        return rng.random(type.shape) < 0.5
    if type.dtype.kind in "iu":
        plain = rng.integers(0, 5, type.shape).astype(type.dtype)
    else:
        plain = rng.normal(size=type.shape).astype(type.dtype)
    extremes = rng.choice(specials(type.dtype), type.shape)
    chosen = np.asarray(rng.random(type.shape) < special)
    return np.where(chosen, extremes, plain).astype(type.dtype)


def bits(array: Array) -> bytes:
    """The elements as bytes."""
    return np.ascontiguousarray(array).tobytes()


def assert_same_interface(before: Graph, after: Graph) -> None:
    """Same inputs, same number and types of outputs, and `after` is a graph."""
    verify(after)
    assert after.name == before.name
    assert after.inputs == before.inputs
    assert after.output_types == before.output_types


def one_nan(array: Array) -> Array:
    """The array with all NaNs alike."""
    if array.dtype.kind != "f":
        return array
    return np.where(array == array, array, np.array(np.nan, array.dtype))


def assert_same_values(before: Graph, after: Graph, arrays: Sequence[Array]) -> None:
    """The outputs agree bit for bit.

    Only which of several NaNs a sum of products gives is BLAS's choice, by the layout it is given.
    """
    assert_same_interface(before, after)
    expected, got = interpret(before, arrays), interpret(after, arrays)
    if any(node.op.name == "dot" for node in before.nodes):
        expected, got = (tuple(map(one_nan, each)) for each in (expected, got))
    for position, (old, new) in enumerate(zip(expected, got, strict=True)):
        assert bits(old) == bits(new), (
            f"output {position}: {old} became {new}\n{print_graph(before)}\n{print_graph(after)}"
        )


def check_pass(pass_: Callable[[Graph], Graph], graph: Graph, rng: np.random.Generator) -> Graph:
    """Apply a pass: values stay, a second application changes nothing, the graph is not touched."""
    text = print_graph(graph)
    result = pass_(graph)
    assert print_graph(graph) == text
    arrays = [random_array(value.type, rng) for value in graph.inputs]
    assert_same_values(graph, result, arrays)
    assert pass_(result) == result
    return result
