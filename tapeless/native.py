"""The native entries of a compiled function: when they are made, and from what.

An entry is made when a signature is used for the second time in one form (so many positional
arguments, these keywords). Calls that it does not recognize exactly take the Python path, which
comes here again: an entry that was pushed out of the chain is put back.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .compiler.codegen.entry import entry_object, support_object
from .compiler.target import host_target
from .compiler.trace.context import active_traces_word
from .compiler.trace.places import Attribute, Cell, Item
from .compiler.trace.places import Place as Traced
from .compiler.trace.reachable import Contents, Watched
from .ir.entry import EntrySpec
from .ir.pytree import Path
from .parameters import Arrangement
from .runtime.abi import obstacle
from .runtime.binding import Binder, Form, NotNative
from .runtime.call import Entry
from .runtime.native import Chain, EntryCode, NativeCallable, NativeEntry, Support, install
from .runtime.watching import Place

FORMS = 8
"""Entries made for one signature, each for another way of writing the call."""

Shape: TypeAlias = tuple[int, tuple[str, ...]]
"""A form of call: the number of positional arguments, the keywords in order."""


@dataclass(frozen=True, slots=True)
class Given:
    """A call as it was written; `arrangement` is None where all arguments go by position."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    arrangement: Arrangement | None = None

    @property
    def shape(self) -> Shape:
        """Its form."""
        return len(self.args), tuple(self.kwargs)

    def form(self) -> Form:
        """Values, names and where the traced arguments stand."""
        values = (*self.args, *self.kwargs.values())
        order: list[int] = []
        paths: list[Path] = [()] * len(values)
        for path, place in self._traced():
            order.append(place)
            paths[place] = path
        return Form(values, tuple(self.kwargs), tuple(order), tuple(paths))

    def _traced(self) -> list[tuple[Path, int]]:
        """The traced arguments in order: the path from `(args, kwargs)`, the place in the call."""
        if self.arrangement is None:
            return [((("item", 0), ("item", i)), i) for i in range(len(self.args))]
        places = {name: len(self.args) + i for i, name in enumerate(self.kwargs)}
        static = self.arrangement.static
        by_position = [s for name, s in self.arrangement.positional if name not in static]
        found: list[tuple[Path, int]] = [
            ((("item", 0), ("item", i)), source if isinstance(source, int) else places[source])
            for i, source in enumerate(by_position)
        ]
        for name in self.arrangement.keyword:
            if name not in static:
                found.append(((("item", 1), ("item", name)), places[name]))
        return found


Known: TypeAlias = NativeEntry | str | None
"""What came of a form of call: an entry, a reason why there is none, or nothing so far."""


@dataclass(slots=True)
class Natives:
    """What is known about the forms in which one signature was called."""

    forms: dict[Shape, Known] = field(default_factory=dict)

    def entries(self) -> list[NativeEntry]:
        """Those that there are."""
        return [known for known in self.forms.values() if isinstance(known, NativeEntry)]


class NativePath:
    """The native entries of one function; `lock` is held while one is made."""

    def __init__(self, kind: type[NativeCallable], lock: Any) -> None:
        self.chain = Chain()
        self._kind = kind
        self._lock = lock
        self._retired_hits = 0

    def offer(
        self, given: Given, natives: Natives, entry: Entry, watched: Sequence[Watched]
    ) -> None:
        """Called before a call on the Python path that fits `entry`."""
        shape = given.shape
        if shape not in natives.forms:
            full = len(natives.forms) >= FORMS
            natives.forms[shape] = "it is called in many different forms" if full else None
            return
        known = natives.forms[shape]
        if isinstance(known, str):
            return
        if known is not None and known in self.chain and known.fits_threads:
            return
        if self._lock.acquire(blocking=False):  # whoever holds it is making something already
            try:
                self._renew(shape, given, natives, entry, watched)
            finally:
                self._lock.release()

    def _renew(
        self,
        shape: Shape,
        given: Given,
        natives: Natives,
        entry: Entry,
        watched: Sequence[Watched],
    ) -> None:
        known = natives.forms[shape]
        if known is not None and not isinstance(known, str) and not known.fits_threads:
            self._retire(known)
            known = None
        if known is None:
            known = natives.forms[shape] = self._make(given, entry, watched)
        if not isinstance(known, str):
            self.chain.add(known)

    def _make(self, given: Given, entry: Entry, watched: Sequence[Watched]) -> NativeEntry | str:
        reason = obstacle()
        if reason is not None:
            return reason
        binder = Binder(entry.plan, entry.executable)
        support = _SHARED.support(self._kind)
        try:
            spec = binder.bind(given.form(), [_place(one) for one in watched])
            code = _SHARED.code(spec, support)
        except NotNative as cause:
            return str(cause)
        except RecursionError:
            return "containers are nested too deeply"
        return NativeEntry(code, spec, binder, entry.executable)

    def retire(self, natives: Natives) -> None:
        """Give up the entries of a signature."""
        for entry in natives.entries():
            self._retire(entry)
        natives.forms.clear()

    def _retire(self, entry: NativeEntry) -> None:
        self._retired_hits += entry.hits
        self.chain.remove(entry)

    def hits(self, all_natives: Sequence[Natives]) -> int:
        """Calls done natively so far."""
        return self._retired_hits + sum(e.hits for n in all_natives for e in n.entries())


class _Shared:
    """What all functions of the process share: support routines, and code by specification."""

    def __init__(self) -> None:
        self._support: Support | None = None
        self._codes: weakref.WeakValueDictionary[EntrySpec, EntryCode] = (
            weakref.WeakValueDictionary()
        )

    def support(self, kind: type[NativeCallable]) -> Support:
        """The support routines, through which calls of `kind` go from now on."""
        if self._support is None:
            self._support = install(kind, support_object(host_target()), active_traces_word())
        return self._support

    def code(self, spec: EntrySpec, support: Support) -> EntryCode:
        """The code for a specification."""
        found = self._codes.get(spec)
        if found is None:
            found = self._codes[spec] = EntryCode(entry_object(spec, host_target()), support)
        return found


_SHARED = _Shared()


def _place(watched: Watched) -> Place:
    """What the tracer watches, as the runtime sees it."""
    if isinstance(watched, Contents):
        return _whole(watched)
    holder, key = _holder(watched.place)
    return Place(holder, key, watched.value, watched.holds)


def _holder(place: Traced) -> tuple[Any, Any]:
    if isinstance(place, Cell):
        return place.cell, None
    if isinstance(place, Item):
        return place.container, place.key
    assert isinstance(place, Attribute), place
    return place.owner, place.name


def _whole(watched: Contents) -> Place:
    items = watched.items
    if isinstance(watched.container, dict):
        half = len(items) // 2
        pairs = zip(items[:half], items[half:], strict=True)
        items = tuple(part for pair in pairs for part in pair)
    return Place(watched.container, None, items, watched.holds, whole=True)
