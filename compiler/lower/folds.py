"""Folds: the accumulators of reductions, their identities and how two of them combine.

A fold's state is one variable, or (value, position) for the arg-reductions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Node
from ...ir.types import BOOL, INT64, DType
from .builder import LoopBuilder
from .language import Affine, Bound, Var

State = list[Var]
Span = tuple[Affine | int, Bound | int]
"""Start and stop of a loop."""

BLOCK = 8
"""Partial sums are combined in a tree of this arity, so that rounding errors stay logarithmic
(Higham, Accuracy and Stability of Numerical Algorithms, §4.2)."""


def block_size(count: int) -> int:
    """The step of the outermost of the nested loops over `count` chunks: a power of `BLOCK`, so
    that no chain of additions is long."""
    size = 1
    while size * 2 * BLOCK < count:
        size *= BLOCK
    return size


def _lowest(dtype: DType) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return False if dtype == BOOL else np.iinfo(dtype).min


def _highest(dtype: DType) -> Any:
    if dtype.kind == "f":
        return np.inf
    return True if dtype == BOOL else np.iinfo(dtype).max


_FOLDS: dict[str, tuple[str, Any]] = {
    "sum": ("add", lambda dtype: 0),
    "prod": ("mul", lambda dtype: 1),
    "reduce_max": ("max", _lowest),
    "reduce_min": ("min", _highest),
    "argmax": ("gt", _lowest),
    "argmin": ("lt", _highest),
}
"""Reduction → the op that combines two states (or decides which wins), and the identity."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One reduction node being accumulated."""

    node: Node

    @property
    def dtype(self) -> DType:
        """Element type of the operand."""
        return self.node.inputs[0].type.dtype

    @property
    def op(self) -> str:
        """The op that combines two states."""
        return _FOLDS[self.node.op.name][0]

    @property
    def has_position(self) -> bool:
        """Whether the state is a (value, position) pair."""
        return self.node.op.name in ("argmax", "argmin")

    @property
    def empty(self) -> Any:
        """The result over no elements at all."""
        return {"sum": 0, "prod": 1}[self.node.op.name]

    def identity(self, b: LoopBuilder, vector: bool) -> State:
        """The state before anything was folded in."""
        state = [b.literal(_FOLDS[self.node.op.name][1](self.dtype), self.dtype)]
        if self.has_position:
            state.append(b.literal(0, INT64))
        return [b.splat(var) for var in state] if vector else state

    def combine(self, b: LoopBuilder, x: State, y: State) -> State:
        """Both states in one; for positions the smaller wins among equals, NaN above all."""
        if not self.has_position:
            return [b.compute(self.op, [x[0], y[0]], self.dtype)]
        wins = b.compute(self.op, [y[0], x[0]], BOOL)
        equal = b.compute("eq", [y[0], x[0]], BOOL)
        if self.dtype.kind == "f":
            nan_x = b.compute("isnan", [x[0]], BOOL)
            nan_y = b.compute("isnan", [y[0]], BOOL)
            only_y = b.compute("and", [nan_y, b.compute("not", [nan_x], BOOL)], BOOL)
            wins = b.compute("or", [wins, only_y], BOOL)
            equal = b.compute("or", [equal, b.compute("and", [nan_x, nan_y], BOOL)], BOOL)
        earlier = b.compute("lt", [y[1], x[1]], BOOL)
        wins = b.compute("or", [wins, b.compute("and", [equal, earlier], BOOL)], BOOL)
        return [
            b.compute("select", [wins, new, old], new.dtype) for new, old in zip(y, x, strict=True)
        ]

    def finish(self, b: LoopBuilder, state: State) -> Var:
        """The result of the reduction: the lanes folded, the position picked."""
        name = self.node.op.name if self.has_position else self.op
        return b.combine_lanes(name, state)


def combine_pairwise(b: LoopBuilder, fold: Fold, states: Sequence[State]) -> State:
    """All states in one by a balanced tree."""
    level = list(states)
    while len(level) > 1:
        pairs = [fold.combine(b, level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def combine_columns(
    b: LoopBuilder, folds: Sequence[Fold], parts: Sequence[Sequence[State]]
) -> list[State]:
    """For each fold its states in all the `parts`, combined."""
    columns = zip(*parts, strict=True)
    return [combine_pairwise(b, fold, column) for fold, column in zip(folds, columns, strict=True)]


class FoldLoop:
    """A loop that carries fold states; `join` combines with the carried, `replace` sets them."""

    def __init__(
        self,
        builder: LoopBuilder,
        symbol: str,
        start: Affine | int,
        stop: Bound | int,
        step: int,
        folds: Iterable[Fold],
        states: list[State],
    ) -> None:
        self._builder = builder
        self._folds = list(folds)
        self._sizes = [len(state) for state in states]
        flat = [var for state in states for var in state]
        self._context = builder.loop(symbol, start, stop, step, flat)

    def __enter__(self) -> FoldLoop:
        self._frame = self._context.__enter__()
        self.values = self._grouped(self._frame.values)
        self.results = self._grouped(self._frame.results)
        return self

    def __exit__(self, *exc: object) -> None:
        self._context.__exit__(None, None, None)

    def _grouped(self, flat: list[Var]) -> list[State]:
        source = iter(flat)
        return [[next(source) for _ in range(size)] for size in self._sizes]

    def replace(self, states: list[State]) -> None:
        """The states for the next iteration."""
        self._frame.yields = [var for state in states for var in state]

    def join(self, partial: list[State]) -> None:
        """The next states: the carried ones with `partial` folded in."""
        self.replace(
            [
                fold.combine(self._builder, old, new)
                for fold, old, new in zip(self._folds, self.values, partial, strict=True)
            ]
        )
