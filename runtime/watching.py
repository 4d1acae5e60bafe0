"""What a native entry compares at each call of the names that its function relies on."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.entry import Span, Watch
from .context import Context


@dataclass(frozen=True, slots=True)
class Place:
    """That `holder` held `value` at `key`.

    `holder` is a closure's cell (`key` is None), a dict or list, or any object with an attribute
    `key`. With `whole`, `holder` is a dict or list and `value` a tuple of all that it held: keys
    and values in turn, or items. `holds` tells whether it still does, by Python's own means.
    """

    holder: Any
    key: Any
    value: Any
    holds: Callable[[], bool]
    whole: bool = False


Record = tuple[int, int, int, int]


def watch(places: Sequence[Place], context: Context) -> tuple[Span, tuple[Place, ...]]:
    """Append what can be compared natively to `context`; returns where, and the rest."""
    records: list[Record] = []
    rest: list[Place] = []
    for place in places:
        record = _record(place, context)
        if record is None:
            rest.append(place)
        else:
            context.kept += [place.holder, place.key, place.value]
            records.append(record)
    start = context.add([word for record in records for word in record])
    return Span(start, len(records)), tuple(rest)


def _record(place: Place, context: Context) -> Record | None:
    make = _RECORDS.get((type(place.holder), place.whole))
    if make is not None:
        return make(place, context)
    if isinstance(place.holder, type) and not place.whole:
        return _attribute_of_class(place, context)
    return None


def _cell(place: Place, context: Context) -> Record:
    return Watch.CELL, id(place.holder), 0, id(place.value)


def _item(place: Place, context: Context) -> Record | None:
    """An entry of a dict whose keys are strings: comparing them runs no code of the user's."""
    if not all(type(key) is str for key in place.holder):
        return None
    return Watch.ITEM, id(place.holder), id(place.key), id(place.value)


def _entry(place: Place, context: Context) -> Record | None:
    if type(place.key) is not int or place.key < 0:
        return None
    return Watch.ENTRY, id(place.holder), place.key, id(place.value)


def _defaults(place: Place, context: Context) -> Record | None:
    if place.key != "__defaults__":
        return None
    return Watch.DEFAULTS, id(place.holder), 0, id(place.value)


def _whole_dict(place: Place, context: Context) -> Record:
    items = context.objects(place.value)
    return Watch.DICT, id(place.holder), items, len(place.value) // 2


def _whole_list(place: Place, context: Context) -> Record:
    items = context.objects(place.value)
    return Watch.LIST, id(place.holder), items, len(place.value)


def _attribute_of_class(place: Place, context: Context) -> Record | None:
    """The dict behind `vars(cls)`, which a class keeps for life."""
    found = [held for held in gc.get_referents(vars(place.holder)) if type(held) is dict]
    if len(found) != 1 or found[0].get(place.key) is not place.value:
        return None
    context.kept += found
    return Watch.ITEM, id(found[0]), id(place.key), id(place.value)


_RECORDS: dict[tuple[type, bool], Callable[[Place, Context], Record | None]] = {
    (types.CellType, False): _cell,
    (dict, False): _item,
    (list, False): _entry,
    (types.FunctionType, False): _defaults,
    (dict, True): _whole_dict,
    (list, True): _whole_list,
}
