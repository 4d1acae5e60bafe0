"""Plain NumPy functions on tensors: `__array_ufunc__` and `__array_function__`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.trace.array import TracedArray
from ..ir.errors import DifferentiationError
from .apply import apply
from .base import TensorBase
from .inplace import update
from .layout import lay_out
from .modes import MODE
from .operators import apply_ufunc, as_operand

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
    if method == "at":
        update_any(_at(ufunc), inputs[0], [as_operand_or_key(x) for x in inputs[1:]], kwargs)
        return None
    function = ufunc if method == "__call__" else _ufunc_method(ufunc, method)
    out = kwargs.get("out")
    if out is not None and any(target is not None for target in out):
        return _into(function, inputs, kwargs)
    if method == "__call__" and not kwargs:
        if len(inputs) == 2:
            return apply_ufunc(like, ufunc, *inputs)
        return apply(like, ufunc, *lay_out([as_operand(x) for x in inputs], {}))
    return apply(like, function, *lay_out(inputs, kwargs))


def as_operand_or_key(x: Any) -> Any:
    """Operands of `ufunc.at`, whose second is an index."""
    return x if isinstance(x, tuple | slice | type(...) | None) else as_operand(x)


def _at(ufunc: np.ufunc) -> Callable[..., Any]:
    return _remembered(("at", ufunc), ufunc.at, f"{ufunc.__name__}.at")


def _ufunc_method(ufunc: np.ufunc, method: str) -> Callable[..., Any]:
    return _remembered((method, ufunc), getattr(ufunc, method), f"{ufunc.__name__}.{method}")


_KNOWN: dict[Any, Callable[..., Any]] = {}


def _remembered(key: Any, bound: Callable[..., Any], name: str) -> Callable[..., Any]:
    """One function per method of a ufunc, as bound methods are new objects each time."""
    if key not in _KNOWN:

        def call(*args: Any, **kwargs: Any) -> Any:
            return bound(*args, **kwargs)

        call.__name__ = name
        _KNOWN[key] = call
    return _KNOWN[key]


def _into(function: Callable[..., Any], inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A ufunc with `out=`."""
    outs = kwargs["out"]
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    if len(outs) == 1:
        update_any(_storing(function), outs[0], inputs, rest)
        return outs[0]
    results = function(*inputs, **rest)
    return tuple(map(_store, outs, results))


def _storing(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(target: Any, *inputs: Any, **kwargs: Any) -> Any:
        function(*inputs, out=target, **kwargs)

    name = getattr(function, "__name__", "ufunc")
    return _remembered(("out", function), call, f"{name}(out=)")


def _store(out: Any, result: Any) -> Any:
    if out is None:
        return result
    update_any(operator.setitem, out, (..., result), {})
    return out


def update_any(
    write: Callable[..., Any], target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """`write(target, *args, **kwargs)` on a tensor, or on an array that cannot carry history."""
    if isinstance(target, TensorBase):
        return update(write, target, args, kwargs)
    operands, layout = lay_out((target, *args), kwargs)
    tensors = [x for x in operands if isinstance(x, TensorBase)]
    if not MODE.grad or not any(x._wants for x in tensors):
        layout.call(write, [x._data if isinstance(x, TensorBase) else x for x in operands])
        return None
    if MODE.stand_ins is None:
        raise DifferentiationError(
            "what is computed from tensors that require gradients is stored in a tensor",
            given=f"a numpy.ndarray of shape {target.shape} that is written to",
            hint="make it one with tl.Tensor(array), or detach the operands",
        )
    found = MODE.stand_ins.find(target)
    standing = found if isinstance(found, TensorBase) else type(tensors[0])._of(target.copy())
    update(write, standing, args, kwargs)
    MODE.stand_ins.store(target, standing)
    return None


def apply_numpy_function(
    like: type[TensorBase],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """What NumPy gives for `function(*args, **kwargs)`."""
    if function in UPDATES:
        update_any(function, args[0], args[1:], kwargs)
        return None
    out = kwargs.get("out")
    if out is None:
        return apply(like, function, *lay_out(args, kwargs))
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    result = apply(like, function, *lay_out(args, rest))
    target = out[0] if isinstance(out, tuple) else out
    return _store(target, result)
