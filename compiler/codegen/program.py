"""The routine that runs the kernels in order, and the module that holds them all.

Kernels are keyed by structure: equal fused nodes call one function. Addresses come from the memory
plan: an entry of the buffer table, or an offset into the arena.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import Graph, Node, Value, structure
from ...ir.program import (
    ARENA_ALIGNMENT,
    ENTER,
    LEAVE,
    MAX_PIECES,
    PARALLEL,
    POOL_SYMBOL,
    Failure,
)
from ..lower import Kernel, lower_kernel
from ..lower.language import Phase
from ..passes.memory import Copy, MemoryPlan, Placement, Space
from ..target import Target
from .assembly import Function, Module, Operand
from .kernel import ALL_PIECES, KernelEmitter, scratch_layout

SYMBOL = "tapeless_program"
"""Name of the entry in every object file."""

PASSED = (("ptr", "buffers", ""), ("ptr", "arena", ""))

_ONCE = "noinline optnone nounwind"
"""Attributes of code that runs once in a call: LLVM takes half the time for it."""


@dataclass(frozen=True, eq=False, slots=True)
class LoweredKernel:
    """A kernel with the name of its function and the nodes that call it."""

    name: str
    kernel: Kernel

    def phases(self) -> list[tuple[str, Phase]]:
        """The phases, each with the name of its function."""
        phases = self.kernel.phases
        if len(phases) == 1:
            return [(self.name, phases[0])]
        return [(f"{self.name}_{number}", phase) for number, phase in enumerate(phases)]


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
        layouts = [scratch_layout(lowered.kernel) for lowered in kernels.values()]
        self.shared_bytes = max((layout.shared_bytes for layout in layouts), default=0)
        self.thread_bytes = max((layout.thread_bytes for layout in layouts), default=0)
        self._pointers: dict[Placement, Operand] = {}
        self._context: Operand | None = None
        self._call: Operand | None = None
        self._several: Operand | None = None
        self._threads: Operand | None = None

    @property
    def arena_bytes(self) -> int:
        """Planned values first, then scratch memory that threads share, then that of one thread.

        The kernels use the same scratch memory one after another.
        """
        return self.plan.arena_bytes + self.shared_bytes + self.thread_bytes

    def emit(self) -> str:
        """The text of the module."""
        for lowered in dict.fromkeys(self.kernels.values()):
            for name, phase in lowered.phases():
                KernelEmitter(self.module, name, lowered.kernel, phase, self.thread_bytes).emit()
        b = self.module.function(SYMBOL, "i64", PASSED, attributes=_ONCE)
        self._enter(b)
        for copy in self.plan.copies_before:
            self._copy(b, copy)
        for node, lowered in self.kernels.items():
            self._run(b, node, lowered)
        for copy in self.plan.copies_after:
            self._copy(b, copy)
        self._leave(b)
        b.ret(b.const("i64", 0))
        return self.module.text()

    def _enter(self, b: Function) -> None:
        """Ask how many threads to use; at most as many as the arena has scratch memory for."""
        if all(lowered.kernel.pieces == 1 for lowered in self.kernels.values()):
            return
        entry = self._first_entry(Space.CONSTANT) + len(self.plan.constants)
        threads = b.load("i64", b.gep(b.params[0], "ptr", b.const("i64", entry)), 8)
        self._call = b.alloca("i64", 2, 16)
        self._several = b.icmp("ne", threads, b.const("i64", 1))
        ask, start = b.block("ask"), b.block("start")
        b.cond_br(self._several, ask, start)
        b.place(ask)
        chosen = b.call(self._pool(b, ENTER), "i64", (self._site(), threads, self._call))
        b.br(start)
        b.place(start)
        self._threads = b.phi("i64", [(threads, "entry"), (chosen, ask)]).value

    def _leave(self, b: Function) -> None:
        """Tell the runtime that the call is over, if it was asked."""
        if self._several is None or self._call is None:
            return
        tell, done = b.block("tell"), b.block("done")
        b.cond_br(self._several, tell, done)
        b.place(tell)
        b.call(self._pool(b, LEAVE), "void", (self._site(), self._call))
        b.br(done)
        b.place(done)

    def _pool(self, b: Function, routine: int) -> Operand:
        """The address of a routine of the runtime's."""
        table = self.module.global_variable(POOL_SYMBOL, "external global [3 x ptr]")
        return b.load("ptr", b.gep(table, "ptr", b.const("i64", routine)), 8)

    def _site(self) -> Operand:
        """Where the runtime keeps what it learns about this program."""
        definition = "internal global [8 x i64] zeroinitializer, align 64"
        return self.module.global_variable("site", definition)

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
        """All phases of a kernel, one after the other."""
        kernel, start = lowered.kernel, self.plan.arena_bytes
        own = start + self.shared_bytes
        addresses = [self._value(b, value) for value in (*node.inputs, *node.outputs)]
        for number, offset in enumerate(scratch_layout(kernel).offsets):
            base = start if number in kernel.shared else own
            addresses.append(self._offset(b, b.params[1], base + offset))
        if kernel.pieces > 1:
            self._fill_context(b, [*addresses, self._offset(b, b.params[1], own)])
        first_failure = len(self.failures)
        self.failures.extend(Failure(kind, loc) for kind, loc in kernel.sites)
        for name, phase in lowered.phases():
            if phase.pieces > 1:
                code = self._dispatch(b, name, phase.pieces)
            else:
                code = b.call(name, "i64", addresses)
            if kernel.sites:
                self._return_failure(b, code, first_failure)

    def _fill_context(self, b: Function, words: list[Operand]) -> None:
        """Store the addresses that the pieces read; kernels use one table after another."""
        if self._context is None:
            kernels = (lowered.kernel for lowered in self.kernels.values())
            size = max(len(kernel.buffers) + len(kernel.scratch) + 1 for kernel in kernels)
            self._context = b.alloca("ptr", size, ARENA_ALIGNMENT)
        for i, word in enumerate(words):
            b.store(word, b.gep(self._context, "ptr", b.const("i64", i)), 8)

    def _dispatch(self, b: Function, name: str, pieces: int) -> Operand:
        """Run all pieces of a phase, at once if the call is on one thread."""
        assert self._context is not None
        assert self._threads is not None
        assert pieces <= MAX_PIECES
        share, whole, done = b.block("share"), b.block("whole"), b.block("done")
        b.cond_br(b.icmp("ne", self._threads, b.const("i64", 1)), share, whole)
        b.place(share)
        task, count = Operand("ptr", f"@{name}"), b.const("i64", pieces)
        args = (task, self._context, count, self._threads)
        shared = b.call(self._pool(b, PARALLEL), "i64", args)
        b.br(done)
        b.place(whole)
        every, slot = b.const("i64", ALL_PIECES), b.const("i64", 0)
        alone = b.call(name, "i64", (self._context, every, slot))
        b.br(done)
        b.place(done)
        return b.phi("i64", [(shared, share), (alone, whole)]).value

    def _return_failure(self, b: Function, code: Operand, base: int) -> None:
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
