"""What a function can reach besides its arguments: through closures, globals, objects it names.

Arrays found here become inputs of the compiled function. Everything else found by name (numbers,
functions, containers) is part of the compiled code and therefore *watched*: when another object is
bound to the name, the function has to be traced again.
"""

from __future__ import annotations

import dis
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np

from .generators import generator_types
from .places import MISSING, Attribute, Cell, Item, Place

MAX_OBJECTS = 10_000
"""The search stops after so many objects; what lies beyond counts as not reachable."""

_IMPLICIT = frozenset(
    "__call__ __getitem__ __setitem__ __iter__ __len__ __enter__ __exit__ "
    "__add__ __sub__ __mul__ __matmul__ __truediv__ __radd__ __rsub__ __rmul__ __rmatmul__ "
    "__neg__ __getattr__".split()
)
"""Methods of instances that run without being mentioned by name."""

MAX_WATCHED = 1_000
"""At most so many bindings are compared at each call."""

MAX_ITEMS = 10_000
"""Larger dicts and lists are not compared."""

_NUMBERS = (bool, int, float)
_GLOBAL_INSTRUCTIONS = frozenset(
    "LOAD_GLOBAL STORE_GLOBAL DELETE_GLOBAL LOAD_NAME LOAD_FROM_DICT_OR_GLOBALS".split()
)
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
_FOREIGN = frozenset(
    {"numpy", "tapeless", "pytest", "_pytest"}
    | sys.stdlib_module_names
    | set(sys.builtin_module_names)
)
"""Top-level modules whose functions and classes are not searched."""


@dataclass(frozen=True, slots=True)
class Binding:
    """That `place`, which the user would write as `text`, held `value`."""

    place: Place = field(repr=False)
    value: Any = field(repr=False)
    text: str

    def holds(self) -> bool:
        """Whether it still does; numbers are compared by type and value."""
        now = self.place.read()
        return now is self.value or _same(self.value, now)


@dataclass(frozen=True, slots=True)
class Contents:
    """That a dict or list, which the user would write as `text`, held just `items`."""

    container: Any = field(repr=False)
    items: tuple[Any, ...] = field(repr=False)
    text: str

    def holds(self) -> bool:
        """Whether it still does."""
        now = _items(self.container)
        return len(now) == len(self.items) and all(map(_same, self.items, now))


Watched: TypeAlias = Binding | Contents
"""Something that compiled code relies on."""


def _same(old: Any, new: Any) -> bool:
    return old is new or (type(old) is type(new) and isinstance(old, _NUMBERS) and old == new)


def _items(container: Any) -> tuple[Any, ...]:
    if isinstance(container, dict):
        return (*container.keys(), *container.values())
    return tuple(container)


@dataclass(slots=True)
class Reachable:
    """The result of a search.

    `arrays` (by id, with how the user would write them) and random number `generators` that were
    found; `bindings` are the names that led to them and to everything else, `containers` the dicts
    and lists on the way and `entries` those of their entries that matter. `complete` is False when
    there was more than the search visits.
    """

    arrays: dict[int, tuple[np.ndarray[Any, Any], str]] = field(default_factory=dict)
    generators: list[Any] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    entries: list[Binding] = field(default_factory=list)
    containers: list[tuple[Any, str]] = field(default_factory=list)
    complete: bool = True

    def too_large(self) -> list[str]:
        """The containers that `watch` leaves out."""
        return [text for item, text in self.containers if len(item) > MAX_ITEMS]

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
        now: list[Watched] = [
            Binding(bound.place, value, bound.text)
            for bound in self.bindings
            if (value := bound.place.read()) is not MISSING
        ]
        whole: list[Watched] = [
            Contents(item, _items(item), text)
            for item, text in self.containers
            if len(item) <= MAX_ITEMS
        ]
        return tuple([*now, *whole][:MAX_WATCHED])


def search(fn: Any) -> Reachable:
    """Everything that `fn` can reach by name, up to `MAX_OBJECTS` objects."""
    worker = _Search()
    worker.run(fn)
    return worker.result


_Edge: TypeAlias = tuple[Any, str]
"""An object and how the user would write it."""


@dataclass(frozen=True, slots=True)
class _Namespace:
    """Attributes that matter where code mentions them: their names, where each is bound."""

    names: Iterable[str]
    place: Callable[[str], Place]
    text: str


class _Search:
    def __init__(self) -> None:
        self.result = Reachable()
        self._names: set[str] = set()
        self._queue: deque[_Edge] = deque()
        self._generators = generator_types()
        self._seen: dict[int, Any] = {}  # the values keep the ids from being used again
        self._bound_places: set[tuple[int, Any]] = set()
        self._classes: set[int] = set()
        self._namespaces: list[_Namespace] = []
        self._followed: set[tuple[int, str]] = set()

    def run(self, fn: Any) -> None:
        self._queue.append((fn, getattr(fn, "__name__", "the function")))
        while self._queue or self._visit_attributes():
            while self._queue:
                item, text = self._queue.popleft()
                if id(item) in self._seen:
                    continue
                if len(self._seen) >= MAX_OBJECTS:
                    self.result.complete = False
                    return
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
        elif isinstance(item, self._generators):
            self.result.generators.append(item)
        else:
            yield from self._visit_structure(item, text)

    def _visit_structure(self, item: Any, text: str) -> Iterator[_Edge]:
        for kind, visit in _VISITORS:
            if isinstance(item, kind):
                yield from visit(self, item, text)
                return
        yield from self._visit_instance(item, text)

    def _bound(self, place: Place, text: str) -> Iterator[_Edge]:
        """The object that a name is bound to; the binding is remembered."""
        value = place.read()
        if value is MISSING or place.identity in self._bound_places:
            return
        self._bound_places.add(place.identity)
        if not isinstance(value, types.ModuleType) and not _is_foreign(value):
            self.result.bindings.append(Binding(place, value, text))
        yield value, text

    def _visit_function(self, item: types.FunctionType, text: str) -> Iterator[_Edge]:
        for name, cell in zip(item.__code__.co_freevars, item.__closure__ or (), strict=True):
            yield from self._bound(Cell(cell), name)
        if item.__defaults__:
            yield from self._bound(Attribute(item, "__defaults__"), f"{text}.__defaults__")
        for name in item.__kwdefaults__ or {}:
            yield from self._bound(Item(item.__kwdefaults__, name), name)
        if wrapped := item.__dict__.get("__wrapped__"):
            yield wrapped, text
        if _is_foreign(item):
            return
        self._names.update(_names_in(item.__code__))
        for name in sorted(_globals_in(item.__code__) & item.__globals__.keys()):
            yield from self._bound(Item(item.__globals__, name), name)

    def _visit_method(self, item: types.MethodType, text: str) -> Iterator[_Edge]:
        yield item.__func__, text
        yield item.__self__, "self"

    def _visit_partial(self, item: partial[Any], text: str) -> Iterator[_Edge]:
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
            if isinstance(value, np.ndarray | tuple | partial):
                self.result.entries.append(Binding(Item(holder, key), value, name))
            yield value, name

    def _visit_fixed(self, item: Any, text: str) -> Iterator[_Edge]:
        for index, value in enumerate(item):
            yield value, f"{text}[{index}]"

    def _visit_module(self, item: types.ModuleType, text: str) -> Iterator[_Edge]:
        if item.__name__.partition(".")[0] not in _FOREIGN:
            namespace = vars(item)
            self._namespaces.append(_Namespace(namespace, partial(Item, namespace), text))
        return iter(())

    def _visit_class(self, item: type, text: str) -> Iterator[_Edge]:
        """A class that code may make instances of."""
        yield from self._members(item, text)
        for kind in item.__mro__:
            for name in ("__init__", "__post_init__"):
                if not _is_foreign(kind) and name in vars(kind):
                    yield vars(kind)[name], f"{text}.{name}"

    def _members(self, item: type, text: str) -> Iterator[_Edge]:
        """What a class and its bases give to instances."""
        for kind in item.__mro__:
            if _is_foreign(kind) or id(kind) in self._classes:
                continue
            self._classes.add(id(kind))
            self._namespaces.append(_Namespace(vars(kind), partial(Attribute, kind), text))
            for name in sorted((_IMPLICIT | _called_by_us(kind)) & vars(kind).keys()):
                yield vars(kind)[name], f"{text}.{name}"

    def _visit_instance(self, item: Any, text: str) -> Iterator[_Edge]:
        kind = type(item)
        if _is_foreign(kind) and (wrapped := getattr(item, "__wrapped__", None)) is not None:
            yield wrapped, text  # our own wrappers: what matters is the function inside
            return
        if _is_foreign(kind) and is_dataclass(item):  # such as layers, which may hold functions
            for held in fields(item):
                yield getattr(item, held.name), f"{text}.{held.name}"
        attributes = getattr(item, "__dict__", None)
        if isinstance(attributes, dict):
            self._namespaces.append(_Namespace(attributes, partial(Item, attributes), text))
        if slots := [name for base in kind.__mro__ for name in _slots_of(base)]:
            self._namespaces.append(_Namespace(slots, partial(Attribute, item), text))
        yield from self._members(kind, text)

    def _visit_attributes(self) -> bool:
        """Follow attributes: those whose names are mentioned in code that was found."""
        before = len(self._followed)
        for index, space in enumerate(list(self._namespaces)):
            for name in sorted(self._names.intersection(space.names)):
                if (index, name) not in self._followed:
                    self._followed.add((index, name))
                    self._enqueue(self._bound(space.place(name), f"{space.text}.{name}"))
        return len(self._followed) > before

    def _visit_descriptor(self, item: Any, text: str) -> Iterator[_Edge]:
        for name in ("__func__", "fget", "fset", "func"):
            if (function := getattr(item, name, None)) is not None:
                yield function, text


_VISITORS: tuple[tuple[Any, Callable[[_Search, Any, str], Iterator[_Edge]]], ...] = (
    (types.FunctionType, _Search._visit_function),
    (types.MethodType, _Search._visit_method),
    (partial, _Search._visit_partial),
    (dict, _Search._visit_dict),
    (list, _Search._visit_list),
    ((tuple, set, frozenset), _Search._visit_fixed),
    (types.ModuleType, _Search._visit_module),
    (type, _Search._visit_class),
    ((staticmethod, classmethod, property, cached_property), _Search._visit_descriptor),
)
"""How objects are entered, by type; anything else is an instance with attributes."""


def _codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """`code` and that of the functions defined inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes_in(inner)


def _names_in(code: types.CodeType) -> set[str]:
    """Globals and attributes that `code` mentions."""
    return {name for inner in _codes_in(code) for name in inner.co_names}


def _globals_in(code: types.CodeType) -> set[str]:
    """The globals alone: a loop over a global `step` does not concern what reads `state.step`."""
    return {
        instruction.argval
        for inner in _codes_in(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname in _GLOBAL_INSTRUCTIONS
    }


def _is_foreign(item: Any) -> bool:
    """Whether a function, class or module belongs to NumPy, this package or Python itself."""
    module = getattr(item, "__module__", None)
    if not isinstance(item, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return False
    return isinstance(module, str) and module.partition(".")[0] in _FOREIGN


def _called_by_us(kind: type) -> set[str]:
    """Names of the methods with which a class fills in what a base of this package leaves open."""
    ours = (base for base in kind.__mro__ if base.__module__.partition(".")[0] == "tapeless")
    return {name for base in ours for name in vars(base)}


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
