"""Offsets: apart while both live, close to the least possible size."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes import packing
from tapeless.compiler.passes.packing import Block, aligned, pack, peak


def random_blocks(seed: int, count: int) -> list[Block]:
    """Blocks in order of their start."""
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.integers(0, 60, count))
    return [
        Block(int(rng.choice([0, 8, 64, 100, 4096, 5000])), int(a), int(a + rng.integers(0, 20)))
        for a in starts
    ]


def assert_apart(blocks: list[Block], offsets: list[int], total: int) -> None:
    """No two blocks that live at the same time share a byte."""
    for i, block in enumerate(blocks):
        assert offsets[i] % 64 == 0
        assert offsets[i] + block.size <= total
        for j in range(i):
            other = blocks[j]
            together = block.start <= other.end and other.start <= block.end
            if together and block.size and other.size:
                assert (
                    offsets[i] + block.size <= offsets[j] or offsets[j] + other.size <= offsets[i]
                )


@pytest.mark.parametrize("limit", [0, 300], ids=["by time", "best of both"])
@pytest.mark.parametrize("seed", range(30))
def test_blocks_that_live_together_lie_apart(seed: int, limit: int, monkeypatch) -> None:
    monkeypatch.setattr(packing, "MAX_SORTED", limit)
    blocks = random_blocks(seed, 5 + 3 * seed)
    offsets, total = pack(blocks)
    assert_apart(blocks, offsets, total)
    assert peak(blocks) <= total <= sum(aligned(block.size) for block in blocks)


def test_arenas_are_near_the_least_possible_size() -> None:
    waste = [pack(blocks)[1] / peak(blocks) for s in range(40) if (blocks := random_blocks(s, 60))]
    assert np.mean(waste) < 1.05
    assert max(waste) < 1.3


def test_a_hole_between_two_pieces_is_used_again() -> None:
    blocks = [Block(64, 0, 9), Block(128, 0, 1), Block(64, 0, 9), Block(64, 2, 3), Block(64, 2, 3)]
    offsets, total = pack(blocks)
    assert total == 256
    assert sorted(offsets[3:]) in ([64, 128], [0, 64], [128, 192])


def test_no_blocks_need_no_arena() -> None:
    assert pack([]) == ([], 0)
    assert peak([]) == 0
