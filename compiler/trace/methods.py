"""The methods of `numpy.ndarray` on traced arrays, in terms of the NumPy functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...ir.errors import UnsupportedError
from .array import Kind, TracedArray
from .functions import HINTS, apply_function
from .lift import convert
from .views import fresh, rearranged


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is a NumPy function of the array."""

    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        return apply_function(function, (self, *args), kwargs)

    return method


def reshape(self: TracedArray, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    """`x.reshape(2, 3)` or `x.reshape((2, 3))`."""
    target = shape[0] if len(shape) == 1 else shape
    return apply_function(np.reshape, (self, target), {"order": order, "copy": copy})


def transpose(self: TracedArray, *axes: Any) -> Any:
    """`x.transpose()`, `x.transpose(1, 0)` or `x.transpose((1, 0))`."""
    order = (axes[0] if len(axes) == 1 else axes) if axes else None
    return apply_function(np.transpose, (self, order), {})


def astype(
    self: TracedArray,
    dtype: Any,
    order: str = "K",
    casting: str = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    """`x.astype(dtype)`."""
    return apply_function(np.astype, (self, dtype), {"copy": copy, "casting": casting})


def copy(self: TracedArray, order: str = "C") -> Any:
    """`x.copy()`: row-major, unlike `np.copy(x)`."""
    return fresh(self, self.kind, contiguous=True if order == "C" else None)


def flatten(self: TracedArray, order: str = "C") -> Any:
    """`x.flatten()`: always a copy."""
    return fresh(apply_function(np.ravel, (self,), {"order": order}), contiguous=True)


def fill(self: TracedArray, value: Any) -> None:
    """`x.fill(value)`."""
    self[...] = convert(value, self.dtype)


def put(self: TracedArray, indices: Any, values: Any, mode: str = "raise") -> None:
    """`x.put(indices, values)`."""
    apply_function(np.put, (self, indices, values), {"mode": mode})


def choose(self: TracedArray, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """`i.choose(choices)`."""
    return apply_function(np.choose, (self, choices), {"out": out, "mode": mode})


def compress(self: TracedArray, condition: Any, axis: Any = None, out: Any = None) -> Any:
    """`x.compress(condition)`."""
    return apply_function(np.compress, (condition, self), {"axis": axis, "out": out})


def conjugate(self: TracedArray) -> TracedArray:
    """`x.conj()`: the array itself, as elements are real."""
    return self


def view(self: TracedArray, *args: Any, **kwargs: Any) -> TracedArray:
    """`x.view()`: another array on the same storage; elements are not reinterpreted."""
    if args or kwargs:
        raise UnsupportedError(
            "x.view() takes no arguments here", given=f"{args or kwargs}", hint="use x.astype(...)"
        )
    shown = rearranged(self, lambda source: source[...])
    return shown if self.kind is Kind.ARRAY else fresh(shown, self.kind)


def _unsupported(name: str) -> Callable[..., Any]:
    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            "methods of traced arrays are among those that tapeless understands",
            given=f".{name}()",
            hint=HINTS.get(f"np.{name}", "compute it outside the compiled function"),
        )

    return method


_FUNCTIONS = (
    "sum prod max min mean var std all any argmax argmin cumsum cumprod trace diagonal "
    "dot clip round take repeat squeeze swapaxes ravel"
).split()
UNSUPPORTED = frozenset(
    (
        "sort argsort partition argpartition searchsorted nonzero resize byteswap dump dumps "
        "tofile getfield setfield setflags"
    ).split()
)
"""Methods that are refused by name."""

METHODS: Mapping[str, Callable[..., Any]] = {
    **{name: _like(getattr(np, name)) for name in _FUNCTIONS},
    **{name: _unsupported(name) for name in UNSUPPORTED},
    "reshape": reshape,
    "transpose": transpose,
    "astype": astype,
    "copy": copy,
    "flatten": flatten,
    "fill": fill,
    "put": put,
    "choose": choose,
    "compress": compress,
    "conj": conjugate,
    "conjugate": conjugate,
    "view": view,
}
"""Every method of `numpy.ndarray` that traced arrays answer, if only with an error."""
