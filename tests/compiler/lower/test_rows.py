"""Row programs: what passes keep for one another, and how wide their vectors are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower import lower_kernel
from tapeless.compiler.lower.language import Load, Loop, Statement
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import host_target
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

Array = np.ndarray[Any, Any]


def normalized(n: int) -> str:
    """The root of a row is expensive, an output, and read by two passes."""
    return f"""graph norm(x: f32[6,{n}]) {{
  q: f32[6,{n}] = mul x x
  v: f32[6] = sum[axes=(1,)] q
  s: f32[6] = sqrt v
  b: f32[6,{n}] = broadcast[shape=(6,{n}), axes=(0,)] s
  y: f32[6,{n}] = div x b
  m: f32[6] = reduce_max[axes=(1,)] y
  c: f32[6,{n}] = broadcast[shape=(6,{n}), axes=(0,)] m
  d: f32[6,{n}] = sub x c
  e: f32[6,{n}] = mul d b
  return s, e
}}"""


@pytest.mark.parametrize("n", [7, 16, 40])
def test_a_result_of_a_row_is_not_read_from_memory_before_it_is_there(n: int) -> None:
    x = np.random.default_rng(0).standard_normal((6, n)).astype(np.float32)
    s, e = Executable(compile_graph(parse_graph(normalized(n)), check=True).program)([x])
    size = np.sqrt((x * x).sum(1))
    np.testing.assert_allclose(s, size, rtol=1e-6)
    largest = (x / size[:, None]).max(1, keepdims=True)
    np.testing.assert_allclose(e, (x - largest) * size[:, None], rtol=1e-4, atol=1e-5)


def widest_load(statements: list[Statement] | tuple[Statement, ...]) -> int:
    return max(
        widest_load(s.body) if isinstance(s, Loop) else s.target.lanes
        for s in statements
        if isinstance(s, Loop | Load)
    )


def test_what_is_the_same_along_a_row_does_not_make_vectors_shorter() -> None:
    text = """graph weighted(x: f32[8,64], w: f64[8]) {
  c: f32[8] = convert[dtype=f32] w
  b: f32[8,64] = broadcast[shape=(8,64), axes=(0,)] c
  y: f32[8,64] = mul x b
  return y
}"""
    wide = f"{text}".replace("f64[8]", "f64[8,64]").replace("c: f32[8] =", "b: f32[8,64] =")
    wide = "\n".join(line for line in wide.splitlines() if "broadcast" not in line)
    lanes = []
    for graph in (parse_graph(text), parse_graph(wide)):
        (node,) = fuse_kernels(graph).nodes[-1:]
        (phase,) = lower_kernel(node, host_target()).phases
        lanes.append(widest_load(phase.body))
    assert lanes == [host_target().lanes(4), host_target().lanes(8)]


ALONG_ROWS = {
    "rows of a table": (
        """graph f(x: f32[9,64], j: i64[5]) {
  y: f32[5,64] = gather[axes=(0,)] x j
  z: f32[5,64] = neg y
  return z
}""",
        4,
    ),
    "elements of a table": (
        """graph f(x: f32[640], j: i64[64]) {
  y: f32[64] = gather[axes=(0,)] x j
  z: f32[64] = neg y
  return z
}""",
        8,
    ),
    "rows put between zeros": (
        """graph f(x: f32[3,64]) {
  y: f32[5,64] = pad[low=(1,0), high=(1,0), interior=(0,0), fill=0.0] x
  z: f32[5,64] = neg y
  return z
}""",
        4,
    ),
    "columns put between zeros": (
        """graph f(x: f32[3,64]) {
  y: f32[3,66] = pad[low=(0,1), high=(0,1), interior=(0,0), fill=0.0] x
  z: f32[3,66] = neg y
  return z
}""",
        8,
    ),
    "rows one behind another": (
        """graph f(x: f32[3,64], y: f32[2,64]) {
  z: f32[5,64] = concatenate[axis=0] x y
  w: f32[5,64] = neg z
  return w
}""",
        4,
    ),
    "rows of an array replaced": (
        """graph f(x: f32[5,64], y: f32[2,64]) {
  z: f32[5,64] = update[starts=(1,0), limits=(5,64), steps=(2,1)] x y
  w: f32[5,64] = neg z
  return w
}""",
        4,
    ),
    "places of the largest": (
        """graph f(x: f32[5,64]) {
  z: i64[5] = argmax[axis=1] x
  return z
}""",
        8,
    ),
}
"""Graphs, and the bytes of the widest element that their vectors have to hold."""


@pytest.mark.parametrize("name", ALONG_ROWS)
def test_only_positions_along_a_vector_are_wide(name: str) -> None:
    text, itemsize = ALONG_ROWS[name]
    graph = parse_graph(text)
    (node,) = fuse_kernels(graph).nodes
    (phase,) = lower_kernel(node, host_target()).phases
    assert widest_load(phase.body) == host_target().lanes(itemsize)
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(-9, 9, v.type.shape)
        if v.type.dtype.kind == "i"
        else rng.standard_normal(v.type.shape).astype(v.type.dtype)
        for v in graph.inputs
    ]
    (got,) = Executable(compile_graph(graph, check=True).program)(arrays)
    np.testing.assert_array_equal(got, interpret(graph, arrays)[0])
