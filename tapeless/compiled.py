"""`tl.compile`: a Python function that is traced and compiled for each signature it is called with.

A call flattens its arguments to leaves and a signature key, finds the `Specialization` for that key
(or traces and compiles one) and hands the leaves to its `runtime.call.Entry`. That is the Python
path. From the second call on a generated native entry does the same without Python (`native`), and
leaves to the Python path what it does not recognize exactly.
"""

from __future__ import annotations

import os
import threading
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any, NamedTuple, overload

import numpy as np

from .compiler.pipeline import Compilation, compile_graph
from .compiler.trace.context import current_trace
from .compiler.trace.function import TracedFunction, trace_function
from .dynamic import run_dynamic
from .ir.errors import ArgumentError, DTypeError
from .ir.location import user_location
from .lowered import Cost, Lowered
from .native import Given, NativePath, Natives
from .parameters import Parameters, function_name, location_of, static_key
from .planning import plan_of
from .retracing import Retraces
from .runtime.call import Counts, Entry, Overlap, Stale
from .runtime.executable import Executable
from .runtime.flatten import describe
from .runtime.layout import Groups, alias_groups
from .runtime.native import NativeCallable

__all__ = ["CacheInfo", "CompiledFunction", "Lowered", "compile"]

Function = Callable[..., Any]
Example = Callable[[], tuple[Any, ...]]


class CacheInfo(NamedTuple):
    """What the calls of a compiled function did so far.

    `hits` found their signature compiled, `misses` traced and compiled it; `signatures` are held
    now. `copies` counts arrays that were not row-major and aligned and were copied for a call.
    `native` counts the hits that took no Python; `reasons` says why signatures have no native entry
    although they were used more than once.
    """

    hits: int
    misses: int
    signatures: int
    copies: int
    native: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Specialization:
    """A function traced and compiled for one signature."""

    traced: TracedFunction
    compilation: Compilation
    entry: Entry
    natives: Natives = field(default_factory=Natives)


@dataclass(frozen=True, slots=True)
class _State:
    """What a compiled function remembers: specializations by signature, programs by graph."""

    parameters: Parameters
    native: NativePath
    specializations: dict[Any, Specialization] = field(default_factory=dict)
    programs: dict[Any, tuple[Compilation, Executable]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    retraces: Retraces = field(default_factory=Retraces)


@dataclass(frozen=True, slots=True)
class _Call:
    """The arguments of a call in canonical form, its leaves and its signature."""

    fn: Function
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    leaves: list[Any]
    key: tuple[Any, ...]
    given: Given


_TRACING = threading.RLock()
"""Held while a function is traced and compiled. One for all functions: while one is traced, names
that it shares with others are bound to traced arrays."""

if hasattr(os, "register_at_fork"):  # a child never inherits a lock that nobody will release
    os.register_at_fork(
        before=_TRACING.acquire,
        after_in_parent=_TRACING.release,
        after_in_child=_TRACING.release,
    )

_STATIC = object()
"""Marks the static values in a signature key."""


class CompiledFunction(NativeCallable):
    """A function that runs as native code; made by `compile`. Safe to call from several threads.

    It does what the function itself does, in-place updates of its arguments included. Called while
    another function is traced, it becomes part of that one. As a method it is compiled for each
    instance, whose arrays are inputs by reference.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Function

    def __init__(
        self,
        fn: Function,
        *,
        static: Sequence[str] = (),
        threads: int | None = None,
        example: Example | None = None,
    ) -> None:
        _check_options(fn, threads, example)
        names = (static,) if isinstance(static, str) else tuple(static)
        self._start(fn, _new_state(Parameters(fn, names)), threads, example)

    def _start(
        self, fn: Function, state: _State, threads: int | None, example: Example | None
    ) -> None:
        update_wrapper(self, fn, updated=())
        self.__name__ = function_name(fn)
        self.__qualname__ = getattr(fn, "__qualname__", self.__name__)
        self.example = example
        self.threads = threads
        self._fn = fn
        self._state = state
        self._plain = not state.parameters.static
        self._specializations = state.specializations
        self._chain = state.native.chain.words
        self._instances: dict[int, tuple[Any, _State]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result; traces and compiles when the signature is new.

        This is the Python path; once there are native entries, calls come here only from them.
        """
        if current_trace() is not None:
            return self._fn(*args, **kwargs)
        if kwargs or not self._plain:
            return self._call(self._arranged(args, kwargs))
        leaves: list[Any] = []
        key: list[Any] = []
        describe(args, leaves, key)
        return self._call(_Call(self._fn, args, kwargs, leaves, tuple(key), Given(args, kwargs)))

    def _arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Call:
        """Any call, however its arguments are passed."""
        arrangement = self._state.parameters.arrange(args, kwargs)
        given = Given(args, kwargs, arrangement)
        args, kwargs, static = arrangement.split(args, kwargs)
        leaves: list[Any] = []
        key: list[Any] = []
        describe(args, leaves, key)
        if kwargs:
            key.append(tuple(kwargs))
            describe(kwargs.values(), leaves, key)
        if static:
            values = tuple((name, static_key(name, value)) for name, value in static.items())
            key.append((_STATIC, values))
        fn = arrangement.bound(self._fn, static)
        return _Call(fn, args, kwargs, leaves, tuple(key), given)

    def _call(self, call: _Call) -> Any:
        """Run a call of any kind, specializing as often as need be."""
        groups: Groups = ()
        for _ in range(_ATTEMPTS):
            found = self._specialization(call, groups)
            if not groups:  # before the run, which may bind entries of the arguments anew
                watched = found.traced.watched
                self._state.native.offer(call.given, found.natives, found.entry, watched)
            try:
                return found.entry(call.leaves, (call.args, call.kwargs))
            except Stale:
                self._specializations.pop((call.key, groups) if groups else call.key, None)
                self._state.native.retire(found.natives)
            except Overlap:
                known, groups = groups, alias_groups(call.leaves)
                if groups == known:
                    raise found.entry.overlap_error(call.leaves) from None
        raise ArgumentError(
            "captured arrays keep their shape and dtype during a call",
            given="arrays that changed each time the function was traced",
            loc=location_of(self._fn),
        )

    def _specialization(self, call: _Call, groups: Groups = ()) -> Specialization:
        """The specialization for a call whose leaves in a group are the same memory."""
        key = (call.key, groups) if groups else call.key
        found = self._specializations.get(key)
        if found is not None and found.traced.is_current():
            self._state.counts.hits += 1
            return found
        with _TRACING:
            found = self._specializations.get(key)
            if found is None or not found.traced.is_current():
                if found is not None:
                    self._state.native.retire(found.natives)
                    watched = found.traced.watched
                    self._state.retraces.note(self.__name__, watched, user_location())
                found = self._specialize(call, groups)
                self._specializations[key] = found
                self._state.counts.misses += 1
        return found

    def _specialize(self, call: _Call, groups: Groups) -> Specialization:
        for leaf in call.leaves:
            _require_native(leaf)
        traced = trace_function(
            call.fn,
            call.args,
            call.kwargs,
            name=self.__name__,
            aliases=_first_of_group(len(call.leaves), groups),
        )
        compilation, executable = self._program(traced)
        plan = plan_of(traced)
        entry = Entry(plan, executable, call.leaves, self._state.counts)
        return Specialization(traced, compilation, entry)

    def _program(self, traced: TracedFunction) -> tuple[Compilation, Executable]:
        """Native code for a graph; equal graphs, such as for other layouts, share it."""
        key = traced.graph, tuple(traced.updates.items())
        found = self._state.programs.get(key)
        if found is None:
            compilation = compile_graph(traced.graph, updates=traced.updates)
            found = compilation, Executable(compilation.program, self.threads)
            self._state.programs[key] = found
        return found

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The program for these arguments, stage by stage; nothing is run."""
        return Lowered(self._specialization(self._arranged(args, kwargs)).compilation)

    def cost(self, *args: Any, **kwargs: Any) -> Cost:
        """Static counts of a call with these arguments; nothing is run."""
        return self.lower(*args, **kwargs).cost()

    def dynamic(self, *args: Any, **kwargs: Any) -> Any:
        """The function run define-by-run: by NumPy, gradients by a tape that is thrown away."""
        return run_dynamic(self._fn, args, kwargs)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, signatures held, copies because of layout, native hits and obstacles."""
        counts = self._state.counts
        all_natives = [found.natives for found in list(self._specializations.values())]
        native = self._state.native.hits(all_natives)
        reasons = {r for n in all_natives for r in list(n.forms.values()) if isinstance(r, str)}
        return CacheInfo(
            counts.hits + native,
            counts.misses,
            len(self._specializations),
            counts.copies,
            native,
            tuple(sorted(reasons)),
        )

    def fresh(self) -> CompiledFunction:
        """The same function with nothing compiled yet."""
        static = tuple(self._state.parameters.static)
        return CompiledFunction(self._fn, static=static, threads=self.threads, example=self.example)

    @property
    def static(self) -> frozenset[str]:
        """Names of the arguments that are compile-time values."""
        return self._state.parameters.static

    def __repr__(self) -> str:
        return f"<compiled function {self.__name__}>"

    def __reduce__(self) -> str:
        """Copied and pickled as functions are: as a reference to where it is defined."""
        return str(self.__qualname__)

    def __get__(self, instance: Any, owner: type | None = None) -> CompiledFunction:
        if instance is None:
            return self
        fn = types.MethodType(self._fn, instance)
        bound = CompiledFunction.__new__(CompiledFunction)
        bound._start(fn, self._state_for(instance, fn), self.threads, self.example)
        return bound

    def _state_for(self, instance: Any, fn: Function) -> _State:
        """What is compiled for `instance`, for as long as that lives.

        Keyed by identity: instances may be equal, or not hashable.
        """
        known = self._instances.get(id(instance))
        if known is not None:
            return known[1]
        forget = self._instances.pop
        key = id(instance)
        try:
            alive: Any = weakref.ref(instance, lambda _: forget(key, None))
        except TypeError:  # no weak references: it lives as long as this function
            alive = instance
        state = _new_state(Parameters(fn, tuple(self.static)))
        self._instances[key] = alive, state
        return state


def _new_state(parameters: Parameters) -> _State:
    return _State(parameters, NativePath(CompiledFunction, _TRACING))


_ATTEMPTS = 4
"""Specializations tried for one call: plain, with aliases, and anew for changed captures."""


def _first_of_group(count: int, groups: Groups) -> list[int]:
    """For each leaf the first one of its group of aliases, mostly itself."""
    first = list(range(count))
    for group in groups:
        for leaf in group:
            first[leaf] = group[0]
    return first


def _require_native(leaf: Any) -> None:
    if isinstance(leaf, np.ndarray) and not leaf.dtype.isnative and leaf.dtype.kind in "biuf":
        raise DTypeError(
            "array arguments are in this machine's byte order",
            given=f"dtype {leaf.dtype.str!r} of shape {leaf.shape}",
            hint='convert it once: x.astype(x.dtype.newbyteorder("="))',
        )


def _check_options(fn: Any, threads: Any, example: Any) -> None:
    if not callable(fn):
        raise ArgumentError("compile takes a function", given=f"{type(fn).__name__} {fn!r:.60}")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ArgumentError("threads is a positive integer", given=repr(threads))
    if example is not None and not callable(example):
        raise ArgumentError(
            "example is a function that makes a tuple of arguments",
            given=f"{type(example).__name__} {example!r:.60}",
            hint="example=lambda: (np.zeros(3), 0.1)",
        )


@overload
def compile(
    fn: Function,
    *,
    static: Sequence[str] = (),
    threads: int | None = None,
    example: Example | None = None,
) -> CompiledFunction: ...


@overload
def compile(
    fn: None = None,
    *,
    static: Sequence[str] = (),
    threads: int | None = None,
    example: Example | None = None,
) -> Callable[[Function], CompiledFunction]: ...


def compile(
    fn: Function | None = None,
    *,
    static: Sequence[str] = (),
    threads: int | None = None,
    example: Example | None = None,
) -> CompiledFunction | Callable[[Function], CompiledFunction]:
    """Compile a NumPy function to native code; use as `@tl.compile` or `@tl.compile(...)`.

    It is traced and compiled at the first call with each new signature: the structure of its
    arguments and the dtypes, shapes and layouts of their arrays. Arguments named in `static` are
    compile-time values, part of the signature. `example` makes a tuple of arguments for the command
    line tools. `threads` bounds the threads that one call may use, besides `set_threads`.
    Raises `ArgumentError` for options that make no sense.
    """

    def decorate(function: Function) -> CompiledFunction:
        return CompiledFunction(function, static=static, threads=threads, example=example)

    return decorate if fn is None else decorate(fn)
