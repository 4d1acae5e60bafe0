"""What compiling a function for one signature produced, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .compiler.passes.fuse import Separation, explain_fusion
from .compiler.pipeline import BEFORE_FUSION, Compilation
from .compiler.target import host_target
from .ir.errors import ArgumentError
from .ir.graph import Graph
from .ir.program import Program


@dataclass(frozen=True, slots=True)
class Cost:
    """Static counts of one call.

    `flops` and `bytes` (read and written by kernels, cache or not) are sums over the `kernels`;
    `arena_bytes` is the memory that the program takes for temporaries, `intermediate_bytes` what
    its intermediate values would take if each had memory of its own.
    """

    flops: int
    bytes: int
    kernels: int
    arena_bytes: int
    intermediate_bytes: int


class Lowered:
    """A function compiled for one signature, stage by stage.

    `stages` maps the name of each stage, in order, to its text; `graph(stage)` gives the IR of
    those in `graph_stages`; `program` is what the runtime loads.
    """

    def __init__(self, compilation: Compilation) -> None:
        self._compilation = compilation
        self.program: Program = compilation.program
        self.stages: Mapping[str, str] = _Texts(compilation)
        self.graph_stages: tuple[str, ...] = tuple(
            name for name, stage in compilation.stages.items() if stage.graph is not None
        )

    def graph(self, stage: str) -> Graph:
        """The graph at `stage`; `ArgumentError` for a stage that is none or has none."""
        found = self._compilation.stages[stage].graph if stage in self.stages else None
        if found is None:
            raise ArgumentError(
                f"stages with a graph are {', '.join(self.graph_stages)}", given=repr(stage)
            )
        return found

    def explain(self) -> tuple[Separation, ...]:
        """For every two kernels of which one reads the other's results, why they are two.

        Each entry has the `producer`, the `consumer` and the `reason`, and prints as one line.
        """
        width = host_target().vector_bytes
        return explain_fusion(self.graph(BEFORE_FUSION), register_bytes=width)

    def cost(self) -> Cost:
        """What one call costs."""
        kernels = self.program.kernels
        return Cost(
            flops=sum(kernel.flops for kernel in kernels),
            bytes=sum(kernel.bytes_read + kernel.bytes_written for kernel in kernels),
            kernels=len(kernels),
            arena_bytes=self.program.arena_bytes,
            intermediate_bytes=self._compilation.intermediate_bytes,
        )


class _Texts(Mapping[str, str]):
    """The texts of the stages, made when they are asked for."""

    def __init__(self, compilation: Compilation) -> None:
        self._stages = compilation.stages

    def __getitem__(self, name: str) -> str:
        return self._stages[name].text

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)
