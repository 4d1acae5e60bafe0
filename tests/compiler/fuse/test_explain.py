"""Reasons why two kernels are two."""

from __future__ import annotations

from functools import partial

import pytest

from tapeless.compiler.passes import fuse
from tapeless.ir.parser import parse_graph

from .test_fuse import BARRIER, COLUMNS, LAYER, SIBLINGS, SOFTMAX, fuse_kernels

explain_fusion = partial(fuse.explain_fusion, register_bytes=0)
"""Of kernels with loops: the graphs are small so that they can be read."""

CENTRED = """graph centred(x: f32[8,4], w: f32[4,6]) {
  h: f32[8,6] = dot[batch=((),()), contract=((1,),(0,))] x w
  s: f32[6] = sum[axes=(0,)] h
  m: f32[8,6] = broadcast[shape=(8,6), axes=(1,)] s
  d: f32[8,6] = sub h m
  return d
}"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAYER, []),
        (
            LAYER.replace("s: f32[6] = sum[axes=(0,)]", "s: f32[8] = sum[axes=(1,)]"),
            ["of reductions only sums and extrema over its rows join a product"],
        ),
        (CENTRED, ["it reads what the kernel has only once all of its product is there"]),
        (COLUMNS, ["it reduces along other axes than the kernel does"]),
        (SOFTMAX, []),
        (SIBLINGS, []),
        (
            BARRIER,
            [
                "its operand is memory under another shape, or a constant array",
                "its operand is memory under another shape, or a constant array",
                "another kernel has to run between the two",
            ],
        ),
    ],
)
def test_every_pair_of_kernels_has_its_reason(text: str, expected: list[str]) -> None:
    found = explain_fusion(parse_graph(text))
    assert [separation.reason for separation in found] == expected


def test_a_full_kernel_is_a_reason() -> None:
    lines = ["graph long(x: f32[4]) {"]
    lines += [f"  v{i}: f32[4] = tanh {'x' if i == 0 else f'v{i - 1}'}" for i in range(130)]
    graph = parse_graph("\n".join([*lines, "  return v129", "}"]))
    assert len(fuse_kernels(graph).nodes) == 2
    (separation,) = explain_fusion(graph)
    assert str(separation) == "tanh -> tanh: the kernel already has 128 operations"
