"""log, log2, log10, log1p and the inverse hyperbolic functions of float32 and float64 vectors.

x = 2**k * (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and log(1 + f) = f - f**2/2 + tail. The first
two terms (and k log 2) are summed without error. In float64 the tail comes from the series in
s = f / (2 + f) (P. T. P. Tang, "Table-driven implementation of the logarithm function in IEEE
floating-point arithmetic", ACM TOMS 16 (1990), procedure 2; J.-M. Muller, "Elementary
Functions", 3rd ed., chapter 11), in float32 from one polynomial in f, which needs no division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .constants import INVERSE_LN2, INVERSE_LN10, LN2_SPLIT, LOG10_2_SPLIT
from .double_word import DoubleWord, constant_pair, fast_two_sum, two_product, two_sum
from .scaling import integer_to_float, power_of_two, split_exponent
from .vec import Vec, all_of, choose, horner

# From here asinh(x) and acosh(x) are log(2x) to the last bit.
LARGE = {"float": 2.0**14, "double": 2.0**30}
# Above 2**this a correction below one ulp of 1 + x no longer matters.
NEGLIGIBLE_EXPONENT = {"float": 100, "double": 900}


@dataclass(frozen=True, slots=True)
class Reduced:
    """log(1 + f) = f - half_square + tail."""

    f: Vec
    half_square: DoubleWord
    tail: Vec

    def plus(self, start: Vec | None = None) -> DoubleWord:
        """``start`` + log(1 + f) as a pair; start is 0 or larger than f in magnitude."""
        first = DoubleWord(self.f, self.f.like(0.0))
        if start is not None:
            first = fast_two_sum(start, self.f)
        second = fast_two_sum(first.hi, -self.half_square.hi)
        low = second.lo - self.half_square.lo + self.tail
        return DoubleWord(second.hi, low if start is None else low + first.lo)


def reduce_log(f: Vec, low: Vec | None = None) -> Reduced:
    """The terms of log(1 + f + low) for |low| at most an ulp of f."""
    half_square = two_product(f, 0.5 * f)
    if f.format.bits == 32:
        tail = f * f * f * horner(coefficients.LOG_DIRECT["float"], f)
        slope = (-f).fma((-f).fma(1.0 - f, 1.0), 1.0)  # about 1 / (1 + f)
    else:
        s = f / (f + 2.0)
        z = s * s
        tail = s * z.fma(horner(coefficients.LOG["double"], z), half_square.hi)
        slope = (1.0 - s) * (1.0 - s)
    if low is not None:
        tail = low.fma(slope, tail)
    return Reduced(f, half_square, tail)


def natural_log(reduced: Reduced, k: Vec) -> DoubleWord:
    """k log(2) + log(1 + f)."""
    high, low = LN2_SPLIT[k.x.element]
    total = reduced.plus(k * high)
    return DoubleWord(total.hi, k.fma(low, total.lo))


def with_special_cases(x: Vec, result: Vec) -> Vec:
    """A logarithm's result with its values at zero, below, at infinity and for NaN."""
    ordinary = all_of(x.gt(0.0), x.lt(math.inf))
    edge = choose(x.eq(0.0), -math.inf, choose(x.lt(0.0), math.nan, x))
    return choose(ordinary, result, edge)


def log(b: Function, x: Operand) -> Operand:
    """The natural logarithm."""
    v = Vec(b, x)
    m, k = split_exponent(v)
    total = natural_log(reduce_log(m - 1.0), integer_to_float(k, v))
    return with_special_cases(v, total.rounded()).x


def log2(b: Function, x: Operand) -> Operand:
    """The logarithm to base 2: log(1 + f) / log(2) as a pair, plus k; powers of two are exact."""
    v = Vec(b, x)
    m, k = split_exponent(v)
    natural = reduce_log(m - 1.0).plus()
    mantissa = fast_two_sum(natural.hi, natural.lo).times(constant_pair(v, *INVERSE_LN2[x.element]))
    total = fast_two_sum(integer_to_float(k, v), mantissa.hi)
    return with_special_cases(v, total.hi + (total.lo + mantissa.lo)).x


def log10(b: Function, x: Operand) -> Operand:
    """The logarithm to base 10: log(1 + f) / log(10) as a pair, plus k log10(2)."""
    v = Vec(b, x)
    high, low = LOG10_2_SPLIT[x.element]
    m, k = split_exponent(v)
    natural = reduce_log(m - 1.0).plus()
    pair = constant_pair(v, *INVERSE_LN10[x.element])
    mantissa = fast_two_sum(natural.hi, natural.lo).times(pair)
    exponent = integer_to_float(k, v)
    total = fast_two_sum(exponent * high, mantissa.hi)
    return with_special_cases(v, total.hi + exponent.fma(low, total.lo + mantissa.lo)).x


def log_of_sum(u: DoubleWord, rest: Vec | None, doublings: Vec | None = None) -> DoubleWord:
    """log(u.hi + u.lo + rest) + doublings * log(2), accurate also for a sum close to 1.

    |u.lo| is at most half an ulp of u.hi, |rest| half an ulp of u.lo; u.hi positive and finite.
    """
    m, k = split_exponent(u.hi)
    limit = NEGLIGIBLE_EXPONENT[u.hi.x.element]
    inverse = power_of_two(-choose(k.gt(limit), limit, k), u.hi)
    f = fast_two_sum(m - 1.0, u.lo * inverse)
    low = f.lo if rest is None else rest.fma(inverse, f.lo)
    exponent = integer_to_float(k, u.hi)
    if doublings is not None:
        exponent = exponent + doublings
    return natural_log(reduce_log(f.hi, low), exponent)


def log1p(b: Function, x: Operand) -> Operand:
    """log(1 + x), the sum kept exactly."""
    v = Vec(b, x)
    result = log_of_sum(two_sum(v, 1.0), None).rounded().copysign(v)
    ordinary = all_of(v.gt(-1.0), v.lt(math.inf))
    edge = choose(v.eq(-1.0), -math.inf, choose(v.lt(-1.0), math.nan, v))
    return choose(ordinary, result, edge).x


def _log_of_one_plus(root: DoubleWord, v: Vec, large: Vec, x: Vec) -> Vec:
    """log(1 + v + root), or log(2x) where ``large``; v is a float, root a pair."""
    total = two_sum(v, root.hi)
    total = fast_two_sum(total.hi, total.lo + root.lo)
    u = two_sum(total.hi, 1.0)
    zero = x.like(0.0)
    u = DoubleWord(choose(large, x, u.hi), choose(large, zero, u.lo))
    doublings = choose(large, 1.0, zero)
    return log_of_sum(u, choose(large, zero, total.lo), doublings).rounded()


def arcsinh(b: Function, x: Operand) -> Operand:
    """log(|x| + sqrt(x**2 + 1)) with the sign of x, as log(1 + (|x| + (sqrt(x**2 + 1) - 1)))."""
    v = Vec(b, x)
    magnitude = v.abs()
    square = two_product(magnitude, magnitude)
    under = two_sum(square.hi, 1.0)
    root = fast_two_sum(under.hi, under.lo + square.lo).sqrt()
    excess = DoubleWord(root.hi - 1.0, root.lo)
    large = magnitude.gt(LARGE[x.element])
    result = _log_of_one_plus(excess, magnitude, large, magnitude)
    return choose(magnitude.lt(math.inf), result.copysign(v), v).x


def arccosh(b: Function, x: Operand) -> Operand:
    """log(x + sqrt(x**2 - 1)) as log(1 + t + sqrt(t**2 + 2t)) with t = x - 1."""
    v = Vec(b, x)
    t = v - 1.0
    square = two_product(t, t)
    under = two_sum(t + t, square.hi)
    root = fast_two_sum(under.hi, under.lo + square.lo).sqrt()
    result = _log_of_one_plus(root, t, v.gt(LARGE[x.element]), v)
    edge = choose(v.lt(1.0), math.nan, v)
    return choose(all_of(v.ge(1.0), v.lt(math.inf)), result, edge).x


def arctanh(b: Function, x: Operand) -> Operand:
    """log((1 + x) / (1 - x)) / 2 as log(1 + 2|x| / (1 - |x|)) / 2 with the sign of x."""
    v = Vec(b, x)
    magnitude = v.abs()
    divisor = fast_two_sum(v.like(1.0), -magnitude)
    quotient = DoubleWord(magnitude + magnitude, v.like(0.0)).over(divisor)
    ratio = fast_two_sum(quotient.hi, quotient.lo)
    result = (0.5 * log_of_sum(two_sum(ratio.hi, 1.0), ratio.lo).rounded()).copysign(v)
    edge = choose(magnitude.eq(1.0), math.inf, v.like(math.nan)).copysign(v)
    return choose(magnitude.lt(1.0), result, choose(v.is_nan(), v, edge)).x
