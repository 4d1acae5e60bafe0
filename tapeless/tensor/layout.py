"""Calls with the arrays taken out: where each goes, and a key for all the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.trace.foreign import ForeignArray


class Position(int):
    """An index that is an operand of `x[i]`, so that one call serves all of them."""


class _Slot:
    """The place of an operand in the arguments of a call."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Layout:
    """The arguments of a call, with slots in place of the arrays.

    `key` is hashable; equal keys stand for calls that differ in their arrays only. In a `simple`
    layout the only array is the first argument, which `args` lacks.
    """

    __slots__ = ("args", "key", "kwargs", "simple")

    def __init__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], key: Any, simple: bool = False
    ) -> None:
        self.args = args
        self.kwargs = kwargs
        self.key = key
        self.simple = simple

    def call(self, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
        """`function` with the operands in their places."""
        if self.simple:
            return function(operands[0], *self.args, **self.kwargs)
        args = [_filled(item, operands) for item in self.args]
        if not self.kwargs:
            return function(*args)
        return function(*args, **{k: _filled(v, operands) for k, v in self.kwargs.items()})


NO_ARGUMENTS = Layout((), {}, (), simple=True)
"""The layout of a call with one array and nothing else."""


def lay_out(
    args: Sequence[Any], kwargs: Mapping[str, Any], *, numbers: bool = False
) -> tuple[list[Any], Layout]:
    """The arrays among the arguments, and the layout of the call.

    With `numbers`, arguments that are Python numbers are operands as well.
    """
    if args and isinstance(args[0], ForeignArray) and not numbers:
        rest = args[1:]
        key = _simple_key(rest, kwargs)
        if key is not None:
            return [args[0]], Layout(rest, kwargs, key, simple=True)
    operands: list[Any] = []
    frozen = [
        _operand(item, operands)
        if numbers and item.__class__ in (int, float, bool)
        else _freeze(item, operands)
        for item in args
    ]
    key = tuple([part for _, part in frozen])
    template: dict[str, Any] = {}
    if kwargs:
        named = {name: _freeze(item, operands) for name, item in kwargs.items()}
        template = {name: item for name, (item, _) in named.items()}
        key = (key, tuple([(name, part) for name, (_, part) in named.items()]))
    return operands, Layout([item for item, _ in frozen], template, key)


def _simple_key(rest: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The key of arguments that are plainly hashable; None if any is not."""
    key: list[Any] = []
    for item in rest:
        kind = item.__class__
        if kind is slice:
            if not {item.start.__class__, item.stop.__class__, item.step.__class__} <= _BOUNDS:
                return None
            item = slice, item.start, item.stop, item.step
        elif kind is bool:
            item = bool, item
        elif kind not in _PLAIN:
            return None
        key.append(item)
    if kwargs:
        key.append(_Slot)
    for name, item in kwargs.items():
        kind = item.__class__
        if kind is not bool and kind not in _PLAIN:
            return None
        key += (name, kind, item)
    return tuple(key)


def _filled(item: Any, operands: Sequence[Any]) -> Any:
    kind = item.__class__
    if kind is _Slot:
        return operands[item.index]
    if kind is tuple:
        return tuple([_filled(entry, operands) for entry in item])
    if kind is list:
        return [_filled(entry, operands) for entry in item]
    if kind is dict:
        return {name: _filled(entry, operands) for name, entry in item.items()}
    if kind is slice:
        return slice(*[_filled(part, operands) for part in (item.start, item.stop, item.step)])
    return item


_BOUNDS = frozenset({int, type(None)})
_PLAIN = frozenset({int, str, type(None), type(...), type(np.newaxis), type})
"""Types whose values are their own key; numbers that compare equal need their type beside them."""


def _operand(item: Any, operands: list[Any]) -> tuple[Any, Any]:
    operands.append(item)
    return _Slot(len(operands) - 1), _Slot


def _freeze(item: Any, operands: list[Any]) -> tuple[Any, Any]:
    """The template of an argument and its key; arrays go to `operands`."""
    kind = item.__class__
    if kind in _PLAIN:
        return item, item
    if kind is Position:
        return _operand(item, operands)
    if isinstance(item, ForeignArray | np.ndarray | np.generic):
        return _operand(item, operands)
    if kind is slice:
        parts = [_freeze(part, operands) for part in (item.start, item.stop, item.step)]
        return slice(*[part for part, _ in parts]), (slice, *[key for _, key in parts])
    if kind is tuple or kind is list:
        parts = [_freeze(part, operands) for part in item]
        return kind([part for part, _ in parts]), (kind, *[key for _, key in parts])
    if kind is dict:
        named = {name: _freeze(part, operands) for name, part in item.items()}
        template = {name: part for name, (part, _) in named.items()}
        return template, (dict, *[(name, key) for name, (_, key) in named.items()])
    if kind is float:
        return item, (float, item.hex())
    return item, (kind, item)
