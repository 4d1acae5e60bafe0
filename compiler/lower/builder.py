"""Builds the statements of a kernel: scopes, value numbering, hoisting.

Every expression is placed in the outermost open loop in which all its operands exist, and equal
expressions in one scope are made once. Lowering code therefore just asks for values where it
needs them; loop-invariant work leaves the loops by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir.graph import attribute_key
from ...ir.location import Location
from ...ir.types import BOOL, INT64, DType
from .language import (
    LANE,
    Access,
    Affine,
    Bound,
    Carried,
    Check,
    Compute,
    Division,
    IndexValue,
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


@dataclass(slots=True)
class _Scope:
    symbols: frozenset[str]  # loop indices that exist here
    statements: list[Statement]
    numbering: dict[object, Var] = field(default_factory=dict)
    seal: int = 0  # the outermost scope to which expressions may be hoisted from here


class LoopBuilder:
    """Collects statements; `lanes` is the kernel's vector width, `active` the current mask.

    the scope in which each variable was made is remembered, which is what hoisting needs.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.active: int | None = None
        self.sites: list[tuple[str, Location | None]] = []
        self._scopes = [_Scope(frozenset(), [])]
        self._home_of: dict[Var, tuple[int, _Scope]] = {}
        self._count = 0

    def finish_phase(self, grid: Sequence[Division] = ()) -> Phase:
        """The statements so far as a phase; what follows is another one."""
        (outermost,) = self._scopes
        self._scopes = [_Scope(frozenset(), [])]
        return Phase(tuple(outermost.statements), tuple(grid))

    @property
    def depth(self) -> int:
        """How many loops are open."""
        return len(self._scopes) - 1

    def fresh(self, dtype: DType, lanes: int, depth: int | None = None) -> Var:
        """A new variable, made in the current scope (or the one at `depth`)."""
        var = Var(f"t{self._count}", dtype, lanes)
        self._count += 1
        home = self.depth if depth is None else depth
        self._home_of[var] = (home, self._scopes[home])
        return var

    def is_live(self, var: Var) -> bool:
        """Whether `var` can be used here: the loop that made it is still open."""
        depth, scope = self._home_of[var]
        return depth < len(self._scopes) and self._scopes[depth] is scope

    # Expressions

    def _home(self, symbols: frozenset[str], args: Sequence[Var]) -> int:
        """The outermost scope in which the symbols and the arguments exist."""
        depth = max((self._home_of[arg][0] for arg in args), default=0)
        depth = max(depth, self._scopes[-1].seal)
        needed = symbols - {LANE}
        while not needed <= self._scopes[depth].symbols:
            depth += 1
        return depth

    def _number(
        self, key: object, symbols: frozenset[str], args: Sequence[Var], dtype: DType, lanes: int
    ) -> tuple[Var, list[Statement] | None]:
        """The variable for an expression, and where to put its statement if it is new."""
        depth = self._home(symbols, args)
        scope = self._scopes[depth]
        found = scope.numbering.get(key)
        if found is not None:
            return found, None
        var = self.fresh(dtype, lanes, depth)
        scope.numbering[key] = var
        return var, scope.statements

    def literal(self, value: Any, dtype: DType) -> Var:
        """A scalar constant."""
        key = ("literal", attribute_key(dtype.type(value)))
        var, where = self._number(key, frozenset(), (), dtype, 1)
        if where is not None:
            where.append(Literal(var, value))
        return var

    def vector_literal(self, values: Sequence[Any], dtype: DType) -> Var:
        """A constant with these elements."""
        array = np.array(values, dtype)
        key = ("literals", dtype, array.tobytes())
        var, where = self._number(key, frozenset(), (), dtype, len(values))
        if where is not None:
            same = array.tobytes() == array[:1].tobytes() * len(array)
            where.append(Literal(var, array[0] if same else tuple(array)))
        return var

    def index_value(self, at: Affine) -> Var:
        """The i64 value of an index expression."""
        lanes = self.lanes if at.coefficient(LANE) else 1
        var, where = self._number(("index", at), at.symbols, (), INT64, lanes)
        if where is not None:
            where.append(IndexValue(var, at))
        return var

    def splat(self, var: Var) -> Var:
        """`var` in every lane."""
        return var if var.lanes == self.lanes else self._compute("splat", (var,), var.dtype, True)

    def compute(self, op: str, args: Sequence[Var], dtype: DType, **attrs: Any) -> Var:
        """An elementwise op; scalars are splatted when another operand is a vector."""
        vector = any(arg.lanes > 1 for arg in args)
        if vector:
            args = [self.splat(arg) for arg in args]
        return self._compute(op, tuple(args), dtype, vector, **attrs)

    def _compute(
        self, op: str, args: tuple[Var, ...], dtype: DType, vector: bool, **attrs: Any
    ) -> Var:
        lanes = self.lanes if vector else 1
        key = (op, args, dtype, lanes, tuple(sorted((k, str(v)) for k, v in attrs.items())))
        var, where = self._number(key, frozenset(), args, dtype, lanes)
        if where is not None:
            where.append(Compute(var, op, args, attrs))
        return var

    def shuffle(self, picks: Sequence[tuple[Var, int]]) -> Var:
        """The vector of some lanes of others, as many as are named."""
        sources = tuple(dict.fromkeys(var for var, _ in picks))
        number = {var: i for i, var in enumerate(sources)}
        chosen = tuple([(number[var], lane) for var, lane in picks])
        key = ("shuffle", sources, chosen)
        target, where = self._number(key, frozenset(), sources, sources[0].dtype, len(picks))
        if where is not None:
            where.append(Compute(target, "shuffle", sources, {"picks": chosen}))
        return target

    def combine_lanes(self, op: str, args: Sequence[Var]) -> Var:
        """Fold the lanes of a vector into a scalar; those of (value, position) into a position."""
        if args[0].lanes == 1:
            return args[-1]
        key = ("combine", op, tuple(args))
        var, where = self._number(key, frozenset(), args, args[-1].dtype, 1)
        if where is not None:
            where.append(Compute(var, "combine_lanes", tuple(args), {"by": op}))
        return var

    def keep_active(self, var: Var, other: Var) -> Var:
        """`var` in the active lanes, `other` in the rest."""
        assert self.active is not None
        return self._compute("keep_active", (var, other), var.dtype, True, active=self.active)

    def load(self, access: Access, dtype: DType, guard: Var | None = None) -> Var:
        """Read a buffer that no store of this kernel changes."""
        dynamic = [var for var, _ in access.dynamic]
        args = [*dynamic, guard] if guard is not None else dynamic
        vector = access.at.coefficient(LANE) != 0 or any(arg.lanes > 1 for arg in args)
        lanes = self.lanes if vector else 1
        active = self.active if vector else None
        key = ("load", access, guard, active, lanes)
        var, where = self._number(key, access.at.symbols, args, dtype, lanes)
        if where is not None:
            where.append(Load(var, access, active, guard))
        return var

    # Statements

    def transpose(self, sources: Sequence[Var]) -> list[Var]:
        """`lanes` vectors as the columns of `sources`."""
        assert len(sources) == self.lanes
        targets = [self.fresh(var.dtype, var.lanes) for var in sources]
        self._scopes[-1].statements.append(Transpose(tuple(targets), tuple(sources)))
        return targets

    def reload(self, access: Access, dtype: DType) -> Var:
        """Read what this kernel itself has stored: stays where it stands."""
        vector = access.at.coefficient(LANE) != 0
        var = self.fresh(dtype, self.lanes if vector else 1)
        self._scopes[-1].statements.append(Load(var, access, self.active if vector else None))
        return var

    def store(self, access: Access, value: Var) -> None:
        """Write a buffer here."""
        vector = access.at.coefficient(LANE) != 0
        if vector:
            value = self.splat(value)
        active = self.active if vector else None
        self._scopes[-1].statements.append(Store(access, value, active))

    def check(self, condition: Var, kind: str, loc: Location | None) -> None:
        """Fail with (`kind`, `loc`) when the boolean `condition` holds."""
        assert condition.dtype == BOOL
        site = (kind, loc)
        if site not in self.sites:
            self.sites.append(site)
        active = self.active if condition.lanes > 1 else None
        scope = self._home_of[condition][1]
        key = ("check", condition, site)
        if key not in scope.numbering:
            scope.numbering[key] = condition
            scope.statements.append(Check(condition, self.sites.index(site), active))

    @contextmanager
    def loop(
        self,
        symbol: str,
        start: Affine | int,
        stop: Bound | int,
        step: int = 1,
        carried: Sequence[Var] = (),
        *,
        share: Share | None = None,
    ) -> Iterator[LoopFrame]:
        """Open a loop; set `frame.yields` inside, read `frame.results` after it."""
        # What a single iteration does is for one piece alone: nothing of it may be hoisted to where
        # all pieces run, which would read what that piece may already have overwritten in place.
        once = share is not None and (start, stop, step) == (0, 1, 1)
        begin = Affine((), start) if isinstance(start, int) else start
        bound = Bound(Affine((), stop)) if isinstance(stop, int) else stop
        outer = self._scopes[-1]
        results = [self.fresh(var.dtype, var.lanes) for var in carried]
        seal = len(self._scopes) if once else outer.seal
        self._scopes.append(_Scope(outer.symbols | {symbol}, [], seal=seal))
        targets = [self.fresh(var.dtype, var.lanes) for var in carried]
        frame = LoopFrame(targets, results)
        yield frame
        scope = self._scopes.pop()
        links = tuple(map(Carried, targets, carried, results))
        outer.statements.append(
            Loop(symbol, begin, bound, step, scope.statements, links, tuple(frame.yields), share)
        )


@dataclass(slots=True)
class LoopFrame:
    """The carried values of an open loop: `values` inside, `yields` to set, `results` after."""

    values: list[Var]
    results: list[Var]
    yields: list[Var] = field(default_factory=list)
