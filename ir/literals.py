"""Arrays as text: how the printer writes literals and the parser reads them, bit for bit.

Small arrays are lists of elements in the shortest decimal form that reads back exactly; arrays
that are long, or hold NaNs with a payload, are base64 of their little-endian row-major bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import GraphError
from .types import DType, TensorType

Array = np.ndarray[Any, Any]

READABLE_ELEMENTS = 16
"""Arrays up to this size are written element by element."""


def float_text(value: float) -> str:
    """The shortest decimal form of a Python float, signs of zero and NaN kept."""
    if value != value and np.signbit(value):
        return "-nan"
    return repr(float(value))


def _element_text(element: Any) -> str:
    if element.dtype.kind != "f" or element.dtype.itemsize == 8:
        return float_text(element) if element.dtype.kind == "f" else str(element)
    return "-nan" if element != element and np.signbit(element) else str(element)


def element_texts(array: Array) -> list[str]:
    """Every element in row-major order as `array_of` reads it."""
    return [_element_text(element) for element in array.reshape(-1)]


def _element(text: str, dtype: DType) -> bool | int | float:
    if dtype.kind == "b":
        return {"True": True, "False": False}[text]
    return float(text) if dtype.kind == "f" else int(text)


def array_of(type: TensorType, texts: Sequence[str]) -> Array:
    """The array of this type with the elements in `texts`; one element alone fills the array.

    Raises `GraphError` for a wrong number of elements or one that the type cannot hold.
    """
    if len(texts) not in (1, type.size):
        raise GraphError(f"{type} has {type.size} elements", given=str(len(texts)))
    try:
        values = [_element(text, type.dtype) for text in texts]
        flat = np.array(values, type.dtype)
    except (KeyError, ValueError, OverflowError) as error:
        raise GraphError(f"elements of a literal are {type.dtype}", given=str(error)) from None
    return np.broadcast_to(flat, type.size).reshape(type.shape)


def readable_texts(array: Array) -> list[str] | None:
    """The elements as text (one if all are the same), or None if base64 has to be used."""
    # Not ascontiguousarray, which would turn a scalar into a vector.
    flat = np.array(array, order="C").reshape(-1)
    bits = flat.view(f"u{flat.itemsize}")
    if flat.size > 1 and (bits == bits[0]).all():
        flat = flat[:1]
    if flat.size > READABLE_ELEMENTS:
        return None
    texts = element_texts(flat)
    again = array_of(TensorType(flat.dtype, flat.shape), texts)
    return texts if again.tobytes() == flat.tobytes() else None


def encode(array: Array) -> str:
    """Base64 of the little-endian row-major bytes."""
    data = array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()
    return base64.b64encode(data).decode("ascii")


def decode(type: TensorType, text: str) -> Array:
    """The array of this type from `encode`'s text; raises `GraphError` for damaged text."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise GraphError("array data is base64", given=str(error)) from None
    if len(data) != type.nbytes:
        raise GraphError(f"{type} takes {type.nbytes} bytes", given=f"{len(data)} bytes")
    array = np.frombuffer(data, type.dtype.newbyteorder("<")).reshape(type.shape)
    return array.astype(type.dtype)
