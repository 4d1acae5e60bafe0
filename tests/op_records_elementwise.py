"""Records of the elementwise ops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tapeless.ir.types import DTYPE_NAMES

from .agreement import Agreement, any_zero, exact, within_ulps
from .op_record import Array, Record, Sample, Samples
from .op_values import (
    ALL,
    BITS,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SHAPES,
    apart,
    generator,
    random_bits,
    random_values,
    specials,
)

Domain = tuple[float, float]

SMOOTH_SHAPE = (2, 3)
ONE_ULP = within_ulps(1.0)


def special_tuples(name: str, arity: int) -> tuple[Array, ...]:
    """All combinations of special values, as one vector per operand."""
    values = specials(name)
    return tuple(grid.reshape(-1) for grid in np.meshgrid(*[values] * arity, indexing="ij"))


def _samples(op: str, arity: int, domain: Domain | None) -> Samples:
    def samples(name: str) -> Iterator[Sample]:
        rng = generator(op, name)
        yield Sample(special_tuples(name, arity))
        yield Sample(tuple(random_bits(rng, name, (130,)) for _ in range(arity)))
        for shape in SHAPES:
            yield Sample(tuple(random_values(rng, name, shape, domain) for _ in range(arity)))

    return samples


def _elementwise(
    op: str,
    arity: int,
    dtypes: tuple[str, ...],
    smooth: tuple[Array, ...] = (),
    agreement: Agreement = exact,
    domain: Domain | None = None,
) -> Record:
    derivable = (Sample(smooth),) if smooth else ()
    return Record(op, dtypes, _samples(op, arity, domain), agreement, derivable)


def _within(low: float, high: float) -> Array:
    """float64 points strictly inside an interval, spread evenly and off any round number."""
    places = (np.arange(6) + 0.37) / 6
    return (low + (high - low) * places).reshape(SMOOTH_SHAPE)


def _function(op: str, low: float, high: float, agreement: Agreement = ONE_ULP) -> Record:
    """A function of one float operand with a derivative within `low` and `high`."""
    return _elementwise(op, 1, FLOATS, (_within(low, high),), agreement, (low, high))


def _steps(op: str) -> Record:
    """A function of one operand that is constant between the integers and the halves."""
    return _elementwise(op, 1, FLOATS, (np.array([[-2.3, -1.7, -0.3], [0.2, 0.8, 1.3]]),))


def _convert_samples(name: str) -> Iterator[Sample]:
    rng = generator("convert", name)
    for target in DTYPE_NAMES.values():
        attrs = {"dtype": target}
        yield Sample((_convertible(specials(name), target),), attrs)
        yield Sample((random_values(rng, name, (33,), (-100, 100)),), attrs)
    yield Sample((random_values(rng, name, (), (0, 100)),), {"dtype": DTYPE_NAMES["f64"]})
    yield Sample((random_values(rng, name, (0, 3)),), {"dtype": DTYPE_NAMES["f32"]})


def _convertible(values: Array, target: np.dtype[np.generic]) -> Array:
    """The values for which NumPy gives one answer, alone or in a long array.

    C leaves conversions of floats beyond an integer's range undefined, and NumPy's scalar and
    vector code differ there.
    """
    if values.dtype.kind != "f" or target.kind not in "iu":
        return values
    with np.errstate(all="ignore"):
        together = np.tile(values, 16).astype(target)[: values.size]
        alone = np.array([np.asarray(value).astype(target) for value in values])
    return values[together == alone]


def _select_samples(name: str) -> Iterator[Sample]:
    rng = generator("select", name)
    for shape in SHAPES:
        condition = random_values(rng, "bool", shape)
        yield Sample((condition, random_bits(rng, name, shape), random_bits(rng, name, shape)))


def _power_samples(name: str) -> Iterator[Sample]:
    rng = generator("pow", name)
    base, power = special_tuples(name, 2)
    allowed = np.ones(base.shape, bool) if name in FLOATS else power >= 0
    yield Sample((base[allowed], power[allowed]))
    for shape in SHAPES:
        yield Sample(
            (
                random_values(rng, name, shape, (0, 6) if name in FLOATS else (-6, 6)),
                random_values(rng, name, shape, (-4, 4) if name in FLOATS else (0, 5)),
            )
        )


_POSITIVE, _OTHER = _within(0.4, 2.5), _within(-1.8, 2.1)[::-1, ::-1].copy()
_APART = apart(generator("apart"), (2, 6))
_PAIR = (_APART[:, ::2].copy(), _APART[:, 1::2].copy())
_QUOTIENT = (np.array([[2.3, -3.1, 4.7], [1.2, -0.6, 5.9]]), np.array([[1.0, 2.0, -3.0]] * 2))

_UNARY = (
    _elementwise("neg", 1, NUMBERS, (_OTHER,)),
    _elementwise("abs", 1, NUMBERS, (_APART,)),
    _elementwise("sign", 1, NUMBERS, (_APART,)),
    *map(_steps, ("floor", "ceil", "trunc", "rint")),
    _function("sqrt", 0.2, 5, exact),
    _function("cbrt", 0.2, 5),
    _function("exp", -3, 3),
    _function("exp2", -3, 3),
    _function("expm1", -3, 3),
    _function("log", 0.2, 5),
    _function("log2", 0.2, 5),
    _function("log10", 0.2, 5),
    _function("log1p", -0.8, 3),
    _function("sin", -4, 4),
    _function("cos", -4, 4),
    _function("tan", -1.3, 1.3),
    _function("arcsin", -0.9, 0.9),
    _function("arccos", -0.9, 0.9),
    _function("arctan", -4, 4),
    _function("sinh", -3, 3),
    _function("cosh", -3, 3),
    _function("tanh", -3, 3),
    _function("arcsinh", -4, 4),
    _function("arccosh", 1.2, 5),
    _function("arctanh", -0.9, 0.9),
    _function("logistic", -5, 5),
    _elementwise("not", 1, BITS),
    _elementwise("isnan", 1, FLOATS),
    _elementwise("isinf", 1, FLOATS),
    _elementwise("isfinite", 1, FLOATS),
)

_BINARY = (
    _elementwise("add", 2, NUMBERS, (_POSITIVE, _OTHER)),
    _elementwise("sub", 2, NUMBERS, (_POSITIVE, _OTHER)),
    _elementwise("mul", 2, NUMBERS, (_POSITIVE, _OTHER)),
    _elementwise("div", 2, FLOATS, (_OTHER, _POSITIVE)),
    _elementwise("floor_divide", 2, NUMBERS, _QUOTIENT),
    _elementwise("remainder", 2, NUMBERS, _QUOTIENT),
    _elementwise("arctan2", 2, FLOATS, (_OTHER, _POSITIVE), ONE_ULP),
    _elementwise("max", 2, ALL, _PAIR, any_zero),
    _elementwise("min", 2, ALL, _PAIR, any_zero),
    *(_elementwise(op, 2, BITS) for op in ("and", "or", "xor")),
    *(_elementwise(op, 2, INTEGERS) for op in ("shift_left", "shift_right")),
    *(_elementwise(op, 2, ALL) for op in ("eq", "ne", "lt", "le", "gt", "ge")),
    Record(
        "pow",
        NUMBERS,
        _power_samples,
        ONE_ULP,
        (Sample((_POSITIVE, _OTHER)),),
        failing=tuple(
            Sample((np.array([2, 3, 4], dtype), np.array([1, -1, 2], dtype)))
            for dtype in (np.int8, np.int16, np.int32, np.int64)
        ),
    ),
)

ELEMENTWISE: tuple[Record, ...] = (
    *_UNARY,
    *_BINARY,
    Record(
        "select",
        ALL,
        _select_samples,
        smooth=(Sample((np.array([[True, False, True]] * 2), _POSITIVE, _OTHER)),),
    ),
    Record(
        "convert",
        ALL,
        _convert_samples,
        smooth=(Sample((_OTHER,), {"dtype": np.dtype(np.float64)}),),
    ),
    Record(
        "stop_gradient",
        ALL,
        _samples("stop_gradient", 1, None),
        derivative="zero by definition, unlike the numerical one",
    ),
)
