"""Operands of LLVM instructions, the spelling of types, and exact constants.

A type is its LLVM text ("float", "<16 x float>", "i64", "ptr"). One lane is always the scalar type:
``vector_type("float", 1) == "float"``, never ``<1 x float>``, so that an emitter written for
vectors also gives scalar code.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

FLOAT_BITS = {"half": 16, "float": 32, "double": 64}
_INTRINSIC_NAMES = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64", "ptr": "p0"}


@dataclass(frozen=True, slots=True)
class Operand:
    """An SSA value or a constant: its type's text and its own ("%12", "splat (i64 3)")."""

    type: str
    text: str

    @property
    def element(self) -> str:
        """The type's text without the vector: "float" for "<16 x float>"."""
        return _parts(self.type)[0]

    @property
    def lanes(self) -> int:
        """How many elements: 1 for a scalar."""
        return _parts(self.type)[1]

    @property
    def bits(self) -> int:
        """Width of one element in bits."""
        return element_bits(self.element)

    @property
    def is_constant(self) -> bool:
        """Whether the text is a literal (globals count as values)."""
        return self.text[0] not in "%@"


@cache
def _parts(type_: str) -> tuple[str, int]:
    if type_[0] != "<":
        return type_, 1
    count, _, element = type_[1:-1].partition(" x ")
    return element, int(count)


@cache
def vector_type(element: str, lanes: int) -> str:
    """The type of ``lanes`` elements; the element's own type for one lane."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


@cache
def element_bits(element: str) -> int:
    """Width in bits of a float or integer type; pointers are taken as 64-bit."""
    if element == "ptr":
        return 64
    return FLOAT_BITS[element] if element in FLOAT_BITS else int(element[1:])


@cache
def intrinsic_suffix(type_: str) -> str:
    """How a type is spelled in an overloaded intrinsic's name: "v16f32", "i64", "v8p0"."""
    element, lanes = _parts(type_)
    name = _INTRINSIC_NAMES.get(element, element)
    return name if type_[0] != "<" else f"v{lanes}{name}"


@cache
def mask_type(type_: str) -> str:
    """The type of a comparison of two values of ``type_``."""
    return vector_type("i1", _parts(type_)[1])


def scalar_text(element: str, value: bool | int | float | None) -> str:
    """The exact literal of ``value`` in ``element``; integers wrap to the width.

    Floats are written as bit patterns (LLVM Language Reference, "Simple Constants"): a float32 as
    the hexadecimal of the float64 with the same value, a float16 as 0xH and its own bits.
    """
    if element == "ptr":
        return "null" if value is None else f"inttoptr (i64 {int(value)} to ptr)"
    assert value is not None
    if element == "double":
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    if element == "float":
        widened = _rounded(float(value), "<f")
        return f"0x{struct.unpack('<Q', struct.pack('<d', widened))[0]:016X}"
    if element == "half":
        narrow = struct.pack("<e", _rounded(float(value), "<e"))
        return f"0xH{struct.unpack('<H', narrow)[0]:04X}"
    if element == "i1":
        return "true" if value else "false"
    width = element_bits(element)
    wrapped = int(value) & ((1 << width) - 1)
    return str(wrapped - (1 << width) if wrapped >> (width - 1) else wrapped)


def _rounded(value: float, layout: str) -> float:
    """``value`` rounded to the narrower format, overflowing to infinity as IEEE 754 says."""
    try:
        return float(struct.unpack(layout, struct.pack(layout, value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


@lru_cache(maxsize=4096)
def _constant(type_: str, text: str) -> Operand:
    element, _ = _parts(type_)
    return Operand(type_, text if type_[0] != "<" else f"splat ({element} {text})")


def constant(type_: str, value: bool | int | float | None) -> Operand:
    """``value`` as a constant of ``type_``; a splat when that is a vector."""
    return _constant(type_, scalar_text(_parts(type_)[0], value))


def vector_constant(element: str, values: Sequence[bool | int | float]) -> Operand:
    """A constant vector with the given elements (a scalar for one value)."""
    if len(values) == 1:
        return constant(element, values[0])
    items = ", ".join(f"{element} {scalar_text(element, value)}" for value in values)
    return Operand(vector_type(element, len(values)), f"<{items}>")
