"""pow and cbrt of float32 and float64 vectors.

pow in float64 follows J.-M. Muller, "Elementary Functions" (3rd ed.), section 11.1: log|x| to about
70 bits as a pair, times y as a pair, through exp. pow in float32 is plain float64 arithmetic.
"""

from __future__ import annotations

import math

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .constants import LN2, LN2_SPLIT
from .double_word import DoubleWord, fast_two_sum, two_product
from .exponential import EXP_RANGE, Reduced, exp_for_float, reduce_exp
from .rounding import truncate
from .scaling import (
    integer_to_float,
    power_of_two,
    round_to_integer,
    scale,
    split_exponent,
)
from .vec import Vec, all_of, choose, even_odd, horner

FIFTH = (0.2, -1.1102230246251565e-17)
THIRD = (0.3333333333333333, 1.850371707708594e-17)
# |log x| >= 2**-54 unless x = 1, so that any larger y over- or underflows like this one.
LARGEST_EXPONENT = 2.0**66


def _log_extended(x: Vec) -> DoubleWord:
    """log(x) to about 70 bits, x positive: 2 atanh(s) = 2s (1 + z/3 + z**2/5 + ...), z = s**2.

    s = f / (2 + f), z and the terms shown are pairs; the rest is below 2**-17.
    """
    m, k = split_exponent(x)
    f = m - 1.0
    s = DoubleWord(f, f.like(0.0)).over(fast_two_sum(f.like(2.0), f))
    z = s.times_loosely(s)
    rest = z.hi * even_odd(coefficients.LOG_EXTENDED["double"], z.hi)
    fifth = fast_two_sum(f.like(FIFTH[0]), rest)
    inner = z.times_loosely(DoubleWord(fifth.hi, fifth.lo + FIFTH[1]))
    third = fast_two_sum(f.like(THIRD[0]), inner.hi)
    outer = z.times_loosely(DoubleWord(third.hi, third.lo + (inner.lo + THIRD[1])))
    s = s.scaled(2.0)
    product = s.times_loosely(outer)
    mantissa = fast_two_sum(s.hi, product.hi)
    low = mantissa.lo + (s.lo + product.lo)
    exponent = integer_to_float(k, x)
    ln2_high, ln2_low = LN2_SPLIT["double"]
    total = fast_two_sum(exponent * ln2_high, mantissa.hi)
    return fast_two_sum(total.hi, total.lo + exponent.fma(ln2_low, low))


def _pow_double(magnitude: Vec, y: Vec) -> Vec:
    """|x|**y in float64 for finite nonzero |x|."""
    product = _log_extended(magnitude).times_float(y.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT))
    low, high = EXP_RANGE["double"]
    within = all_of(product.hi.ge(low), product.hi.le(high))
    reduced = reduce_exp(product.hi.clamp(low, high))
    rest = choose(within, product.lo, y.like(0.0))
    return scale(Reduced(reduced.k, reduced.high, reduced.low - rest).exp().rounded(), reduced.k)


def log_for_float(x: Vec) -> Vec:
    """log(x) in float64 to about 44 bits, relative also near 1; x positive."""
    m, k = split_exponent(x)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    mantissa = s * z.fma(horner(coefficients.LOG["double_for_float"], z), 2.0)
    return integer_to_float(k, x).fma(LN2["double"][0], mantissa)


def _pow_single(magnitude: Vec, y: Vec) -> Vec:
    """|x|**y in float32 for finite nonzero |x|."""
    limited = y.cast("fpext", "double").clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
    product = limited * log_for_float(magnitude.cast("fpext", "double"))
    return exp_for_float(product.clamp(*EXP_RANGE["float"])).cast("fptrunc", "float")


def power(b: Function, x: Operand, y: Operand) -> Operand:
    """x**y with the special cases of C99 annex F.9.4.4, which are NumPy's."""
    base, exponent = Vec(b, x), Vec(b, y)
    magnitude = base.abs()
    integral = exponent.eq(truncate(exponent))
    half = exponent * 0.5
    odd = all_of(integral, half.ne(truncate(half)))
    compute = _pow_single if x.element == "float" else _pow_double
    result = compute(magnitude, exponent)
    result = choose(all_of(base.lt(0.0), ~integral), math.nan, result)
    zero, infinite = magnitude.eq(0.0), magnitude.eq(math.inf)
    grows = zero ^ exponent.gt(0.0)
    edge = choose(grows, math.inf, base.like(0.0))
    result = choose(zero | infinite, edge, result)
    result = choose(odd, result.copysign(base), result)
    result = choose(Vec(b, b.fcmp("uno", x, y)), math.nan, result)
    return choose(exponent.eq(0.0) | base.eq(1.0), 1.0, result).x


def cbrt(b: Function, x: Operand) -> Operand:
    """The cube root: z = M**(-1/3) by a polynomial and Newton steps, then y = M z**2, corrected.

    |x| = M * 8**q with 1 <= M < 8; z' = z + z (1 - M z**3)/3 squares the relative error (Muller,
    "Elementary Functions", section 5.4); the last correction uses the exact residual M - y**3.
    """
    v = Vec(b, x)
    form = v.format
    magnitude = v.abs()
    tiny = magnitude.lt(form.least_normal)
    lift = 3 * ((form.precision + 2) // 3)
    bits = choose(tiny, magnitude * 2.0**lift, magnitude).to_bits()
    e = integer_to_float(bits.logical_shift(form.mantissa_bits) - form.bias, v)
    q, q_integer = round_to_integer((e - 1.0) * (1.0 / 3.0))
    j = e - 3.0 * q
    m = ((bits & form.mantissa_mask) | (form.bias << form.mantissa_bits)).as_float(form.element)
    z = horner(coefficients.INVERSE_CBRT[form.element], m)
    first, second = j.eq(1.0), j.eq(2.0)
    m = choose(first, 2.0 * m, choose(second, 4.0 * m, m))
    z = choose(first, 0.7937005259840998 * z, choose(second, 0.6299605249474366 * z, z))
    for _ in range(1 if form.bits == 32 else 2):
        z = (z * (1.0 / 3.0)).fma(1.0 - m * z * z * z, z)
    y = m * z * z
    square = two_product(y, y)
    cube = two_product(square.hi, y)
    residual = (m - cube.hi) - cube.lo - square.lo * y
    y = (residual * (z * z)).fma(1.0 / 3.0, y)
    root = y * power_of_two(choose(tiny, q_integer - lift // 3, q_integer), v)
    return choose(all_of(magnitude.gt(0.0), magnitude.lt(math.inf)), root.copysign(v), v).x
