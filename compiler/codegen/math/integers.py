"""Integer division, powers and shifts with NumPy's results.

LLVM leaves division by zero, the least integer over -1 and over-wide shifts undefined (Language
Reference); every one is guarded here.
"""

from __future__ import annotations

from ..assembly import Function
from ..operand import Operand
from .mask import any_lane
from .vec import Vec, all_of, choose


def _least(v: Vec) -> int:
    return -(1 << (v.x.bits - 1))


def _quotient(x: Vec, y: Vec, signed: bool) -> Vec:
    """x / y towards zero, y nonzero and not overflowing.

    Up to 32 bits in float64 (16 in float32), where the rounded quotient truncates to the exact one
    as the format has more than twice the bits; vector units have no integer division.
    """
    kind = "s" if signed else "u"
    if x.x.bits > 32 or x.x.lanes == 1:
        divide = x.b.sdiv if signed else x.b.udiv
        return Vec(x.b, divide(x.x, y.x))
    element = "float" if x.x.bits <= 8 else "double"
    to_float, to_integer = f"{kind}itofp", f"fpto{kind}i"
    quotient = x.cast(to_float, element) / y.cast(to_float, element)
    return quotient.cast(to_integer, x.x.element)


def _divide(b: Function, x: Operand, y: Operand, signed: bool) -> tuple[Vec, Vec]:
    """(floor(x / y), x - y * that); both 0 where y is 0."""
    dividend, divisor = Vec(b, x), Vec(b, y)
    zero = divisor.eq(0)
    unsafe = zero
    if signed:
        unsafe = zero | all_of(divisor.eq(-1), dividend.eq(_least(dividend)))
    safe = choose(unsafe, 1, divisor)
    quotient = _quotient(dividend, safe, signed)
    rest = dividend - quotient * safe
    if signed:
        opposite = all_of(rest.ne(0), (rest ^ safe).lt(0))
        quotient = choose(opposite, quotient - 1, quotient)
        rest = choose(opposite, rest + safe, rest)
    return choose(zero, 0, quotient), choose(zero, 0, rest)


def floor_divide_signed(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.floor_divide``; x // 0 = 0, and the least integer // -1 is itself."""
    return _divide(b, x, y, True)[0].x


def floor_divide_unsigned(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.floor_divide`` of unsigned integers; x // 0 = 0."""
    return _divide(b, x, y, False)[0].x


def remainder_signed(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.remainder``, with the sign of the divisor; x % 0 = 0."""
    return _divide(b, x, y, True)[1].x


def remainder_unsigned(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.remainder`` of unsigned integers; x % 0 = 0."""
    return _divide(b, x, y, False)[1].x


def power(b: Function, x: Operand, y: Operand) -> Operand:
    """x**y by squaring, wrapping around; a loop over the bits of the largest exponent.

    Exponents count as unsigned: a negative one, an error in NumPy, gives some defined number.
    """
    base, left = Vec(b, x), Vec(b, y)
    one = base.like(1)
    before, loop, done = b.current, b.block("power"), b.block("powered")
    b.br(loop)
    b.place(loop)
    phis = [b.phi(v.x.type, [(v.x, before)]) for v in (one, base, left)]
    result, square, bits = (Vec(b, phi.value) for phi in phis)
    result = choose((bits & 1).ne(0), result * square, result)
    square, bits = square * square, bits.logical_shift(1)
    for phi, value in zip(phis, (result, square, bits), strict=True):
        phi.add(value.x, loop)
    b.cond_br(any_lane(bits.ne(0)), loop, done)
    b.place(done)
    return result.x


def shift_left(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.left_shift``: 0 where the count is negative or not below the width."""
    value, count = Vec(b, x), Vec(b, y)
    within = count.below(x.bits)
    return choose(within, value << choose(within, count, count.like(0)), value.like(0)).x


def shift_right_signed(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.right_shift``: 0 or -1 by sign where the count is negative or not below the width."""
    value, count = Vec(b, x), Vec(b, y)
    within = count.below(x.bits)
    return (value >> choose(within, count, count.like(x.bits - 1))).x


def shift_right_unsigned(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.right_shift`` of unsigned integers: 0 where the count is not below the width."""
    value, count = Vec(b, x), Vec(b, y)
    within = count.below(x.bits)
    shifted = Vec(b, b.lshr(x, choose(within, count, count.like(0)).x))
    return choose(within, shifted, value.like(0)).x
