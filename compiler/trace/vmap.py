"""`vmap`: a function applied to every slice of its arguments, recorded as one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir.errors import ShapeError, UnsupportedError
from ...ir.graph import GraphBuilder
from ...ir.ops.structure import vmap as VMAP
from ...ir.pytree import TreeDef, flatten
from .array import Handle, TracedArray
from .context import require_trace
from .graph_trace import GraphTrace
from .lift import lift
from .record import trace_subgraph
from .surface import SURFACE


def vmap(
    fn: Callable[..., Any],
    args: Sequence[Any],
    in_axes: Sequence[int | None],
    out_axes: Callable[[TreeDef], Sequence[int]],
) -> Any:
    """`fn` applied to every slice of the leaves of `args` along their axis in `in_axes`.

    `in_axes` has one entry per leaf (None: the whole leaf each time); `out_axes` gives, for the
    structure of the result, the axis at which each leaf has the batch. Raises `ShapeError` for
    leaves of different extents or without that axis, `UnsupportedError` for in-place updates of
    anything that is not mapped.
    """
    leaves, tree = flatten((tuple(args), {}))
    mapped = [axis is not None for axis in in_axes]
    fronted = [_to_front(leaf, axis) for leaf, axis in zip(leaves, in_axes, strict=True)]
    extents = {leaf.shape[0] for leaf, batched in zip(fronted, mapped, strict=True) if batched}
    if len(extents) != 1:
        raise ShapeError(
            "vmap maps over leaves of one extent, at least one of them",
            given=", ".join(map(str, sorted(extents))) or "none mapped",
        )
    child = GraphTrace(
        GraphBuilder(str(getattr(fn, "__name__", type(fn).__name__))), require_trace()
    )
    sub = trace_subgraph(child, fn, fronted, tree, batched=mapped)
    batched = [False] * len(sub.operands)
    for position, is_mapped in zip(sub.leaf_inputs, mapped, strict=True):
        if position is not None:
            batched[position] = is_mapped
    trace = require_trace()
    handles = trace.emitter.emit(
        VMAP,
        sub.handles,
        {"graph": sub.graph, "size": extents.pop(), "batched": tuple(batched)},
        loc=trace.location(),
        phase=trace.phase,
    )
    for position, output in sub.updates:
        if not batched[position]:
            raise UnsupportedError(
                "a mapped function updates in place only what is mapped",
                given=sub.operands[position].origin,
                hint="map the array too, or return the new value",
            )
        sub.operands[position].write(handles[output])
    results = [
        leaf if position is None else _from_front(handles[position], axis)
        for leaf, position, axis in zip(
            sub.inner_leaves, sub.leaf_outputs, out_axes(sub.out_tree), strict=True
        )
    ]
    return sub.out_tree.unflatten(results)


def _to_front(leaf: Any, axis: int | None) -> Any:
    """The leaf with the mapped axis moved to the front, as a view."""
    if axis is None:
        return leaf
    array = lift(leaf)
    if not -array.ndim <= axis < array.ndim:
        raise ShapeError(
            f"vmap maps over axis {axis} of an argument that has it", given=str(array.shape)
        )
    return array if axis in (0, -array.ndim) else _move_axis(array, axis, 0)


def _from_front(handle: Handle, axis: int) -> Any:
    array = TracedArray(require_trace(), handle, origin="a mapped result")
    return array if axis == 0 else _move_axis(array, 0, axis)


def _move_axis(array: TracedArray, source: int, target: int) -> Any:
    return SURFACE.apply_function(np.moveaxis, (array, source, target), {})
