"""What the functions here ask of an array beyond NumPy's own functions.

An array is NumPy's, or what stands for one: a traced array, or a Tensor, which answers to NumPy's
protocol for functions and so can be asked for any function of arrays. The few functions here, and
no others, look at which it is.

`one_call` marks functions that such an array is asked for as a whole: NumPy runs them on bare
arrays, and the graph of a Tensor has one node for them. They are pure, and hold no state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from ..compiler.trace.array import TracedArray
from ..compiler.trace.functions.windows import windows as traced_windows
from ..compiler.trace.lift import emit
from ..compiler.trace.views import as_array as traced_array
from ..ir.ops import OPS, convolution

Array: TypeAlias = Any
"""A NumPy array, or what stands for one."""

Extents: TypeAlias = tuple[int, ...]

Function = TypeVar("Function", bound=Callable[..., Any])

_KNOWN = (np.ndarray, np.generic, TracedArray, int, float)


def as_array(x: Any) -> Array:
    """`x` as an array."""
    if isinstance(x, TracedArray):
        return traced_array(x)
    return x if _answers(x) else np.asarray(x)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of what NumPy makes one of."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def floating(x: Any) -> Array:
    """`x` as an array of floats: integers and booleans become float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def logistic(x: Array) -> Array:
    """1 / (1 + e⁻ˣ) of an array of floats, as one operation."""
    if isinstance(x, TracedArray):
        return emit("logistic", x)
    if _answers(x):
        return _ask(logistic, x)
    reference = OPS["logistic"].reference
    assert reference is not None
    return reference(x)


def windows_along(
    x: Array, axes: Extents, sizes: Extents, strides: Extents, dilations: Extents
) -> Array:
    """The op `windows`: behind each of `axes` one more, of the elements of each window."""
    if isinstance(x, TracedArray):
        return traced_windows(x, axes, sizes, strides, dilations)
    if _answers(x):
        return _ask(windows_along, x, axes, sizes, strides, dilations)
    assert convolution.windows.reference is not None
    attrs = {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}
    return convolution.windows.reference(x, **attrs)


def one_call(function: Function) -> Function:
    """`function`, for which an array of another kind, as first argument, is asked as a whole."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and _answers(args[0]):
            return _ask(function, *args, **kwargs)
        return function(*args, **kwargs)

    return cast(Function, call)


def _answers(x: Any) -> bool:
    """Whether `x` is an array of another kind than NumPy's and traced ones."""
    return not isinstance(x, _KNOWN) and hasattr(type(x), "__array_function__")


def _ask(function: Callable[..., Any], x: Array, *args: Any, **kwargs: Any) -> Array:
    """`function(x, *args, **kwargs)` as x computes it."""
    return x.__array_function__(function, (type(x),), (x, *args), kwargs)
