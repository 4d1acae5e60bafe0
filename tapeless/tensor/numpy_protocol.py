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
        update(_at(ufunc), inputs[0], [as_operand_or_key(x) for x in inputs[1:]], kwargs)
        return None
    function = ufunc if method == "__call__" else _ufunc_method(ufunc, method)
    out = kwargs.get("out")
    if out is not None and out != (None,) * len(out):
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


def _into(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """A ufunc with `out=`: computed, then stored in its targets."""
    outs = kwargs["out"]
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    if len(outs) == 1 and isinstance(outs[0], TensorBase):
        update(_storing(function), outs[0], inputs, rest)
        return outs[0]
    results = function(*inputs, **rest)
    several = results if isinstance(results, tuple) else (results,)
    delivered = tuple(map(_store, outs, several))
    return delivered if isinstance(results, tuple) else delivered[0]


def _storing(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(target: Any, *inputs: Any, **kwargs: Any) -> Any:
        function(*inputs, out=target, **kwargs)

    name = getattr(function, "__name__", "ufunc")
    return _remembered(("out", function), call, f"{name}(out=)")


def _store(out: Any, result: Any) -> Any:
    if out is None:
        return result
    if isinstance(out, TensorBase):
        update(operator.setitem, out, (..., result), {})
        return out
    store_plainly(out, result)
    return out


def store_plainly(out: Any, result: Any) -> None:
    """Write the values of a tensor to a NumPy array, which cannot carry its history."""
    if isinstance(result, TensorBase):
        if result._wants:
            raise DifferentiationError(
                "what is computed from tensors that require gradients is stored in a tensor",
                given=f"out= a numpy.ndarray of shape {out.shape}",
                hint="make it one with tl.Tensor(array), or detach the operands",
            )
        result = result._data
    np.copyto(out, result, casting="same_kind")


def apply_numpy_function(
    like: type[TensorBase],
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """What NumPy gives for `function(*args, **kwargs)`."""
    if function in UPDATES:
        if isinstance(args[0], TensorBase):
            update(function, args[0], args[1:], kwargs)
            return None
        return store_plainly(args[0], args[1])
    out = kwargs.get("out")
    if out is None:
        return apply(like, function, *lay_out(args, kwargs))
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    result = apply(like, function, *lay_out(args, rest))
    target = out[0] if isinstance(out, tuple) else out
    return _store(target, result)
