"""The methods of `numpy.ndarray` on tensors: NumPy's own methods of their arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..compiler.trace.methods import METHODS as TRACED
from .apply import apply
from .base import TensorBase
from .inplace import update
from .layout import lay_out
from .outputs import apply_into, split_out

IN_PLACE = frozenset({"fill", "put", "sort", "partition"})
"""Methods that write to their array and give nothing."""

WITHOUT_GRADIENT = frozenset(
    "argpartition argsort nonzero searchsorted tolist tobytes dump dumps tofile".split()
)
"""Methods besides the traced ones; what they give has no derivative."""


def called(name: str) -> Callable[..., Any]:
    """The function that calls the method `name` of its first argument."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    call.__name__ = name
    return call


def _method(name: str) -> Callable[..., Any]:
    function = called(name)
    model = getattr(np, name, function)  # has the parameters' names

    def method(self: TensorBase, *args: Any, **kwargs: Any) -> Any:
        arguments: Any = (self, *args)
        if args or kwargs:
            out, arguments, kwargs = split_out(model, arguments, kwargs)
            if out is not None:
                return apply_into(function, out, arguments, kwargs)
        return apply(self.__class__, function, *lay_out(arguments, kwargs))

    method.__name__ = name
    method.__doc__ = f"NumPy's `x.{name}(...)`."
    return method


def _in_place(name: str) -> Callable[..., Any]:
    function = called(name)

    def method(self: TensorBase, *args: Any, **kwargs: Any) -> None:
        update(function, self, args, kwargs)

    method.__name__ = name
    method.__doc__ = f"NumPy's `x.{name}(...)`, in place."
    return method


def methods() -> dict[str, Callable[..., Any]]:
    """Every method of arrays that tensors have as it is."""
    names = (set(TRACED) | WITHOUT_GRADIENT | IN_PLACE) - _OWN
    return {
        name: _in_place(name) if name in IN_PLACE else _method(name)
        for name in sorted(names)
        if hasattr(np.ndarray, name)
    }


_OWN = frozenset({"resize", "setfield", "setflags", "byteswap", "getfield"})
"""Methods that change what an array is, rather than its elements: tensors do not have them."""
