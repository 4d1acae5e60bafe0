"""Graphs compiled and run natively, several in one program so that compiling them is quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapeless.compiler.pipeline import SIMPLIFICATION, Pass, compile_graph
from tapeless.compiler.target import Target
from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.types import TensorType
from tapeless.runtime.executable import Executable

Array = np.ndarray[Any, Any]


def native(
    graph: Graph,
    simplification: Sequence[Pass] = SIMPLIFICATION,
    target: Target | None = None,
    in_registers: bool = True,
) -> Executable:
    """The graph as machine code, for the host if not for `target`; verified after every pass."""
    compilation = compile_graph(
        graph, check=True, simplification=simplification, target=target, in_registers=in_registers
    )
    return Executable(compilation.program)


GUARD = 256
"""Bytes before and after every array that compiled code must leave alone."""


class Guarded:
    """An array in the middle of bytes that are watched."""

    def __init__(self, type: TensorType) -> None:
        self.memory = np.full(GUARD + type.nbytes + GUARD, 0xA5, np.uint8)
        inner = self.memory[GUARD : GUARD + type.nbytes]
        self.array = inner.view(type.dtype).reshape(type.shape)

    def is_intact(self) -> bool:
        """Whether nothing around the array has been written."""
        around = (self.memory[:GUARD], self.memory[len(self.memory) - GUARD :])
        return all((part == 0xA5).all() for part in around)


def run_guarded(executable: Executable, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs; asserts that nothing but outputs was written, and that code runs twice."""
    inputs, outputs = ([Guarded(type) for type in types] for types in _types(executable))
    for guarded, array in zip(inputs, arrays, strict=True):
        guarded.array[...] = array
    first = executable([x.array for x in inputs], out=[x.array for x in outputs])
    copies = tuple(array.copy() for array in first)
    second = executable([x.array for x in inputs], out=[x.array for x in outputs])
    for guarded, array in zip(inputs, arrays, strict=True):
        assert guarded.array.tobytes() == np.asarray(array).tobytes(), "an input was written"
    assert all(x.is_intact() for x in (*inputs, *outputs)), "written outside of an array"
    assert [x.tobytes() for x in copies] == [x.tobytes() for x in second], "two runs differ"
    return copies


def _types(executable: Executable) -> tuple[Sequence[TensorType], Sequence[TensorType]]:
    return executable.program.inputs, executable.program.outputs


def merge(graphs: Sequence[Graph]) -> Graph:
    """One graph with the inputs of all `graphs`, one after another, and all their outputs."""
    builder = GraphBuilder(graphs[0].name)
    outputs: list[Value] = []
    for graph in graphs:
        arguments = [builder.input(value.type, value.name) for value in graph.inputs]
        outputs += builder.inline(graph, arguments)
    return builder.build(outputs)


class Programs:
    """Graphs compiled together; `programs(2, arrays)` are the outputs of the third of them.

    `arrays` holds operands on which all of them can run, a list for each graph.
    """

    def __init__(self, graphs: Sequence[Graph], arrays: Sequence[Sequence[Array]]) -> None:
        self.graphs = list(graphs)
        self.arrays = [list(operands) for operands in arrays]
        self.executable = native(merge(graphs))

    def __call__(self, position: int, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """Run the graph at `position` on `arrays`, the others on what they were given first."""
        operands = [*self.arrays[:position], arrays, *self.arrays[position + 1 :]]
        results = self.executable([array for each in operands for array in each])
        first = sum(len(graph.outputs) for graph in self.graphs[:position])
        return results[first : first + len(self.graphs[position].outputs)]
