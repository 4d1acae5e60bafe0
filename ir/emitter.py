"""The protocol behind tracing: something that accepts one operation at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .location import Location
from .ops.registry import Op
from .types import TensorType


class Handle(Protocol):
    """What an emitter takes and gives: a graph's `Value`, or a tensor."""

    @property
    def type(self) -> TensorType:
        """Element type and shape."""


class Emitter(Protocol):
    """Accepts operations: `GraphBuilder` records them, `tensor.emitter` executes them."""

    def emit(
        self,
        op: Op,
        inputs: Sequence[Any],
        attrs: Mapping[str, Any] | None = None,
        *,
        loc: Location | None = None,
        phase: str = "forward",
    ) -> tuple[Any, ...]:
        """Apply `op` to handles made by this emitter; returns the handles of its results."""
