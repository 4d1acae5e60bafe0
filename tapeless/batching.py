"""`vmap`: a function of single examples made one of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .compiler.trace.vmap import vmap as map_slices
from .ir.errors import ArgumentError
from .ir.pytree import TreeDef, children, flatten, is_container
from .transforms import Function, transformed

Axes: TypeAlias = Any
"""An axis for all leaves below, None for those not mapped, or a container of `Axes`."""


def vmap(fn: Function, in_axes: Axes = 0, out_axes: Axes = 0) -> Function:
    """`fn` applied to every slice of its arguments, with the results stacked.

    `in_axes` says along which axis each positional argument is mapped (None: it is passed whole):
    one value for all, or a tuple with an entry per argument, each of which may go as far down the
    argument's pytree as needed. Keyword arguments are mapped along axis 0. `out_axes` says where
    the results have the new axis. Raises `ArgumentError` for axes that do not fit the arguments and
    `ShapeError` for mapped axes of different extents.
    """
    return transformed(fn, _apply_vmap, _frozen(in_axes), _frozen(out_axes))


def _frozen(axes: Axes) -> Axes:
    """Lists as tuples, so that equal axes are one key."""
    return tuple(map(_frozen, axes)) if isinstance(axes, list | tuple) else axes


def _apply_vmap(
    fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any], in_axes: Axes, out_axes: Axes
) -> Any:
    def call(positional: Sequence[Any], keyword: Mapping[str, Any]) -> Any:
        return fn(*positional, **keyword)

    call.__name__ = getattr(fn, "__name__", "mapped")
    trees = [flatten(argument)[1] for argument in args]
    if isinstance(in_axes, tuple):
        if len(in_axes) != len(args):
            raise ArgumentError(
                f"in_axes has an entry for each of the {len(args)} arguments", given=repr(in_axes)
            )
        axes = [a for entry, tree in zip(in_axes, trees, strict=True) for a in _spread(entry, tree)]
    else:
        axes = [a for tree in trees for a in _spread(in_axes, tree)]
    axes += [0] * flatten(dict(kwargs))[1].num_leaves
    return map_slices(call, (tuple(args), dict(kwargs)), axes, lambda tree: _out(out_axes, tree))


def _out(axes: Axes, tree: TreeDef) -> list[int]:
    spread = _spread(axes, tree)
    if None in spread:
        raise ArgumentError(
            "out_axes are integers: every result has the new axis", given=repr(axes)
        )
    return [axis for axis in spread if axis is not None]


def _spread(axes: Axes, tree: TreeDef) -> list[int | None]:
    """One axis for each leaf of `tree`."""
    if axes is None or isinstance(axes, int):
        return [axes] * tree.num_leaves
    steps = dict(children(axes)) if is_container(axes) else {}
    if tuple(steps) != tree.steps():
        raise ArgumentError(
            "axes are integers, None, or a container like the argument that they are for",
            given=repr(axes),
        )
    below = zip(steps.values(), tree.children, strict=True)
    return [axis for entry, child in below for axis in _spread(entry, child)]
