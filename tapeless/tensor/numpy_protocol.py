"""Plain NumPy functions on tensors: `__array_ufunc__` and `__array_function__`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.trace.array import TracedArray
from .apply import apply
from .base import TensorBase
from .layout import NO_ARGUMENTS, lay_out
from .operators import apply_ufunc, as_operand
from .outputs import apply_into, remembered, split_out, storing, update_any

UPDATES: frozenset[Any] = frozenset(
    {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}
)
"""NumPy functions that write to their first argument."""


def apply_numpy_ufunc(
    like: type[TensorBase],
    ufunc: np.ufunc,
    method: str,
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """What NumPy gives for `ufunc(*inputs, **kwargs)`, or for `ufunc.method(...)`."""
    if any(isinstance(x, TracedArray) for x in inputs):
        return NotImplemented
    if method == "__call__" and not kwargs and len(inputs) == 2:
        return apply_ufunc(like, ufunc, *inputs)
    if method == "at":
        update_any(_at(ufunc), inputs[0], [as_operand_or_key(x) for x in inputs[1:]], kwargs)
        return None
    function = ufunc if method == "__call__" else _ufunc_method(ufunc, method)
    if any(target is not None for target in kwargs.get("out", ())):
        return _into(function, inputs, kwargs)
    return apply(like, function, *lay_out(inputs, kwargs))


def as_operand_or_key(x: Any) -> Any:
    """Operands of `ufunc.at`, whose second is an index."""
    return x if isinstance(x, tuple | slice | type(...) | None) else as_operand(x)


def _at(ufunc: np.ufunc) -> Callable[..., Any]:
    return remembered(("at", ufunc), ufunc.at, f"{ufunc.__name__}.at")


def _ufunc_method(ufunc: np.ufunc, method: str) -> Callable[..., Any]:
    return remembered((method, ufunc), getattr(ufunc, method), f"{ufunc.__name__}.{method}")


def _into(function: Callable[..., Any], inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A ufunc with `out=`."""
    outs = kwargs["out"]
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    if len(outs) == 1:
        update_any(storing(function), outs[0], inputs, rest)
        return outs[0]
    results = function(*inputs, **rest)
    return tuple(map(_store, outs, results))


def _store(out: Any, result: Any) -> Any:
    if out is None:
        return result
    update_any(operator.setitem, out, (..., result), {})
    return out


def apply_numpy_function(
    like: type[TensorBase],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """What NumPy gives for `function(*args, **kwargs)`."""
    if not kwargs and len(args) == 1 and args[0].__class__ is like:
        return apply(like, function, args, NO_ARGUMENTS)
    if function in UPDATES:
        update_any(function, args[0], args[1:], kwargs)
        return None
    if function is np.nan_to_num and _argument(1, "copy", args, kwargs, True) is False:
        update_any(function, args[0], (), {**kwargs, "copy": False})
        return args[0]
    out, args, kwargs = split_out(function, args, kwargs)
    if out is not None:
        return apply_into(function, out, args, kwargs)
    return apply(like, function, *lay_out(args, kwargs))


def _argument(
    position: int, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], default: Any
) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)
