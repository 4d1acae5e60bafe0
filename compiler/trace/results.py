"""What a traced function returns and does to its arguments, as data for the runtime.

A result leaf is `Computed` (a graph output), `Input` (an argument or captured array itself), a
`ViewOf` one of these, or `Fixed` (a number or string known while tracing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...ir.errors import TraceError
from ...ir.pytree import Path, children, is_container
from .array import Handle, Kind, Recipe, TracedArray
from .graph_trace import GraphTrace
from .lift import lift


@dataclass(frozen=True, slots=True)
class Computed:
    """Graph output `output`; `kind` says whether it is returned as an array or a number."""

    output: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Input:
    """The object passed (or captured) for graph input `input`."""

    input: int


@dataclass(frozen=True, slots=True)
class ViewOf:
    """The view that `recipes`, applied one after the other, make of another result.

    A view at a position that only the running program knows (`x[i]`) is `Computed` instead: its
    elements are right, but it does not share memory with the argument.
    """

    of: Computed | Input
    recipes: tuple[Recipe, ...]

    def apply(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The view of the concrete array that `of` stands for."""
        for recipe in self.recipes:
            array = recipe(array)
        return array


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that does not depend on the arguments."""

    value: Any


@dataclass(frozen=True, slots=True)
class _ReshapeAsNumPy:
    """A reshape that is a view where the concrete array's strides allow it, else a copy."""

    view: Recipe

    def __call__(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        try:
            return self.view(array)
        except ValueError:
            return self.view(np.ascontiguousarray(array))


Result: TypeAlias = Computed | Input | ViewOf | Fixed


@dataclass(frozen=True, slots=True)
class ContainerWrite:
    """`path` into `(args, kwargs)` is bound to result number `result` after the call.

    The last step is an item of a dict or list (`("item", key)`) or an attribute.
    """

    path: Path
    result: int


_CONSTANTS = (bool, int, float, np.generic, np.dtype, str, bytes)
"""Immutable objects that may be returned besides arrays."""


class ResultCollector:
    """Turns what the function left behind into results; equal objects become one result."""

    def __init__(self, trace: GraphTrace) -> None:
        self.results: list[Result] = []
        self.outputs: list[Handle] = []
        self._trace = trace
        self._known: dict[int, tuple[Any, int]] = {}
        self._computed: dict[int, Computed] = {}
        self._shared: set[int] = set()

    def share(self, leaves: list[Any]) -> None:
        """Announce all leaves, so that views of one new array come out sharing memory."""
        bases: dict[int, set[int]] = {}
        for leaf in leaves:
            if isinstance(leaf, TracedArray | np.ndarray):
                array = lift(leaf)
                bases.setdefault(id(array.base), set()).add(id(array))
        self._shared = {base for base, users in bases.items() if len(users) > 1}

    def add(self, leaf: Any, name: str) -> int:
        """The number of the result for `leaf`; `name` says in errors where it was found."""
        known = self._known.get(id(leaf))
        if known is not None:
            return known[1]
        self.results.append(self._result(leaf, name))
        self._known[id(leaf)] = (leaf, len(self.results) - 1)
        return len(self.results) - 1

    def _result(self, leaf: Any, name: str) -> Result:
        if isinstance(leaf, TracedArray | np.ndarray):
            return self._array(lift(leaf))
        if isinstance(leaf, _CONSTANTS):
            return Fixed(leaf)
        raise TraceError(
            f"{name} is made of arrays, numbers, None and containers of these",
            given=f"{type(leaf).__name__} {leaf!r:.60}",
            hint="return what the compiled function computes; keep other objects outside",
        )

    def _array(self, array: TracedArray) -> Result:
        if array.literal is not None:
            return Fixed(array.literal)
        recipes: list[Recipe] = []
        value = array.value  # raises for a reshape that went stale
        base, repeatable = array, True
        while base.lens is not None:
            lens = base.lens
            recipes.insert(0, lens.recipe if lens.sure else _ReshapeAsNumPy(lens.recipe))
            repeatable = repeatable and lens.repeatable
            base = lens.parent
        position = self._trace.position(base)
        if not repeatable or (position is None and id(base) not in self._shared):
            return self._output(array, value)
        owner = Input(position) if position is not None else self._output(base, base.value)
        return ViewOf(owner, tuple(recipes)) if recipes else owner

    def _output(self, array: TracedArray, value: Handle) -> Computed:
        known = self._computed.get(id(array))
        if known is None:
            known = self._computed[id(array)] = Computed(len(self.outputs), array.kind)
            self.outputs.append(value)
        return known


@dataclass(frozen=True, slots=True)
class _Container:
    path: Path
    container: Any
    before: tuple[tuple[Any, Any], ...]


class ContainerWatch:
    """Sees what a function does to the containers among its arguments."""

    def __init__(self, arguments: Any, describe: Callable[[Path], str]) -> None:
        self.describe = describe
        self._containers: list[_Container] = []
        self._note((), arguments)

    def _note(self, path: Path, container: Any) -> None:
        below = children(container)
        self._containers.append(_Container(path, container, tuple(below)))
        for step, child in below:
            if is_container(child) and child is not None:
                self._note((*path, step), child)

    def rebound(self) -> list[tuple[Path, Any]]:
        """The paths at which another leaf was stored, with the leaf.

        Raises `TraceError` for keys added or removed, lists that changed length, and containers
        that were replaced: the compiled function could not repeat that.
        """
        changes: list[tuple[Path, Any]] = []
        for noted in self._containers:
            now = children(noted.container)
            if [step for step, _ in now] != [step for step, _ in noted.before]:
                raise self._structure_changed(noted.path, "entries were added or removed")
            for (step, old), (_, new) in zip(noted.before, now, strict=True):
                if new is old:
                    continue
                path = (*noted.path, step)
                if is_container(old) or is_container(new):
                    raise self._structure_changed(path, "a container was replaced by another")
                changes.append((path, new))
        return changes

    def _structure_changed(self, path: Path, what: str) -> TraceError:
        return TraceError(
            f"the structure of the argument {self.describe(path)} stays as the caller made it",
            given=what,
            hint="return a new container, or create all entries before the call",
        )
