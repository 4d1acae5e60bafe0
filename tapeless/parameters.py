"""How a call's arguments reach the traced function: by position, by name, or as static values.

However a call is written, `f(x, lr=0.1)` or `f(x, 0.1)`, it is brought into one form: parameters
that can be passed by position are. Arguments declared static are set apart; they are part of the
signature, and the function is traced for their values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, TypeAlias

import numpy as np

from .ir.errors import ArgumentError
from .ir.location import Location

Source: TypeAlias = int | str
"""Where a value stands in a call: its position or its name."""

Parameter = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where the arguments of a call go, for all calls written alike.

    `positional` and `keyword` are all arguments in canonical form; `static` are the names of those
    that are static (a name of `positional` by its parameter).
    """

    positional: tuple[tuple[str, Source], ...]
    keyword: tuple[str, ...]
    static: frozenset[str]

    def split(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        """The traced positional and keyword arguments, and the static ones by name."""
        static: dict[str, Any] = {}
        positional: list[Any] = []
        for name, source in self.positional:
            value = args[source] if isinstance(source, int) else kwargs[source]
            if name in self.static:
                static[name] = value
            else:
                positional.append(value)
        keyword: dict[str, Any] = {}
        for name in self.keyword:
            (static if name in self.static else keyword)[name] = kwargs[name]
        return tuple(positional), keyword, static

    def bound(self, fn: Callable[..., Any], static: Mapping[str, Any]) -> Callable[..., Any]:
        """`fn` as a function of its traced arguments alone."""
        if not self.static:
            return fn

        def call(*args: Any, **kwargs: Any) -> Any:
            values = iter(args)
            positional = [
                static[name] if name in self.static else next(values) for name, _ in self.positional
            ]
            named = {name: static[name] for name in self.keyword if name in self.static}
            return fn(*positional, **named, **kwargs)

        names = [name for name, _ in self.positional if name not in self.static]
        update_wrapper(call, fn)
        kinds = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in _distinct(names)]
        kinds += [
            Parameter(name, Parameter.KEYWORD_ONLY)
            for name in self.keyword
            if name not in self.static
        ]
        call.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
        return call


def _distinct(names: Sequence[str]) -> list[str]:
    """Parameter names must differ: the items of `*args` are numbered."""
    return [name if names.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(names)]


class Parameters:
    """The parameters of a function and which of them are static.

    Raises `ArgumentError` for static names that the function does not have.
    """

    def __init__(self, fn: Callable[..., Any], static: Sequence[str]) -> None:
        try:
            self._signature: inspect.Signature | None = inspect.signature(fn)
        except (TypeError, ValueError):  # builtins: no names, everything by position
            self._signature = None
        self._name = function_name(fn)
        known = self._signature.parameters if self._signature else {}
        for name in static:
            if name not in known:
                raise ArgumentError(
                    f"static names parameters of {self._name}: {', '.join(known)}",
                    given=repr(name),
                    loc=location_of(fn),
                )
        self.static = frozenset(static)
        self._arrangements: dict[tuple[int, tuple[str, ...]], Arrangement] = {}

    def arrange(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arrangement:
        """The arrangement for a call; `ArgumentError` for arguments that do not fit."""
        key = len(args), tuple(kwargs)
        found = self._arrangements.get(key)
        if found is None:
            found = self._arrangements[key] = self._new(args, kwargs)
        return found

    def _new(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arrangement:
        if self._signature is None:
            positions = tuple((f"argument {i}", i) for i in range(len(args)))
            return Arrangement(positions, tuple(kwargs), frozenset())
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                f"the arguments of {self._name} fit its parameters {self._signature}",
                given=str(error),
            ) from None
        positional: list[tuple[str, Source]] = []
        by_name = dict.fromkeys(kwargs)
        for parameter in self._signature.parameters.values():
            name = parameter.name
            if parameter.kind is Parameter.VAR_POSITIONAL:
                positional.extend((name, i) for i in range(len(positional), len(args)))
            elif len(positional) < len(args) and parameter.kind in _POSITIONAL:
                positional.append((name, len(positional)))
            elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and name in by_name:
                if len(positional) >= len(args) and self._reached(positional, name):
                    positional.append((name, name))
                    del by_name[name]
        order = [name for name in self._signature.parameters if name in by_name]
        order += [name for name in by_name if name not in order]
        return Arrangement(tuple(positional), tuple(order), self.static)

    def _reached(self, positional: Sequence[tuple[str, Source]], name: str) -> bool:
        """Whether all parameters before `name` are given, so that it can go by position."""
        assert self._signature is not None
        return list(self._signature.parameters).index(name) == len(positional)


_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def static_key(name: str, value: Any) -> object:
    """What tells static values apart in a signature: type and value, floats by their bits.

    Raises `ArgumentError` for unhashable values and arrays.
    """
    if isinstance(value, float):
        return ("float", type(value), float(value).hex())
    if isinstance(value, tuple):
        return (type(value), tuple(static_key(name, item) for item in value))
    try:
        hash(value)
    except TypeError:
        is_array = isinstance(value, np.ndarray)
        raise ArgumentError(
            f"the static argument {name} must be hashable: a number, string, tuple, function, …",
            given=f"a {type(value).__name__}",
            hint="arrays are ordinary arguments" if is_array else "pass a tuple instead",
        ) from None
    return (type(value), value)


def location_of(fn: Callable[..., Any]) -> Location | None:
    """Where a function is defined."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return code and Location(code.co_filename, code.co_firstlineno, code.co_name)


def function_name(fn: Any) -> str:
    """What messages and graphs call a function."""
    return str(getattr(fn, "__name__", type(fn).__name__))
