"""The loop language: what a kernel does, down to vectors and addresses, but not yet LLVM.

A `Kernel` takes buffers and runs a block of statements. Values (`Var`) are single-assignment,
scalar or one vector of `lanes` elements. Addresses are affine in the loop indices (`Affine`), plus
run-time terms where positions are data. Inside a vector statement, element `l` is meant for the
symbol `lane` = l; an access is contiguous when its coefficient of `lane` is 1, a broadcast when it
is 0, otherwise a gather. `active` limits a statement to the first lanes of the last, partial
vector of a row. Loops carry their accumulators explicitly, so everything is SSA.

A kernel is a sequence of phases. A phase runs in pieces, on any threads and in any order: each
piece runs all of the phase's statements, but only its own share of the iterations of parallel
loops. Which element is computed by which instructions is therefore the same for any number of
threads, and so are all bits of the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...ir.location import Location
from ...ir.types import DType, TensorType, dtype_name

LANE = "lane"
"""The index symbol that stands for the position inside a vector."""


@dataclass(frozen=True, slots=True)
class Affine:
    """`const + Σ coefficient × symbol` in elements; symbols are loop indices and `lane`."""

    terms: tuple[tuple[str, int], ...] = ()
    const: int = 0

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.const + other)
        if not self.terms or not other.terms:
            return Affine(self.terms or other.terms, self.const + other.const)
        merged = dict(self.terms)
        for symbol, coefficient in other.terms:
            merged[symbol] = merged.get(symbol, 0) + coefficient
        kept = tuple(sorted((s, c) for s, c in merged.items() if c))
        return Affine(kept, self.const + other.const)

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        if factor == 1:
            return self
        return Affine(tuple((s, c * factor) for s, c in self.terms), self.const * factor)

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols that occur."""
        return frozenset(symbol for symbol, _ in self.terms)

    def coefficient(self, symbol: str) -> int:
        """The factor of `symbol`, 0 if it does not occur."""
        return dict(self.terms).get(symbol, 0)

    def __str__(self) -> str:
        parts = [s if c == 1 else f"{c}*{s}" for s, c in self.terms]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)


ORIGIN = Affine()
"""The index 0."""


def index(symbol: str) -> Affine:
    """The affine expression that is just `symbol`."""
    return Affine(((symbol, 1),))


@dataclass(frozen=True, eq=False, slots=True)
class Var:
    """A value inside a kernel: element type and number of lanes (1: scalar); itself alone."""

    name: str
    dtype: DType
    lanes: int = 1

    def __str__(self) -> str:
        return self.name


def type_text(var: Var) -> str:
    """`f32` or `f32x16`."""
    return dtype_name(var.dtype) + (f"x{var.lanes}" if var.lanes > 1 else "")


@dataclass(frozen=True, slots=True)
class Access:
    """A place in a buffer: affine part, and `stride × variable` terms found at run time."""

    buffer: int
    at: Affine
    dynamic: tuple[tuple[Var, int], ...] = ()

    def __str__(self) -> str:
        extra = "".join(f" + {stride}*{var}" for var, stride in self.dynamic)
        return f"b{self.buffer}[{self.at}{extra}]"


@dataclass(frozen=True, slots=True)
class Load:
    """`target = buffer[…]`; lanes beyond `active` or where `guard` is false read as zero."""

    target: Var
    access: Access
    active: int | None = None
    guard: Var | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """`buffer[…] = value`, for the active lanes."""

    access: Access
    value: Var
    active: int | None = None


@dataclass(frozen=True, slots=True)
class Compute:
    """`target = op(args)`: an elementwise op of the IR, or one of `splat`, `combine_lanes`, …

    `shuffle` takes each lane of the target from a lane of an argument: `picks` has pairs of the
    argument's number and the lane.
    """

    target: Var
    op: str
    args: tuple[Var, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transpose:
    """`targets[i][j] = sources[j][i]`: as many vectors as each has lanes."""

    targets: tuple[Var, ...]
    sources: tuple[Var, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """`target = value`, a compile-time constant (in every lane); a tuple has one for each lane."""

    target: Var
    value: Any


@dataclass(frozen=True, slots=True)
class IndexValue:
    """`target = affine`, an i64 made from loop indices; a vector if it depends on `lane`."""

    target: Var
    at: Affine


@dataclass(frozen=True, slots=True)
class Check:
    """Record failure `site` when `condition` holds in any active lane."""

    condition: Var
    site: int
    active: int | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A value that a loop carries: `target` inside, starting from `start`; `result` after it."""

    target: Var
    start: Var
    result: Var


@dataclass(frozen=True, slots=True)
class Bound:
    """min(`stop`, `limit`): the upper end of a loop; `limit` is absent for a plain loop."""

    stop: Affine
    limit: int | None = None

    def __str__(self) -> str:
        return str(self.stop) if self.limit is None else f"min({self.stop}, {self.limit})"


@dataclass(frozen=True, slots=True)
class Share:
    """The iterations of a loop as units `first`, `first + 1`, … of axis `axis` of the grid.

    They are independent of one another and of all other loops with a share, nothing is carried
    from one to the next, and start, stop and step of the loop are constants.
    """

    axis: int
    first: int = 0

    def __str__(self) -> str:
        return f"g{self.axis}[{self.first}…]"


@dataclass(slots=True)
class Loop:
    """`for index in range(start, stop, step)`; `yields` are the next values of `carried`.

    With a `share` the loop is parallel: each piece runs its own part of the iterations.
    """

    index: str
    start: Affine
    stop: Bound
    step: int
    body: list[Statement]
    carried: tuple[Carried, ...] = ()
    yields: tuple[Var, ...] = ()
    share: Share | None = None


Statement: TypeAlias = Load | Store | Compute | Transpose | Literal | IndexValue | Check | Loop


@dataclass(frozen=True, slots=True)
class Division:
    """One axis of a phase's grid: `units` of work, dealt out evenly to at most as many `pieces`."""

    units: int
    pieces: int

    def __str__(self) -> str:
        return f"{self.units}/{self.pieces}"


@dataclass(frozen=True, slots=True)
class Phase:
    """Statements that all have run before those of the next phase start.

    There is one piece for every point of the `grid`, whose last axis varies fastest. Outside of
    parallel loops a phase of several pieces stores to scratch memory of its thread only.
    """

    body: tuple[Statement, ...]
    grid: tuple[Division, ...] = ()

    @property
    def pieces(self) -> int:
        """How many there are."""
        return math.prod(division.pieces for division in self.grid)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A routine over `buffers` (the first `reads` are read, the others written, then scratch).

    Every thread has `scratch` of its own, except for what is `shared` (positions in it) by all
    threads and phases. `sites` are the failures that `Check` statements can report.
    """

    kind: str
    buffers: tuple[TensorType, ...]
    reads: int
    scratch: tuple[TensorType, ...]
    phases: tuple[Phase, ...]
    sites: tuple[tuple[str, Location | None], ...] = ()
    shared: frozenset[int] = frozenset()

    @property
    def pieces(self) -> int:
        """Of the phase that has most."""
        return max((phase.pieces for phase in self.phases), default=1)


def _suffix(active: int | None, guard: Var | None = None) -> str:
    words = [f"  first {active}" if active is not None else "", f"  if {guard}" if guard else ""]
    return "".join(words)


def _attrs_text(attrs: Mapping[str, Any]) -> str:
    if not attrs:
        return ""
    return "[" + ", ".join(f"{name}={value}" for name, value in sorted(attrs.items())) + "]"


def _statement_lines(statement: Statement, indent: str) -> list[str]:
    match statement:
        case Load(target, access, active, guard):
            text = f"{target}: {type_text(target)} = load {access}{_suffix(active, guard)}"
        case Store(access, value, active):
            text = f"store {access} = {value}{_suffix(active)}"
        case Compute(target, "shuffle", args, attrs):
            lanes = " ".join(f"{args[number]}[{lane}]" for number, lane in attrs["picks"])
            text = f"{target}: {type_text(target)} = shuffle {lanes}"
        case Compute(target, op, args, attrs):
            operands = " ".join(map(str, args))
            text = f"{target}: {type_text(target)} = {op}{_attrs_text(attrs)} {operands}"
        case Transpose(targets, sources):
            text = f"{' '.join(map(str, targets))} = transpose {' '.join(map(str, sources))}"
        case Literal(target, value):
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
            text = f"{target}: {type_text(target)} = {shown}"
        case IndexValue(target, at):
            text = f"{target}: {type_text(target)} = index {at}"
        case Check(condition, site, active):
            text = f"fail {site} if {condition}{_suffix(active)}"
        case Loop():
            return _loop_lines(statement, indent)
    return [indent + text]


def _loop_lines(loop: Loop, indent: str) -> list[str]:
    kind = "for" if loop.share is None else f"parallel {loop.share} for"
    carried = ", ".join(f"{c.target} = {c.start} -> {c.result}" for c in loop.carried)
    head = f"{indent}{kind} {loop.index} in range({loop.start}, {loop.stop}, {loop.step})"
    lines = [head + (f" carrying {carried}:" if carried else ":")]
    for statement in loop.body:
        lines.extend(_statement_lines(statement, indent + "  "))
    if loop.yields:
        lines.append(f"{indent}  yield {', '.join(map(str, loop.yields))}")
    return lines


def print_kernel(name: str, kernel: Kernel) -> str:
    """The kernel as text: buffers with their types, then the statements."""
    roles = ["in"] * kernel.reads + ["out"] * (len(kernel.buffers) - kernel.reads)
    arguments = [
        f"b{i}: {role} {type}"
        for i, (role, type) in enumerate(zip(roles, kernel.buffers, strict=True))
    ]
    for i, type in enumerate(kernel.scratch):
        role = "shared scratch" if i in kernel.shared else "scratch"
        arguments.append(f"b{len(kernel.buffers) + i}: {role} {type}")
    lines = [f"kernel {name} {kernel.kind}({', '.join(arguments)}):"]
    for phase in kernel.phases:
        if len(kernel.phases) > 1 or phase.grid:
            grid = " × ".join(map(str, phase.grid))
            lines.append(f"  phase in {phase.pieces} pieces {grid}".rstrip() + ":")
        for statement in phase.body:
            lines.extend(_statement_lines(statement, "  "))
    return "\n".join(lines)
