"""Elementary functions: at most one ulp wrong, NumPy's special values, on every target.

References are NumPy's longdouble functions (64-bit significands, glibc's are good to an ulp of
that) and mpmath for hard cases; integer and division results are NumPy's own.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from functools import cache, partial

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest

from tapeless.compiler.codegen.math import MATH, conversions, integers
from tapeless.compiler.codegen.math.argument_reduction import REDUCE_LARGE, TWO_OVER_PI_BITS

from .native_loops import ELEMENTS, kernel, loop_text, target_named, ulp_error

FULL_LANES = {"host": 16, "avx2": 8, "no_fma": 8, "sse2": 4, "baseline": 4}  # of float32
LEVELS = list(FULL_LANES)
DTYPES = ["f4", "f8"]


def _logistic(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(np.isnan(x), x, np.where(x < 0, e / (1 + e), 1 / (1 + e)))


BINARY: dict[str, Callable[..., np.ndarray]] = {"pow": np.power, "arctan2": np.arctan2}
EXACT: dict[str, Callable[..., np.ndarray]] = {
    name: getattr(np, name) for name in ("sqrt", "abs", "floor", "ceil", "trunc", "rint", "sign")
}
UNARY: dict[str, Callable[..., np.ndarray]] = {
    name: getattr(np, name, _logistic)
    for name in MATH
    if name not in (*BINARY, *EXACT, "floor_divide", "remainder")
}
LIMIT = {"f4": 1.0, "f8": 1.0}  # ulp


@pytest.fixture(autouse=True)
def _quiet() -> object:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's casts of NaN
        yield


def specials(dtype: str) -> np.ndarray:
    """Zeros, infinities, NaN, ones, the ends of the normal and subnormal ranges, both signs."""
    info = np.finfo(dtype)
    edges = [info.tiny, info.smallest_subnormal, info.max, info.eps, 1 - info.epsneg, 1 + info.eps]
    values = [0.0, np.inf, 0.5, 1.0, 1.5, 2.0, 3.0, 10.0, 100.0, 1000.0, 2.0**23, 2.0**53, *edges]
    return np.array([*values, *(-v for v in values), np.nan], dtype)


@cache
def samples(dtype: str, count: int = 20_000) -> np.ndarray:
    """All magnitudes, the usual range, and the neighbourhoods of 0 and 1."""
    rng = np.random.default_rng(7)
    unsigned = np.uint32 if dtype == "f4" else np.uint64
    bits = rng.integers(0, np.iinfo(unsigned).max, count, unsigned, endpoint=True)
    near = np.exp(rng.uniform(-36, 0, count)) * rng.choice([-1, 1], count)
    parts = [
        bits.view(dtype),
        rng.standard_normal(count) * 3,
        rng.uniform(-110, 110, count) * (1 if dtype == "f4" else 7),
        near,
        1 + near,
    ]
    return np.concatenate([part.astype(dtype) for part in parts] + [specials(dtype)])


@cache
def exact_values(name: str, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return UNARY[name](samples(dtype).astype(np.longdouble))


def compiled(name: str, dtype: str, level: str = "host", lanes: int | None = None, arity: int = 1):
    width = FULL_LANES[level] // (2 if dtype == "f8" else 1)
    return kernel(MATH[name], (dtype,) * arity, dtype, lanes or width, level)


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equal with equal signs of zeros, or both NaN."""
    return ((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))


def assert_same(result: np.ndarray, expected: np.ndarray, *inputs: np.ndarray) -> None:
    wrong = np.flatnonzero(~same_bits(result, expected))
    shown = [(*(x[i] for x in inputs), result[i], expected[i]) for i in wrong[:5]]
    assert not wrong.size, f"{wrong.size} differ: (inputs, got, expected) = {shown}"


def assert_accurate(result: np.ndarray, exact: np.ndarray, dtype: str, *inputs: np.ndarray) -> None:
    error = ulp_error(result, exact)
    worst = int(np.argmax(error))
    where = tuple(x[worst] for x in inputs)
    assert error[worst] <= LIMIT[dtype], f"{error[worst]} ulp at {where}: {result[worst]}"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_error_is_at_most_one_ulp(name: str, dtype: str, level: str) -> None:
    x = samples(dtype)
    assert_accurate(compiled(name, dtype, level)(x), exact_values(name, dtype), dtype, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_special_values_are_numpys(name: str, dtype: str) -> None:
    x = specials(dtype)
    expected = UNARY[name](x.astype(np.longdouble)).astype(dtype)
    x = x[(expected == 0) | ~np.isfinite(expected)]
    expected = UNARY[name](x.astype(np.longdouble)).astype(dtype)
    for level in LEVELS:
        assert_same(compiled(name, dtype, level)(x), expected, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*UNARY, *EXACT])
def test_lanes_do_not_change_a_bit(name: str, dtype: str) -> None:
    x = samples(dtype)[::17]
    wide = compiled(name, dtype)(x)
    for lanes in (1, 2, 4, 8, 16):
        assert_same(compiled(name, dtype, lanes=lanes)(x), wide, x)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_rounding_and_signs_are_numpys(name: str, dtype: str, level: str) -> None:
    near_ties = np.arange(-2000, 2000) / 4
    x = np.concatenate([samples(dtype), near_ties.astype(dtype)])
    assert_same(compiled(name, dtype, level)(x), EXACT[name](x), x)


HARD = {
    "exp": [709.782712893384, -745.1332191019411, -708.3964185322641, 1e-300],
    "exp2": [1023.9999999999999, -1074.5, -1075.0, -1022.3, 0.5 - 2**-54],
    "expm1": [1e-308, -37.4, 0.34657359027997264, 0.3465735902799727, 709.78, 1.0397207708399179],
    "log": [1 + 2**-52, 1 - 2**-53, 5e-324, 1.7976931348623157e308, 0.7071067811865476],
    "log2": [1 + 2**-52, 1 - 2**-53, 5e-324, 8.000000000000002, 1.4142135623730951],
    "log10": [1 + 2**-52, 1 - 2**-53, 5e-324, 1000.0, 999.9999999999999],
    "log1p": [-1 + 2**-53, 2**-53, -(2**-54), 1e-310, 1e300, 0.41421356237309515],
    "sin": [math.pi, 1e300, 6381956970095103 * 2.0**797, 2.0**40 - 0.5, 2.0**40, 1e22, 1.79e308],
    "cos": [math.pi / 2, 1e300, 6381956970095103 * 2.0**797, 2.0**39 * math.pi, 1e22, 5e15],
    "tan": [math.pi / 2, 1e300, 6381956970095103 * 2.0**797, math.pi * 1e9, 2.0**1023],
    "arcsin": [0.5, 0.5000000000000001, 1 - 2**-53, 1e-308],
    "arccos": [1 - 2**-53, -1 + 2**-53, 0.5, -0.5000000000000001, 1e-20],
    "arctan": [0.4142135623730951, 2.414213562373095, 1e308, 1e-308, 1 + 2**-52],
    "sinh": [710.4, 710.4758600739439, 1e-308, 0.34657359027997264],
    "cosh": [710.4, 710.4758600739439, 1e-9],
    "tanh": [1e-308, 18.9, 19.1, 0.17328679513998632],
    "arcsinh": [1e-308, 2.0**30, 2.0**30 + 1, 1.7e308, 2e-26],
    "arccosh": [1 + 2**-52, 2.0**30, 2.0**30 + 1, 1.7e308, 1.5],
    "arctanh": [1 - 2**-53, 1e-308, 0.5, 0.3333333333333333],
    "logistic": [-708.5, -744.5, 36.7, 37.5, -1e-300],
    "cbrt": [5e-324, 1.7e308, 0.9999999999999999, 27.0, 2e-308],
}
REFERENCES = {
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x, 2),
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
}


@pytest.mark.parametrize("level", ["host", "no_fma"])
@pytest.mark.parametrize("name", UNARY)
def test_hard_cases_against_many_digits(name: str, level: str) -> None:
    x = np.array([*HARD[name], *(-v for v in HARD[name] if name in ("sin", "cos", "tan"))])
    reference = REFERENCES.get(name) or getattr(mpmath, name)
    with mpmath.workdps(1100 if name in ("sin", "cos", "tan") else 400):
        exact = [reference(mpmath.mpf(float(v))) for v in x]
        results = compiled(name, "f8", level)(x)
        for value, result, truth in zip(x, results, exact, strict=True):
            exponent = max(int(mpmath.frexp(truth)[1]), -1021)
            error = abs(mpmath.mpf(float(result)) - truth) * mpmath.mpf(2) ** (53 - exponent)
            assert error <= 1, f"{name}({value!r}) = {result!r}, {float(error)} ulp"


def test_the_bits_of_two_over_pi_are_right() -> None:
    with mpmath.workprec(1400):
        assert int(mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** 1280)) == TWO_OVER_PI_BITS


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_one_huge_lane_does_not_disturb_the_others(name: str) -> None:
    x = np.random.default_rng(3).standard_normal(512)
    plain = compiled(name, "f8")(x)
    x[::5] = 1e300
    mixed = compiled(name, "f8")(x)
    assert_same(np.delete(mixed, np.s_[::5]), np.delete(plain, np.s_[::5]))
    assert (mixed[::5] == mixed[0]).all()


def pairs(name: str, dtype: str, count: int = 25_000) -> tuple[np.ndarray, np.ndarray]:
    """Operands of all magnitudes, and ones whose result neither over- nor underflows."""
    rng = np.random.default_rng(11)
    a, b = samples(dtype)[:count], np.roll(samples(dtype), 12345)[:count]
    if name == "arctan2":
        scale = 2.0 ** rng.integers(-140, 120, count) if dtype == "f4" else 1.0
        x, y = rng.standard_normal((2, count)) * scale
        y *= 2.0 ** rng.integers(-60, 10, count)
        parts = [(a, b), (y, x), (b, b)]
    else:
        top = 88 if dtype == "f4" else 709
        base = np.exp(rng.uniform(-80, 80, count))
        close = 1 + rng.uniform(0.1, 1, count) * np.exp(rng.uniform(-15, 0, count))
        small = rng.integers(-40, 40, (2, count))
        parts = [(a, b), (small[0], small[1] / 2)]
        for x in (base.astype(dtype), close.astype(dtype)):
            wide = rng.uniform(-1.05, 1.05, count) * top / np.log(x.astype(np.float64))
            parts.append((x, wide))
    first, second = zip(*parts, strict=True)
    return tuple(np.concatenate([p.astype(dtype) for p in side]) for side in (first, second))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_error_is_at_most_one_ulp(name: str, dtype: str, level: str) -> None:
    x, y = pairs(name, dtype)
    exact = BINARY[name](x.astype(np.longdouble), y.astype(np.longdouble))
    assert_accurate(compiled(name, dtype, level, arity=2)(x, y), exact, dtype, x, y)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_special_values_are_numpys(name: str, dtype: str, level: str) -> None:
    x, y = (side.ravel() for side in np.meshgrid(specials(dtype), specials(dtype)))
    result = compiled(name, dtype, level, arity=2)(x, y)
    exact = BINARY[name](x.astype(np.longdouble), y.astype(np.longdouble))
    expected = exact.astype(dtype)
    edge = (expected == 0) | ~np.isfinite(expected)
    assert_same(result[edge], expected[edge], x[edge], y[edge])
    assert (np.signbit(result) == np.signbit(expected))[~np.isnan(expected)].all()


@pytest.mark.parametrize("lanes", [1, None])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_float_division_is_numpys(name: str, dtype: str, level: str, lanes: int | None) -> None:
    rng = np.random.default_rng(5)
    count = 4000
    grid = [side.ravel() for side in np.meshgrid(specials(dtype), specials(dtype))]
    every = samples(dtype, count)[:count]
    tenths = rng.integers(-1000, 1000, count) * 0.1
    parts = [
        grid,
        (every, every[::-1]),
        (tenths, np.full(count, 0.1)),
        (tenths, rng.integers(-9, 9, count)),
        (every, rng.standard_normal(count)),
    ]
    x, y = (np.concatenate([np.asarray(p[i], dtype) for p in parts]) for i in (0, 1))
    result = compiled(name, dtype, level, lanes, arity=2)(x, y)
    assert_same(result, getattr(np, name)(x, y), x, y)


INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
INTEGER_OPS = {
    "floor_divide_{}": np.floor_divide,
    "remainder_{}": np.remainder,
    "power": np.power,
    "shift_left": np.left_shift,
    "shift_right_{}": np.right_shift,
}


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", INTEGER_OPS)
def test_integer_results_are_numpys(name: str, dtype: str, lanes: int) -> None:
    info, rng = np.iinfo(dtype), np.random.default_rng(2)
    edges = [0, 1, 2, 7, info.max, info.max - 1, info.min, info.min + 1]
    if info.min < 0:
        edges += [-1, -2, -7]
    x, y = (side.ravel() for side in np.meshgrid(np.array(edges, dtype), np.array(edges, dtype)))
    wide = rng.integers(info.min, info.max, (2, 2000), dtype, endpoint=True)
    small = rng.integers(max(info.min, -9), 70, 2000).astype(dtype)
    x, y = np.concatenate([x, wide[0], wide[0]]), np.concatenate([y, wide[1], small])
    if name == "power":
        y = np.where(y < 0, y & info.max, y).astype(dtype)
    spelled = name.format("signed" if info.min < 0 else "unsigned")
    for level in ("host", "baseline"):
        run = kernel(getattr(integers, spelled), (dtype, dtype), dtype, lanes, level)
        assert_same(run(x, y), INTEGER_OPS[name](x, y), x, y)


@cache
def conversion(target: str) -> Callable[..., object]:
    signed = target[0] == "i"
    return partial(conversions.float_to_integer, element=ELEMENTS[np.dtype(target)], signed=signed)


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("target", INTEGERS)
@pytest.mark.parametrize("source", DTYPES)
def test_float_to_integer_casts_are_numpys(source: str, target: str, lanes: int) -> None:
    powers = 2.0 ** np.array([7, 8, 15, 16, 31, 32, 63, 64])
    around = (powers[:, None] + np.array([-1.5, -1, -0.5, 0, 0.5, 1, 1.5])).ravel()
    rng = np.random.default_rng(4)
    spread = rng.standard_normal(4000) * 2.0 ** rng.integers(0, 70, 4000)
    x = np.concatenate([around, -around, spread]).astype(source)
    x = np.concatenate([x, specials(source), x[:3]])
    for level in ("host", "baseline"):
        run = kernel(conversion(target), (source,), target, lanes, level)
        assert_same(run(x), x.astype(target), x)


def library_calls(name: str, dtype: str, level: str) -> set[str]:
    """The functions that the machine code of a math function calls, other than our own."""
    arity = 2 if name in (*BINARY, "floor_divide", "remainder") else 1
    kinds, lanes = [np.dtype(dtype)] * arity, FULL_LANES.get(level, 4)
    text = loop_text(MATH[name], kinds, np.dtype(dtype), lanes, level)
    machine = target_named(level).machine()
    assembly = machine.emit_assembly(llvm.parse_assembly(text))
    called = re.findall(r"^\s+(?:callq?|bl)\s+(\S+)", assembly, re.MULTILINE)
    return set(called) - {REDUCE_LARGE}


@pytest.mark.parametrize("level", ["host", "no_fma", "baseline", "neon"])
@pytest.mark.parametrize("name", MATH)
def test_no_library_is_called(name: str, level: str) -> None:
    for dtype in DTYPES:
        assert not library_calls(name, dtype, level)


@pytest.mark.exhaustive
@pytest.mark.parametrize("level", ["host", "no_fma"])
@pytest.mark.parametrize("name", UNARY)
def test_every_float32(name: str, level: str) -> None:
    """All 2**32 inputs; float64 references (their own error is below 1e-8 ulp of float32)."""
    run, worst, chunk = compiled(name, "f4", level), (0.0, 0.0), 1 << 22
    for start in range(0, 1 << 32, chunk):
        x = np.arange(start, start + chunk, dtype=np.uint64).astype(np.uint32).view(np.float32)
        error = ulp_error(run(x), UNARY[name](x.astype(np.float64)))
        index = int(np.argmax(error))
        worst = max(worst, (float(error[index]), float(x[index])))
    print(f"{name} {level}: {worst[0]:.4f} ulp at {worst[1]!r}")
    assert worst[0] <= 1.0
