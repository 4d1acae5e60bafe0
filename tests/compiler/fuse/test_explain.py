"""Reasons why two kernels are two."""

from __future__ import annotations

from functools import partial

import pytest

from tapeless.compiler.passes import fuse
from tapeless.ir.parser import parse_graph

from .test_fuse import BARRIER, COLUMNS, LAYER, SIBLINGS, SOFTMAX, fuse_kernels

explain_fusion = partial(fuse.explain_fusion, in_registers=False)
"""Of kernels with loops: the graphs are small so that they can be read."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LAYER, ["only elementwise operations of the product's own shape join a product"]),
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
