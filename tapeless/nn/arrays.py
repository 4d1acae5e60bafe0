"""What the functions here ask of an array beyond NumPy's own functions.

An array is NumPy's, or what stands for one while a function is traced. These few functions, and no
others, look at which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ..compiler.trace.array import TracedArray
from ..compiler.trace.functions.windows import windows as traced_windows
from ..compiler.trace.lift import emit
from ..compiler.trace.views import as_array as traced_array
from ..ir.ops import OPS, convolution

Array: TypeAlias = Any
"""A NumPy array, or what stands for one."""


def as_array(x: Any) -> Array:
    """`x` as an array."""
    return traced_array(x) if isinstance(x, TracedArray) else np.asarray(x)


def floating(x: Any) -> Array:
    """`x` as an array of floats: integers and booleans become float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def logistic(x: Array) -> Array:
    """1 / (1 + e⁻ˣ) of an array of floats, as one operation."""
    if isinstance(x, TracedArray):
        return emit("logistic", x)
    reference = OPS["logistic"].reference
    assert reference is not None
    return reference(x)


def windows_along(
    x: Array,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Array:
    """The op `windows`: behind each of `axes` one more, of the elements of each window."""
    if isinstance(x, TracedArray):
        return traced_windows(x, axes, sizes, strides, dilations)
    assert convolution.windows.reference is not None
    attrs = {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}
    return convolution.windows.reference(x, **attrs)
