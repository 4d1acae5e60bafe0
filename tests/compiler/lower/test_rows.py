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
