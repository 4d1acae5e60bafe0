"""Unevaluated sums of two floats: about twice the working precision.

Sources: T. J. Dekker, "A floating-point technique for extending the available precision",
Numer. Math. 18 (1971); D. E. Knuth, TAOCP vol. 2, 4.2.2; J.-M. Muller et al., "Handbook of
Floating-Point Arithmetic" (2nd ed., 2018), chapters 4 (error-free transforms) and 14 (double-word
arithmetic); M. Joldes, J.-M. Muller, V. Popescu, "Tight and rigorous error bounds for basic
building blocks of double-word arithmetic", ACM TOMS 44 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

from .vec import Vec, choose


@dataclass(frozen=True, slots=True)
class DoubleWord:
    """The exact sum hi + lo, with |lo| small beside |hi|."""

    hi: Vec
    lo: Vec

    def __neg__(self) -> DoubleWord:
        return DoubleWord(-self.hi, -self.lo)

    def rounded(self) -> Vec:
        """The sum as one float."""
        return self.hi + self.lo

    def scaled(self, power_of_two: Vec | float) -> DoubleWord:
        """Multiplied by a power of two (exact barring underflow)."""
        return DoubleWord(self.hi * power_of_two, self.lo * power_of_two)

    def plus(self, small: Vec) -> DoubleWord:
        """The sum with a float small beside hi, normalized."""
        return fast_two_sum(self.hi, self.lo + small)

    def times(self, other: DoubleWord) -> DoubleWord:
        """The product, relative error a few units of the doubled precision."""
        product = self.times_loosely(other)
        return fast_two_sum(product.hi, product.lo)

    def times_loosely(self, other: DoubleWord) -> DoubleWord:
        """The product, its low word up to some ulps of the high one: for a chain of products."""
        product = two_product(self.hi, other.hi)
        low = self.hi.fma(other.lo, self.lo.fma(other.hi, product.lo))
        return DoubleWord(product.hi, low)

    def times_float(self, factor: Vec | float) -> DoubleWord:
        """The product with one float."""
        wide = self.hi.like(factor)
        product = two_product(self.hi, wide)
        return fast_two_sum(product.hi, self.lo.fma(wide, product.lo))

    def over(self, divisor: DoubleWord) -> DoubleWord:
        """The quotient with one division: q = hi/hi, then its remainder over the divisor."""
        inverse = 1.0 / divisor.hi
        quotient = self.hi * inverse
        remainder = exact_residual(self.hi, quotient, divisor.hi) + (
            self.lo - quotient * divisor.lo
        )
        return DoubleWord(quotient, remainder * inverse)

    def sqrt(self) -> DoubleWord:
        """The square root; zero for zero. One Newton step on the rounded root."""
        root = self.hi.sqrt()
        remainder = exact_residual(self.hi, root, root) + self.lo
        low = remainder / (root + root)
        return DoubleWord(root, choose(self.hi.eq(0.0), 0.0, low))


def select(mask: Vec, a: DoubleWord, b: DoubleWord) -> DoubleWord:
    """``a`` where ``mask``, else ``b``."""
    return DoubleWord(choose(mask, a.hi, b.hi), choose(mask, a.lo, b.lo))


def constant_pair(like: Vec, hi: float, lo: float) -> DoubleWord:
    """A constant of doubled precision."""
    return DoubleWord(like.like(hi), like.like(lo))


def fast_two_sum(a: Vec, b: Vec | float) -> DoubleWord:
    """a + b exactly, given |a| >= |b| or a = 0 (Dekker 1971)."""
    total = a + b
    return DoubleWord(total, a.like(b) - (total - a))


def two_sum(a: Vec, b: Vec | float) -> DoubleWord:
    """a + b exactly, in any order of magnitude (Knuth, TAOCP 4.2.2, theorem B)."""
    b = a.like(b)
    total = a + b
    b_part = total - a
    a_part = total - b_part
    return DoubleWord(total, (a - a_part) + (b - b_part))


def split(a: Vec) -> DoubleWord:
    """Two halves of the significand; products of halves are exact (Dekker 1971, Veltkamp)."""
    scaled = a * a.format.split_factor
    high = scaled - (scaled - a)
    return DoubleWord(high, a - high)


def two_product(a: Vec, b: Vec) -> DoubleWord:
    """a * b exactly: one fused multiply-add, or Dekker's seventeen operations without it."""
    product = a * b
    if a.b.has_fma:
        return DoubleWord(product, a.fma(b, -product))
    x, y = split(a), split(b)
    low = ((x.hi * y.hi - product) + x.hi * y.lo + x.lo * y.hi) + x.lo * y.lo
    return DoubleWord(product, low)


def exact_residual(c: Vec, a: Vec, b: Vec) -> Vec:
    """c - a * b where that is a float (as for c close to a * b)."""
    if a.b.has_fma:
        return (-a).fma(b, c)
    product = two_product(a, b)
    return (c - product.hi) - product.lo
