"""sin, cos and tan of float32 and float64 vectors, for arguments of any size.

x = k pi/2 + r with |r| <= pi/4 (``argument_reduction``); minimax polynomials for sin r and cos r
(P. T. P. Tang, "Table-lookup algorithms for elementary functions and their error analysis", ARITH
1991, without the table). In float64 r is a pair and the leading terms are summed without error;
float32 is computed in plain float64. Functions of one angle share the reduction and both
polynomials: the derivative of one is another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ..assembly import Function
from ..operand import Operand
from . import coefficients
from .argument_reduction import reduce_double, reduce_single
from .double_word import DoubleWord, fast_two_sum, two_product
from .vec import Vec, choose, horner

_Real = TypeVar("_Real", Vec, DoubleWord)


@dataclass(frozen=True, slots=True)
class _Angle(Generic[_Real]):
    """An angle reduced to r: sin r, cos r, and the quadrant, of which the low two bits count."""

    sine: _Real
    cosine: _Real
    quadrant: Vec


def _angle_for_float(x: Vec) -> _Angle[Vec]:
    """In float64, accurate enough for float32."""

    def make() -> _Angle[Vec]:
        r, quadrant = reduce_single(x)
        return _Angle(*_single_pair(r), quadrant)

    return x.b.shared(("angle", x.x), make)


def _angle(x: Vec) -> _Angle[DoubleWord]:
    """For float64."""

    def make() -> _Angle[DoubleWord]:
        r, quadrant = reduce_double(x)
        return _Angle(_sine(r), _cosine(r), quadrant)

    return x.b.shared(("angle", x.x), make)


def _sine(r: DoubleWord) -> DoubleWord:
    """sin(r): r + r (r**2 S(r**2)) + the low part's share; S(0) = -1/6."""
    z = two_product(r.hi, r.hi)
    series = horner(coefficients.SIN["double"], z.hi)
    relative = z.hi.fma(series, z.lo * (-1.0 / 6.0))
    return DoubleWord(r.hi, r.hi.fma(relative, r.lo * z.hi.fma(-0.5, 1.0)))


def _cosine(r: DoubleWord) -> DoubleWord:
    """cos(r): 1 - r**2/2 without error + (r**4 C(r**2) - r_low r)."""
    z = two_product(r.hi, r.hi)
    head = fast_two_sum(z.hi.like(1.0), -0.5 * z.hi)
    fourth = z.hi * z.hi * horner(coefficients.COS["double"], z.hi)
    low = fourth + (head.lo - z.lo.fma(0.5, r.hi * r.lo))
    return DoubleWord(head.hi, low)


def _single_pair(r: Vec) -> tuple[Vec, Vec]:
    """(sin r, cos r) in float64, accurate enough for float32."""
    z = r * r
    sine = (z * r).fma(horner(coefficients.SIN["double_for_float"], z), r)
    fourth = z * horner(coefficients.COS["double_for_float"], z) + -0.5
    return sine, z.fma(fourth, 1.0)


def _is_odd(quadrant: Vec) -> Vec:
    return (quadrant & 1).ne(0)


def _sign_of(quadrant: Vec) -> Vec:
    """A float whose sign bit is bit 1 of the quadrant."""
    return (quadrant << quadrant.like(62)).as_float("double")


def _sine_of_quadrant(b: Function, x: Operand, shift: int) -> Operand:
    """sin(x + shift * pi/2)."""
    v = Vec(b, x)
    if x.element == "float":
        single = _angle_for_float(v)
        quadrant = single.quadrant + shift if shift else single.quadrant
        value = choose(_is_odd(quadrant), single.cosine, single.sine)
        value = value.flip_sign(_sign_of(quadrant)).cast("fptrunc", "float")
    else:
        angle = _angle(v)
        s, c = angle.sine, angle.cosine
        quadrant = angle.quadrant + shift if shift else angle.quadrant
        odd = _is_odd(quadrant)
        value = choose(odd, c.hi, s.hi) + choose(odd, c.lo, s.lo)
        value = value.flip_sign(_sign_of(quadrant))
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
    if x.element == "float":
        single = _angle_for_float(v)
        odd = _is_odd(single.quadrant)
        value = choose(odd, -single.cosine, single.sine) / choose(odd, single.sine, single.cosine)
        return choose(v.eq(0.0), v, value.cast("fptrunc", "float")).x
    angle = _angle(v)
    s = fast_two_sum(angle.sine.hi, angle.sine.lo)
    c = fast_two_sum(angle.cosine.hi, angle.cosine.lo)
    odd = _is_odd(angle.quadrant)
    numerator = DoubleWord(choose(odd, -c.hi, s.hi), choose(odd, -c.lo, s.lo))
    divisor = DoubleWord(choose(odd, s.hi, c.hi), choose(odd, s.lo, c.lo))
    return choose(v.eq(0.0), v, numerator.over(divisor).rounded()).x
