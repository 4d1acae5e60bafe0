"""What a function can reach besides its arguments: through closures, globals, objects it names.

Arrays found here become inputs of the compiled function. Everything else found by name (numbers,
functions, containers) is part of the compiled code and therefore *watched*: when another object is
bound to the name, the function has to be traced again.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

MAX_OBJECTS = 10_000
"""The search stops after so many objects; what lies beyond counts as not reachable."""

MAX_WATCHED = 1_000
"""At most so many bindings are compared at each call."""

Holder: TypeAlias = Any
"""A closure cell, or a dict or list."""

_NUMBERS = (bool, int, float)
_OPAQUE = (
    *_NUMBERS,
    complex,
    str,
    bytes,
    np.generic,
    np.dtype,
    np.ufunc,
    types.BuiltinFunctionType,
)
_FOREIGN = frozenset({"numpy", "tapeless", *sys.stdlib_module_names, *sys.builtin_module_names})
"""Top-level modules whose functions and classes are not searched."""

MISSING = object()
"""What `read` gives for a name that is bound to nothing."""


def read(holder: Holder, key: Any) -> Any:
    """What `holder` binds to `key` now; `MISSING` for nothing."""
    if isinstance(holder, types.CellType):
        try:
            return holder.cell_contents
        except ValueError:
            return MISSING
    try:
        return holder[key]
    except (KeyError, IndexError):
        return MISSING


@dataclass(frozen=True, slots=True)
class Watched:
    """A binding that compiled code relies on: `holder[key]` (or the cell's content) is `value`.

    With `whole`, `holder` is a dict or list and `value` the tuple of all its items.
    """

    holder: Holder = field(repr=False)
    key: Any = field(repr=False)
    value: Any = field(repr=False)
    text: str
    whole: bool = False

    def holds(self) -> bool:
        """Whether the binding is still what it was when the function was traced."""
        if self.whole:
            return _same_items(self.value, _items(self.holder))
        return _same(self.value, read(self.holder, self.key))


def _same(old: Any, new: Any) -> bool:
    return old is new or (type(old) is type(new) and isinstance(old, _NUMBERS) and old == new)


def _same_items(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    return len(old) == len(new) and all(map(_same, old, new))


def _items(container: Any) -> tuple[Any, ...]:
    if isinstance(container, dict):
        return (*container.keys(), *container.values())
    return tuple(container)


@dataclass(slots=True)
class Reachable:
    """The result of a search: arrays (by id) with how the user would write them, random number
    generators, the names that are bound to any object found, the dicts and lists met on the way,
    and their entries that are arrays.
    """

    arrays: dict[int, tuple[np.ndarray[Any, Any], str]] = field(default_factory=dict)
    generators: list[Any] = field(default_factory=list)
    bindings: list[Watched] = field(default_factory=list)
    entries: list[Watched] = field(default_factory=list)
    containers: list[tuple[Any, str]] = field(default_factory=list)

    def path(self, array: np.ndarray[Any, Any]) -> str | None:
        """How the user reaches `array`; None when the search did not find it."""
        found = self.arrays.get(id(array))
        return None if found is None else found[1]

    def path_of_memory(self, array: np.ndarray[Any, Any]) -> str | None:
        """The same for a view of a reachable array."""
        owner: Any = array
        while isinstance(owner, np.ndarray):
            found = self.path(owner)
            if found is not None:
                return found if owner is array else f"a view of {found}"
            owner = owner.base
        return None

    def watch(self) -> tuple[Watched, ...]:
        """The bindings and container contents to compare at each call, as they are now."""
        whole = [
            Watched(container, None, _items(container), text, whole=True)
            for container, text in self.containers
        ]
        now = [
            Watched(bound.holder, bound.key, value, bound.text)
            for bound in self.bindings
            if (value := read(bound.holder, bound.key)) is not MISSING
        ]
        return tuple([*now, *whole][:MAX_WATCHED])


def search(fn: Any) -> Reachable:
    """Everything that `fn` can reach by name, up to `MAX_OBJECTS` objects."""
    worker = _Search()
    worker.run(fn)
    return worker.result


_Edge: TypeAlias = tuple[Any, str]
"""An object and how the user would write it."""


class _Search:
    def __init__(self) -> None:
        self.result = Reachable()
        self._names: set[str] = set()
        self._queue: deque[_Edge] = deque()
        self._seen: dict[int, Any] = {}  # the values keep the ids from being used again
        self._namespaces: list[tuple[Mapping[str, Any], str]] = []
        self._followed: set[tuple[int, str]] = set()

    def run(self, fn: Any) -> None:
        self._queue.append((fn, getattr(fn, "__name__", "the function")))
        while self._queue or self._visit_attributes():
            while self._queue:
                item, text = self._queue.popleft()
                if id(item) not in self._seen and len(self._seen) < MAX_OBJECTS:
                    self._seen[id(item)] = item
                    self._enqueue(self._visit(item, text))

    def _enqueue(self, edges: Iterator[_Edge]) -> None:
        self._queue.extend(
            (item, text)
            for item, text in edges
            if item is not None and not isinstance(item, _OPAQUE)
        )

    def _visit(self, item: Any, text: str) -> Iterator[_Edge]:
        if isinstance(item, np.ndarray):
            self.result.arrays[id(item)] = (item, text)
        elif isinstance(item, np.random.Generator | np.random.RandomState):
            self.result.generators.append(item)
        else:
            yield from self._visit_structure(item, text)

    def _visit_structure(self, item: Any, text: str) -> Iterator[_Edge]:
        for kind, visit in _VISITORS:
            if isinstance(item, kind):
                yield from visit(self, item, text)
                return
        yield from self._visit_instance(item, text)

    def _bound(self, holder: Holder, key: Any, text: str) -> Iterator[_Edge]:
        """The object that a name is bound to; the binding is remembered."""
        value = read(holder, key)
        if value is MISSING:
            return
        if not isinstance(value, types.ModuleType) and not _is_foreign(value):
            self.result.bindings.append(Watched(holder, key, value, text))
        yield value, text

    def _visit_function(self, item: types.FunctionType, text: str) -> Iterator[_Edge]:
        for name, cell in zip(item.__code__.co_freevars, item.__closure__ or (), strict=True):
            yield from self._bound(cell, None, name)
        for index, value in enumerate(item.__defaults__ or ()):
            yield value, f"default {index} of {text}"
        for name, value in (item.__kwdefaults__ or {}).items():
            yield value, name
        if wrapped := item.__dict__.get("__wrapped__"):
            yield wrapped, text
        if _is_foreign(item):
            return
        for name in sorted(_names_in(item.__code__)):
            self._names.add(name)
            if name in item.__globals__:
                yield from self._bound(item.__globals__, name, name)

    def _visit_method(self, item: types.MethodType, text: str) -> Iterator[_Edge]:
        yield item.__func__, text
        yield item.__self__, "self"

    def _visit_partial(self, item: functools.partial[Any], text: str) -> Iterator[_Edge]:
        yield item.func, text
        for index, value in enumerate(item.args):
            yield value, f"argument {index} of a partial"
        for name, value in item.keywords.items():
            yield value, name

    def _visit_dict(self, item: dict[Any, Any], text: str) -> Iterator[_Edge]:
        yield from self._visit_entries(item, list(item.items()), text)

    def _visit_list(self, item: list[Any], text: str) -> Iterator[_Edge]:
        yield from self._visit_entries(item, list(enumerate(item)), text)

    def _visit_entries(
        self, holder: Any, entries: list[tuple[Any, Any]], text: str
    ) -> Iterator[_Edge]:
        self.result.containers.append((holder, text))
        for key, value in entries:
            name = f"{text}[{key!r}]"
            if isinstance(value, np.ndarray):
                self.result.entries.append(Watched(holder, key, value, name))
            yield value, name

    def _visit_fixed(self, item: Any, text: str) -> Iterator[_Edge]:
        for index, value in enumerate(item):
            yield value, f"{text}[{index}]"

    def _visit_module(self, item: types.ModuleType, text: str) -> Iterator[_Edge]:
        if item.__name__.partition(".")[0] not in _FOREIGN:
            self._namespaces.append((vars(item), text))
        return iter(())

    def _visit_class(self, item: type, text: str) -> Iterator[_Edge]:
        for kind in item.__mro__:
            if not _is_foreign(kind):
                self._namespaces.append((vars(kind), text))
        return iter(())

    def _visit_instance(self, item: Any, text: str) -> Iterator[_Edge]:
        if _is_foreign(type(item)) and (wrapped := getattr(item, "__wrapped__", None)) is not None:
            yield wrapped, text  # our own wrappers: what matters is the function inside
            return
        attributes = getattr(item, "__dict__", None)
        if isinstance(attributes, dict):
            self._namespaces.append((attributes, text))
        yield from self._visit_class(type(item), text)
        for kind in type(item).__mro__:
            for name in _slots_of(kind):
                if not _is_foreign(kind) and hasattr(item, name):
                    yield getattr(item, name), f"{text}.{name}"

    def _visit_attributes(self) -> bool:
        """Follow attributes: those whose names are mentioned in code that was found."""
        before = len(self._followed)
        for namespace, text in list(self._namespaces):
            for name in sorted(self._names & namespace.keys()):
                if (id(namespace), name) not in self._followed:
                    self._followed.add((id(namespace), name))
                    self._enqueue(self._bound(namespace, name, f"{text}.{name}"))
        return len(self._followed) > before

    def _visit_descriptor(self, item: Any, text: str) -> Iterator[_Edge]:
        for name in ("__func__", "fget", "fset", "func"):
            if (function := getattr(item, name, None)) is not None:
                yield function, text


_VISITORS: tuple[tuple[Any, Callable[[_Search, Any, str], Iterator[_Edge]]], ...] = (
    (types.FunctionType, _Search._visit_function),
    (types.MethodType, _Search._visit_method),
    (functools.partial, _Search._visit_partial),
    (dict, _Search._visit_dict),
    (list, _Search._visit_list),
    ((tuple, set, frozenset), _Search._visit_fixed),
    (types.ModuleType, _Search._visit_module),
    (type, _Search._visit_class),
    ((staticmethod, classmethod, property, functools.cached_property), _Search._visit_descriptor),
)
"""How objects are entered, by type; anything else is an instance with attributes."""


def _names_in(code: types.CodeType) -> set[str]:
    """Globals and attributes that `code` mentions, functions defined inside it included."""
    names = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names |= _names_in(inner)
    return names


def _is_foreign(item: Any) -> bool:
    """Whether a function, class or module belongs to NumPy, this package or Python itself."""
    module = getattr(item, "__module__", None)
    if not isinstance(item, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return False
    return isinstance(module, str) and module.partition(".")[0] in _FOREIGN


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
