"""Which leaves of a call a transformation is about, and what the user calls them.

`argnums` selects arguments by position or by name; each may be a pytree. Leaves are numbered as
`flatten((args, kwargs))` gives them, which is also how a `Recorded` numbers its inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .ir.errors import ArgumentError
from .ir.pytree import TreeDef, flatten

Argnums: TypeAlias = int | str | tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: what it is called, its structure, and its range of leaves."""

    name: str
    structure: TreeDef
    start: int

    @property
    def leaves(self) -> range:
        """Numbers of its leaves among those of the call."""
        return range(self.start, self.start + self.structure.num_leaves)

    def paths(self) -> list[str]:
        """How the user would write each leaf: `params['w1']`."""
        return self.structure.paths(self.name)


@dataclass(frozen=True, slots=True)
class Selection:
    """The arguments that `argnums` names; `single` when it named one rather than a tuple."""

    arguments: tuple[Argument, ...]
    single: bool

    @property
    def leaves(self) -> list[int]:
        """Numbers of all selected leaves, in order of selection."""
        return [leaf for argument in self.arguments for leaf in argument.leaves]

    def paths(self) -> list[str]:
        """What the user calls each selected leaf."""
        return [path for argument in self.arguments for path in argument.paths()]

    def unflatten(self, values: Sequence[Any]) -> Any:
        """One value per selected leaf, as the selected argument's pytree or a tuple of them."""
        trees, taken = [], 0
        for argument in self.arguments:
            count = argument.structure.num_leaves
            trees.append(argument.structure.unflatten(values[taken : taken + count]))
            taken += count
        return trees[0] if self.single else tuple(trees)


def parameter_names(fn: Callable[..., Any], count: int) -> list[str]:
    """What `fn` calls its first `count` positional arguments."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # a builtin without a signature
        parameters = []
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names.extend(f"{parameter.name}[{i}]" for i in range(count - len(names)))
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    names.extend(f"argument {i}" for i in range(len(names), count))
    return names


def arguments_of(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Argument], dict[str, Argument]]:
    """The arguments of a call, by position and (those that have one) by name."""
    names = parameter_names(fn, len(args))
    positional: list[Argument] = []
    named: dict[str, Argument] = {}
    start = 0
    for i, value in enumerate((*args, *kwargs.values())):
        name = names[i] if i < len(args) else list(kwargs)[i - len(args)]
        argument = Argument(name, flatten(value)[1], start)
        start += argument.structure.num_leaves
        named[name] = argument
        if i < len(args):
            positional.append(argument)
    return positional, named


def select(
    fn: Callable[..., Any], argnums: Argnums, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Selection:
    """The arguments of `fn(*args, **kwargs)` that `argnums` names; `ArgumentError` for none."""
    positional, named = arguments_of(fn, args, kwargs)
    wanted = argnums if isinstance(argnums, tuple) else (argnums,)
    chosen = tuple(_find(fn, which, positional, named) for which in wanted)
    return Selection(chosen, single=not isinstance(argnums, tuple))


def _find(
    fn: Callable[..., Any],
    which: int | str,
    positional: Sequence[Argument],
    named: Mapping[str, Argument],
) -> Argument:
    if isinstance(which, str) and which in named:
        return named[which]
    if isinstance(which, int) and -len(positional) <= which < len(positional):
        return positional[which]
    if isinstance(which, int) and which >= len(positional):
        # A parameter selected by its position may still have been passed by its name.
        name = parameter_names(fn, which + 1)[which]
        if name in named:
            return named[name]
    raise ArgumentError(
        f"argnums selects an argument of the call, by position or by name: {list(named)}",
        given=repr(which),
        hint="pass the argument explicitly if it has a default value",
    )
