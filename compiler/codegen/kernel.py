"""From the loop language to one LLVM function per phase of a kernel.

Every statement has a short method; arithmetic goes through the table in `elementwise.py`. The
function returns 0, or 1 + the number of a failure site that was met.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...ir.program import ARENA_ALIGNMENT
from ...ir.types import BOOL
from ..lower.language import (
    LANE,
    Access,
    Check,
    Compute,
    Division,
    IndexValue,
    Kernel,
    Literal,
    Load,
    Loop,
    Phase,
    Share,
    Statement,
    Store,
    Transpose,
    Var,
)
from .addresses import Addresses
from .assembly import Function, Module, Operand, vector_type
from .elementwise import element_type, emit_elementwise, memory_type
from .routines import find_routines
from .shuffles import emit_shuffle

CONTEXT = (("ptr", "context", ""), ("i64", "piece", ""), ("i64", "slot", ""))
"""Parameters of a phase of several pieces: the addresses of all buffers, then that of the first
thread's scratch memory; the piece; which thread's scratch memory is this one's."""

ALL_PIECES = -1
"""In place of a piece: the whole phase."""


@dataclass(frozen=True, slots=True)
class ScratchLayout:
    """Offsets of a kernel's scratch buffers, in the memory that all threads share or in that of
    each thread, and how much of either it takes."""

    offsets: tuple[int, ...]
    shared_bytes: int
    thread_bytes: int


def scratch_layout(kernel: Kernel) -> ScratchLayout:
    """Where each scratch buffer of a kernel lies."""
    offsets, used = [], {True: 0, False: 0}
    for number, type in enumerate(kernel.scratch):
        shared = number in kernel.shared
        offsets.append(used[shared])
        used[shared] += -(-type.nbytes // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
    return ScratchLayout(tuple(offsets), used[True], used[False])


class KernelEmitter:
    """Emits one phase of a kernel into `module` as the function `name`.

    A phase of one piece is passed the address of every buffer; one of several pieces has the
    parameters `CONTEXT`, with `thread_bytes` of scratch memory for each thread.
    """

    def __init__(
        self, module: Module, name: str, kernel: Kernel, phase: Phase, thread_bytes: int
    ) -> None:
        self.kernel = kernel
        self.phase = phase
        self.vars: dict[Var, Operand] = {}
        self.failed: Operand | None = None
        self.share: dict[int, tuple[Operand, Operand]] = {}
        self.routines = find_routines(phase.body)
        if phase.pieces > 1:
            self.b: Function = module.function(name, "i64", CONTEXT, linkage="internal")
            self.addresses = Addresses(self.b, tuple(self._unpack(thread_bytes)))
            self._take_shares()
        else:
            count = len(kernel.buffers) + len(kernel.scratch)
            params = [("ptr", f"b{i}", "") for i in range(count)]
            self.b = module.function(name, "i64", params, linkage="internal")
            self.addresses = Addresses(self.b, self.b.params)

    def emit(self) -> None:
        """The whole function."""
        b = self.b
        if self.kernel.sites:
            self.failed = b.alloca("i64", 1, 8)
            b.store(b.const("i64", 0), self.failed, 8)
        self._block(self.phase.body)
        b.ret(b.load("i64", self.failed, 8) if self.failed else b.const("i64", 0))

    # Pieces

    def _unpack(self, thread_bytes: int) -> Iterator[Operand]:
        """The address of every buffer, from the context."""
        b, kernel = self.b, self.kernel
        context, _, slot = b.params

        def word(i: int) -> Operand:
            return b.load("ptr", b.gep(context, "ptr", b.const("i64", i)), 8)

        yield from map(word, range(len(kernel.buffers)))
        own = None
        for number, offset in enumerate(scratch_layout(kernel).offsets):
            if number in kernel.shared:
                yield word(len(kernel.buffers) + number)
                continue
            if own is None:
                first = word(len(kernel.buffers) + len(kernel.scratch))
                own = b.gep(first, "i8", b.mul(slot, b.const("i64", thread_bytes)))
            yield b.gep(own, "i8", b.const("i64", offset))

    def _take_shares(self) -> None:
        """For each axis of the grid the units that this piece has: from the first to before the
        last."""
        b, rest = self.b, self.b.params[1]
        every = b.icmp("eq", rest, b.const("i64", ALL_PIECES))
        axes = [axis for axis, division in enumerate(self.phase.grid) if division.pieces > 1]
        for axis in reversed(axes):
            division, place = self.phase.grid[axis], rest
            if axis != axes[0]:
                pieces = b.const("i64", division.pieces)
                rest = b.udiv(place, pieces)
                place = b.sub(place, b.mul(rest, pieces))
            following = b.add(place, b.const("i64", 1))
            self.share[axis] = (
                b.select(every, b.const("i64", 0), self._dealt(place, division)),
                b.select(every, b.const("i64", division.units), self._dealt(following, division)),
            )

    def _dealt(self, place: Operand, division: Division) -> Operand:
        """Units that the pieces before `place` have: as many each, the first of them one more."""
        b = self.b
        each, more = divmod(division.units, division.pieces)
        units = self.addresses.scaled(place, each)
        if not more:
            return units
        extra = b.intrinsic("llvm.umin", "i64", (place, b.const("i64", more)), ("i64",))
        return b.add(units, extra)

    def _block(self, statements: tuple[Statement, ...] | list[Statement]) -> None:
        for statement in statements:
            match statement:
                case Load():
                    self.vars[statement.target] = self._load(statement)
                case Store():
                    self._store(statement)
                case Compute():
                    self.vars[statement.target] = self._compute(statement)
                case Transpose():
                    self._transpose(statement)
                case Literal(target, value):
                    self.vars[target] = self._literal(target, value)
                case IndexValue():
                    self.vars[statement.target] = self._index_value(statement)
                case Check():
                    self._check(statement)
                case Loop():
                    self._loop(statement)

    def _literal(self, target: Var, value: Any) -> Operand:
        """A constant: of one value in all lanes, or of one for each."""
        element = element_type(target.dtype)
        if isinstance(value, tuple):
            return self.b.vector(element, [item.item() for item in value])
        type = vector_type(element, target.lanes)
        return self.b.const(type, value.item() if hasattr(value, "item") else value)

    # Indices

    def _lane_offsets(self, step: int, lanes: int) -> Operand:
        return self.b.vector("i64", [step * lane for lane in range(lanes)])

    def _index_value(self, statement: IndexValue) -> Operand:
        base = self.addresses.value(statement.at)
        lanes = statement.target.lanes
        if lanes == 1:
            return base
        offsets = self._lane_offsets(statement.at.coefficient(LANE), lanes)
        return self.b.add(self.b.splat(base, lanes), offsets)

    def _pointer(self, access: Access, memory: str, lanes: int) -> tuple[Operand, bool]:
        """The address of an access, and whether it is one for all lanes.

        Accesses that are a constant apart share the part of the address that is not.
        """
        b = self.b
        vectors = [pair for pair in access.dynamic if pair[0].lanes > 1]
        step = access.at.coefficient(LANE)
        pointer = self.addresses.base(access.buffer, memory, access.at)
        for var, stride in access.dynamic:
            if var.lanes == 1:
                offset = b.mul(self.vars[var], b.const("i64", stride))
                pointer = b.gep(pointer, memory, offset)
        if access.at.const:
            pointer = b.gep(pointer, memory, b.const("i64", access.at.const))
        if lanes == 1 or (step == 1 and not vectors):
            return pointer, True
        offsets = self._lane_offsets(step, lanes)
        for var, stride in vectors:
            offsets = b.add(offsets, b.mul(self.vars[var], b.const(offsets.type, stride)))
        return b.gep(pointer, memory, offsets), False

    def _mask(self, lanes: int, active: int | None, guard: Var | None) -> Operand | None:
        """Which lanes take part; None for all."""
        b = self.b
        mask: Operand | None = None
        if active is not None:
            mask = b.vector("i1", [lane < active for lane in range(lanes)])
        if guard is not None:
            condition = self.vars[guard]
            condition = condition if condition.lanes == lanes else b.splat(condition, lanes)
            mask = condition if mask is None else b.and_(mask, condition)
        return mask

    # Memory

    def _load(self, statement: Load) -> Operand:
        b, access = self.b, statement.access
        dtype, lanes = statement.target.dtype, statement.target.lanes
        memory = memory_type(dtype)
        type = vector_type(memory, lanes)
        pointer, contiguous = self._pointer(access, memory, lanes)
        mask = self._mask(lanes, statement.active, statement.guard)
        align = dtype.itemsize
        if contiguous and mask is None:
            value = b.load(type, pointer, align)
        elif contiguous:
            assert mask is not None
            value = b.masked_load(type, pointer, mask, align)
        else:
            every = mask if mask is not None else b.const(vector_type("i1", lanes), True)
            value = b.gather(type, pointer, every, align)
        if dtype == BOOL:
            return b.icmp("ne", value, b.const(value.type, 0))
        return value

    def _store(self, statement: Store) -> None:
        b, access = self.b, statement.access
        value = self.vars[statement.value]
        dtype = statement.value.dtype
        if dtype == BOOL:
            value = b.cast("zext", value, "i8")
        lanes = statement.value.lanes
        pointer, contiguous = self._pointer(access, memory_type(dtype), lanes)
        mask = self._mask(lanes, statement.active, None)
        if not contiguous:
            every = mask if mask is not None else b.const(vector_type("i1", lanes), True)
            b.scatter(value, pointer, every, dtype.itemsize)
        elif mask is None:
            b.store(value, pointer, dtype.itemsize)
        elif statement.active == 1:
            # LLVM 22 turns a masked store of one lane into a scalar store of the value before a
            # truncation, which writes past the element.
            b.store(b.extract(value, 0), pointer, dtype.itemsize)
        else:
            b.masked_store(value, pointer, mask, dtype.itemsize)

    # Arithmetic

    def _compute(self, statement: Compute) -> Operand:
        b, target = self.b, statement.target
        args = tuple(self.vars[arg] for arg in statement.args)
        routine = self.routines.get(target)
        if routine is not None:
            if target not in self.vars:
                self.vars.update(routine.call(b, args))
            return self.vars[target]
        match statement.op:
            case "splat":
                lanes = target.lanes
                return b.splat(args[0], lanes)
            case "keep_active":
                mask = self._mask(target.lanes, statement.attrs["active"], None)
                assert mask is not None
                return b.select(mask, *args)
            case "shuffle":
                return emit_shuffle(b, args, statement.attrs["picks"])
            case "combine_lanes":
                return self._combine_lanes(statement, args)
        source = statement.args[-1 if statement.op == "select" else 0].dtype
        return emit_elementwise(b, statement.op, args, source, target.dtype)

    def _combine_lanes(self, statement: Compute, args: tuple[Operand, ...]) -> Operand:
        dtype = statement.args[0].dtype
        by = statement.attrs["by"]
        if by not in ("argmax", "argmin"):
            return self.b.reduce(
                lambda x, y: emit_elementwise(self.b, by, (x, y), dtype, dtype), args[0]
            )
        value, position = args
        while value.lanes > 1:
            half = value.lanes // 2
            low, high = range(half), range(half, 2 * half)
            first = (self.b.shuffle(value, None, low), self.b.shuffle(position, None, low))
            second = (self.b.shuffle(value, None, high), self.b.shuffle(position, None, high))
            wins = self._second_wins(by, first, second, statement.args[0])
            value = self.b.select(wins, second[0], first[0])
            position = self.b.select(wins, second[1], first[1])
        return position

    def _second_wins(
        self, by: str, x: tuple[Operand, Operand], y: tuple[Operand, Operand], var: Var
    ) -> Operand:
        """NaN above all, then the better value, then the smaller position."""
        b, dtype = self.b, var.dtype
        better = "gt" if by == "argmax" else "lt"
        wins = emit_elementwise(b, better, (y[0], x[0]), dtype, BOOL)
        equal = emit_elementwise(b, "eq", (y[0], x[0]), dtype, BOOL)
        if dtype.kind == "f":
            nan_x, nan_y = b.fcmp("uno", x[0], x[0]), b.fcmp("uno", y[0], y[0])
            wins = b.or_(wins, b.and_(nan_y, b.xor(nan_x, b.const(nan_x.type, True))))
            equal = b.or_(equal, b.and_(nan_x, nan_y))
        return b.or_(wins, b.and_(equal, b.icmp("slt", y[1], x[1])))

    def _transpose(self, statement: Transpose) -> None:
        """Exchange ever larger blocks across the diagonal: log2(lanes) rounds of shuffles.

        LLVM joins those of the first two rounds. It looks for ways to join the others too, finds
        none, and takes longer for it than for the rest of a product; fences spare it the search.
        """
        rows = [self.vars[var] for var in statement.sources]
        lanes = len(rows)
        step = 1
        while step < lanes:
            low = [i if not i & step else lanes + i - step for i in range(lanes)]
            high = [i + step if not i & step else lanes + i for i in range(lanes)]
            for i in range(lanes):
                if not i & step:
                    first, second = rows[i], rows[i + step]
                    rows[i] = self.b.shuffle(first, second, low)
                    rows[i + step] = self.b.shuffle(first, second, high)
            if 1 < step < lanes // 2 and statement.targets[0].dtype.kind == "f":
                rows = [self._fenced(row) for row in rows]
            step *= 2
        self.vars.update(zip(statement.targets, rows, strict=True))

    def _fenced(self, value: Operand) -> Operand:
        """A float value that LLVM does not optimize across."""
        return self.b.intrinsic("llvm.arithmetic.fence", value.type, (value,), (value.type,))

    # Control

    def _check(self, statement: Check) -> None:
        b = self.b
        condition = self.vars[statement.condition]
        mask = self._mask(condition.lanes, statement.active, None)
        if mask is not None:
            condition = b.and_(condition, mask)
        if condition.lanes > 1:
            condition = b.reduce("or", condition)
        assert self.failed is not None
        fail, go_on = b.block("fail"), b.block("ok")
        b.cond_br(condition, fail, go_on)
        b.place(fail)
        before, code = b.load("i64", self.failed, 8), b.const("i64", statement.site + 1)
        greatest = b.intrinsic("llvm.umax", "i64", (before, code), ("i64",))
        b.store(greatest, self.failed, 8)
        b.br(go_on)
        b.place(go_on)

    def _loop(self, loop: Loop) -> None:
        if loop.share is not None and loop.share.axis in self.share:
            self._shared_loop(loop, loop.share)
            return
        if _iterations(loop) == 1:
            self._iteration(loop)
            return
        stop = self.addresses.value(loop.stop.stop)
        if loop.stop.limit is not None:
            limit = self.b.const("i64", loop.stop.limit)
            stop = self.b.intrinsic("llvm.smin", "i64", (stop, limit), ("i64",))
        elif _iterations(loop) == 0:
            for link in loop.carried:
                self.vars[link.result] = self.vars[link.start]
            return
        self._counted_loop(loop, self.addresses.value(loop.start), stop)

    def _shared_loop(self, loop: Loop, share: Share) -> None:
        """Those iterations of a parallel loop that are among this piece's units."""
        b, division = self.b, self.phase.grid[share.axis]
        count = _iterations(loop)
        assert count is not None
        first, last = self.share[share.axis]
        if share.first:
            first, last = (b.sub(unit, b.const("i64", share.first)) for unit in (first, last))
            first = b.intrinsic("llvm.smax", "i64", (first, b.const("i64", 0)), ("i64",))
        if share.first + count < division.units:
            last = b.intrinsic("llvm.smin", "i64", (last, b.const("i64", count)), ("i64",))
        start, stop = (
            self.addresses.scaled(unit, loop.step, loop.start.const) for unit in (first, last)
        )
        if count == division.units >= division.pieces:  # then every piece has some
            self._counted_loop(loop, start, stop)
            return
        some, done = b.block("some"), b.block("done")
        b.cond_br(b.icmp("slt", first, last), some, done)
        b.place(some)
        if count == 1:
            self._iteration(loop)
        else:
            self._counted_loop(loop, start, stop)
        b.br(done)
        b.place(done)

    def _iteration(self, loop: Loop) -> None:
        """A loop of one iteration."""
        self.addresses.symbols[loop.index] = self.addresses.value(loop.start)
        for link in loop.carried:
            self.vars[link.target] = self.vars[link.start]
        with self.b.scope():
            self._block(loop.body)
        for link, next_ in zip(loop.carried, loop.yields, strict=True):
            self.vars[link.result] = self.vars[next_]

    def _counted_loop(self, loop: Loop, start: Operand, stop: Operand) -> None:
        """A loop of at least one iteration."""
        if any(isinstance(statement, Loop) for statement in loop.body):
            self._emit_loop(loop, start, stop)
        else:
            with self.addresses.innermost(loop):
                self._emit_loop(loop, self.addresses.opaque(start), stop)

    def _emit_loop(self, loop: Loop, start: Operand, stop: Operand) -> None:
        """The blocks of a loop."""
        b = self.b
        before, body, after = b.current, b.block(loop.index), b.block(f"{loop.index}.end")
        b.br(body)
        b.place(body)
        counter = b.phi("i64", [(start, before)])
        self.addresses.symbols[loop.index] = counter.value
        carried = []
        for link in loop.carried:
            first = self.vars[link.start]
            phi = b.phi(first.type, [(first, before)])
            self.vars[link.target] = phi.value
            carried.append(phi)
        with b.scope():
            self._block(loop.body)
        for phi, next_ in zip(carried, loop.yields, strict=True):
            phi.add(self.vars[next_], b.current)
        following = b.add(counter.value, b.const("i64", loop.step))
        counter.add(following, b.current)
        b.cond_br(b.icmp("slt", following, stop), body, after)
        b.place(after)
        for link, next_ in zip(loop.carried, loop.yields, strict=True):
            self.vars[link.result] = self.vars[next_]


def _iterations(loop: Loop) -> int | None:
    """How many a loop between constants has; None for others."""
    if loop.start.terms or loop.stop.stop.terms or loop.stop.limit is not None:
        return None
    return max(0, -(-(loop.stop.stop.const - loop.start.const) // loop.step))
