"""`x[key]` and `x[key] = value` on tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .apply import apply
from .base import TensorBase
from .inplace import update
from .layout import lay_out


def getitem(x: TensorBase, key: Any) -> Any:
    """The elements of `x` at `key`: a view where NumPy makes one."""
    operands, layout = lay_out((x, _positions(key)), {})
    return apply(x.__class__, operator.getitem, operands, layout)


def setitem(x: TensorBase, key: Any, value: Any) -> None:
    """Replace the elements of `x` at `key`."""
    if isinstance(value, list | tuple | int | float):
        value = np.asarray(value)
    update(operator.setitem, x, (_positions(key), value), {})


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
