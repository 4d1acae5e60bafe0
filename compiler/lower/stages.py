"""Long chains of elementary functions: each link for a block of vectors before the next link.

A processor looks a few hundred instructions ahead. Where one iteration is a chain of exp, tanh and
sin, that is hardly more than one iteration, and the chain's latency is all that counts. So an
innermost loop whose chain is long becomes several loops over a block of its iterations, with what
passes from one to the next in a small scratch memory (loop distribution and strip mining: Allen and
Kennedy, "Optimizing Compilers for Modern Architectures", 2001, chapters 5 and 6). The iterations
remain in order and so do all results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...ir.types import TensorType
from .language import (
    LANE,
    Access,
    Bound,
    Carried,
    Compute,
    Division,
    Kernel,
    Load,
    Loop,
    Phase,
    Statement,
    Store,
    Var,
    index,
)
from .statements import reads, renamed, targets

SHORT = 4
"""Cycles until the result of an ordinary operation can be used."""
LATENCIES: Mapping[str, int] = {
    "div": 13,
    "sqrt": 18,
    **dict.fromkeys(("exp", "exp2", "log", "log2", "log10", "sin", "cos", "logistic", "cbrt"), 80),
    **dict.fromkeys(("expm1", "log1p", "tan", "tanh", "sinh", "cosh", "arctan", "arcsin"), 120),
    **dict.fromkeys(("arccos", "arcsinh", "arccosh", "arctanh", "arctan2", "pow"), 160),
}
"""The same of longer operations."""
LINK = 150
"""Cycles of a chain that are worth a loop of their own."""
BLOCK = 16
"""Iterations of a block: enough to hide a link's latency, and their vectors stay in the cache."""


def in_stages(kernel: Kernel) -> Kernel:
    """Requires: a kernel as lowered. Ensures: the same results from the same operations."""
    work = _Staging(kernel)
    phases = tuple(work.phase(phase) for phase in kernel.phases)
    if not work.scratch:
        return kernel
    return replace(kernel, phases=phases, scratch=(*kernel.scratch, *work.scratch))


class _Staging:
    """Takes loops apart, and counts the scratch memory that they need."""

    def __init__(self, kernel: Kernel) -> None:
        self._first = len(kernel.buffers) + len(kernel.scratch)
        self._names = 0
        self.scratch: list[TensorType] = []

    def phase(self, phase: Phase) -> Phase:
        """The phase with its long innermost loops in stages."""
        grid = list(phase.grid)
        body = [s for statement in phase.body for s in self._statement(statement, phase, grid)]
        return Phase(tuple(body), tuple(grid))

    def _statement(
        self, statement: Statement, phase: Phase, grid: list[Division]
    ) -> list[Statement]:
        if not isinstance(statement, Loop):
            return [statement]
        if any(isinstance(inner, Loop) for inner in statement.body):
            body = [s for inner in statement.body for s in self._statement(inner, phase, grid)]
            return [replace(statement, body=body)]
        stages = _stages(statement)
        if stages is None or not _is_alone(statement, phase):
            return [statement]
        trips = _trips(statement)
        if statement.share is None and trips is not None and trips <= 2 * BLOCK:
            return list(self._loops(statement, stages, trips))
        return [self._in_blocks(statement, stages, grid)]

    def _in_blocks(self, loop: Loop, stages: list[int], grid: list[Division]) -> Loop:
        """A loop over blocks, and in it one for each stage."""
        if loop.share is not None:
            units = -(-grid[loop.share.axis].units // BLOCK)
            pieces = min(grid[loop.share.axis].pieces, units)
            grid[loop.share.axis] = Division(units, pieces)
        block = self._fresh("block")
        outside = [Carried(self._var(c.target), c.start, c.result) for c in loop.carried]
        inside = [
            Carried(c.target, out.target, self._var(c.target))
            for c, out in zip(loop.carried, outside, strict=True)
        ]
        limit = loop.stop.stop.const if loop.stop.limit is None else loop.stop.limit
        one_block = replace(
            loop,
            start=index(block),
            stop=Bound(index(block) + BLOCK * loop.step, limit),
            carried=tuple(inside),
            share=None,
        )
        return replace(
            loop,
            index=block,
            step=BLOCK * loop.step,
            body=list(self._loops(one_block, stages, BLOCK)),
            carried=tuple(outside),
            yields=tuple(link.result for link in inside),
        )

    def _loops(self, loop: Loop, stages: list[int], trips: int) -> Iterable[Loop]:
        """One loop for each stage of at most `trips` iterations."""
        made = {
            target: stage
            for statement, stage in zip(loop.body, stages, strict=True)
            for target in targets(statement)
        }
        parts: list[list[Statement]] = [[] for _ in range(max(stages) + 1)]
        for statement, stage in zip(loop.body, stages, strict=True):
            parts[stage].append(statement)
        passed: dict[Var, Access] = {}
        for stage, part in enumerate(parts):
            earlier = [v for s in part for v in reads(s) if made.get(v, stage) < stage]
            copies = {var: self._var(var) for var in dict.fromkeys(earlier)}
            for var in copies:
                if var not in passed:
                    passed[var] = self._place(var, loop, trips)
            loads = [Load(copy, passed[var]) for var, copy in copies.items()]
            parts[stage] = [*loads, *(renamed(statement, copies) for statement in part)]
        for stage, part in enumerate(parts):
            stores = [Store(at, var) for var, at in passed.items() if made[var] == stage]
            links = [
                pair
                for pair in zip(loop.carried, loop.yields, strict=True)
                if made[pair[1]] == stage
            ]
            yield replace(
                loop,
                body=[*part, *stores],
                carried=tuple(link for link, _ in links),
                yields=tuple(following for _, following in links),
            )

    def _place(self, var: Var, loop: Loop, trips: int) -> Access:
        """Where an iteration keeps `var` for the stages that follow."""
        stride = -(-var.lanes // loop.step)
        self.scratch.append(TensorType(var.dtype, (trips * loop.step * stride,)))
        at = (index(loop.index) + loop.start * -1) * stride
        if var.lanes > 1:
            at = at + index(LANE)
        return Access(self._first + len(self.scratch) - 1, at)

    def _var(self, like: Var) -> Var:
        return Var(self._fresh(like.name), like.dtype, like.lanes)

    def _fresh(self, name: str) -> str:
        self._names += 1
        return f"{name}.{self._names}"


def _stages(loop: Loop) -> list[int] | None:
    """The stage of each statement; None for a loop that stays whole.

    A new stage starts where a long operation would make the chain of its stage longer than `LINK`.
    Memory is written last, when all that the iterations of a block read has been read.
    """
    ready: dict[Var, tuple[int, int]] = {}
    stages = []
    for statement in loop.body:
        stage, time = max((ready.get(var, (0, 0)) for var in reads(statement)), default=(0, 0))
        takes = _latency(statement)
        if takes > SHORT and time + takes > LINK:
            stage, time = stage + 1, 0
        ready.update(dict.fromkeys(targets(statement), (stage, time + takes)))
        stages.append(stage)
    last = max(stages, default=0)
    stages = [
        last if isinstance(statement, Store) else stage
        for statement, stage in zip(loop.body, stages, strict=True)
    ]
    return stages if last and _carried_in_one_stage(loop, stages) else None


def _carried_in_one_stage(loop: Loop, stages: list[int]) -> bool:
    """Whether each accumulator is read and made by one stage."""
    for link, following in zip(loop.carried, loop.yields, strict=True):
        users = {
            stage
            for statement, stage in zip(loop.body, stages, strict=True)
            if link.target in reads(statement) or following in targets(statement)
        }
        made = any(following in targets(statement) for statement in loop.body)
        if not made or len(users) > 1:
            return False
    return True


def _is_alone(loop: Loop, phase: Phase) -> bool:
    """Whether a parallel loop has its axis of the grid for itself."""
    if loop.share is None:
        return True
    return loop.share.first == 0 and _sharing(phase.body, loop.share.axis) == 1


def _sharing(body: Iterable[Statement], axis: int) -> int:
    loops = [statement for statement in body if isinstance(statement, Loop)]
    return sum(
        (loop.share is not None and loop.share.axis == axis) + _sharing(loop.body, axis)
        for loop in loops
    )


def _trips(loop: Loop) -> int | None:
    """The largest possible number of iterations, where it is known."""
    distance = loop.stop.stop + loop.start * -1
    return None if distance.terms else -(-distance.const // loop.step)


def _latency(statement: Statement) -> int:
    if not isinstance(statement, Compute):
        return 0
    return LATENCIES.get(statement.op, SHORT)
