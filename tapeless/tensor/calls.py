"""What is known of a call, by function, static arguments and operand types: derived once, kept.

A call that is recorded a second time costs one look-up. `CALLS` is bounded: when a generation of
calls is full, those that were not met since the generation before are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from ..compiler.trace.array import Kind
from ..ir.errors import UnsupportedError
from ..ir.graph import Graph
from ..ir.types import is_float
from .base import kind_of
from .derive import OperandType, Pullback, graph_of, pullback_of


class Call:
    """A function of arrays as a graph, with its derivatives.

    `floats` are the positions of the results that can have cotangents; `weak` marks operands that
    are Python numbers.
    """

    __slots__ = ("floats", "graph", "kinds", "name", "pullbacks", "types", "weak")

    def __init__(self, graph: Graph, weak: Sequence[bool] = ()) -> None:
        self.name = graph.name
        self.graph = graph
        self.weak = tuple(weak) or (False,) * len(graph.inputs)
        self.types = graph.output_types
        self.kinds = tuple(kind_of(type) for type in self.types)
        self.floats = tuple(i for i, type in enumerate(self.types) if is_float(type.dtype))
        self.pullbacks: dict[int, Pullback] = {}

    def pullback(self, wants: int) -> Pullback:
        """The derivative with respect to the operands whose bits are set in `wants`."""
        known = self.pullbacks.get(wants)
        if known is None:
            wrt = [i for i in range(len(self.graph.inputs)) if wants >> i & 1]
            known = self.pullbacks[wants] = pullback_of(self.graph, wrt, self.weak)
        return known


def call_of(pullback: Pullback) -> Call:
    """The derivative of a call as a call itself."""
    if pullback.call is None:
        pullback.call = Call(pullback.plan.graph, pullback.weak)
    found: Call = pullback.call
    return found


class CallInfo(NamedTuple):
    """How many calls are known now, how many were derived, and how many may be known."""

    held: int
    derived: int
    limit: int


class CallTable:
    """Calls by key, in two generations."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.young: dict[Hashable, Call] = {}
        self._old: dict[Hashable, Call] = {}
        self._derived = 0

    def add(
        self,
        key: Hashable,
        name: str,
        function: Callable[..., Any],
        types: Sequence[OperandType],
        *,
        row_major: bool = True,
    ) -> Call:
        """The call with `key`, which is not among the `young`; traced if it is not known at all."""
        known = self._old.pop(key, None)
        if known is None:
            graph = graph_of(name, function, types, row_major=row_major)
            known = Call(graph, [isinstance(type, Kind) for type in types])
            self._derived += 1
        if len(self.young) >= self.limit // 2:
            self._old, self.young = self.young, {}
        self.young[key] = known
        return known

    def info(self) -> CallInfo:
        """The state of the table."""
        return CallInfo(len(self.young) + len(self._old), self._derived, self.limit)

    def clear(self) -> None:
        """Forget everything."""
        self.young, self._old = {}, {}


CALLS = CallTable(limit=4096)
"""Every call that was recorded lately in this process."""


def check_results(call: Call, results: Sequence[Any]) -> None:
    """Raise `UnsupportedError` unless NumPy's results have the types that were derived."""
    derived = [(type.dtype, type.shape) for type in call.types]
    types = [(x.dtype, x.shape) for x in results]
    if derived != types:
        raise UnsupportedError(
            f"the derivative of {call.name} is known for results like those of the compiled call: "
            f"{', '.join(map(str, call.types))}",
            given=", ".join(f"{dtype}{list(shape)}" for dtype, shape in types),
            hint="use x.detach() if no gradient is needed",
        )
