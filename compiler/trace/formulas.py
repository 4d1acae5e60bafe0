"""NumPy ufuncs that are no op of the IR, written as formulas in NumPy on traced arrays.

Operands have the element types of the ufunc's loop already. Every formula gives NumPy's result
for special values too, and is written so that derivatives of any order are right: a case
distinction picks one smooth branch and never feeds the other one a value that could overflow.
Where NumPy takes the sign of a NaN (`signbit`, `copysign`), a NaN counts as positive.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ...ir.types import BOOL, FLOAT64

Array: TypeAlias = Any
"""A traced array, which the annotations of NumPy's functions do not know."""


def identity(x: Array) -> Array:
    """x: `positive`, `conjugate`, roundings of integers, the absolute value of an unsigned."""
    return x


def square(x: Array) -> Array:
    """x²."""
    return x * x


def reciprocal(x: Array) -> Array:
    """1 / x."""
    return 1.0 / x


def integer_reciprocal(x: Array) -> Array:
    """1 / x in float64, cut off to an integer, as NumPy does (1 / 0 included)."""
    return (1.0 / x.astype(FLOAT64)).astype(x.dtype)


def degrees_to_radians(x: Array) -> Array:
    """x π / 180, the factor rounded to the type of x as in NumPy."""
    scalar = x.dtype.type
    return x * (scalar(math.pi) / scalar(180))


def radians_to_degrees(x: Array) -> Array:
    """x 180 / π, the factor rounded to the type of x as in NumPy."""
    scalar = x.dtype.type
    return x * (scalar(180) / scalar(math.pi))


def hypot(x: Array, y: Array) -> Array:
    """√(x² + y²) as |a| √(1 + (b/a)²) with a the larger: no overflow; an infinity beats a NaN."""
    x_larger = np.abs(x) >= np.abs(y)
    large: Array = np.where(x_larger, x, y)
    small: Array = np.where(x_larger, y, x)
    ratio = small / np.where(large == 0, 1, large)
    finite = np.abs(large) * np.sqrt(1 + ratio * ratio)
    return np.where(np.isinf(x) | np.isinf(y), np.inf, finite)


def _log_sum(x: Array, y: Array, power: np.ufunc, scale: float) -> Array:
    x_larger = x >= y
    large: Array = np.where(x_larger, x, y)
    small: Array = np.where(x_larger, y, x)
    gap = np.where((large == small) & np.isinf(large), 0, small - large)
    return large + np.log1p(power(gap)) * scale if scale != 1 else large + np.log1p(power(gap))


def logaddexp(x: Array, y: Array) -> Array:
    """log(eˣ + eʸ) = a + log1p(e^(b - a)) with a the larger."""
    return _log_sum(x, y, np.exp, 1)


def logaddexp2(x: Array, y: Array) -> Array:
    """log₂(2ˣ + 2ʸ) = a + log1p(2^(b - a)) / ln 2 with a the larger."""
    return _log_sum(x, y, np.exp2, 1 / math.log(2))


def heaviside(x: Array, at_zero: Array) -> Array:
    """0 below zero, 1 above, `at_zero` at zero, NaN at NaN."""
    return np.where(x == 0, at_zero, np.where(x < 0, 0, np.where(x > 0, 1, x)))


def fmax(x: Array, y: Array) -> Array:
    """The larger; the other one where one is NaN."""
    return np.where(np.isnan(x), y, np.where(np.isnan(y), x, np.maximum(x, y)))


def fmin(x: Array, y: Array) -> Array:
    """The smaller; the other one where one is NaN."""
    return np.where(np.isnan(x), y, np.where(np.isnan(y), x, np.minimum(x, y)))


def signbit(x: Array) -> Array:
    """x below zero, or minus zero (whose reciprocal is minus infinity)."""
    return (x < 0) | ((x == 0) & (1 / x < 0))


def copysign(x: Array, y: Array) -> Array:
    """|x| with the sign of y."""
    return np.where(signbit(x) == signbit(y), x, -x)


def fmod(x: Array, y: Array) -> Array:
    """x - trunc(x / y) y, exactly: the remainder of the magnitudes, with the sign of x."""
    negative = signbit(x)
    rest = np.remainder(np.where(negative, -x, x), np.abs(y))
    return np.where(negative, -rest, rest)


def integer_fmod(x: Array, y: Array) -> Array:
    """The remainder moved from the sign of y to the sign of x; 0 for y = 0."""
    rest = np.remainder(x, y)
    return np.where((rest != 0) & ((x < 0) != (y < 0)), rest - y, rest)


def divmod_(x: Array, y: Array) -> tuple[Array, Array]:
    """floor(x / y) and what remains."""
    return np.floor_divide(x, y), np.remainder(x, y)


def modf(x: Array) -> tuple[Array, Array]:
    """The fractional and the whole part, both with the sign of x."""
    whole = np.trunc(x)
    return copysign(np.where(np.isinf(x), 0, x - whole), x), whole


def never(x: Array) -> Array:
    """False everywhere: no integer is infinite or NaN."""
    return np.zeros_like(x, dtype=BOOL)


def always(x: Array) -> Array:
    """True everywhere: all integers are finite."""
    return np.ones_like(x, dtype=BOOL)


def bitwise_count(x: Array) -> Array:
    """The number of one bits of |x|: neighbouring groups added (Warren, Hacker's Delight, 5-1)."""
    bits = 8 * x.dtype.itemsize
    unsigned = np.dtype(f"u{x.dtype.itemsize}").type
    ones = (1 << bits) - 1
    pairs, fours, eights = (unsigned(ones // (2**k + 1)) for k in (1, 2, 4))
    count = np.abs(x).astype(unsigned)
    count = count - ((count >> unsigned(1)) & pairs)
    count = (count & fours) + ((count >> unsigned(2)) & fours)
    count = (count + (count >> unsigned(4))) & eights
    return (count * unsigned(ones // 255) >> unsigned(bits - 8)).astype(np.uint8)


def clip(x: Array, low: Array, high: Array) -> Array:
    """x moved into [low, high]; `high` where the bounds are crossed."""
    return np.minimum(np.maximum(x, low), high)
