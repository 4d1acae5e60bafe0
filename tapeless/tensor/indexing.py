"""`x[key]` and `x[key] = value` on tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .apply import apply
from .base import TensorBase
from .inplace import update
from .layout import Position, lay_out


def getitem(x: TensorBase, key: Any) -> Any:
    """The elements of `x` at `key`: a view where NumPy makes one."""
    operands, layout = lay_out((x, _positions(_on_long_axes(x, key))), {})
    return apply(x.__class__, operator.getitem, operands, layout)


def setitem(x: TensorBase, key: Any, value: Any) -> None:
    """Replace the elements of `x` at `key`."""
    if isinstance(value, list | tuple | int | float):
        value = np.asarray(value)
    update(operator.setitem, x, (_positions(key), value), {})


LONG = 16
"""Extent of an axis from which on positions along it are operands: a call serves all of them."""


def _on_long_axes(x: TensorBase, key: Any) -> Any:
    """The key with integers made positions where there are many to choose from.

    Other integers are part of the call, which then runs faster backward.
    """
    shape = x._data.shape
    if key.__class__ is int:
        return Position(key) if shape and shape[0] >= LONG else key
    if key.__class__ is tuple and len(key) <= len(shape) and all(_is_plain(part) for part in key):
        return tuple(
            Position(part) if part.__class__ is int and extent >= LONG else part
            for part, extent in zip(key, shape, strict=False)
        )
    return key


def _is_plain(part: Any) -> bool:
    return part.__class__ is int or part.__class__ is slice


def _positions(key: Any) -> Any:
    """The key with masks replaced by the positions where they hold: shapes follow from these."""
    if isinstance(key, tuple):
        if not any(_is_mask(part) for part in key):
            return key
        return tuple(
            position
            for part in key
            for position in (np.nonzero(_array(part)) if _is_mask(part) else (part,))
        )
    return np.nonzero(_array(key)) if _is_mask(key) else key


def _array(x: Any) -> Any:
    return x._data if isinstance(x, TensorBase) else x


def _is_mask(part: Any) -> bool:
    array = _array(part)
    return isinstance(array, np.ndarray) and array.dtype == np.bool_ and array.ndim > 0
