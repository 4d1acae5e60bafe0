"""Rows shorter than a vector: several side by side, of every length, dtype and target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower.segments import segment_lowering
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

from ...end_to_end.native import run_guarded

Array = np.ndarray[Any, Any]

TARGETS = [host_target(), *(narrowed(host_target(), level) for level in ("avx2", "sse2"))]

POOL = """graph pool(x: {t}[3,{p},2,{n},{k}], g: {t}[3,{p},{n}]) {{
  m: {t}[3,{p},{n}] = reduce_max[axes=(2,4)] x
  b: {t}[3,{p},2,{n},{k}] = broadcast[shape=(3,{p},2,{n},{k}), axes=(0,1,3)] m
  h: bool[3,{p},2,{n},{k}] = eq x b
  f: {t}[3,{p},2,{n},{k}] = convert[dtype={t}] h
  s: {t}[3,{p},{n}] = sum[axes=(2,4)] f
  q: {t}[3,{p},{n}] = div g s
  c: {t}[3,{p},2,{n},{k}] = broadcast[shape=(3,{p},2,{n},{k}), axes=(0,1,3)] q
  z: {t}[] = constant[value={t}[](0.0)]
  o: {t}[3,{p},2,{n},{k}] = broadcast[shape=(3,{p},2,{n},{k}), axes=()] z
  d: {t}[3,{p},2,{n},{k}] = select h c o
  return m, h, d
}}"""

GRAPHS: dict[str, str] = {
    "one number of each row for all of it": """graph g(x: f32[37,4], y: f32[37]) {
      b: f32[37,4] = broadcast[shape=(37,4), axes=(0,)] y
      z: f32[37,4] = mul x b
      return z
    }""",
    "softmax of pairs": """graph g(x: f32[5,33,2]) {
      m: f32[5,33] = reduce_max[axes=(2,)] x
      b: f32[5,33,2] = broadcast[shape=(5,33,2), axes=(0,1)] m
      d: f32[5,33,2] = sub x b
      e: f32[5,33,2] = exp d
      s: f32[5,33] = sum[axes=(2,)] e
      c: f32[5,33,2] = broadcast[shape=(5,33,2), axes=(0,1)] s
      p: f32[5,33,2] = div e c
      return p
    }""",
    "a value for every row of rows": """graph g(x: f64[6,19,2], y: f64[6]) {
      b: f64[6,19,2] = broadcast[shape=(6,19,2), axes=(0,)] y
      z: f64[6,19,2] = add x b
      s: f64[6,19] = sum[axes=(2,)] z
      return s, z
    }""",
}


def graphs() -> list[Any]:
    found = [pytest.param(text, id=name) for name, text in GRAPHS.items()]
    for t in ("f32", "f64"):
        for k, n, p in ((2, 14, 4), (2, 5, 3), (4, 9, 1), (8, 3, 2), (2, 64, 1)):
            text = POOL.format(t=t, k=k, n=n, p=p)
            found.append(pytest.param(text, id=f"pool {k} of {n} {t}"))
    return found


def arguments(graph: Graph) -> list[Array]:
    """Many equal elements."""
    rng = np.random.default_rng(0)
    return [np.rint(rng.standard_normal(v.type.shape)).astype(v.type.dtype) for v in graph.inputs]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("text", graphs())
def test_short_rows_are_those_of_numpy(text: str, target: Target) -> None:
    graph = parse_graph(text)
    arrays = arguments(graph)
    program = compile_graph(graph, target=target, check=True, simplification=()).program
    assert len(program.kernels) == 1
    got = run_guarded(Executable(program), arrays)
    for result, expected in zip(got, interpret(graph, arrays), strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-6)


def lowered(text: str, target: Target) -> Any:
    (node,) = fuse_kernels(parse_graph(text)).nodes
    return segment_lowering(node.attrs["kind"], node.attrs["graph"], target)


def test_several_rows_share_a_vector_where_it_is_wider_than_two_of_them() -> None:
    target = narrowed(host_target(), "avx2")
    for k, wanted in ((2, 8), (4, 8), (8, None)):
        lowering = lowered(POOL.format(t="f32", k=k, n=16, p=2), target)
        assert (lowering and lowering.lanes) == wanted


UNFIT: dict[str, str] = {
    "rows that are not a power of two": POOL.format(t="f32", k=3, n=16, p=2),
    "rows along another axis": """graph g(x: f32[2,16]) {
      t: f32[16,2] = transpose[axes=(1,0)] x
      s: f32[16] = sum[axes=(1,)] t
      return s
    }""",
    "one number for each place in a row": """graph g(x: f32[16,2], y: f32[2]) {
      b: f32[16,2] = broadcast[shape=(16,2), axes=(1,)] y
      z: f32[16,2] = mul x b
      return z
    }""",
    "too many rows in one": """graph g(x: f32[16,20,2]) {
      s: f32[20] = sum[axes=(0,2)] x
      return s
    }""",
}


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
def test_other_kernels_are_not_lowered_so(text: str) -> None:
    assert lowered(text, host_target()) is None


def test_lanes_of_a_segment_agree_on_the_sign_of_zero() -> None:
    graph = parse_graph("""graph g(x: f32[16,2]) {
      m: f32[16] = reduce_max[axes=(1,)] x
      b: f32[16,2] = broadcast[shape=(16,2), axes=(0,)] m
      o: f32[] = constant[value=f32[](1.0)]
      c: f32[16,2] = broadcast[shape=(16,2), axes=()] o
      d: f32[16,2] = div c b
      return d
    }""")
    x = np.tile(np.array([-0.0, 0.0], np.float32), (16, 1))
    (got,) = Executable(compile_graph(graph, simplification=()).program)([x])
    assert np.array_equal(got[:, 0], got[:, 1])
