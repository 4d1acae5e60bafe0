"""The routine that runs the kernels in order, and the module that holds them all.

Kernels are keyed by structure: equal fused nodes call one function. Addresses come from the memory
plan: an entry of the buffer table, or an offset into the arena.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import Graph, Node, Value, structure
from ...ir.program import ARENA_ALIGNMENT, Failure
from ..lower import Kernel, lower_kernel
from ..passes.memory import Copy, MemoryPlan, Placement, Space
from ..target import Target
from .assembly import Function, Module, Operand
from .kernel import KernelEmitter

SYMBOL = "tapeless_program"
"""Name of the entry in every object file."""

PASSED = (("ptr", "buffers", ""), ("ptr", "arena", ""))


@dataclass(frozen=True, eq=False, slots=True)
class LoweredKernel:
    """A kernel with the name of its function and the nodes that call it."""

    name: str
    kernel: Kernel


def lower_kernels(graph: Graph, target: Target) -> dict[Node, LoweredKernel]:
    """The kernel of every `fused` node; equal bodies share one, unless they can fail.

    A kernel that can fail reports the user's lines, which differ even where the code is equal.
    """
    known: dict[object, LoweredKernel] = {}
    kernels: dict[Node, LoweredKernel] = {}
    for node in graph.nodes:
        if node.op.name != "fused":
            continue
        body: Graph = node.attrs["graph"]
        key: object = (node.attrs["kind"], structure(body))
        if any(inner.op.fails for inner in body.nodes):
            key = node
        if key not in known:
            name = f"k{len(known)}_{node.attrs['kind']}"
            known[key] = LoweredKernel(name, lower_kernel(node, target))
        kernels[node] = known[key]
    return kernels


def scratch_layout(kernel: Kernel) -> tuple[list[int], int]:
    """Offsets of a kernel's scratch buffers within the scratch area, and its size."""
    offsets, size = [], 0
    for type in kernel.scratch:
        offsets.append(size)
        size += -(-type.nbytes // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
    return offsets, size


class ProgramEmitter:
    """Emits the module of one program."""

    def __init__(
        self,
        graph: Graph,
        plan: MemoryPlan,
        kernels: Mapping[Node, LoweredKernel],
        target: Target,
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.kernels = kernels
        machine = target.machine()
        self.module = Module(
            graph.name, target.triple, str(machine.target_data), target.cpu, target.features
        )
        self.failures: list[Failure] = []
        self.scratch_bytes = max(
            (scratch_layout(lowered.kernel)[1] for lowered in kernels.values()), default=0
        )
        self._pointers: dict[Placement, Operand] = {}

    @property
    def arena_bytes(self) -> int:
        """Planned values first, then the scratch area that the kernels share."""
        return self.plan.arena_bytes + self.scratch_bytes

    def emit(self) -> str:
        """The text of the module."""
        for lowered in dict.fromkeys(self.kernels.values()):
            KernelEmitter(self.module, lowered.name, lowered.kernel).emit()
        b = self.module.function(SYMBOL, "i64", PASSED)
        for copy in self.plan.copies_before:
            self._copy(b, copy)
        for node, lowered in self.kernels.items():
            self._run(b, node, lowered)
        for copy in self.plan.copies_after:
            self._copy(b, copy)
        b.ret(b.const("i64", 0))
        return self.module.text()

    def _address(self, b: Function, placement: Placement) -> Operand:
        found = self._pointers.get(placement)
        if found is not None:
            return found
        if placement.space is Space.ARENA:
            pointer = self._offset(b, b.params[1], placement.position)
        else:
            entry = self._first_entry(placement.space) + placement.position
            slot = b.gep(b.params[0], "ptr", b.const("i64", entry))
            pointer = b.load("ptr", slot, 8)
        self._pointers[placement] = pointer
        return pointer

    def _first_entry(self, space: Space) -> int:
        """Where the inputs, outputs or constants begin in the buffer table."""
        inputs, outputs = len(self.graph.inputs), len(self.graph.outputs)
        return {Space.INPUT: 0, Space.OUTPUT: inputs, Space.CONSTANT: inputs + outputs}[space]

    def _offset(self, b: Function, base: Operand, bytes_: int) -> Operand:
        return b.gep(base, "i8", b.const("i64", bytes_))

    def _value(self, b: Function, value: Value) -> Operand:
        return self._address(b, self.plan.placements[value])

    def _run(self, b: Function, node: Node, lowered: LoweredKernel) -> None:
        addresses = [self._value(b, value) for value in (*node.inputs, *node.outputs)]
        offsets, _ = scratch_layout(lowered.kernel)
        start = self.plan.arena_bytes
        addresses += [self._offset(b, b.params[1], start + offset) for offset in offsets]
        code = b.call(lowered.name, "i64", addresses)
        if not lowered.kernel.sites:
            return
        base = len(self.failures)
        self.failures.extend(Failure(kind, loc) for kind, loc in lowered.kernel.sites)
        failed, go_on = b.block("failed"), b.block("next")
        b.cond_br(b.icmp("ne", code, b.const("i64", 0)), failed, go_on)
        b.place(failed)
        b.ret(b.add(code, b.const("i64", base)))
        b.place(go_on)

    def _copy(self, b: Function, copy: Copy) -> None:
        if not copy.value.type.nbytes:
            return
        args = (
            self._address(b, Placement(Space.OUTPUT, copy.output)),
            self._address(b, copy.source),
            b.const("i64", copy.value.type.nbytes),
            b.const("i1", False),
        )
        b.call("llvm.memmove.p0.p0.i64", "void", args)
