"""The garbage collector while a program is compiled."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tapeless.compiler.collector import collector_paused
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.parser import parse_graph


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    (gc.enable if was_on else gc.disable)()


def test_no_collection_interrupts_a_compilation() -> None:
    gc.enable()
    lines = ["graph f(x0: f32[8]) {"]
    lines += [f"  x{i + 1}: f32[8] = tanh x{i}" for i in range(300)]
    graph = parse_graph("\n".join([*lines, "  return x300", "}"]))
    phases: list[str] = []
    gc.collect()
    gc.callbacks.append(lambda phase, info: phases.append(phase))
    try:
        compile_graph(graph)
    finally:
        gc.callbacks.pop()
    assert phases.count("start") <= 1  # what has come together is looked through at the end
    assert gc.isenabled()


@pytest.mark.parametrize("on", [False, True])
def test_the_collector_is_left_as_it_was(on: bool) -> None:
    (gc.enable if on else gc.disable)()
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled() is on
    with pytest.raises(ZeroDivisionError), collector_paused():
        raise ZeroDivisionError
    assert gc.isenabled() is on
