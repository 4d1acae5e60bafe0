"""Tensor types: an element type and a static shape.

Every value of the IR has exactly one `TensorType`. Element types are NumPy dtypes in native byte
order; `DTYPE_NAMES` is the complete list of those that programs may contain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DTypeError

DType = np.dtype[Any]
Shape = tuple[int, ...]

DTYPE_NAMES: dict[str, DType] = {
    "bool": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "u32": np.dtype(np.uint32),
    "u64": np.dtype(np.uint64),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}
"""IR spelling of every element type, e.g. `f32` for `float32`."""

_NAME_OF = {dtype: name for name, dtype in DTYPE_NAMES.items()}

BOOL = DTYPE_NAMES["bool"]
INT64 = DTYPE_NAMES["i64"]
FLOAT32 = DTYPE_NAMES["f32"]
FLOAT64 = DTYPE_NAMES["f64"]


def dtype_name(dtype: DType) -> str:
    """The IR spelling of `dtype`; raises `DTypeError` for one that programs cannot hold."""
    try:
        return _NAME_OF[dtype]
    except KeyError:
        raise DTypeError(
            "array elements must be booleans, integers, float32 or float64",
            given=f"dtype {dtype!s}",
            hint="convert the array first, for example with .astype(np.float64)",
        ) from None


def is_float(dtype: DType) -> bool:
    """True for float32 and float64, the element types that have derivatives."""
    return dtype.kind == "f"


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a value: `dtype` and a static `shape` (row-major; `()` is a scalar)."""

    dtype: DType
    shape: Shape = ()

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of a contiguous array of this type."""
        return self.size * self.dtype.itemsize

    def with_shape(self, shape: Shape) -> TensorType:
        """The same element type with another shape."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another element type."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{dtype_name(self.dtype)}[{','.join(map(str, self.shape))}]"


def type_of(array: np.ndarray[Any, Any] | np.generic) -> TensorType:
    """The type of a NumPy array or scalar in native byte order."""
    return TensorType(array.dtype.newbyteorder("="), array.shape)
