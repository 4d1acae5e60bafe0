"""NumPy arrays that a traced function meets besides its arguments.

An array that the function can reach by name, or a view of one, becomes an input *by reference*:
the compiled function reads it at each call and writes updates back. An array that it cannot reach
was made while tracing; its value becomes a constant. What NumPy does on its own while tracing is
invisible to the trace, so `Captures.check` looks for the traces that this leaves: arrays that were
never lifted, arrays that changed, random generators that were drawn from, names bound to traced
arrays.
"""

from __future__ import annotations

import dis
import itertools
import types
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import TraceError, TraceWarning, UnsupportedError
from ...ir.types import DTYPE_NAMES, type_of
from .array import TracedArray
from .graph_trace import GraphTrace
from .lift import constant
from .reachable import Reachable, Watched, read, search

Array = np.ndarray[Any, Any]

MAX_SNAPSHOT_BYTES = 1 << 20
"""Reachable arrays up to this total are compared before and after tracing."""

_STATIC_ATTRIBUTES = frozenset({"shape", "ndim", "size", "dtype", "itemsize", "nbytes"})
"""What code may ask of an array without reading its elements."""


@dataclass(frozen=True, slots=True)
class _Local:
    """An array made while tracing: the object, its value when it was met, what stands for it."""

    array: Array
    value: Array
    traced: TracedArray


class Captures:
    """The capture policy of an outermost trace; `arrays` are the captured ones, in input order."""

    def __init__(self, fn: Any, trace: GraphTrace) -> None:
        self.arrays: list[Array] = []
        self._fn = fn
        self._trace = trace
        self._reachable: Reachable = search(fn)
        self._inputs: dict[int, TracedArray] = {}
        self._locals: dict[int, _Local] = {}
        self._snapshots = _snapshots(self._reachable)
        self._random_states = _random_states(self._reachable)

    def capture(self, array: Array) -> TracedArray:
        """The input or constant for `array`; the policy passed to `GraphTrace`."""
        known = self._inputs.get(id(array))
        if known is not None:
            return known
        path = self._reachable.path_of_memory(array)
        if path is None:
            return self._local(array)
        traced = self._trace.add_input(
            type_of(array),
            array,
            name=path,
            origin=f"the captured array {path}",
            contiguous=array.flags.c_contiguous,
        )
        self._inputs[id(array)] = traced
        self.arrays.append(array)
        return traced

    def _local(self, array: Array) -> TracedArray:
        known = self._locals.get(id(array))
        if known is not None:
            if _equal_bits(known.array, known.value):
                return known.traced
            if known.traced.version:
                raise UnsupportedError(
                    "an array made while tracing is updated by traced operations or by NumPy "
                    "alone, not by both",
                    given=f"one of shape {array.shape}",
                    hint="make it with np.zeros_like(x) or np.full_like(x, ...) of a traced x",
                )
        self._refuse_overlap(array)
        traced = constant(array)
        self._locals[id(array)] = _Local(array, array.copy(), traced)
        return traced

    def _refuse_overlap(self, array: Array) -> None:
        for other in self._locals.values():
            if (
                other.array is not array
                and other.traced.version
                and np.may_share_memory(other.array, array)
            ):
                raise UnsupportedError(
                    "a view of an array made while tracing cannot be used once the array has been "
                    "updated by a traced operation",
                    given=f"arrays of shapes {other.array.shape} and {array.shape}",
                    hint="make the array with np.zeros_like(x) of a traced x",
                )

    def watched(self) -> tuple[Watched, ...]:
        """The bindings that the compiled function relies on."""
        return self._reachable.watch()

    # -- after the function has run ---------------------------------------------------------------

    def check(self) -> None:
        """Raise or warn about what happened behind the trace's back; undo rebinding of names."""
        self._restore_bindings()
        self._check_updates()
        self._check_snapshots()
        self._warn_of_random_numbers()
        self._warn_of_constants()

    def _restore_bindings(self) -> None:
        """Give names back the array that `name += …` replaced by its traced counterpart."""
        for bound in (*self._reachable.bindings, *self._reachable.entries):
            now = read(bound.holder, bound.key)
            if not isinstance(now, TracedArray) or now is bound.value:
                continue
            _bind(bound.holder, bound.key, bound.value)
            if self._inputs.get(id(bound.value)) is not now and bound.value is not None:
                raise TraceError(
                    "a traced function changes what lies outside it only in place",
                    given=f"{bound.text} was bound to a new traced array",
                    hint=f"write {bound.text}[...] = value, or return the value",
                )

    def _check_updates(self) -> None:
        for position in self._trace.updated():
            array = self._trace.sources[position]
            if not isinstance(array, np.ndarray):
                continue
            name = self._reachable.path_of_memory(array)
            if not array.flags.writeable:
                raise TraceError("an array updated in place must be writable", given=f"{name}")
            for other in self.arrays:
                if other is not array and np.may_share_memory(other, array):
                    raise UnsupportedError(
                        "an array updated in place is captured under one name only",
                        given=f"{name} and {self._reachable.path_of_memory(other)} share memory",
                        hint="use one of them for everything, or copy the other",
                    )

    def _check_snapshots(self) -> None:
        for array, before, name in self._snapshots:
            if not _equal_bits(array, before):
                raise TraceError(
                    "arrays outside the traced function are updated by traced operations, which "
                    "are repeated at each call",
                    given=f"{name} was updated by NumPy alone, once, while tracing",
                    hint="update it with a value that depends on an argument, or outside",
                )

    def _warn_of_random_numbers(self) -> None:
        if self._random_states != _random_states(self._reachable):
            _warn(
                "random numbers were drawn while tracing: they are constants of the compiled "
                "function, the same at each call; draw them outside and pass them as an argument"
            )

    def _warn_of_constants(self) -> None:
        met = {id(owner) for array in self.arrays for owner in _owners(array)}
        for bound in self._reachable.bindings:
            array = bound.value
            if (
                isinstance(array, np.ndarray)
                and array.dtype in DTYPE_NAMES.values()
                and id(array) not in met
                and _reads_elements(self._fn, bound)
            ):
                _warn(
                    f"{bound.text} was used by no traced operation: if NumPy computed with it "
                    "while tracing, the result is a constant of the compiled function; combine "
                    "it with an argument first, or pass it as one"
                )


def _warn(message: str) -> None:
    warnings.warn(message, TraceWarning, stacklevel=2)


def _bind(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, types.CellType):
        holder.cell_contents = value
    elif not isinstance(holder, types.MappingProxyType):
        holder[key] = value


def _owners(array: Array) -> list[Any]:
    """The array and all that it is a view of."""
    chain: list[Any] = []
    owner: Any = array
    while isinstance(owner, np.ndarray):
        chain.append(owner)
        owner = owner.base
    return chain


def _equal_bits(x: Array, y: Array) -> bool:
    """Equal shapes and contents, NaN equal to itself."""
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()


def _snapshots(reachable: Reachable) -> list[tuple[Array, Array, str]]:
    snapshots = []
    left = MAX_SNAPSHOT_BYTES
    for array, name in reachable.arrays.values():
        left -= array.nbytes
        if left >= 0 and not array.dtype.hasobject:
            snapshots.append((array, array.copy(), name))
    return snapshots


def _random_states(reachable: Reachable) -> list[Any]:
    """The states of NumPy's global generator and of all that the function can reach."""
    states: list[Any] = [np.random.get_state(legacy=False)]
    for generator in reachable.generators:
        if isinstance(generator, np.random.Generator):
            states.append(generator.bit_generator.state)
        else:
            states.append(generator.get_state(legacy=False))
    return [_comparable(state) for state in states]


def _comparable(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _reads_elements(fn: Any, bound: Watched) -> bool:
    """Whether `fn` itself does more with the name than ask for its shape and the like."""
    code = getattr(fn, "__code__", None)
    if code is None or bound.text not in (*code.co_names, *code.co_freevars):
        return False
    instructions = list(dis.get_instructions(code))
    for load, following in itertools.pairwise(instructions):
        if load.argval == bound.text and load.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
            asks = following.opname in ("LOAD_ATTR", "LOAD_METHOD")
            if not (asks and following.argval in _STATIC_ATTRIBUTES):
                return True
    return False
