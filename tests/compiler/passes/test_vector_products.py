"""Products without reuse: no product kernel is left, and the matrix is read as it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tapeless.compiler.lower import lower_kernel
from tapeless.compiler.lower.language import LANE, Load, Loop, Statement
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.passes.vector_products import expand_vector_products
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import host_target
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.ir.verifier import verify
from tapeless.runtime.executable import Executable

PRODUCTS = {
    "row times matrix": ("1,40", "40,37", "1,37", "batch=((),()), contract=((1,),(0,))"),
    "vector times matrix": ("40", "40,37", "37", "batch=((),()), contract=((0,),(0,))"),
    "matrix times column": ("37,40", "40,1", "37,1", "batch=((),()), contract=((1,),(0,))"),
    "transposed times vector": ("40,37", "40", "37", "batch=((),()), contract=((0,),(0,))"),
    "row times transposed": ("1,40", "37,40", "1,37", "batch=((),()), contract=((1,),(1,))"),
    "outer": ("1,40", "1,37", "40,37", "batch=((),()), contract=((0,),(0,))"),
    "outer of vectors": ("40", "37", "40,37", "batch=((),()), contract=((),())"),
    "outer in a batch": ("3,40,1", "3,1,37", "3,40,37", "batch=((0,),(0,)), contract=((2,),(1,))"),
    "batch of rows": ("3,1,40", "3,40,37", "3,1,37", "batch=((0,),(0,)), contract=((2,),(1,))"),
    "inner": ("1,40", "40,1", "1,1", "batch=((),()), contract=((1,),(0,))"),
    "of ones": ("1,1", "1,1", "1,1", "batch=((),()), contract=((1,),(0,))"),
    "of nothing": ("1,0", "0,37", "1,37", "batch=((),()), contract=((1,),(0,))"),
    "two sums": ("5,8", "5,8,37", "37", "batch=((),()), contract=((0,1),(0,1))"),
}


def product(name: str) -> Graph:
    x, y, out, attrs = PRODUCTS[name]
    return parse_graph(
        f"graph product(x: f64[{x}], y: f64[{y}]) {{\n  z: f64[{out}] = dot[{attrs}] x y\n"
        "  return z\n}"
    )


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_expansion_is_the_product(name: str) -> None:
    graph = product(name)
    expanded = expand_vector_products(graph)
    verify(expanded)
    assert "dot" not in {node.op.name for node in expanded.nodes}
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(value.type.shape) for value in graph.inputs]
    (wanted,) = interpret(graph, arrays)
    (found,) = interpret(expanded, arrays)
    (native,) = Executable(compile_graph(graph, check=True).program)(arrays)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(native, wanted, rtol=1e-12)


def test_products_with_reuse_stay_products() -> None:
    graph = parse_graph(
        "graph f(x: f32[2,3], y: f32[3,2]) {\n"
        "  z: f32[2,2] = dot[batch=((),()), contract=((1,),(0,))] x y\n  return z\n}"
    )
    assert [node.op.name for node in expand_vector_products(graph).nodes] == ["dot"]


def loads(statements: Sequence[Statement]) -> Iterator[Load]:
    for statement in statements:
        if isinstance(statement, Load):
            yield statement
        elif isinstance(statement, Loop):
            yield from loads(statement.body)


@pytest.mark.parametrize("name", PRODUCTS)
def test_vectors_are_loaded_from_neighbouring_elements(name: str) -> None:
    nodes = fuse_kernels(expand_vector_products(product(name))).nodes
    (node,) = (node for node in nodes if node.op.name == "fused")
    kernel = lower_kernel(node, host_target())
    found = [load for phase in kernel.phases for load in loads(phase.body)]
    assert all(load.access.at.coefficient(LANE) in (0, 1) for load in found)
    assert found or name == "of nothing"
