"""arcsin, arccos, arctan and arctan2 of float32 and float64 vectors.

Minimax polynomials after the usual reductions (J.-M. Muller, "Elementary Functions", 3rd ed.,
chapter 11; W. J. Cody and W. Waite, 1980): asin(x) = pi/2 - 2 asin(sqrt((1 - x)/2)), and
atan(y/x) brought to |t| <= sqrt(2) - 1 by swapping and by (y - x)/(y + x). Roots, quotients and
multiples of pi are pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .constants import HALF_PI, QUARTER_PI_SPLIT
from .double_word import DoubleWord, fast_two_sum
from .scaling import exponent_field, scale
from .vec import Vec, all_of, choose, horner

TAN_EIGHTH_PI = math.sqrt(2.0) - 1.0
# Quotients below this are computed from a numerator raised by its inverse over four.
TINY_QUOTIENT = {"float": 2.0**-60, "double": 2.0**-500}


@dataclass(frozen=True, slots=True)
class Arc:
    """u + low is asin|x|, or 2 asin(sqrt((1 - |x|)/2)) where ``far`` (|x| > 1/2)."""

    far: Vec
    u: Vec
    low: Vec


def _arc(x: Vec) -> Arc:
    magnitude = x.abs()
    far = magnitude.gt(0.5)
    z = 0.5 - 0.5 * magnitude
    root = DoubleWord(z, z.like(0.0)).sqrt()
    u = choose(far, root.hi, magnitude)
    square = choose(far, z, magnitude * magnitude)
    tail = u * square * horner(coefficients.ASIN[x.x.element], square)
    low = choose(far, 2.0 * (root.lo + tail), tail)
    return Arc(far, choose(far, 2.0 * root.hi, magnitude), low)


def arcsin(b: Function, x: Operand) -> Operand:
    """asin|x|, or pi/2 - 2 asin(sqrt((1 - |x|)/2)) beyond 1/2, with the sign of x."""
    v = Vec(b, x)
    arc = _arc(v)
    high, low = HALF_PI[x.element]
    total = fast_two_sum(v.like(high), -arc.u)
    far = total.hi + (total.lo + (low - arc.low))
    return choose(arc.far, far, arc.u + arc.low).copysign(v).x


def arccos(b: Function, x: Operand) -> Operand:
    """pi/2 - asin(x) up to 1/2; beyond, 2 asin(sqrt((1 - |x|)/2)) or pi minus that."""
    v = Vec(b, x)
    arc = _arc(v)
    high, low = HALF_PI[x.element]
    zero = v.like(0.0)
    folded = v.lt(0.0)
    start = choose(arc.far, choose(folded, 2.0 * high, zero), v.like(high))
    start_low = choose(arc.far, choose(folded, 2.0 * low, zero), v.like(low))
    u = choose(arc.far, arc.u, -arc.u).flip_sign(v)
    rest = choose(arc.far, arc.low, -arc.low).flip_sign(v)
    total = fast_two_sum(start, u)
    return (total.hi + (total.lo + (start_low + rest))).x


def _angle(
    small: Vec, large: Vec, swapped: Vec, mirrored: Vec | None = None, unit: Vec | None = None
) -> Vec:
    """The angle whose tangent is unit * small/large, 0 <= small <= large, 0 < large.

    Taken from pi/2 where ``swapped``, then from pi where ``mirrored``: m pi/4 + sign * atan(t).
    ``unit`` is 1 or a tiny power of two (the quotient may be subnormal, small may not).
    """
    element = small.x.element
    middle = small.gt(large * TAN_EIGHTH_PI)
    difference, total = fast_two_sum(large, -small), fast_two_sum(large, small)
    zero = small.like(0.0)
    numerator = DoubleWord(
        choose(middle, -difference.hi, small), choose(middle, -difference.lo, zero)
    )
    divisor = DoubleWord(choose(middle, total.hi, large), choose(middle, total.lo, zero))
    quotient = numerator.over(divisor)
    if unit is not None:
        quotient = fast_two_sum(quotient.hi, quotient.lo).scaled(unit)
    t = quotient.hi
    z = t * t
    low = quotient.lo.fma(-z, quotient.lo)
    rest = (z * t).fma(horner(coefficients.ATAN[element], z), low)
    multiple = choose(middle, 1.0, zero)
    multiple = choose(swapped, 2.0 - multiple, multiple)
    negative = swapped
    if mirrored is not None:
        multiple = choose(mirrored, 4.0 - multiple, multiple)
        negative = swapped ^ mirrored
    t, rest = choose(negative, -t, t), choose(negative, -rest, rest)
    quarter_high, quarter_low = QUARTER_PI_SPLIT[element]
    angle = fast_two_sum(multiple * quarter_high, t)
    return angle.hi + (angle.lo + multiple.fma(quarter_low, rest))


def arctan(b: Function, x: Operand) -> Operand:
    """The arctangent."""
    v = Vec(b, x)
    magnitude = v.abs()
    swapped = magnitude.gt(1.0)
    # beyond this 1/x is nothing beside pi/2, and infinity must not meet itself
    limited = magnitude.clamp(0.0, 2.0**v.format.bits)
    one = v.like(1.0)
    angle = _angle(choose(swapped, 1.0, limited), choose(swapped, limited, one), swapped)
    return angle.copysign(v).x


def arctan2(b: Function, y: Operand, x: Operand) -> Operand:
    """The angle of the point (x, y), with the special cases of C99 annex F.9.1.4 (and NumPy)."""
    ordinate, abscissa = Vec(b, y), Vec(b, x)
    p, q = ordinate.abs(), abscissa.abs()
    swapped = p.gt(q)
    small, large = choose(swapped, q, p), choose(swapped, p, q)
    infinite = large.eq(math.inf)
    both = all_of(infinite, small.eq(math.inf))
    small = choose(infinite, choose(both, 1.0, small.like(0.0)), small)
    large = choose(infinite | large.eq(0.0), 1.0, large)
    # The larger becomes about 1; a quotient that may be subnormal is raised and put back in _angle.
    limit, one = TINY_QUOTIENT[y.element], large.like(1.0)
    tiny = small.lt(large * limit)
    small, unit = choose(tiny, small * (0.25 / limit), small), choose(tiny, 4.0 * limit, one)
    _, _, exponent = exponent_field(large)
    inverse = large.format.bias - exponent
    small, large = scale(small, inverse), scale(large, inverse)
    mirrored = abscissa.to_bits().lt(0)
    angle = _angle(small, large, swapped, mirrored, unit).copysign(ordinate)
    return choose(Vec(b, b.fcmp("uno", y, x)), math.nan, angle).x
