"""Floor division and remainder of floats with NumPy's results.

NumPy defines both by an exact ``fmod`` (numpy/_core/src/npymath/npy_math_internal.h.src,
``npy_floor_divide`` and ``npy_remainder``, from CPython's ``float_divmod``); so do we. The exact
remainder is r = a - rint(a / b) b, one operation on a fused multiply-add while the quotient fits
the significand; beyond that, multiples of b 2**k are taken off in a loop until it does.
"""

from __future__ import annotations

import math

from ..assembly import Function
from ..operand import Operand
from .mask import any_lane
from .rounding import floor_of, round_half_even
from .scaling import exponent_field, scale
from .vec import Vec, all_of, choose


def _step_bits(v: Vec) -> int:
    """How many quotient bits one step can take off exactly."""
    return v.format.precision - 3 if v.b.has_fma else v.format.precision // 2 - 2


def _subtract_multiple(a: Vec, b: Vec) -> Vec:
    """a - rint(a/b) b, brought into [0, b): exact while |a/b| < 2**_step_bits; b positive."""
    quotient = round_half_even(a / b)
    if a.b.has_fma:
        rest = (-quotient).fma(b, a)
        return choose(rest.lt(0.0), rest + b, rest)
    # Halves by masking (Dekker's splitting overflows), so that each product is exact; the product
    # nearest to an `a` near the top of the range may lie beyond it, hence the quarters.
    form = b.format
    vast = a.gt(2.0 ** (form.bias - 1))
    factor, inverse = choose(vast, 0.25, a.like(1.0)), choose(vast, 4.0, a.like(1.0))
    a, b = a * factor, b * factor
    high = (b.to_bits() & -(1 << (form.precision // 2))).as_float(form.element)
    rest = (a - quotient * high) - quotient * (b - high)
    return choose(rest.lt(0.0), rest + b, rest) * inverse


def _fmod(a: Vec, b: Vec) -> Vec:
    """fmod(|a|, |b|) exactly; NaN for infinite or NaN a, zero or NaN b; |a| for infinite b."""
    a, b = a.abs(), b.abs()
    valid = all_of(a.lt(math.inf), b.gt(0.0))
    fast = _subtract_multiple(a, b)
    simple = (a / b).lt(2.0 ** _step_bits(a))
    function = a.b
    before, far, after = function.current, function.block("far"), function.block("divided")
    function.cond_br(any_lane(all_of(valid, ~simple)), far, after)
    function.place(far)
    rest = function.phi(a.x.type, [(a.x, before)])
    current = Vec(function, rest.value)
    normal, shift, low = exponent_field(b)
    _, _, high = exponent_field(current)
    excess = high - low - _step_bits(a)
    excess = choose(excess.lt(0), 0, excess)
    reduced = _subtract_multiple(current, scale(normal, excess - shift))
    reduced = choose(all_of(valid, current.ge(b)), reduced, current)
    rest.add(reduced.x, far)
    function.cond_br(any_lane(all_of(valid, reduced.ge(b))), far, after)
    function.place(after)
    merged = function.phi(a.x.type, [(fast.x, before), (reduced.x, far)])
    result = Vec(function, merged.value)
    result = choose(b.eq(math.inf), a, result)
    return choose(valid, result, math.nan * result)


def _python_mod(a: Vec, b: Vec) -> tuple[Vec, Vec]:
    """(fmod(a, b), whether it is nonzero with the sign opposite to b's)."""
    mod = _fmod(a, b).copysign(a)
    return mod, all_of(mod.ne(0.0), b.lt(0.0) ^ mod.lt(0.0))


def remainder(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.remainder`` of floats: the sign of the divisor, also on zero results."""
    dividend, divisor = Vec(b, x), Vec(b, y)
    mod, opposite = _python_mod(dividend, divisor)
    result = choose(opposite, mod + divisor, mod)
    return choose(mod.eq(0.0), mod.copysign(divisor), result).x


def floor_divide(b: Function, x: Operand, y: Operand) -> Operand:
    """``np.floor_divide`` of floats: x / 0 as true division gives it, else the floored quotient."""
    dividend, divisor = Vec(b, x), Vec(b, y)
    mod, opposite = _python_mod(dividend, divisor)
    quotient = (dividend - mod) / divisor
    quotient = choose(opposite, quotient - 1.0, quotient)
    floored = floor_of(quotient)
    floored = choose((quotient - floored).gt(0.5), floored + 1.0, floored)
    plain = dividend / divisor
    floored = choose(quotient.eq(0.0), floored.like(0.0).copysign(plain), floored)
    return choose(divisor.eq(0.0), plain, floored).x
