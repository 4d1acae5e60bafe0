"""Traces, and the stack of those that are active on this thread.

A `Trace` is what operations on traced arrays are emitted to: a graph under construction
(`graph_trace.GraphTrace`) or the define-by-run machine behind `f.dynamic`. The innermost active
trace receives every operation; arrays of an outer one enter it through `Trace.adopt`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.emitter import Emitter
from ...ir.errors import TraceError
from ...ir.graph import FORWARD
from ...ir.location import Location, user_location
from ...ir.ops.creation import constant as CONSTANT
from ...ir.types import DType
from .foreign import ForeignArray

if TYPE_CHECKING:
    from .array import TracedArray
    from .record import Recorded


class Trace(ABC):
    """Where operations go. Subclasses supply the emitter and the abstract methods.

    `phase` marks emitted nodes as forward or backward; `loc`, when set, replaces the user's line
    (derivative rules put the line of the operation that they differentiate).
    """

    def __init__(self, emitter: Emitter, parent: Trace | None = None) -> None:
        self.emitter = emitter
        self.parent = parent
        self.phase = FORWARD
        self.loc: Location | None = None
        self.finished = False
        self.at_once: bool = parent is not None and parent.at_once  # arrays outside have values
        self.rebinding = False  # whether an in-place operator is about to bind its name anew

    def location(self) -> Location | None:
        """The user's line to attribute the next operation to."""
        return self.loc if self.loc is not None else user_location()

    @contextmanager
    def marked(self, *, phase: str | None = None, loc: Location | None = None) -> Iterator[None]:
        """Emit under another phase or location inside the `with` block."""
        before = self.phase, self.loc
        self.phase = phase if phase is not None else self.phase
        self.loc = loc if loc is not None else self.loc
        try:
            yield
        finally:
            self.phase, self.loc = before

    @contextmanager
    def binding_anew(self) -> Iterator[None]:
        """Inside the `with` block an in-place operator is carried out."""
        before, self.rebinding = self.rebinding, True
        try:
            yield
        finally:
            self.rebinding = before

    def constant(self, value: np.ndarray[Any, Any] | np.generic) -> Any:
        """The handle of a literal, which must not change afterwards."""
        (handle,) = self.emitter.emit(
            CONSTANT, (), {"value": value}, loc=self.location(), phase=self.phase
        )
        return handle

    @abstractmethod
    def capture(self, array: np.ndarray[Any, Any]) -> TracedArray:
        """The traced array for a NumPy array that an operation met."""

    @abstractmethod
    def adopt(self, array: TracedArray) -> TracedArray:
        """The counterpart here of an array of an enclosing trace; `TraceError` for any other."""

    def foreign(self, array: ForeignArray) -> TracedArray:
        """The traced array for a `tapeless.Tensor`; `TraceError` where programs are compiled."""
        if self.parent is None:
            raise foreign_refused(type(array))
        with activate(self.parent):
            outer = self.parent.foreign(array)
        return self.adopt(outer)

    @abstractmethod
    def record(
        self,
        fn: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None = None,
        wrt: Sequence[int] | None = None,
    ) -> Recorded:
        """Run `fn(*args, **kwargs)` so that it can be differentiated.

        `wrt` are the leaves that derivatives may be asked for (None: all), if that is known.
        """

    @abstractmethod
    def wrote(self, array: TracedArray) -> None:
        """Called after a base array of this trace got a new value."""

    @abstractmethod
    def restrict(self, array: TracedArray, dtype: DType) -> None:
        """Called when a runtime Python int is used as `dtype`, whose range it must not leave."""


def foreign_refused(kind: type[ForeignArray]) -> TraceError:
    """The error for a define-by-run tensor in a function that is compiled."""
    return TraceError(
        "a compiled or transformed function computes with arrays",
        given=f"a {kind.__name__}, whose operations run one by one",
        hint="pass x.numpy() as an argument, or use x.backward() instead of tl.grad",
    )


def leaked() -> TraceError:
    """The error for an array whose trace is over or runs elsewhere."""
    return TraceError(
        "a traced array lives only while the function that made it is traced",
        given="one kept from another trace (a global, an attribute, a closure, another thread)",
        hint="return the value from the traced function instead of storing it",
    )


class _Stack(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []


_STACK = _Stack()

TRACES = _STACK
"""`TRACES.traces` are the active traces of the running thread, the innermost last."""


def current_trace() -> Trace | None:
    """The innermost active trace of this thread."""
    traces = _STACK.traces
    return traces[-1] if traces else None


def require_trace() -> Trace:
    """The innermost active trace; `TraceError` outside all of them."""
    traces = _STACK.traces
    if not traces:
        raise leaked()
    return traces[-1]


class _Active:
    """How many threads trace now, in a word that native code reads."""

    def __init__(self) -> None:
        self.word = ctypes.c_int64(0)
        self.lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.keep_this_thread)

    def add(self, change: int) -> None:
        with self.lock:
            self.word.value += change

    def keep_this_thread(self) -> None:
        """In a forked child the other threads are gone."""
        self.lock = threading.Lock()
        self.word.value = int(bool(_STACK.traces))


_ACTIVE = _Active()


def active_traces_word() -> int:
    """Address of a 64-bit word that is 0 when no thread traces."""
    return ctypes.addressof(_ACTIVE.word)


@contextmanager
def activate(trace: Trace) -> Iterator[Trace]:
    """Make `trace` the innermost one inside the `with` block."""
    traces = _STACK.traces
    if not traces:
        _ACTIVE.add(1)
    traces.append(trace)
    try:
        yield trace
    finally:
        traces.pop()
        if not traces:
            _ACTIVE.add(-1)
