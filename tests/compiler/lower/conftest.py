"""Kernels with loops are tested on tiny arrays, too, which would otherwise be kept in registers."""

from __future__ import annotations

import pytest

from tapeless.compiler.passes.fuse import registers


@pytest.fixture(autouse=True)
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No array counts as tiny, but where the registers themselves are tested."""
    if not request.module.__name__.endswith("test_registers"):
        monkeypatch.setattr(registers, "_ELEMENTS", 0)
