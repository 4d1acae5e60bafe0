"""`x[key]` and `x[key] = value` on traced arrays, by NumPy's rules.

Slices, new axes and integers give views, found by NumPy itself; integer arrays are gathers and
scatters; integers known only when the program runs are gathers that can be written through;
boolean arrays are positions where they are known, else a `Selection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...ir.types import Shape
from .array import Concrete, Handle, Kind, TracedArray
from .index_keys import WHOLE, Plan, plan_key
from .lift import broadcast_to, convert, emit, emit_handles, lift
from .masks import Selection, assign_selected
from .reductions import as_target, store
from .views import fresh, rearranged, reshaped


def getitem(x: TracedArray, key: Any) -> Any:
    """`x[key]`: a view for basic keys, a copy for index arrays, a scalar for one element."""
    x = lift(x)
    plan = plan_key(x, key)
    part = _basic(x, plan)
    if plan.mask is not None:
        return Selection(fresh(part), fresh(plan.mask), plan.axes[0])
    if plan.place is not None:
        return _arranged(_gathered(part, plan), plan)
    if plan.indices:
        part = _picked(part, plan)
    if plan.scalar:
        return fresh(part, Kind.SCALAR)
    return fresh(part) if plan.copies else part


def setitem(x: TracedArray, key: Any, value: Any) -> None:
    """`x[key] = value`, seen by all views of the storage; the last of equal positions wins."""
    x = as_target(x)
    plan = plan_key(x, key)
    part = _basic(x, plan)
    if plan.mask is not None:
        assign_selected(part, plan.mask, plan.axes[0], value)
    elif plan.place is not None:
        _scatter("scatter", part, plan, value)
    else:
        target = _picked(part, plan) if plan.indices else part
        if not _shows_same(value, target):
            store(target, _fitted(value, target.shape, target))


def add_at(x: TracedArray, key: Any, value: Any) -> None:
    """`np.add.at(x, key, value)`: repeated positions accumulate."""
    x = as_target(x)
    plan = plan_key(x, key)
    if plan.place is None:
        setitem(x, key, getitem(x, key) + value)
    else:
        _scatter("scatter_add", _basic(x, plan), plan, value)


def _basic(x: TracedArray, plan: Plan) -> TracedArray:
    """The view by the basic part of a key."""
    if plan.indices and all(_keeps_axes(item) for item in plan.basic):
        return x
    return rearranged(x, lambda array: array[plan.basic])


def _keeps_axes(item: Any) -> bool:
    whole = isinstance(item, slice) and item.start is item.stop is item.step is None
    return item is Ellipsis or whole


# -- positions known only when the program runs --------


@dataclass(frozen=True, slots=True)
class _Pick:
    """The recipe for a stand-in: any position has the strides of the first."""

    axes: tuple[int, ...]
    indices: tuple[Handle, ...]

    def __call__(self, array: Concrete) -> Concrete:
        key = tuple(0 if axis in self.axes else WHOLE for axis in range(array.ndim))
        return array[(*key, ...)]


def _picked(x: TracedArray, plan: Plan) -> TracedArray:
    """The view of `x` at one runtime position along each of `plan.axes`."""
    axes, indices = plan.axes, plan.indices

    def reader(handle: Handle) -> Handle:
        return emit_handles("gather", handle, *(lift(i).value for i in indices), axes=axes)

    def writer(handle: Handle, new: Handle) -> Handle:
        return emit_handles("scatter", handle, new, *(lift(i).value for i in indices), axes=axes)

    recipe = _Pick(axes, tuple(i.value for i in indices))
    return x.make_view(reader, writer, recipe, repeatable=False)


def _shows_same(value: Any, target: TracedArray) -> bool:
    """Whether `value` is a view of exactly the elements of `target`, as after `x[key] += v`."""
    if not isinstance(value, TracedArray) or value.lens is None or target.lens is None:
        return False
    mine, other = target.lens, value.lens
    if other.parent is not mine.parent:
        return False
    if isinstance(mine.recipe, _Pick) or isinstance(other.recipe, _Pick):
        return bool(mine.recipe == other.recipe)
    return _same_reader(mine.reader, other.reader)


def _same_reader(a: Any, b: Any) -> bool:
    return (
        isinstance(a, partial) and isinstance(b, partial) and (a.func, a.args) == (b.func, b.args)
    )


# -- index arrays --------


def _gathered(x: TracedArray, plan: Plan) -> TracedArray:
    result: TracedArray = emit("gather", x, *plan.indices, axes=plan.axes, kind=Kind.ARRAY)
    return result


def _arranged(gathered: TracedArray, plan: Plan) -> TracedArray:
    """The axes of the indices moved from the front to their place."""
    order = _order(gathered.ndim, plan)
    if order == tuple(range(gathered.ndim)):
        return gathered
    result: TracedArray = emit("transpose", gathered, axes=order, kind=Kind.ARRAY)
    return result


def _order(ndim: int, plan: Plan) -> tuple[int, ...]:
    """For each axis of NumPy's result, the axis of what the op `gather` gives."""
    assert plan.place is not None
    lead = plan.indices[0].ndim
    rest = tuple(range(lead, ndim))
    return rest[: plan.place] + tuple(range(lead)) + rest[plan.place :]


def _scatter(op: str, x: TracedArray, plan: Plan, value: Any) -> None:
    """Write or add `value` at the positions of `plan`."""
    gathered = (*plan.indices[0].shape, *(n for a, n in enumerate(x.shape) if a not in plan.axes))
    order = _order(len(gathered), plan)
    shape = tuple(gathered[axis] for axis in order)
    updates = broadcast_to(_fitted(value, shape, x), shape)
    if order != tuple(range(len(order))):
        inverse = tuple(int(axis) for axis in np.argsort(order))
        updates = emit("transpose", updates, axes=inverse, kind=Kind.ARRAY)
    new = emit(op, x, updates, *plan.indices, axes=plan.axes, kind=Kind.ARRAY)
    store(x, new)


def _fitted(value: Any, shape: Shape, target: TracedArray) -> TracedArray:
    """`value` in the target's element type, broadcast to `shape`.

    Leading axes of extent one beyond those of the target are dropped, as NumPy's assignment does.
    """
    if isinstance(value, Selection):
        raise value.unsupported("assigning it elsewhere")
    if isinstance(value, list | tuple) and any(isinstance(item, TracedArray) for item in value):
        value = np.stack(value)
    array = convert(lift(value), target.dtype)
    extra = array.ndim - len(shape)
    if extra > 0 and all(extent == 1 for extent in array.shape[:extra]):
        array = reshaped(array, array.shape[extra:])
    return broadcast_to(array, shape)
