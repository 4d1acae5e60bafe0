"""One node as the derivative rules see it: its op applied to traced arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.graph import Node
from ...ir.ops.registry import Op
from ..trace.array import Handle, TracedArray
from ..trace.context import require_trace
from .rules import BESIDE_LITERAL, VJP, Rule

_KEEPS_LITERAL = frozenset({"broadcast", "reshape", "transpose", "stop_gradient"})


def literals_among(nodes: Iterable[Node]) -> dict[Hashable, float]:
    """The values in `nodes` that are one number written in the program, with that number."""
    literals: dict[Hashable, float] = {}
    for node in nodes:
        if node.op.name == "constant" and node.attrs["value"].size == 1:
            literals[node.output] = node.attrs["value"].item()
        elif node.op.name in _KEEPS_LITERAL and node.inputs[0] in literals:
            literals[node.output] = literals[node.inputs[0]]
        elif node.op.name == "convert" and node.inputs[0] in literals:
            with np.errstate(all="ignore"):
                number = np.asarray(literals[node.inputs[0]], node.inputs[0].type.dtype)
                literals[node.output] = number.astype(node.output.type.dtype).item()
    return literals


def traced(handle: Handle) -> TracedArray:
    """A handle of the current trace as the rules take it."""
    return TracedArray(require_trace(), handle)


@dataclass(frozen=True, slots=True)
class Application:
    """`ans = op[attrs] operands`; `literals` has the number of every operand that is one."""

    op: Op
    operands: tuple[TracedArray, ...]
    ans: TracedArray
    attrs: Mapping[str, Any]
    literals: tuple[float | None, ...]

    def pull(self, position: int, g: TracedArray) -> TracedArray | None:
        """The cotangent of one operand, given that of `ans`; None if it is always zero."""
        operands: list[Any] = list(self.operands)
        rule = self._rule(position)
        if self.op.name in BESIDE_LITERAL and self.literals[1 - position] is not None:
            rule = BESIDE_LITERAL[self.op.name][position]
            operands[1 - position] = self.literals[1 - position]
        if rule is None:
            return None
        cotangent: TracedArray = rule(g, self.ans, *operands, **self.attrs)
        return cotangent

    def _rule(self, position: int) -> Rule | None:
        row = VJP[self.op.name]
        return row(position) if callable(row) else row[position]
