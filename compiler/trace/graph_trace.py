"""`GraphTrace`: the trace that records a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ...ir.errors import TapelessError
from ...ir.graph import GraphBuilder, Value
from ...ir.types import DType, TensorType
from .array import Kind, TracedArray
from .context import Trace, activate, leaked
from .lift import constant
from .record import GraphRecorded, record

CapturePolicy: TypeAlias = Callable[[np.ndarray[Any, Any]], TracedArray]
"""What an outermost trace does with a NumPy array that an operation meets."""


class GraphTrace(Trace):
    """Records operations into `builder`.

    Every graph input has a base array in `arrays` and the object that it stands for in `sources`:
    an array of the enclosing trace, or whatever the creator of the trace passed to `add_input`.
    Arrays of enclosing traces become inputs when they are first met, one per storage; what the
    graph does to them in place is for the creator to write back (`updated`).
    """

    def __init__(
        self,
        builder: GraphBuilder,
        parent: Trace | None = None,
        policy: CapturePolicy | None = None,
    ) -> None:
        super().__init__(builder, parent)
        self.builder = builder
        self.arrays: list[TracedArray] = []
        self.sources: list[Any] = []
        self.ranges: dict[int, tuple[int, int]] = {}
        self.policy: CapturePolicy = policy or constant
        self._positions: dict[int, int] = {}
        # Keyed by id; the value keeps the outer array alive, so that the id stays its own.
        self._adopted: dict[int, tuple[TracedArray, TracedArray]] = {}

    def add_input(
        self,
        type: TensorType,
        source: Any = None,
        *,
        kind: Kind = Kind.ARRAY,
        name: str = "",
        origin: str = "",
        contiguous: bool = False,
    ) -> TracedArray:
        """A new graph input, as a base array."""
        array = self.deferred_input(
            type, source, kind=kind, name=name, origin=origin, contiguous=contiguous
        )
        array.value  # noqa: B018 - makes the input
        return array

    def deferred_input(
        self,
        type: TensorType,
        source: Any,
        *,
        kind: Kind = Kind.ARRAY,
        name: str = "",
        origin: str = "",
        contiguous: bool = False,
        refusal: TapelessError | None = None,
    ) -> TracedArray:
        """A base array that becomes a graph input, or raises `refusal`, when it is first used."""

        def make() -> Value:
            if refusal is not None:
                raise refusal
            self._positions[id(array)] = len(self.arrays)
            self.arrays.append(array)
            self.sources.append(source)
            return self.builder.input(type, name)

        array = TracedArray.deferred(self, type, make, kind, origin=origin, contiguous=contiguous)
        return array

    def position(self, array: TracedArray) -> int | None:
        """Which input `array` is the base array of; None if it is none."""
        return self._positions.get(id(array))

    def updated(self) -> list[int]:
        """The inputs that hold another value than they came with."""
        return [
            position
            for position, array in enumerate(self.arrays)
            if array.version and array.value is not self.builder.inputs[position]
        ]

    def child(self, name: str) -> GraphTrace:
        """A trace for a sub-graph."""
        return GraphTrace(GraphBuilder(name), self)

    def capture(self, array: np.ndarray[Any, Any]) -> TracedArray:
        """By the policy of the outermost trace."""
        if self.parent is None:
            return self.policy(array)
        with activate(self.parent):
            outer = self.parent.capture(array)
        return self.adopt(outer)

    def adopt(self, array: TracedArray) -> TracedArray:
        """The counterpart of an enclosing trace's array: an input, or a view of one."""
        if array.home.finished:
            raise leaked()
        if array.literal is not None:
            return TracedArray.of_literal(self, array.literal, array.kind)
        known = self._adopted.get(id(array))
        if known is not None:
            return known[1]
        if array.home is self or self.parent is None:
            raise leaked()
        outer = array
        if array.home is not self.parent:
            with activate(self.parent):
                outer = self.parent.adopt(array)
        inner = self._adopt_from_parent(outer)
        self._adopted[id(array)] = (array, inner)
        return inner

    def _adopt_from_parent(self, outer: TracedArray) -> TracedArray:
        known = self._adopted.get(id(outer))
        if known is not None:
            return known[1]
        if outer.lens is None:
            inner = self.add_input(
                outer.type,
                outer,
                kind=outer.kind,
                origin=outer.origin,
                contiguous=outer.contiguous,
            )
        else:
            outer.value  # noqa: B018 - raises where a reshape went stale
            lens = outer.lens
            inner = self.adopt(lens.parent).view_like(lens)
            if not lens.sure:  # it was made before this trace began to update its base
                inner.seen(0)
        self._adopted[id(outer)] = (outer, inner)
        return inner

    def record(
        self,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        wrt: Sequence[int] | None = None,
    ) -> GraphRecorded:
        """Trace `fn(*args, **kwargs)` into a sub-graph that can be differentiated."""
        return record(self, fn, args, kwargs or {})

    def wrote(self, array: TracedArray) -> None:
        """Nothing to do: `updated` looks when the trace is over."""

    def restrict(self, array: TracedArray, dtype: DType) -> None:
        """Note the range of `dtype` on the runtime integer that `array` is, if it is an input."""
        position = self.position(array)
        if position is None:
            return
        info = np.iinfo(dtype)
        low, high = self.ranges.get(position, (int(info.min), int(info.max)))
        self.ranges[position] = (max(low, int(info.min)), min(high, int(info.max)))
        source = self.sources[position]
        if isinstance(source, TracedArray):
            source.home.restrict(source, dtype)
