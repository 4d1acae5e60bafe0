"""sin, cos and tan of float32 and float64 vectors, for arguments of any size.

x = k pi/2 + r with |r| <= pi/4 (``argument_reduction``); minimax polynomials for sin r and cos r
(P. T. P. Tang, "Table-lookup algorithms for elementary functions and their error analysis", ARITH
1991, without the table). r is a pair, and the leading terms are summed without error.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .argument_reduction import reduce
from .double_word import DoubleWord, fast_two_sum, two_product
from .vec import Vec, choose, horner


def _sine(r: DoubleWord) -> DoubleWord:
    """sin(r): r + r (r**2 S(r**2)) + the low part's share; S(0) = -1/6."""
    z = two_product(r.hi, r.hi)
    series = horner(coefficients.SIN[r.hi.x.element], z.hi)
    relative = z.hi.fma(series, z.lo * (-1.0 / 6.0))
    return DoubleWord(r.hi, r.hi.fma(relative, r.lo * z.hi.fma(-0.5, 1.0)))


def _cosine(r: DoubleWord) -> DoubleWord:
    """cos(r): 1 - r**2/2 without error + (r**4 C(r**2) - r_low r)."""
    z = two_product(r.hi, r.hi)
    head = fast_two_sum(z.hi.like(1.0), -0.5 * z.hi)
    fourth = z.hi * z.hi * horner(coefficients.COS[r.hi.x.element], z.hi)
    low = fourth + (head.lo - z.lo.fma(0.5, r.hi * r.lo))
    return DoubleWord(head.hi, low)


@dataclass(frozen=True, slots=True)
class _Quarters:
    """sin r and cos r with x = k pi/2 + r: the sine of x and of its quarter turns."""

    sine: DoubleWord
    cosine: DoubleWord
    quadrant: Vec


def _quarters(x: Vec) -> _Quarters:
    """Found once for all functions of the same x."""

    def emit() -> _Quarters:
        r, quadrant = reduce(x)
        return _Quarters(_sine(r), _cosine(r), quadrant)

    return x.b.shared(("quarters", x.x), emit)


def _is_odd(quadrant: Vec) -> Vec:
    return (quadrant & 1).ne(0)


def _sign_of(quadrant: Vec, like: Vec) -> Vec:
    """A float whose sign bit is bit 1 of the quadrant."""
    form = like.format
    return (quadrant << quadrant.like(form.bits - 2)).as_float(form.element)


def _sine_of_quadrant(b: Function, x: Operand, shift: int) -> Operand:
    """sin(x + shift * pi/2)."""
    v = Vec(b, x)
    found = _quarters(v)
    s, c = found.sine, found.cosine
    quadrant = found.quadrant + shift if shift else found.quadrant
    odd = _is_odd(quadrant)
    value = choose(odd, c.hi, s.hi) + choose(odd, c.lo, s.lo)
    value = value.flip_sign(_sign_of(quadrant, v))
    return value.x if shift else choose(v.eq(0.0), v, value).x  # sin(-0) = -0


def sin(b: Function, x: Operand) -> Operand:
    """The sine."""
    return _sine_of_quadrant(b, x, 0)


def cos(b: Function, x: Operand) -> Operand:
    """The cosine."""
    return _sine_of_quadrant(b, x, 1)


def tan(b: Function, x: Operand) -> Operand:
    """The tangent: sin r / cos r, or -cos r / sin r in odd quadrants."""
    v = Vec(b, x)
    found = _quarters(v)
    s = fast_two_sum(found.sine.hi, found.sine.lo)
    c = fast_two_sum(found.cosine.hi, found.cosine.lo)
    odd = _is_odd(found.quadrant)
    numerator = DoubleWord(choose(odd, -c.hi, s.hi), choose(odd, -c.lo, s.lo))
    divisor = DoubleWord(choose(odd, s.hi, c.hi), choose(odd, s.lo, c.lo))
    return choose(v.eq(0.0), v, numerator.over(divisor).rounded()).x
