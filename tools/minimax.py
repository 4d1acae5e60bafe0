"""Compute the polynomials of ``compiler/codegen/math/coefficients.py``.

Run ``python tools/minimax.py`` from the root of the repository; it rewrites that file, and running
it again gives the same bytes. Needs mpmath.

Each polynomial is the weighted minimax approximation of a "tail" (what is left of a function after
its first, exactly known terms), found by Remez' exchange algorithm in 60 digits (E. Remez, 1934;
J.-M. Muller, "Elementary Functions", 3rd ed., section 3.5, and "Handbook of Floating-Point
Arithmetic", 2nd ed., section 10.3). The weight makes the error relative to the whole function. The
degree is the smallest whose error is below the target. Coefficients are rounded to the format one
by one, lowest first, and the rest is fitted again each time, so that a rounding error is made up
for by the later coefficients (N. Brisebarre and S. Chevillard, "Efficient polynomial
L-infinity approximations", ARITH 2007, solve the same problem optimally).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath
from mpmath import mpf

mpmath.mp.dps = 60

Real = Callable[[mpf], mpf]
TARGET = Path(__file__).parent.parent / "compiler" / "codegen" / "math" / "coefficients.py"


@dataclass(frozen=True)
class Tail:
    """One polynomial to compute: ``function`` on [low, high], error times ``weight``."""

    name: str
    what: str
    function: Real
    weight: Real
    low: mpf
    high: mpf
    targets: dict[str, int]  # format of the coefficients ("float", ...) -> bits of accuracy


def round_to(value: mpf, precision: int) -> mpf:
    """``value`` rounded to nearest with ``precision`` significant bits."""
    if value == 0:
        return mpf(0)
    exponent = int(mpmath.floor(mpmath.log(abs(value), 2))) + 1 - precision
    return mpmath.nint(mpmath.ldexp(value, -exponent)) * mpmath.ldexp(mpf(1), exponent)


def evaluate(coefficients: list[mpf], x: mpf) -> mpf:
    """Horner's rule, lowest coefficient first."""
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def remez(function: Real, weight: Real, low: mpf, high: mpf, terms: int) -> tuple[list[mpf], mpf]:
    """Minimax coefficients (``terms`` of them) and the largest weighted error."""
    centre, radius = (low + high) / 2, (high - low) / 2
    nodes = [
        centre - radius * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * terms + 2))
        for i in range(terms + 1)
    ]
    count = 24 * (terms + 1)
    grid = [
        centre - radius * mpmath.cos(mpmath.pi * (i + mpf(1) / 2) / count) for i in range(count)
    ]
    values = [(x, function(x), weight(x)) for x in grid]
    coefficients: list[mpf] = []
    error = mpf(0)
    for _ in range(12):
        coefficients, level = _solve(function, weight, nodes, terms)
        errors = [(x, (evaluate(coefficients, x) - y) * w) for x, y, w in values]
        error = max(abs(e) for _, e in errors)
        if error <= abs(level) * mpf("1.02"):
            break
        nodes = _exchange(errors, terms + 1)
    return coefficients, error


def _solve(function: Real, weight: Real, nodes: list[mpf], terms: int) -> tuple[list[mpf], mpf]:
    """The polynomial whose weighted error is +level, -level, ... at the nodes."""
    rows = mpmath.matrix(terms + 1, terms + 1)
    right = mpmath.matrix(terms + 1, 1)
    for i, x in enumerate(nodes):
        power = weight(x)
        for j in range(terms):
            rows[i, j] = power
            power *= x
        rows[i, terms] = mpf(-1) ** i
        right[i] = function(x) * weight(x)
    solution = mpmath.lu_solve(rows, right)
    return [solution[j] for j in range(terms)], solution[terms]


def _exchange(errors: list[tuple[mpf, mpf]], wanted: int) -> list[mpf]:
    """The largest error of each run of one sign; surplus runs dropped at the weaker end."""
    peaks: list[tuple[mpf, mpf]] = []
    for x, e in errors:
        if peaks and (peaks[-1][1] > 0) == (e > 0):
            if abs(e) > abs(peaks[-1][1]):
                peaks[-1] = (x, e)
        else:
            peaks.append((x, e))
    while len(peaks) > wanted:
        peaks.pop(0 if abs(peaks[0][1]) < abs(peaks[-1][1]) else -1)
    assert len(peaks) == wanted, "the error does not alternate often enough"
    return [x for x, _ in peaks]


PRECISION = {"float": 24, "double": 53}


def refit(tail: Tail, done: list[mpf], left: int) -> list[mpf]:
    """The ``left`` coefficients after ``done``, by least squares on Chebyshev points.

    (Remez' alternation does not hold once a coefficient is fixed and 0 is inside the interval.)
    """
    centre, radius, count = (tail.low + tail.high) / 2, (tail.high - tail.low) / 2, 160
    normal, right = mpmath.matrix(left, left), mpmath.matrix(left, 1)
    for i in range(count):
        x = centre - radius * mpmath.cos(mpmath.pi * (i + mpf(1) / 2) / count)
        weight = tail.weight(x)
        row = [weight * x ** (len(done) + j) for j in range(left)]
        error = weight * (tail.function(x) - evaluate(done, x))
        for j in range(left):
            right[j] += row[j] * error
            for k in range(left):
                normal[j, k] += row[j] * row[k]
    return list(mpmath.lu_solve(normal, right))


def fit(tail: Tail, precision: int, bits: int) -> tuple[list[mpf], mpf]:
    """The shortest polynomial with minimax error below 2**-bits, rounded, and its final error."""
    terms = 2
    while True:
        coefficients, error = remez(tail.function, tail.weight, tail.low, tail.high, terms)
        if error < mpf(2) ** -bits:
            break
        terms += 1
    rounded = [round_to(coefficients[0], precision)]
    while len(rounded) < terms:
        rounded.append(round_to(refit(tail, rounded, terms - len(rounded))[0], precision))
    points = [tail.low + (tail.high - tail.low) * i / 500 for i in range(501)]
    errors = [(evaluate(rounded, x) - tail.function(x)) * tail.weight(x) for x in points]
    return rounded, max(map(abs, errors))


def _series(function: Real, coefficient: Callable[[int], mpf]) -> Real:
    """``function``, by its own power series close to 0 (there it would cancel)."""

    def evaluated(x: mpf) -> mpf:
        if abs(x) > mpf("1e-3"):
            return function(x)
        return mpmath.fsum(coefficient(n) * x**n for n in range(40))

    return evaluated


def _asin_coefficient(n: int) -> mpf:
    m = n + 1
    return mpmath.binomial(2 * m, m) / (mpf(4) ** m * (2 * m + 1))


def _factorial_tail(first: int, step: int, sign: int) -> Callable[[int], mpf]:
    return lambda n: mpf(sign) ** n / mpmath.factorial(first + step * n)


ROOT, sqrt = mpmath.sqrt(2), mpmath.sqrt
EDGE = mpmath.log(2) / 2 * (1 + mpf(2) ** -8)
Z_LOG = ((ROOT - 1) / (ROOT + 1)) ** 2 * (1 + mpf(2) ** -10)
Z_TRIG = (mpmath.pi / 4 * (1 + mpf(2) ** -10)) ** 2
BOTH = {"float": 30, "double": 59}
ZERO, Z_FLOOR = mpf(0), mpf(2) ** -9  # a zero weight would make the equations singular
TAILS = [
    Tail(
        "EXP",
        "(exp(r) - 1 - r) / r**2 for |r| <= log(2)/2",
        _series(lambda r: (mpmath.expm1(r) - r) / r**2, _factorial_tail(2, 1, 1)),
        lambda r: abs(r) + EDGE / 64,
        -EDGE,
        EDGE,
        {**BOTH, "double_for_float": 32},
    ),
    Tail(
        "SINH",
        "(sinh(r) - r) / r**3 in z = r**2 for |r| <= log(2)/2",
        _series(lambda z: (mpmath.sinh(sqrt(z)) / sqrt(z) - 1) / z, _factorial_tail(3, 2, 1)),
        lambda z: z + Z_FLOOR,
        ZERO,
        EDGE**2,
        BOTH,
    ),
    Tail(
        "COSH",
        "(cosh(r) - 1) / r**2 in z = r**2 for |r| <= log(2)/2",
        _series(lambda z: (mpmath.cosh(sqrt(z)) - 1) / z, _factorial_tail(2, 2, 1)),
        lambda z: z + Z_FLOOR,
        ZERO,
        EDGE**2,
        BOTH,
    ),
    Tail(
        "LOG_DIRECT",
        "(log(1 + f) - f + f**2/2) / f**3 for sqrt(1/2) - 1 <= f <= sqrt(2) - 1",
        _series(
            lambda f: (mpmath.log1p(f) - f + f * f / 2) / f**3,
            lambda n: mpf(-1) ** n / (n + 3),
        ),
        lambda f: f * f * (1 - f / 2) + mpf("0.002"),
        (sqrt(mpf(1) / 2) - 1) * (1 + mpf(2) ** -10),
        (ROOT - 1) * (1 + mpf(2) ** -10),
        {"float": 29},
    ),
    Tail(
        "LOG",
        "(2 atanh(s) - 2 s) / s**3 in z = s**2 for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1)",
        _series(
            lambda z: (2 * mpmath.atanh(sqrt(z)) / sqrt(z) - 2) / z,
            lambda n: mpf(2) / (2 * n + 3),
        ),
        lambda z: z / 2 + Z_FLOOR / 16,
        ZERO,
        Z_LOG,
        {"double": 59, "double_for_float": 44},
    ),
    Tail(
        "LOG_EXTENDED",
        "(atanh(s)/s - 1 - z/3 - z**2/5) / z**3 in z = s**2, same range",
        _series(
            lambda z: (mpmath.atanh(sqrt(z)) / sqrt(z) - 1 - z / 3 - z * z / 5) / z**3,
            lambda n: mpf(1) / (2 * n + 7),
        ),
        lambda z: z**3 + Z_FLOOR**3 / 64,
        ZERO,
        Z_LOG,
        {"double": 70},
    ),
    Tail(
        "SIN",
        "(sin(r) - r) / r**3 in z = r**2 for |r| <= pi/4",
        _series(
            lambda z: (mpmath.sin(sqrt(z)) / sqrt(z) - 1) / z,
            lambda n: -_factorial_tail(3, 2, -1)(n),
        ),
        lambda z: z + Z_FLOOR,
        ZERO,
        Z_TRIG,
        BOTH,
    ),
    Tail(
        "COS",
        "(cos(r) - 1 + z/2) / z**2 in z = r**2 for |r| <= pi/4",
        _series(lambda z: (mpmath.cos(sqrt(z)) - 1 + z / 2) / z**2, _factorial_tail(4, 2, -1)),
        lambda z: z**2 / mpmath.cos(sqrt(z)) + Z_FLOOR,
        ZERO,
        Z_TRIG,
        BOTH,
    ),
    Tail(
        "ASIN",
        "(asin(u) - u) / u**3 in z = u**2 for |u| <= 1/2",
        _series(lambda z: (mpmath.asin(sqrt(z)) / sqrt(z) - 1) / z, _asin_coefficient),
        lambda z: z + Z_FLOOR,
        ZERO,
        mpf(1) / 4,
        BOTH,
    ),
    Tail(
        "ATAN",
        "(atan(t) - t) / t**3 in z = t**2 for |t| <= sqrt(2) - 1",
        _series(
            lambda z: (mpmath.atan(sqrt(z)) / sqrt(z) - 1) / z,
            lambda n: -(mpf(-1) ** n) / (2 * n + 3),
        ),
        lambda z: z + Z_FLOOR,
        ZERO,
        (ROOT - 1) ** 2 * (1 + mpf(2) ** -8),
        BOTH,
    ),
    Tail(
        "INVERSE_CBRT",
        "m**(-1/3) for 1 <= m <= 2",
        lambda m: m ** (-mpf(1) / 3),
        lambda m: m ** (mpf(1) / 3),
        mpf(1),
        mpf(2),
        {"float": 13, "double": 13},
    ),
]
"""All polynomials, in the order they are written."""


def _float32_or_64(value: mpf, kind: str) -> float:
    number = float(value)
    if kind == "float":
        assert struct.unpack("<f", struct.pack("<f", number))[0] == number
    return number


HEADER = '''"""Polynomial coefficients, lowest first. Written by tools/minimax.py; do not edit.

Keys are the element type the polynomial is evaluated in; "double_for_float" is a shorter one
for float32 results computed in float64. The comment gives the largest error relative to the
whole function.
"""

from __future__ import annotations

'''


def main() -> None:
    """Fit every polynomial and write the table."""
    parts = [HEADER]
    for tail in TAILS:
        parts.append(f"# {tail.what}\n{tail.name}: dict[str, tuple[float, ...]] = {{\n")
        for kind, bits in tail.targets.items():
            precision = 24 if kind == "float" else 53
            coefficients, error = fit(tail, precision, bits)
            exponent = float(mpmath.log(error, 2))
            print(f"{tail.name:14} {kind:17} {len(coefficients):2} terms  2**{exponent:.1f}")
            parts.append(f'    "{kind}": (  # error 2**{exponent:.1f}\n')
            parts.extend(f"        {_float32_or_64(c, kind)!r},\n" for c in coefficients)
            parts.append("    ),\n")
        parts.append("}\n\n")
    TARGET.write_text("".join(parts).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
