"""NumPy arrays that were written from tensors: the tensors that carry their history.

Only `f.dynamic` has them: the function that it runs is written for arrays, and may store what it
computes in one that it captured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import UnsupportedError
from .base import Array, TensorBase


class StandIns:
    """Tensors by the array that they stand for."""

    def __init__(self) -> None:
        # By id; the array is kept so that the id stays its own.
        self._known: dict[int, tuple[Array, TensorBase]] = {}

    def store(self, array: Array, tensor: TensorBase) -> None:
        """Write the values of `tensor`, which is of the array's type, and let it stand for it."""
        np.copyto(array, tensor._data)
        self._known[id(array)] = array, tensor

    def find(self, array: Array) -> Any:
        """What an operation reads for `array`: a tensor, or the array itself.

        Raises `UnsupportedError` for another array on the same memory.
        """
        known = self._known.get(id(array))
        if known is not None:
            if np.array_equal(known[1]._data, array, equal_nan=array.dtype.kind == "f"):
                return known[1]
            del self._known[id(array)]  # it was changed since, by NumPy alone
            return array
        for other, tensor in self._known.values():
            if tensor._wants and np.may_share_memory(other, array):
                raise UnsupportedError(
                    "an array that a transformed function stores results in is read by one name",
                    given=f"two arrays of shapes {other.shape} and {array.shape} on one memory",
                    hint="take the view where it is read",
                )
        return array
