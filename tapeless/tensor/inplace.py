"""In-place updates: memory is written as NumPy writes it, and histories follow.

An update is a function `write(array, *args, **kwargs)` that changes its first argument. Where it
matters for gradients it is recorded as a function of values: what the whole memory held before
(the *root*, which the target may be a view of, through a chain of calls) and the operands give what
it holds afterwards. The root's history is this node from then on; views find out by the number of
the last write.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.trace.context import TRACES
from ..ir.errors import DifferentiationError
from .apply import inside_trace, refresh
from .base import TensorBase, View, data_of
from .calls import CALLS
from .derive import operand_type
from .layout import Layout, lay_out
from .lines import place
from .modes import MODE
from .node import CallNode, edge_of, snapshot


def update(
    write: Callable[..., Any],
    target: TensorBase,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    numbers: bool = False,
) -> None:
    """`write(target, *args, **kwargs)`. Raises `DifferentiationError` for a leaf in grad mode.

    With `numbers`, Python numbers are operands, not part of what is traced.
    """
    operands, layout = lay_out((target, *args), kwargs, numbers=numbers)
    if TRACES.traces:
        operands = [target, *inside_trace(type(target), operands[1:])]
    for x in operands:
        if isinstance(x, TensorBase) and x._view is not None:
            refresh(x)
    root, chain = view_chain(target)
    if MODE.preserve:
        root._data = root._data.copy(order="K")
        target._data = seen_through(root._data, chain)
    arrays = [data_of(x) for x in operands]
    floating = root._data.dtype.kind == "f"
    recorded = MODE.grad and floating and any(_wants(x) for x in (root, *operands))
    if recorded and root._wants and root._node is None:
        raise _leaf_updated(root)
    if not recorded:
        layout.call(write, arrays)
        root._memory.note_write(place())
        return
    before = root._data.copy(order="K")
    kept = _kept(operands, arrays, root)
    layout.call(write, arrays)
    root._memory.note_write(place(), recorded=True)
    try:
        _rebase(root, before, _Update(write, chain, layout), operands[1:], kept[1:])
    except BaseException:
        np.copyto(root._data, before)  # without a history the new values must not be used
        raise


def set_values(target: TensorBase, values: TensorBase) -> None:
    """`target[...] = values`."""
    update(operator.setitem, target, (..., values), {})


def _kept(operands: Sequence[Any], arrays: Sequence[Any], root: TensorBase) -> list[Any]:
    """The operands as they are before the update, those in the same memory copied."""
    return [
        array.copy() if isinstance(x, TensorBase) and x._memory is root._memory else array
        for x, array in zip(operands, arrays, strict=True)
    ]


def view_chain(target: TensorBase) -> tuple[TensorBase, list[View]]:
    """The tensor that owns the history of the memory, and the views from it to the target."""
    chain: list[View] = []
    while target._view is not None:
        chain.insert(0, target._view)
        target = target._view.parent
    return target, chain


def _wants(x: Any) -> bool:
    return isinstance(x, TensorBase) and x._wants


def seen_through(array: Any, chain: Sequence[View]) -> Any:
    """What a chain of views makes of another array or tensor."""
    for view in chain:
        array = view.of(array)
    return array


class _Update:
    """An update as a function: from what memory held to what it holds, for tracing."""

    def __init__(self, write: Callable[..., Any], chain: Sequence[View], layout: Layout) -> None:
        self._write = write
        self._chain = chain
        self._layout = layout

    def key(self) -> tuple[Any, ...]:
        """Equal for updates that are the same function."""
        steps = [
            (
                view.function,
                view.layout.key,
                [x is view.parent for x in view.operands].index(True),
                view.result,
            )
            for view in self._chain
        ]
        return self._write, self._layout.key, tuple(steps)

    def others(self) -> list[Any]:
        """The operands of the chain besides the arrays that are viewed."""
        return [x for view in self._chain for x in view.operands if x is not view.parent]

    def __call__(self, root: Any, *operands: Any) -> Any:
        rest = iter(operands)
        array = root
        for view in self._chain:
            filled = [array if x is view.parent else next(rest) for x in view.operands]
            array = view.chosen(view.layout.call(view.function, filled))
        self._layout.call(self._write, [array, *rest])
        return root


def _rebase(
    root: TensorBase, before: Any, step: _Update, operands: Sequence[Any], arrays: Sequence[Any]
) -> None:
    """Make the update the last node of the root's history."""
    others = step.others()
    operands = [root, *others, *operands]
    arrays = [before, *map(data_of, others), *arrays]
    row_major = before.flags.c_contiguous
    types = [operand_type(x) for x in arrays]
    key = (step.key(), row_major, *types)
    call = CALLS.young.get(key) or CALLS.add(
        key, _name(step.key()[0]), step, types, row_major=row_major
    )
    wants = sum(1 << i for i, x in enumerate(operands) if _wants(x))
    pullback = call.pullback(wants)
    saved, memories = [], []
    for position in pullback.reads:
        x = operands[position] if position < len(arrays) else root
        array = arrays[position] if position < len(arrays) else root._data
        plain = not isinstance(x, TensorBase)
        saved.append(snapshot(array) if plain else array)
        guarded = not plain and array is x._data and not MODE.preserve
        memories.append(x._memory if guarded else None)
    inputs = [edge_of(x) for i, x in enumerate(operands) if wants >> i & 1]
    root._node = CallNode(call, pullback, inputs, saved, memories, place())
    root._slot, root._wants = 0, True


def _name(write: Callable[..., Any]) -> str:
    return getattr(write, "__name__", "update")


def _leaf_updated(root: TensorBase) -> DifferentiationError:
    return DifferentiationError(
        "a leaf that requires gradients is updated in place only where nothing is recorded",
        given=f"an update of a leaf of shape {root._data.shape}",
        hint="with tl.no_grad(): w -= 0.1 * w.grad; or compute a new tensor: w = w - ...",
    )
