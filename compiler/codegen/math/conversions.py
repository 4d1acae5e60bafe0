"""Float-to-integer conversion with NumPy's results.

LLVM leaves conversions out of range undefined (Language Reference, ``fptosi``); they are guarded
here. The values are those of NumPy 2 on x86-64, on any target.
"""

from __future__ import annotations

from ..assembly import Function
from ..operand import Operand, element_bits
from .vec import Vec, all_of, choose


def _guarded(v: Vec, width: int) -> Vec:
    """v towards zero as a signed integer; the least one for NaN and out of range (x86's cvtt)."""
    limit = 2.0 ** (width - 1)
    form = v.format
    exact = form.precision < width  # then no float lies between -limit - 1 and -limit
    above = v.ge(-limit) if exact else v.gt(-limit - 1.0)
    within = all_of(above, v.lt(limit))
    converted = choose(within, v, v.like(0.0)).cast("fptosi", f"i{width}")
    return choose(within, converted, converted.like(-(1 << (width - 1))))


def float_to_integer(b: Function, x: Operand, element: str, signed: bool) -> Operand:
    """A float to an integer type ("i8" to "i64") as NumPy casts on x86-64.

    There the compiler converts through int32 for types up to int32, keeping the low bits; for
    uint32 and uint64 it folds the upper half of the range down first. (NumPy's own result for an
    out-of-range uint32 differs between arrays and scalars; this is the one for arrays.)
    """
    v, width = Vec(b, x), element_bits(element)
    if width < 32:
        return _guarded(v, 32).cast("trunc", element).x
    if signed:
        return _guarded(v, width).x
    half = 2.0 ** (width - 1)
    upper = v.ge(half)
    folded = _guarded(choose(upper, v - half, v), width)
    return choose(upper, folded ^ -(1 << (width - 1)), folded).x
