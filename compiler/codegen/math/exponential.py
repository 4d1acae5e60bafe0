"""exp, exp2, expm1, logistic, sinh, cosh and tanh of float32 and float64 vectors.

All reduce x = k log(2) + r, |r| <= log(2)/2, with log(2) split so that x - k * hi is exact (Cody
and Waite 1980), and work with exp(r) = 1 + r + tail, a minimax polynomial times r**2 (P. T. P.
Tang, "Table-driven implementation of the exponential function in IEEE floating-point
arithmetic", ACM TOMS 15 (1989), without the table). The leading terms are summed without error, so
that the only sizeable rounding is the last. Where a division follows, float32 is computed in plain
float64, which costs no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .constants import INVERSE_LN2, LN2, LN2_SPLIT
from .double_word import DoubleWord, constant_pair, fast_two_sum, two_product
from .scaling import nearest_multiple, power_of_two, round_to_integer, scale
from .vec import Vec, choose, even_odd, horner

# Beyond these the result is 0 or infinity; the reduced exponent stays within twice the range.
EXP_RANGE = {"float": (-105.0, 90.0), "double": (-746.0, 711.0)}
EXP2_RANGE = {"float": (-152.0, 130.0), "double": (-1077.0, 1026.0)}
EXPM1_LOW = {"float": -20.0, "double": -40.0}  # exp(x) - 1 rounds to -1 from here
TANH_HIGH = {"float": 10.0, "double": 20.0}  # tanh(x) rounds to 1 from here
NEGLIGIBLE_EXPONENT = {"float": 40, "double": 100}  # 2**-this is nothing beside 1, squared or not


@dataclass(frozen=True, slots=True)
class Reduced:
    """x = k log(2) + high - low; k is an integer vector."""

    k: Vec
    high: Vec
    low: Vec

    def exp_plus(self, c: DoubleWord) -> DoubleWord:
        """exp(r) - 1 + c as a pair, r = high - low; c is 0 or larger than r in magnitude.

        r + r**2/2 is kept exactly, for sums c + r that cancel.
        """
        pair = fast_two_sum(self.high, -self.low)
        r, terms = pair.hi, coefficients.EXP[self.high.x.element]
        square = two_product(r, terms[0] * r)
        cube = (r * r * r).fma(horner(terms[1:], r), square.lo)
        tail = c.lo + (cube + pair.lo.fma(r, pair.lo))
        first = fast_two_sum(c.hi, r)
        second = fast_two_sum(first.hi, square.hi)
        return fast_two_sum(second.hi, first.lo + second.lo + tail)

    def exp(self) -> DoubleWord:
        """exp(high - low), good to some hundredths of an ulp."""
        total = fast_two_sum(self.high.like(1.0), self.high)
        return DoubleWord(total.hi, total.lo + exp_tail(self.high, self.low))


def reduce_exp(x: Vec) -> Reduced:
    """Reduce the argument of exp; |x| must be within twice the range of finite results."""
    element = x.x.element
    high, low = LN2_SPLIT[element]
    k, integer = nearest_multiple(x, INVERSE_LN2[element][0])
    return Reduced(integer, (-k).fma(high, x), k * low)


def exp_tail(r_high: Vec, r_low: Vec) -> Vec:
    """exp(r) - 1 - r_high for r = r_high - r_low."""
    r = r_high - r_low
    return (r * r).fma(even_odd(coefficients.EXP[r.x.element], r), -r_low)


def exp_for_float(x: Vec) -> Vec:
    """exp(x) in float64 to about 37 bits, for |x| < 200."""
    k, integer = round_to_integer(x * INVERSE_LN2["double"][0])
    r = (-k).fma(LN2["double"][0], x)
    p = (r * r).fma(horner(coefficients.EXP["double_for_float"], r), r)
    power = power_of_two(integer, x)
    return p.fma(power, power)


def exp(b: Function, x: Operand) -> Operand:
    """e**x."""
    reduced = reduce_exp(Vec(b, x).clamp(*EXP_RANGE[x.element]))
    return scale(reduced.exp().rounded(), reduced.k).x


def exp2(b: Function, x: Operand) -> Operand:
    """2**x: the fraction times log(2) as a pair, then as exp."""
    v = Vec(b, x).clamp(*EXP2_RANGE[x.element])
    nearest, k = round_to_integer(v)
    r = constant_pair(v, *LN2[x.element]).times_float(v - nearest)
    return scale(Reduced(k, r.hi, -r.lo).exp().rounded(), k).x


def _inverse_power(k: Vec, like: Vec) -> Vec:
    """2**-k; taken as 2**-limit once k is so large that it no longer matters."""
    limit = NEGLIGIBLE_EXPONENT[like.x.element]
    return power_of_two(-choose(k.gt(limit), limit, k), like)


def expm1(b: Function, x: Operand) -> Operand:
    """e**x - 1 = 2**k ((1 - 2**-k) + (e**r - 1)); for k = 0 that is the series of e**r - 1."""
    v = Vec(b, x)
    high = EXP_RANGE[x.element][1]
    reduced = reduce_exp(v.clamp(EXPM1_LOW[x.element], high))
    offset = fast_two_sum(v.like(1.0), -_inverse_power(reduced.k, v))
    result = scale(reduced.exp_plus(offset).rounded(), reduced.k)
    return result.copysign(v).x  # the sum loses the sign of a zero


def logistic(b: Function, x: Operand) -> Operand:
    """1 / (1 + e**-x); in float64 e**-|x| over 1 + e**-|x| for negative x."""
    v = Vec(b, x)
    low, _ = EXP_RANGE[x.element]
    if x.element == "float":
        e_minus_x = exp_for_float(-v.clamp(low, -low).cast("fpext", "double"))
        return (1.0 / (1.0 + e_minus_x)).cast("fptrunc", "float").x
    reduced = reduce_exp((-v.abs()).clamp(low, 0.0))
    value = reduced.exp()
    value = fast_two_sum(value.hi, value.lo)
    e = DoubleWord(scale(value.hi, reduced.k), scale(value.lo, reduced.k))
    divisor = fast_two_sum(v.like(1.0), e.hi).plus(e.lo)
    negative = v.lt(0.0)
    numerator = DoubleWord(choose(negative, e.hi, v.like(1.0)), choose(negative, e.lo, v.like(0.0)))
    return numerator.over(divisor).rounded().x


def tanh(b: Function, x: Operand) -> Operand:
    """(e**2|x| - 1) / (e**2|x| + 1), both over 2**k, with the sign of x."""
    v = Vec(b, x)
    magnitude = v.abs().clamp(0.0, TANH_HIGH[x.element])
    reduced = reduce_exp(magnitude + magnitude)
    inverse = _inverse_power(reduced.k, v)
    tail = exp_tail(reduced.high, reduced.low)
    one = v.like(1.0)
    numerator, divisor = (
        fast_two_sum(offset.hi, reduced.high).plus(tail + offset.lo)
        for offset in (fast_two_sum(one, -inverse), fast_two_sum(one, inverse))
    )
    return numerator.over(divisor).rounded().copysign(v).x


def _hyperbolic(b: Function, x: Operand) -> tuple[Vec, DoubleWord, DoubleWord]:
    """(k, p, m) with e**|x| = 2**k p and e**-|x| = 2**-k m, from cosh r and sinh r.

    1 + r + r**2/2 is kept exactly (COSH starts with 1/2), as p and m/4 may cancel.
    """
    element = x.element
    reduced = reduce_exp(Vec(b, x).abs().clamp(0.0, EXP_RANGE[element][1]))
    r = fast_two_sum(reduced.high, -reduced.low)
    z = two_product(r.hi, r.hi)
    even = (z.hi * z.hi).fma(horner(coefficients.COSH[element][1:], z.hi), 0.5 * z.lo)
    odd = (z.hi * r.hi).fma(horner(coefficients.SINH[element], z.hi), r.lo)
    half, one = 0.5 * z.hi, z.hi.like(1.0)
    plus, minus = fast_two_sum(one, r.hi), fast_two_sum(one, -r.hi)
    plus_half, minus_half = fast_two_sum(plus.hi, half), fast_two_sum(minus.hi, half)
    return (
        reduced.k,
        DoubleWord(plus_half.hi, plus_half.lo + plus.lo + (even + odd)),
        DoubleWord(minus_half.hi, minus_half.lo + minus.lo + (even - odd)),
    )


def sinh(b: Function, x: Operand) -> Operand:
    """(e**x - e**-x) / 2 = 2**(k-1) (e**r - 4**-k e**-r); r >= 0 if k = 0."""
    k, plus, minus = _hyperbolic(b, x)
    minus = minus.scaled(_inverse_power(k + k, minus.hi))
    total = fast_two_sum(plus.hi, -minus.hi)
    result = scale(total.hi + (total.lo + (plus.lo - minus.lo)), k - 1)
    return result.copysign(Vec(b, x)).x


def cosh(b: Function, x: Operand) -> Operand:
    """(e**x + e**-x) / 2 = 2**(k-1) (e**r + 4**-k e**-r)."""
    k, plus, minus = _hyperbolic(b, x)
    minus = minus.scaled(_inverse_power(k + k, minus.hi))
    total = fast_two_sum(plus.hi, minus.hi)
    return scale(total.hi + (total.lo + (plus.lo + minus.lo)), k - 1).x
