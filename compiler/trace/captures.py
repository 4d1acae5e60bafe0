"""NumPy arrays that a traced function meets besides its arguments.

An array that the function can reach by name becomes an input *by reference*: the compiled function
reads it at each call and writes updates back. While the function is traced, the names are bound to
traced arrays, so that whatever NumPy does with them is recorded; afterwards they are bound to the
arrays again. (One trace at a time does this; other threads that use the same names meanwhile get
the error for traced arrays of another thread, never a wrong value.)

An array that the function cannot reach was made while tracing; its value becomes a constant. An
in-place operator binds its name to the traced result (`total += x`); other updates by traced values
are refused, as NumPy alone would go on with the array's old contents.
"""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...ir.errors import DTypeError, TraceError, TraceWarning, UnsupportedError
from ...ir.location import user_location
from ...ir.types import DTYPE_NAMES, type_of
from .array import TracedArray
from .generators import random_states
from .graph_trace import GraphTrace
from .lift import constant
from .reachable import Binding, Reachable, Watched, search

Array = np.ndarray[Any, Any]

_NAMES_LOCK = threading.RLock()
"""Held while names are bound to traced arrays."""


@dataclass(frozen=True, slots=True)
class _Local:
    """An array made while tracing: the object, its value when it was met, what stands for it."""

    array: Array
    value: Array
    traced: TracedArray


@dataclass(frozen=True, slots=True)
class _Substitution:
    """A name that is bound to `substitute` while tracing."""

    binding: Binding
    substitute: Any


class Captures:
    """What an outermost trace does with NumPy arrays."""

    def __init__(self, fn: Any, trace: GraphTrace) -> None:
        self._trace = trace
        self._reachable: Reachable = search(fn)
        self._inputs: dict[int, TracedArray] = {}
        self._locals: dict[int, _Local] = {}
        self._rebound: list[str] = []
        self._random_states = random_states(self._reachable.generators)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The captured arrays, in the order of their inputs."""
        return tuple(s for s in self._trace.sources if isinstance(s, np.ndarray))

    def watched(self) -> tuple[Watched, ...]:
        """The bindings that the compiled function relies on, as they are now."""
        return self._reachable.watch()

    # -- arrays that operations meet ---------------------------------------------------------------

    def capture(self, array: Array) -> TracedArray:
        """The input or constant for `array`; the policy passed to `GraphTrace`."""
        known = self._inputs.get(id(array))
        if known is not None:
            return known
        path = self._reachable.path_of_memory(array)
        return self._local(array) if path is None else self._input(array, path)

    def _input(self, array: Array, path: str) -> TracedArray:
        """The traced array for an outside one; it becomes an input when it is first used."""
        known = self._inputs.get(id(array))
        if known is None:
            known = self._inputs[id(array)] = self._trace.deferred_input(
                type_of(array),
                array,
                name=path,
                origin=f"the captured array {path}",
                contiguous=array.flags.c_contiguous,
                refusal=_refusal(array, path),
            )
        return known

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
        if not self._reachable.complete:
            _warn(
                "the function reaches more objects than are searched for arrays: those beyond are "
                "constants of the compiled function; pass them as arguments"
            )
        traced = constant(array)
        traced.shadows = True
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

    # -- names bound to arrays ---------------------------------------------------------------------

    @contextmanager
    def substituted(self) -> Iterator[None]:
        """Bind the names of outside arrays to traced ones inside the `with` block."""
        with _NAMES_LOCK:
            done: list[_Substitution] = []
            try:
                for binding in (*self._reachable.bindings, *self._reachable.entries):
                    substitute = self.substitute(binding.value, binding.text)
                    if substitute is not binding.value:
                        binding.place.write(substitute)
                        done.append(_Substitution(binding, substitute))
                yield
            finally:
                for one in reversed(done):
                    if one.binding.place.read() is not one.substitute:
                        self._rebound.append(one.binding.text)
                    one.binding.place.write(one.binding.value)

    def substitute(self, value: Any, text: str = "an array") -> Any:
        """`value` with traced arrays for the arrays that it is or that are fixed inside it."""
        if type(value) is np.ndarray and value.dtype.newbyteorder("=") in DTYPE_NAMES.values():
            return self._input(value, self._reachable.path(value) or text)
        if isinstance(value, tuple):
            items = [self.substitute(item, f"{text}[{i}]") for i, item in enumerate(value)]
            if all(map(operator.is_, items, value)):
                return value
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if isinstance(value, partial):
            parts = value.func, value.args, tuple(value.keywords.values())
            function, args, keywords = (self.substitute(part, text) for part in parts)
            if (
                function is parts[0]
                and args is parts[1]
                and all(map(operator.is_, keywords, parts[2]))
            ):
                return value
            return partial(function, *args, **dict(zip(value.keywords, keywords, strict=True)))
        return value

    # -- after the function has run ----------------------------------------------------------------

    def check(self) -> None:
        """Raise or warn about what the function did besides operations on traced arrays."""
        if self._rebound:
            raise TraceError(
                "a traced function changes arrays outside it only in place",
                given=f"{', '.join(self._rebound)} was bound to another object",
                hint=f"write {self._rebound[0]}[...] = value, or return the value",
            )
        self._check_updates()
        self._check_numbers()
        for name in self._reachable.too_large():
            _warn(
                f"{name} has too many entries to be compared at each call: later changes of its "
                "entries go unnoticed, unless they are arrays updated in place; make it an array"
            )
        if self._random_states != random_states(self._reachable.generators):
            _warn(
                "random numbers were drawn while tracing: they are constants of the compiled "
                "function, the same at each call; draw them outside and pass them as an argument"
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

    def _check_numbers(self) -> None:
        """Names of numbers: what the function binds to them is bound while tracing only."""
        for binding in self._reachable.bindings:
            now = binding.place.read()
            if not isinstance(binding.value, bool | int | float | np.generic):
                continue
            if isinstance(now, TracedArray):
                binding.place.write(binding.value)
                raise TraceError(
                    "a traced function changes only arrays outside it, in place",
                    given=f"{binding.text} was bound to a new traced value",
                    hint=f"make {binding.text} an array updated in place, or return the value",
                )
            if not binding.holds():
                _warn(
                    f"{binding.text} was changed while tracing, which later calls do not repeat: "
                    "it is a constant of the compiled function; make it an array updated in "
                    "place, or pass it as an argument"
                )


def _refusal(array: Array, path: str) -> DTypeError | None:
    if array.dtype.isnative:
        return None
    return DTypeError(
        f"the captured array {path} is in this machine's byte order",
        given=f"dtype {array.dtype.str!r}",
        hint='convert it once: x.astype(x.dtype.newbyteorder("="))',
    )


def _warn(message: str) -> None:
    """Warn at the user's line from which the function was traced."""
    loc = user_location()
    if loc is None:
        warnings.warn(message, TraceWarning, stacklevel=2)
    else:
        warnings.warn_explicit(message, TraceWarning, loc.file, loc.line)


def _equal_bits(x: Array, y: Array) -> bool:
    """Equal shapes and contents, NaN equal to itself."""
    return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
