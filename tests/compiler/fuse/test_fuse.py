"""Fusion: what becomes one kernel, what may not, and that values never change."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest

from tapeless.compiler.passes import fuse
from tapeless.compiler.passes.fuse import reads_only_at_index
from tapeless.ir.graph import Graph, GraphBuilder
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import elementwise, reduction
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import FLOAT32, TensorType
from tapeless.ir.verifier import verify

fuse_kernels = partial(fuse.fuse_kernels, register_bytes=0)
"""To kernels with loops: the graphs are small so that they can be read."""

SOFTMAX = """graph softmax(x: f32[8,10]) {
  m: f32[8] = reduce_max[axes=(1,)] x
  mb: f32[8,10] = broadcast[shape=(8,10), axes=(0,)] m
  d: f32[8,10] = sub x mb
  e: f32[8,10] = exp d
  s: f32[8] = sum[axes=(1,)] e
  sb: f32[8,10] = broadcast[shape=(8,10), axes=(0,)] s
  p: f32[8,10] = div e sb
  return p
}"""

LAYER = """graph layer(x: f32[8,4], w: f32[4,6], b: f32[6]) {
  h: f32[8,6] = dot[batch=((),()), contract=((1,),(0,))] x w
  bb: f32[8,6] = broadcast[shape=(8,6), axes=(1,)] b
  z: f32[8,6] = add h bb
  r: f32[8,6] = tanh z
  s: f32[6] = sum[axes=(0,)] r
  return r, s
}"""

BARRIER = """graph barrier(x: f32[6]) {
  a: f32[6] = exp x
  m: f32[2,3] = reshape[shape=(2,3)] a
  t: f32[3,2] = transpose[axes=(1,0)] m
  f: f32[6] = reshape[shape=(6,)] t
  y: f32[6] = mul a f
  return y
}"""

COLUMNS = """graph columns(x: f32[8,10]) {
  e: f32[8,10] = exp x
  rows: f32[8] = sum[axes=(1,)] e
  columns: f32[10] = sum[axes=(0,)] e
  return rows, columns
}"""

SIBLINGS = """graph siblings(x: f32[8,10]) {
  s: f32[8] = sum[axes=(1,)] x
  q: f32[8,10] = mul x x
  t: f32[8] = sum[axes=(1,)] q
  return s, t
}"""


def kinds(text: str) -> list[str]:
    fused = fuse_kernels(parse_graph(text))
    verify(fused)
    return [node.attrs["kind"] for node in fused.nodes if node.op.name == "fused"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SOFTMAX, ["rows"]),
        (LAYER, ["dot"]),
        (COLUMNS, ["rows", "rows"]),
        (SIBLINGS, ["rows"]),
    ],
)
def test_kernels_formed(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected


def test_a_join_that_would_close_a_cycle_is_refused() -> None:
    """y reads a directly and through two reshapes of memory: a must be finished before y."""
    fused = fuse_kernels(parse_graph(BARRIER))
    verify(fused)
    assert [node.op.name for node in fused.nodes] == [
        "fused",
        "reshape",
        "fused",
        "reshape",
        "fused",
    ]


@pytest.mark.parametrize("text", [SOFTMAX, LAYER, BARRIER, COLUMNS, SIBLINGS])
def test_fusion_keeps_every_bit(text: str) -> None:
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    for before, after in zip(
        interpret(graph, arrays), interpret(fuse_kernels(graph), arrays), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y: f32[4,4] = add x w", [True, True]),
        ("t: f32[4,4] = transpose[axes=(1,0)] w\n  y: f32[4,4] = add x t", [True, False]),
        (
            "z: f32[4,4] = neg x\n  t: f32[4,4] = transpose[axes=(1,0)] z\n  y: f32[4,4] = add w t",
            [False, True],
        ),
    ],
)
def test_results_overwrite_only_operands_read_at_their_own_index(
    body: str, expected: list[bool]
) -> None:
    text = f"graph g(x: f32[4,4], w: f32[4,4]) {{\n  {body}\n  return y\n}}"
    fused = fuse_kernels(parse_graph(text))
    node = fused.nodes[-1]
    found = {
        value: reads_only_at_index(node, position) for position, value in enumerate(node.inputs)
    }
    assert [found[value] for value in fused.inputs] == expected


def chain(length: int) -> Graph:
    builder = GraphBuilder("chain")
    value = builder.input(TensorType(FLOAT32, (16,)), "x")
    for _ in range(length):
        (value,) = builder.emit(elementwise.tanh, [value])
    return builder.build([value])


def fan(width: int) -> Graph:
    builder = GraphBuilder("fan")
    x = builder.input(TensorType(FLOAT32, (16, 16)), "x")
    (total,) = builder.emit(elementwise.neg, [x])
    for _ in range(width):
        (branch,) = builder.emit(elementwise.exp, [x])
        (row,) = builder.emit(reduction.sum_, [branch], {"axes": (0,)})
        (column,) = builder.emit(reduction.sum_, [branch], {"axes": (1,)})
        (other,) = builder.emit(elementwise.add, [row, column])
        builder.emit(elementwise.neg, [other])
        (total,) = builder.emit(elementwise.add, [total, branch])
    return builder.build([total])


@pytest.mark.parametrize("graph", [chain(20_000), fan(1_000)], ids=["chain", "fan"])
def test_large_graphs_fuse_in_seconds(graph: Graph) -> None:
    start = time.perf_counter()
    fused = fuse_kernels(graph)
    assert time.perf_counter() - start < 10
    assert max(len(n.attrs["graph"].nodes) for n in fused.nodes if n.op.name == "fused") <= 400
