"""The one list of what runs in which order, and why.

`compile_graph` takes a traced graph through every stage to a `Program`. All stages but `asm` are
kept as printable text, made only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from ..ir.graph import Graph, Node
from ..ir.printer import print_graph
from ..ir.program import Program
from ..ir.verifier import verify
from .codegen.program import SYMBOL, LoweredKernel, ProgramEmitter, lower_kernels
from .collector import collector_paused
from .cost import kernel_info
from .differentiate.expand import expand
from .lower import print_kernel
from .passes.algebra import simplify_algebra
from .passes.constants import fold_constants
from .passes.convolutions import form_convolutions
from .passes.dead_nodes import eliminate_dead_nodes
from .passes.fuse import fuse_kernels, reads_only_at_index
from .passes.memory import MemoryPlan, plan_memory
from .passes.recompute import save_or_recompute
from .passes.schedule import schedule
from .passes.selects import form_selects
from .passes.split_products import split_products
from .passes.subexpressions import share_common_subexpressions
from .passes.vector_products import expand_vector_products
from .passes.views import simplify_views
from .target import Target, host_target


@dataclass(frozen=True, slots=True)
class Pass:
    """A step from graph to graph; `stage` is the name under which its result is kept."""

    stage: str
    run: Callable[[Graph], Graph]
    reason: str


EXPANSION = Pass("differentiated", expand, "backward graphs first: both directions optimize as one")

SIMPLIFICATION: tuple[Pass, ...] = (
    Pass("pruned", eliminate_dead_nodes, "unasked gradients and unused outputs cost nothing later"),
    Pass("folded", fold_constants, "what is known now need not be computed on every call"),
    Pass("simplified", simplify_algebra, "exact identities; also removes what rules left behind"),
    Pass(
        "convolved", form_convolutions, "gradients of images are gathered, not added up in memory"
    ),
    Pass("selected", form_selects, "a write in every row fuses with what is done along the rows"),
    Pass("viewed", simplify_views, "fewer, composed views fold into kernels and products"),
    Pass("shared", share_common_subexpressions, "backward rules ask again for forward values"),
    Pass("resimplified", simplify_algebra, "sharing and views expose further identities"),
    Pass("expanded", expand_vector_products, "matrix-vector products fuse as reductions"),
    Pass("recomputed", save_or_recompute, "cheap forward values are remade, not stored and reread"),
    Pass("split", split_products, "long sums are shared out among threads along the summed axis"),
    Pass("optimized", eliminate_dead_nodes, "the passes above leave unused nodes"),
)
"""From the flat graph to the optimized one, in order."""

BEFORE_FUSION = "optimized"
"""The stage that fusion is given."""

FUSION: tuple[Pass, ...] = (
    Pass("fused", fuse_kernels, "one kernel per group: fewer passes over memory"),
    Pass("scheduled", schedule, "an order of kernels that keeps little memory alive"),
)
"""From the optimized graph to kernels."""


class Stage:
    """One printable state of the program; `graph` is the IR object where there is one."""

    def __init__(self, name: str, graph: Graph | None, text: Callable[[], str]) -> None:
        self.name = name
        self.graph = graph
        self._text = text

    @cached_property
    def text(self) -> str:
        """The stage as text."""
        return self._text()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Compilation:
    """The program, and every stage on the way to it, in order."""

    program: Program
    stages: Mapping[str, Stage]
    intermediate_bytes: int


def run_passes(
    graph: Graph, passes: Sequence[Pass], stages: dict[str, Stage], check: bool
) -> Graph:
    """Apply `passes` in order, keeping each result as a stage and verifying it if `check`."""
    for step in passes:
        graph = step.run(graph)
        if check:
            verify(graph)
        stages[step.stage] = graph_stage(step.stage, graph)
    return graph


def graph_stage(name: str, graph: Graph) -> Stage:
    """A stage that prints as graph text."""
    return Stage(name, graph, lambda: print_graph(graph))


def _loops_text(kernels: Mapping[Node, LoweredKernel]) -> str:
    unique = dict.fromkeys(kernels.values())
    return "\n\n".join(print_kernel(lowered.name, lowered.kernel) for lowered in unique)


def _constants(graph: Graph, plan: MemoryPlan) -> tuple[np.ndarray[Any, Any], ...]:
    """The arrays of the constants that lie in memory, in the order of the buffer table."""
    producers = graph.producers()
    arrays = []
    for value in plan.constants:
        node = producers[value]
        assert node.op.reference is not None
        arrays.append(np.array(node.op.reference(**node.attrs), order="C"))
    return tuple(arrays)


def _level(kernels: Mapping[Node, LoweredKernel]) -> int:
    """At which level LLVM makes machine code: the order of instructions in a product is right as it
    is, and the last pass that could change it takes a twentieth of the time."""
    return 1 if any(lowered.kernel.kind == "dot" for lowered in kernels.values()) else 2


@collector_paused()
def compile_graph(
    graph: Graph,
    *,
    updates: Mapping[int, int] | None = None,
    target: Target | None = None,
    check: bool = False,
    simplification: Sequence[Pass] = SIMPLIFICATION,
    in_registers: bool = True,
) -> Compilation:
    """Compile `graph` for `target` (the host if not given).

    `updates` maps outputs to the inputs that the caller will see updated by them; where it is safe
    they are written in place. Without `in_registers` tiny arrays go through loops and memory like
    others. `check` verifies the graph at the start and after every pass.
    """
    machine = target or host_target()
    stages = {"traced": graph_stage("traced", graph)}
    if check:
        verify(graph)
    forming, ordering = FUSION
    register_bytes = machine.vector_bytes if in_registers else 0
    for_target = replace(forming, run=partial(fuse_kernels, register_bytes=register_bytes))
    in_place = replace(ordering, run=partial(schedule, updates=updates or {}))
    passes = (EXPANSION, *simplification, for_target, in_place)
    fused = run_passes(graph, passes, stages, check)
    plan = plan_memory(fused, updates or {}, reads_only_at_index)
    kernels = lower_kernels(fused, machine)
    emitter = ProgramEmitter(fused, plan, kernels, machine)
    text = emitter.emit()
    module = llvm.parse_assembly(text)
    if check:
        module.verify()
    stages["loops"] = Stage("loops", None, lambda: _loops_text(kernels))
    stages["llvm"] = Stage("llvm", None, lambda: text)
    stages["asm"] = Stage("asm", None, lambda: machine.assembly(text))
    program = Program(
        name=graph.name,
        symbol=SYMBOL,
        object_code=machine.machine(_level(kernels)).emit_object(module),
        inputs=tuple(value.type for value in graph.inputs),
        outputs=graph.output_types,
        constants=_constants(fused, plan),
        in_place=plan.in_place,
        arena_bytes=emitter.arena_bytes,
        failures=tuple(emitter.failures),
        kernels=tuple(
            kernel_info(lowered.name, node, lowered.kernel.pieces)
            for node, lowered in kernels.items()
        ),
        thread_bytes=emitter.thread_bytes,
    )
    return Compilation(program, stages, plan.intermediate_bytes)
