"""What a statement reads and defines, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .language import (
    Access,
    Check,
    Compute,
    IndexValue,
    Literal,
    Load,
    Loop,
    Statement,
    Store,
    Transpose,
    Var,
)


def targets(statement: Statement) -> tuple[Var, ...]:
    """The values that a statement defines."""
    match statement:
        case Load() | Compute() | Literal() | IndexValue():
            return (statement.target,)
        case Transpose():
            return statement.targets
    return ()


def reads(statement: Statement) -> tuple[Var, ...]:
    """The values that a statement uses, those in its addresses included."""
    match statement:
        case Load(_, access, _, guard):
            return (*_positions(access), *(() if guard is None else (guard,)))
        case Store(access, value):
            return (*_positions(access), value)
        case Compute():
            return statement.args
        case Transpose():
            return statement.sources
        case Check():
            return (statement.condition,)
    return ()


def _positions(access: Access) -> tuple[Var, ...]:
    return tuple(var for var, _ in access.dynamic)


def renamed(statement: Statement, names: Mapping[Var, Var]) -> Statement:
    """The statement that reads `names[v]` in the place of each `v`."""

    def new(var: Var) -> Var:
        return names.get(var, var)

    def moved(access: Access) -> Access:
        dynamic = tuple((new(var), stride) for var, stride in access.dynamic)
        return replace(access, dynamic=dynamic)

    match statement:
        case Load(_, access, _, guard):
            guard = None if guard is None else new(guard)
            return replace(statement, access=moved(access), guard=guard)
        case Store(access, value):
            return replace(statement, access=moved(access), value=new(value))
        case Compute(_, _, args):
            return replace(statement, args=tuple(map(new, args)))
        case Transpose(_, sources):
            return replace(statement, sources=tuple(map(new, sources)))
        case Check(condition):
            return replace(statement, condition=new(condition))
    return statement


def rebuffered(statement: Statement, numbers: Sequence[int]) -> Statement:
    """The statement, a loop with all that is in it, that uses buffer `numbers[b]` for each `b`."""
    match statement:
        case Load() | Store():
            access = replace(statement.access, buffer=numbers[statement.access.buffer])
            return replace(statement, access=access)
        case Loop():
            return replace(statement, body=[rebuffered(inner, numbers) for inner in statement.body])
    return statement
