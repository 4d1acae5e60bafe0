"""The methods of `numpy.ndarray` on tensors: NumPy's own methods of their arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .apply import apply
from .base import TensorBase
from .inplace import update
from .layout import NO_ARGUMENTS, lay_out
from .operators import Operators
from .outputs import apply_into, split_out


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
        if not args and not kwargs:
            return apply(self.__class__, function, (self,), NO_ARGUMENTS)
        out, given, named = split_out(model, (self, *args), kwargs)
        if out is not None:
            return apply_into(function, out, given, named)
        return apply(self.__class__, function, *lay_out(given, named))

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


class Methods(Operators):
    """The methods of arrays; those that change what an array is, not its elements, are missing."""

    __slots__ = ()

    all = _method("all")
    any = _method("any")
    argmax = _method("argmax")
    argmin = _method("argmin")
    argpartition = _method("argpartition")
    argsort = _method("argsort")
    astype = _method("astype")
    choose = _method("choose")
    clip = _method("clip")
    compress = _method("compress")
    conj = _method("conj")
    conjugate = _method("conjugate")
    copy = _method("copy")
    cumprod = _method("cumprod")
    cumsum = _method("cumsum")
    diagonal = _method("diagonal")
    dot = _method("dot")
    fill = _in_place("fill")
    flatten = _method("flatten")
    max = _method("max")
    mean = _method("mean")
    min = _method("min")
    nonzero = _method("nonzero")
    partition = _in_place("partition")
    prod = _method("prod")
    put = _in_place("put")
    ravel = _method("ravel")
    repeat = _method("repeat")
    reshape = _method("reshape")
    round = _method("round")
    searchsorted = _method("searchsorted")
    sort = _in_place("sort")
    squeeze = _method("squeeze")
    std = _method("std")
    sum = _method("sum")
    swapaxes = _method("swapaxes")
    take = _method("take")
    tobytes = _method("tobytes")
    tofile = _method("tofile")
    tolist = _method("tolist")
    trace = _method("trace")
    transpose = _method("transpose")
    var = _method("var")
    view = _method("view")

    def mm(self, other: Any) -> Any:
        """The matrix product, `x @ other`, by the name that the lecture uses."""
        return self @ other

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """`x.clip(min, max)`, by the name that the lecture uses."""
        return self.clip(min, max)
