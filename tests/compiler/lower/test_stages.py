"""Loops taken apart into stages: the same bits as whole, whatever the loop is."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.lower import division, stages
from tapeless.compiler.lower.language import Compute, Statement
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.graph import Graph
from tapeless.ir.parser import parse_graph

from ...end_to_end.native import native, run_guarded
from ...end_to_end.test_random_graphs import gradient_graph
from ...random_graphs import LARGE, SMALL, RandomGraph, random_arguments

CHAIN = """graph chain(x: f32[1000], y: f32[1000]) {
  a: f32[1000] = exp x
  b: f32[1000] = tanh a
  c: f32[1000] = mul b y
  d: f32[1000] = sin c
  e: f32[1000] = mul d a
  s: f32[] = sum[axes=(0,)] e
  return s, e
}"""


def _bits(graph: Graph, seed: int, special: float = 0.05) -> list[bytes]:
    arrays = random_arguments(graph, seed, special=special)
    return [np.asarray(result).tobytes() for result in run_guarded(native(graph), arrays)]


def _assert_same_bits_in_stages(
    graph: Graph, seed: int, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stages, "LINK", float("inf"))
        whole = _bits(graph, seed)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "LINK", 0)
        patch.setattr(stages, "SHORT", 0)
        patch.setattr(stages, "_latency", _every_operation_is_long)
        patch.setattr(stages, "BLOCK", block)
        assert _bits(graph, seed) == whole


def _every_operation_is_long(statement: Statement) -> int:
    return int(isinstance(statement, Compute))


@pytest.mark.parametrize("seed", range(30))
def test_a_stage_for_every_operation_keeps_all_bits(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = RandomGraph(seed, sizes=LARGE if seed % 3 == 0 else SMALL).build(steps=12)
    for program in (graph, gradient_graph(graph)):
        _assert_same_bits_in_stages(program, seed, monkeypatch, block=1 + seed % 4)


@pytest.mark.parametrize("seed", range(10))
def test_stages_of_loops_in_pieces_keep_all_bits(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "WORTH_NS", 0)
    monkeypatch.setattr(division, "PIECE_NS", 1e-3)
    graph = RandomGraph(300 + seed).build(steps=12)
    _assert_same_bits_in_stages(graph, seed, monkeypatch, block=2)


def test_a_long_chain_is_taken_apart_and_a_short_one_is_not() -> None:
    graph = parse_graph(CHAIN)
    loops = compile_graph(graph).stages["loops"].text
    exponential, tangent, sine = (loops.index(f"= {name} ") for name in ("exp", "tanh", "sin"))
    assert "for " in loops[exponential:tangent]
    assert "for " in loops[tangent:sine]
    short = parse_graph(CHAIN.replace("tanh", "neg").replace("sin", "abs"))
    loops = compile_graph(short).stages["loops"].text
    assert "for " not in loops[loops.index("= exp ") : loops.index("= abs ")]
