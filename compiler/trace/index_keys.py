"""What the key of `x[key]` asks for, read once into a `Plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ...ir.errors import OutOfBoundsError, UnsupportedError
from ...ir.types import INT64
from .array import Kind, TracedArray
from .lift import broadcast_to, convert, lift
from .views import fresh

WHOLE = slice(None)


@dataclass(frozen=True, slots=True)
class Positions:
    """Integers that index one axis; `known` are their values where these are known."""

    array: TracedArray
    known: np.ndarray[Any, Any] | None


@dataclass(frozen=True, slots=True)
class Mask:
    """A boolean array of unknown content, which indexes as many axes as it has."""

    array: TracedArray


Item: TypeAlias = Any
"""None, Ellipsis, a slice, an int, `Positions` or a `Mask`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a key is carried out.

    `basic` is what NumPy's basic indexing does, with whole axes where arrays apply. Of its
    result, the `axes` are then indexed by `indices` (i64, one shape). `place` says where the axes
    of the indices go in the result; None: the indices are scalars and leave no axes. `scalar`:
    the result is a NumPy scalar. `copies`: it is a copy although no axes are indexed by arrays.
    `mask` covers the axes from `axes[0]` on.
    """

    basic: tuple[Item, ...]
    axes: tuple[int, ...] = ()
    indices: tuple[TracedArray, ...] = ()
    place: int | None = None
    scalar: bool = False
    copies: bool = False
    mask: TracedArray | None = None


def plan_key(x: TracedArray, key: Any) -> Plan:
    """What `key` asks of `x`; `OutOfBoundsError` for known positions outside their axis."""
    entries = key if isinstance(key, tuple) else (key,)
    items = [item for entry in entries for item in _items(entry)]
    scalar = len(items) == x.ndim and all(_is_single(item) for item in items)
    items = _with_ellipsis(x, items)
    if any(isinstance(item, Mask) for item in items):
        return _mask_plan(x, items)
    if not any(isinstance(item, Positions) and item.array.ndim for item in items):
        return _plan(x, items, scalar)
    # Beside integer arrays NumPy takes integers as index arrays too.
    items = [_as_positions(item) if isinstance(item, int) else item for item in items]
    return _spread(_plan(x, items, scalar=False), adjacent=_adjacent(items))


# -- the entries --------


def _items(entry: Any) -> Sequence[Item]:
    """An entry of a key as items: one, or one per axis for a boolean array that is known."""
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return (entry,)
    if isinstance(entry, TracedArray) and entry.literal is not None:
        entry = entry.literal
    if isinstance(entry, bool | np.bool_):
        raise UnsupportedError("a key holds integers, slices or arrays", given="a single boolean")
    if isinstance(entry, int | np.integer):
        return (int(entry),)
    if isinstance(entry, list | tuple):
        entry = _from_sequence(entry)
    if not isinstance(entry, TracedArray | np.ndarray):
        raise OutOfBoundsError(
            "a key holds integers, slices, None, ... and arrays of integers or booleans",
            given=type(entry).__name__,
        )
    return _array_items(entry)


def _from_sequence(entry: list[Any] | tuple[Any, ...]) -> Any:
    if any(isinstance(item, TracedArray) for item in entry):
        return np.stack([lift(item) for item in entry])
    array = np.asarray(entry)
    return array.astype(np.int64) if array.size == 0 else array


def _array_items(entry: TracedArray | np.ndarray[Any, Any]) -> Sequence[Item]:
    array = lift(entry)
    if array.dtype.kind not in "biu":
        raise OutOfBoundsError("index arrays hold integers or booleans", given=str(array.dtype))
    known = entry if isinstance(entry, np.ndarray) else None
    if array.dtype.kind != "b":
        return (Positions(fresh(convert(array, INT64), array.kind), known),)
    if known is None or not _is_constant(array):
        return (Mask(array),)
    if known.ndim == 0:
        raise UnsupportedError("a key holds integers, slices or arrays", given="a single boolean")
    return tuple(Positions(lift(axis), axis) for axis in np.nonzero(known))


def _is_constant(array: TracedArray) -> bool:
    """Whether a NumPy array was made while tracing, not captured: its content is known for good."""
    return array.origin == "a constant" and not array.version


def _as_positions(index: int) -> Positions:
    return Positions(lift(np.int64(index)), np.asarray(index))


def _is_single(item: Item) -> bool:
    """Whether an item picks one position of an axis and leaves no axes."""
    return isinstance(item, int) or (isinstance(item, Positions) and item.array.ndim == 0)


def _extent(item: Item) -> int:
    """How many axes of the array an item takes."""
    if item is None or item is Ellipsis:
        return 0
    return item.array.ndim if isinstance(item, Mask) else 1


def _with_ellipsis(x: TracedArray, items: list[Item]) -> list[Item]:
    """`items` with exactly one Ellipsis, put at the end if there is none."""
    dots = sum(item is Ellipsis for item in items)
    taken = sum(map(_extent, items))
    if dots > 1 or taken > x.ndim:
        raise OutOfBoundsError(
            "a key has at most one ... and no more entries than the array has axes",
            given=f"{taken} indices for shape {x.shape}" if dots < 2 else f"{dots} times ...",
        )
    return items if dots else [*items, Ellipsis]


def _axes(x: TracedArray, items: Sequence[Item]) -> list[tuple[int, int]]:
    """For each item the axis of `x` it starts at, and the one of the basic part's result."""
    missing = x.ndim - sum(map(_extent, items))
    of_array = of_result = 0
    axes: list[tuple[int, int]] = []
    for item in items:
        axes.append((of_array, of_result))
        of_array += missing if item is Ellipsis else _extent(item)
        if item is None:
            of_result += 1
        elif item is Ellipsis:
            of_result += missing
        elif not isinstance(item, int):
            of_result += _extent(item)
    return axes


# -- plans --------


def _plan(x: TracedArray, items: Sequence[Item], scalar: bool) -> Plan:
    """The plan for a key without masks, its indices not yet brought to one shape."""
    axes: list[int] = []
    indices: list[TracedArray] = []
    for item, (of_array, of_result) in zip(items, _axes(x, items), strict=True):
        if isinstance(item, Positions):
            _check_bounds(item, x.shape[of_array], of_array)
            axes.append(of_result)
            indices.append(item.array)
    basic = tuple(WHOLE if isinstance(item, Positions) else item for item in items)
    copies = any(index.kind is Kind.ARRAY for index in indices)
    return Plan(basic, tuple(axes), tuple(indices), None, scalar, copies)


def _spread(plan: Plan, adjacent: bool) -> Plan:
    """The plan with its indices broadcast together.

    Their axes replace the indexed ones where these were adjacent in the key; else they go first.
    """
    shapes = [index.shape for index in plan.indices]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise OutOfBoundsError(
            "index arrays have shapes that broadcast together",
            given=" and ".join(map(str, shapes)),
        ) from None
    indices = tuple(broadcast_to(index, shape) for index in plan.indices)
    return replace(plan, indices=indices, place=plan.axes[0] if adjacent else 0)


def _adjacent(items: Sequence[Item]) -> bool:
    at = [number for number, item in enumerate(items) if isinstance(item, Positions)]
    return at[-1] - at[0] + 1 == len(at)


def _check_bounds(item: Positions, extent: int, axis: int) -> None:
    known = item.known
    if known is not None and known.size and not (-extent <= known.min() and known.max() < extent):
        worst = int(known.max()) if known.max() >= extent else int(known.min())
        raise OutOfBoundsError(
            f"indices along axis {axis} lie between {-extent} and {extent - 1}", given=str(worst)
        )


def _mask_plan(x: TracedArray, items: Sequence[Item]) -> Plan:
    """The plan for a key with one mask and otherwise slices, integers or new axes."""
    masks = [item for item in items if isinstance(item, Mask | Positions)]
    if len(masks) > 1:
        raise UnsupportedError(
            "a boolean array known only when the program runs is the only array of a key",
            given=f"{len(masks)} index arrays",
            hint="use np.where(mask, ...) on whole axes",
        )
    (mask,) = masks
    ((of_array, of_result),) = [
        axes for item, axes in zip(items, _axes(x, items), strict=True) if item is mask
    ]
    covered = x.shape[of_array : of_array + mask.array.ndim]
    if covered != mask.array.shape:
        raise OutOfBoundsError(
            "a boolean array that indexes has the shape of the axes that it covers",
            given=f"mask of shape {mask.array.shape} for axes of shape {covered}",
        )
    whole = (WHOLE,) * mask.array.ndim
    basic = [part for item in items for part in (whole if item is mask else (item,))]
    return Plan(tuple(basic), axes=(of_result,), mask=mask.array)
