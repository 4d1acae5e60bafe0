"""Windows of an array: `np.lib.stride_tricks.sliding_window_view`, with steps if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ....ir.errors import UnsupportedError
from ....ir.ops import convolution
from ..array import Concrete, Handle, TracedArray
from ..lift import emit_handles
from ..views import as_array, by_numpy
from .understood import Table


def windows(
    x: Any,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> TracedArray:
    """The op `windows` as a view that cannot be written through, as NumPy's."""
    array = as_array(x)
    attrs = {
        "axes": tuple(axes),
        "sizes": tuple(sizes),
        "strides": tuple(strides),
        "dilations": tuple(dilations),
    }

    def reader(handle: Handle) -> Handle:
        return emit_handles(convolution.windows, handle, **attrs)

    return array.make_view(reader, None, partial(_shown, attrs))


def _shown(attrs: dict[str, Any], source: Concrete) -> Concrete:
    assert convolution.windows.reference is not None
    shown: Concrete = convolution.windows.reference(source, **attrs)
    return shown


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> TracedArray:
    """`np.lib.stride_tricks.sliding_window_view` along distinct axes."""
    if writeable:
        raise UnsupportedError("windows of a traced array are only read", given="writeable=True")
    array = as_array(x)
    sizes = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    # NumPy checks the arguments, and says what is wrong with them.
    view = np.lib.stride_tricks.sliding_window_view
    by_numpy(view, np.broadcast_to(np.int8(0), array.shape), window_shape, axis)
    given = range(array.ndim) if axis is None else axis if np.iterable(axis) else (axis,)
    along = [number % array.ndim for number in given]
    if len(set(along)) != len(along):
        raise UnsupportedError("windows slide along distinct axes", given=f"axis={axis}")
    order = sorted(range(len(along)), key=along.__getitem__)
    ones = (1,) * len(along)
    sized = [int(sizes[i]) for i in order]
    result = windows(array, [along[i] for i in order], sized, ones, ones)
    positions, elements = convolution.window_axes(array.ndim, [along[i] for i in order])
    inner = [elements[order.index(i)] for i in range(len(order))]
    return np.transpose(result, (*positions, *inner))  # type: ignore


TABLE: Table = {np.lib.stride_tricks.sliding_window_view: sliding_window_view}
"""Functions that show windows."""
