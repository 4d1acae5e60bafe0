"""The hot path: NumPy runs a call on the arrays of tensors, and it is noted for the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..compiler.trace.context import TRACES, current_trace, foreign_refused
from ..ir.errors import UnsupportedError
from ..ir.pytree import flatten
from .base import TensorBase, View, data_of, kind_of
from .calls import CALLS, Call, check_results
from .derive import operand_type
from .layout import Layout, Position
from .modes import MODE
from .node import attach

NUMBERS = frozenset({int, float, bool})
"""Python numbers that are operands of arithmetic: weak, and no part of a call's key."""

NUMBER, POSITION = 0, -1
_PYTHON = {int: NUMBER, float: NUMBER, bool: NUMBER, Position: POSITION}
"""What stands for them, and for positions, in a key, where arrays have their kind."""


def apply(
    like: type[TensorBase],
    function: Callable[..., Any],
    operands: Sequence[Any],
    layout: Layout | None = None,
) -> Any:
    """`function(*operands)`, or `layout.call(function, operands)`; tensors of class `like`."""
    if TRACES.traces:
        operands = inside_trace(like, operands)
    arrays: list[Any] = []
    wants, bit = 0, 1
    for x in operands:
        if x.__class__ is like:
            if x._view is not None:
                refresh(x)
            if x._wants:
                wants |= bit
            arrays.append(x._data)
        else:
            arrays.append(x)
        bit <<= 1
    result = function(*arrays) if layout is None else layout.call(function, arrays)
    if result.__class__ is not np.ndarray and not isinstance(result, np.generic):
        return _apply_many(like, function, operands, arrays, layout, wants, result)
    made = like._of(result)
    if layout is not None and result.__class__ is np.ndarray:
        _link((made,), None, function, operands, arrays, layout)
    if wants and MODE.grad and result.dtype.kind in "fcO":
        call = _known_call(function, layout, operands, (result,))
        attach(call, (made,), operands, wants)
    return made


def inside_trace(like: type[TensorBase], operands: Sequence[Any]) -> Sequence[Any]:
    """The operands of a call inside `f.dynamic`; refused inside a function that is compiled."""
    require_values(like)
    known = MODE.stand_ins
    if known is None:
        return operands
    return [known.find(x) if x.__class__ is np.ndarray else x for x in operands]


def _apply_many(
    like: type[TensorBase],
    function: Callable[..., Any],
    operands: Sequence[Any],
    arrays: Sequence[Any],
    layout: Layout | None,
    wants: int,
    result: Any,
) -> Any:
    """The same for results that are several arrays, or none."""
    if wants and MODE.grad and result.__class__ is float:
        return _number(like, function, operands, layout, wants, result)
    leaves, tree = flatten(result)
    found = [x for x in leaves if isinstance(x, np.ndarray | np.generic)]
    if not found:
        return result
    made = [like._of(x) for x in found]
    if layout is not None:
        _link(made, leaves, function, operands, arrays, layout)
    if wants and MODE.grad and any(x.dtype.kind in "fcO" for x in found):
        attach(_known_call(function, layout, operands, found), made, operands, wants)
    remaining = iter(made)
    return tree.unflatten(
        [next(remaining) if isinstance(x, np.ndarray | np.generic) else x for x in leaves]
    )


def _number(
    like: type[TensorBase],
    function: Callable[..., Any],
    operands: Sequence[Any],
    layout: Layout | None,
    wants: int,
    result: float,
) -> TensorBase:
    """The result of Python's arithmetic on tensors that are Python numbers, which is one again."""
    made: TensorBase = like._of(result)
    attach(_known_call(function, layout, operands, (np.float64(result),)), (made,), operands, wants)
    made._kind = NUMBER
    return made


def _known_call(
    function: Callable[..., Any],
    layout: Layout | None,
    operands: Sequence[Any],
    results: Sequence[Any],
) -> Call:
    """What is known of a call that just gave `results`."""
    parts: list[Any] = [function, None if layout is None else layout.key]
    for x in operands:
        if isinstance(x, TensorBase):
            parts.append(x._kind or _kind(x))
        elif x.__class__ in _PYTHON:
            parts.append(_PYTHON[x.__class__])
        elif isinstance(x, np.ndarray) and x.__class__ is not np.ndarray:
            raise not_plain(x)
        else:
            parts.append(kind_of(x))
    key = tuple(parts)
    call = CALLS.young.get(key)
    if call is None:
        call = _new_call(key, function, layout, operands)
        check_results(call, results)
    return call


def not_plain(x: Any) -> UnsupportedError:
    """The error for arrays of other classes than NumPy's own."""
    return UnsupportedError(
        "operands of tensors are plain numpy.ndarray",
        given=type(x).__name__,
        hint="convert with np.asarray(x) if its extra behaviour is not needed",
    )


def _kind(x: TensorBase) -> int:
    x._kind = NUMBER if x._data.__class__ is float else kind_of(x._data)
    return x._kind


def _new_call(
    key: Any, function: Callable[..., Any], layout: Layout | None, operands: Sequence[Any]
) -> Call:
    arrays = [data_of(x) for x in operands]
    types = [operand_type(x) for x in arrays]

    def run(*traced: Any) -> Any:
        return function(*traced) if layout is None else layout.call(function, traced)

    name = getattr(function, "__name__", type(function).__name__)
    try:
        return CALLS.add(key, name, run, types)
    except UnsupportedError as error:
        raise UnsupportedError(
            f"gradients are of calls that can be compiled: {error.requirement}",
            given=error.given,
            hint="use x.detach() or tl.no_grad where no gradient is needed",
        ) from None


def _link(
    made: Sequence[TensorBase],
    leaves: Sequence[Any] | None,
    function: Callable[..., Any],
    operands: Sequence[Any],
    arrays: Sequence[Any],
    layout: Layout,
) -> None:
    """Say which results are views of operands; `leaves` are all of them if there are several."""
    for tensor in made:
        data = tensor._data
        if data.base is None and all(data is not array for array in arrays):
            continue
        for x, array in zip(operands, arrays, strict=True):
            if isinstance(x, TensorBase) and np.may_share_memory(data, array):
                number = None if leaves is None else [leaf is data for leaf in leaves].index(True)
                tensor._memory = x._memory
                tensor._view = View(
                    x, function, operands, layout, x._memory.written, MODE.grad, number
                )
                break


def refresh(x: TensorBase) -> None:
    """Bring the history of a view up to date with the updates of what it is a view of."""
    view = x._view
    assert view is not None
    if view.seen == x._memory.written:
        return
    before, MODE.grad = MODE.grad, view.recorded or x._memory.rebased > view.seen
    try:
        again = view.chosen(apply(type(x), view.function, view.operands, view.layout))
    finally:
        MODE.grad = before
    x._data, x._memory = again._data, again._memory
    x._node, x._slot, x._wants = again._node, again._slot, again._wants
    view.seen = x._memory.written


def require_values(like: type[TensorBase]) -> None:
    """Raise `TraceError` inside a function that is compiled: values would become constants."""
    trace = current_trace()
    if trace is not None and not trace.at_once:
        raise foreign_refused(like)
