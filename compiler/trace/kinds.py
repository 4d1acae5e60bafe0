"""What a traced value stands for: an array, a NumPy scalar, or a Python number."""

from __future__ import annotations

import enum

import numpy as np

from ...ir.types import DType


class Kind(enum.Enum):
    """What NumPy or Python would hold: an array, a NumPy scalar, or a (weak) Python number."""

    ARRAY = "array"
    SCALAR = "scalar"
    BOOL = "bool"
    INT = "int"
    FLOAT = "float"

    @property
    def weak(self) -> bool:
        """True for Python numbers, which take the element type of the other operand (NEP 50)."""
        return self in WEAK_DTYPES


WEAK_DTYPES: dict[Kind, DType] = {
    Kind.BOOL: np.dtype(np.bool_),
    Kind.INT: np.dtype(np.int64),
    Kind.FLOAT: np.dtype(np.float64),
}
"""The element type of a Python number that meets no array."""
