"""Random programs: a batch gives what a loop over its examples gives."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.batch import batch
from tapeless.ir.interpreter import interpret
from tapeless.ir.verifier import verify

from ...random_graphs import RandomGraph, random_arguments
from ...tolerance import expected

SIZE = 3


@pytest.mark.parametrize("block", range(5))
def test_a_batch_of_a_random_program_gives_what_a_loop_gives(block: int) -> None:
    compared = []
    for seed in range(block, 100, 5):
        graph = RandomGraph(seed).build(15)
        mapped = [
            bool(flag) for flag in np.random.default_rng(seed).random(len(graph.inputs)) < 0.6
        ]
        rows = [random_arguments(graph, seed + 1000 * example) for example in range(SIZE)]
        operands = [
            np.stack([row[i] for row in rows]) if flag else rows[0][i]
            for i, flag in enumerate(mapped)
        ]
        batched = batch(graph, SIZE, mapped)
        verify(batched)
        got = interpret(batched, operands)
        for example in range(SIZE):
            row = [rows[example if flag else 0][i] for i, flag in enumerate(mapped)]
            for result, wanted in zip(got, expected(graph, row), strict=True):
                assert not wanted.wrong(result[example]).any(), f"seed {seed}"
                compared.append(wanted.compared)
    assert np.mean(compared) > 0.9
