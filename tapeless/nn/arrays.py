"""What the functions here ask of an array beyond NumPy's own functions.

An array is NumPy's, or what stands for one: a traced array, or a Tensor, which answers to NumPy's
protocol for functions and so can be asked for any function of arrays: `one_call` marks those that
it is asked for as a whole. NumPy runs them on bare arrays, and the graph of a Tensor has one node
for them. They are pure. No other file looks at which kind of array it has.
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


def is_traced(x: Any) -> bool:
    """Whether `x` stands for values that are known only when the program runs."""
    return isinstance(x, TracedArray)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of what NumPy makes one of."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def floating(x: Any) -> Array:
    """`x` as an array of floats: integers and booleans become float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _answers(x: Any) -> bool:
    """Whether `x` is an array of another kind than NumPy's and traced ones."""
    return not isinstance(x, _KNOWN) and hasattr(type(x), "__array_function__")


def one_call(function: Function) -> Function:
    """`function`, for which an array of another kind among the arguments is asked as a whole."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if _answers(x):
                return x.__array_function__(function, (type(x),), args, kwargs)
        return function(*args, **kwargs)

    return cast(Function, call)


@one_call
def logistic(x: Array) -> Array:
    """1 / (1 + e⁻ˣ) of an array of floats, as one operation."""
    if isinstance(x, TracedArray):
        return emit("logistic", x)
    reference = OPS["logistic"].reference
    assert reference is not None
    return reference(x)


@one_call
def windows_along(
    x: Array, axes: Extents, sizes: Extents, strides: Extents, dilations: Extents
) -> Array:
    """The op `windows`: behind each of `axes` one more, of the elements of each window."""
    if isinstance(x, TracedArray):
        return traced_windows(x, axes, sizes, strides, dilations)
    assert convolution.windows.reference is not None
    attrs = {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}
    return convolution.windows.reference(x, **attrs)
