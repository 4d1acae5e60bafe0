"""Work on the parts of what is joined, done in the kernel that reads the whole."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.passes.fuse import parts

from ...end_to_end.test_random_graphs import check_native, gradient_graph
from ...random_graphs import LARGE, SMALL, RandomGraph

A, B = np.linspace(-1, 1, 200).reshape(10, 20), np.linspace(2, 3, 140).reshape(7, 20)

ONE_KERNEL = {
    "rows": lambda a, b: np.exp(np.concatenate([a * 2, b + 1])) * 3,
    "columns": lambda a, b: np.concatenate([a.T * 2, -b.T, a.T], 1) * 2,
    "reduced": lambda a, b: np.concatenate([a * 2, b + 1]).sum(0),
    "padded": lambda a, b: np.pad(a * b[0] + 1, 1) + 1,
    "chained": lambda a, b: np.concatenate([(a - 1) * 2 + a, b]) - 1,
}
"""The parts are cheap and made from arguments."""

SEVERAL_KERNELS = {
    "costly": lambda a, b: np.concatenate([np.exp(a), b]) * 2,
    "of a product": lambda a, b: np.concatenate([np.maximum(a @ b.T @ b, 0), b]) * 2,
    "read twice": lambda a, b: (np.concatenate([a * 2, b]), (a * 2).sum()),
}


@pytest.mark.parametrize("name", [*ONE_KERNEL, *SEVERAL_KERNELS])
def test_parts_join_their_reader_where_that_is_cheap(name: str) -> None:
    function = (ONE_KERNEL | SEVERAL_KERNELS)[name]
    compiled = tl.compile(function)
    kernels = len(compiled.lower(A, B).program.kernels)
    assert (kernels == 1) == (name in ONE_KERNEL)
    for got, expected in zip(compiled(A, B), function(A, B), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_agree_when_all_parts_join(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_CHEAP", 10**6)
    graph = RandomGraph(600 + seed, sizes=LARGE if seed % 3 == 0 else SMALL).build(steps=12)
    check_native(graph, seed)
    check_native(gradient_graph(graph), seed)
