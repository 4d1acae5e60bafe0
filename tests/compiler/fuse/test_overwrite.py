"""Results written over operands: where it is right it is done, and values stay."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.lower import division
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

ROWS = """  p: S = mul w x
  r: f32[{n}] = sum[axes=(1,)] p
  b: S = broadcast[shape=({n},{n}), axes=(0,)] r
"""
CASES = {
    # A result across the order in which w is read would destroy what is still to be read.
    "transposed": (
        """  t: S = exp x
  s: S = mul w t
  u: S = transpose[axes=(1,0)] t
  v: S = mul u u
  return s, v""",
        False,
    ),
    "transposed twice": (
        """  t: S = exp x
  u: S = transpose[axes=(1,0)] t
  v: S = mul u u
  z: S = transpose[axes=(1,0)] v
  o: S = add z w
  s: S = mul o o
  return s, o""",
        True,
    ),
    "a row after its sum": (ROWS + "  v: S = sub w b\n  return r, v", True),
    "what the row is not read for": (ROWS + "  v: S = mul b x\n  return r, v", True),
    "a row before it is read again": (
        ROWS + "  v: S = add x x\n  o: S = sub w b\n  return o, v",
        False,
    ),
    "columns after their sum": (
        ROWS.replace("axes=(1,)] p", "axes=(0,)] p").replace("axes=(0,)] r", "axes=(1,)] r")
        + "  v: S = sub w b\n  return r, v",
        True,
    ),
    "a row after two sums": (
        ROWS
        + """  d: S = sub w b
  q: S = mul d d
  e: f32[{n}] = sum[axes=(1,)] q
  f: S = broadcast[shape=({n},{n}), axes=(0,)] e
  v: S = div d f
  return e, v""",
        True,
    ),
}
"""Bodies of functions of w and x, whose second result replaces w, and whether it can in place."""


@pytest.mark.parametrize("n", [5, 40, 67])
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_an_update_is_in_place_where_that_is_right(
    name: str, n: int, pieces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pieces:
        monkeypatch.setattr(division, "WORTH_NS", 0)
        monkeypatch.setattr(division, "PIECE_NS", 1e-3)
    body, possible = CASES[name]
    body = body.replace("{n}", str(n)).replace("S =", f"f32[{n},{n}] =")
    graph = parse_graph(f"graph f(w: f32[{n},{n}], x: f32[{n},{n}]) {{\n{body}\n}}")
    program = compile_graph(graph, updates={1: 0}, check=True, in_registers=False).program
    assert len(program.kernels) == 1
    assert program.in_place == ({1: 0} if possible else {})
    rng = np.random.default_rng(n)
    w, x = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(2))
    wanted = interpret(graph, [w.copy(), x])
    for got, value in zip(Executable(program)([w.copy(), x]), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=2e-3, atol=2e-3)
