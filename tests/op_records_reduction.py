"""Records of the reductions, running sums and the matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .agreement import Agreement, any_zero, within_rounding
from .op_record import Record, Sample
from .op_values import (
    ALL,
    FLOATS,
    NUMBERS,
    apart,
    generator,
    random_values,
    specials,
)

Shape = tuple[int, ...]
Axes = tuple[int, ...]
Domain = tuple[float, float] | None

REDUCED: tuple[tuple[Shape, Axes], ...] = (
    ((), ()),
    ((1,), (0,)),
    ((17,), (0,)),
    ((130,), (0,)),
    ((1000,), (0,)),
    ((5, 7), ()),
    ((5, 7), (0,)),
    ((5, 7), (1,)),
    ((5, 7), (0, 1)),
    ((3, 130), (1,)),
    ((130, 3), (0,)),
    ((2, 3, 33), (0, 2)),
    ((2, 3, 33), (1,)),
    ((0, 3), (1,)),
    ((3, 0, 2), (0,)),
)
EMPTY: tuple[tuple[Shape, Axes], ...] = (((0,), (0,)), ((0, 3), (0,)), ((2, 0), (0, 1)))
"""Reductions of nothing, where the op has a neutral element."""

SMALL: tuple[tuple[Shape, Axes], ...] = (((5,), (0,)), ((2, 3), (1,)), ((2, 2, 2), (0, 2)))


def _reduction(
    op: str, dtypes: tuple[str, ...], agreement: Agreement, neutral: bool, domain: Domain = None
) -> Record:
    def samples(name: str) -> Iterator[Sample]:
        rng = generator(op, name)
        for shape, axes in REDUCED + (EMPTY if neutral else ()):
            yield Sample((random_values(rng, name, shape, domain),), {"axes": axes})
        yield from _with_specials(name, {"axes": (0,)})

    rng = generator(op, "smooth")
    smooth = tuple(Sample((apart(rng, shape),), {"axes": axes}) for shape, axes in SMALL)
    return Record(op, dtypes, samples, agreement, smooth)


def _with_specials(name: str, attrs: dict[str, Any]) -> Iterator[Sample]:
    """Columns that hold one special value each among ordinary ones."""
    values = specials(name)
    columns = np.ones((19, values.size), values.dtype)
    columns[np.arange(values.size) % 19, np.arange(values.size)] = values
    yield Sample((columns,), attrs)
    if name in FLOATS:
        zeros = np.array([[0.0, -0.0, 0.0, -0.0], [0.0, -0.0, -0.0, 0.0]], values.dtype)
        nans = np.array([[np.nan, 1, np.inf], [1, np.nan, -np.inf]], values.dtype)
        yield Sample((zeros,), attrs)
        yield Sample((nans,), attrs)


def _positional(op: str) -> Record:
    def samples(name: str) -> Iterator[Sample]:
        rng = generator(op, name)
        for shape, axis in (
            ((1,), 0),
            ((17,), 0),
            ((130,), 0),
            ((5, 7), 0),
            ((5, 7), 1),
            ((3, 130), 1),
            ((2, 3, 33), 1),
            ((0, 3), 1),
        ):
            few = random_values(rng, name, shape, (-3, 3))  # with ties
            yield Sample((np.rint(few) if name in FLOATS else few,), {"axis": axis})
        yield from _with_specials(name, {"axis": 0})
        yield from _with_specials(name, {"axis": 1})

    return Record(op, ALL, samples)


def _cumsum_samples(name: str) -> Iterator[Sample]:
    rng = generator("cumsum", name)
    for reverse in (False, True):
        for shape, axis in (
            ((1,), 0),
            ((17,), 0),
            ((130,), 0),
            ((5, 7), 0),
            ((5, 7), 1),
            ((0,), 0),
        ):
            attrs = {"axis": axis, "reverse": reverse}
            yield Sample((random_values(rng, name, shape),), attrs)


def _attrs(batch: tuple[Axes, Axes], contract: tuple[Axes, Axes]) -> dict[str, Any]:
    return {"batch": batch, "contract": contract}


_PLAIN = _attrs(((), ()), ((1,), (0,)))
_LEFT_TURNED = _attrs(((), ()), ((0,), (0,)))
_RIGHT_TURNED = _attrs(((), ()), ((1,), (1,)))
_BOTH_TURNED = _attrs(((), ()), ((0,), (1,)))

PRODUCTS: tuple[tuple[Shape, Shape, dict[str, Any]], ...] = (
    ((), (), _attrs(((), ()), ((), ()))),
    ((3,), (2,), _attrs(((), ()), ((), ()))),
    ((5,), (5,), _attrs(((), ()), ((0,), (0,)))),
    ((130,), (130,), _attrs(((), ()), ((0,), (0,)))),
    ((1, 1), (1, 1), _PLAIN),
    ((2, 3), (3, 2), _PLAIN),
    ((33, 17), (17,), _PLAIN),
    ((17,), (17, 33), _attrs(((), ()), ((0,), (0,)))),
    ((3, 17), (17, 5), _PLAIN),
    ((33, 7), (7, 130), _PLAIN),
    ((17, 3), (17, 5), _LEFT_TURNED),
    ((3, 17), (5, 17), _RIGHT_TURNED),
    ((17, 3), (5, 17), _BOTH_TURNED),
    ((1, 33), (33, 1), _PLAIN),
    ((0, 3), (3, 2), _PLAIN),
    ((3, 0), (0, 2), _PLAIN),
    ((2, 3, 5), (2, 5, 4), _attrs(((0,), (0,)), ((2,), (1,)))),
    ((3, 2, 5), (4, 2, 5), _attrs(((1,), (1,)), ((2,), (2,)))),
    ((2, 3, 4), (3, 4, 5), _attrs(((), ()), ((1, 2), (0, 1)))),
    ((2, 3, 4), (4, 5, 3), _attrs(((), ()), ((1, 2), (2, 0)))),
    ((2, 3), (2, 3), _attrs(((0, 1), (0, 1)), ((), ()))),
)


def _product_samples(name: str) -> Iterator[Sample]:
    rng = generator("dot", name)
    for left, right, attrs in PRODUCTS:
        arrays = (random_values(rng, name, left), random_values(rng, name, right))
        yield Sample(arrays, attrs)
    if name in FLOATS:
        x, y = random_values(rng, name, (5, 17)), random_values(rng, name, (17, 5))
        x[0, 3], x[2, 5], y[1, 1], y[16, 2] = np.inf, np.nan, -np.inf, np.inf
        yield Sample((x, y), _PLAIN)


def _product_smooth() -> Iterator[Sample]:
    rng = generator("dot", "smooth")
    for left, right, attrs in PRODUCTS:
        if 0 < int(np.prod(left)) + int(np.prod(right)) <= 16:
            yield Sample((apart(rng, left), apart(rng, right)), attrs)


def _cumsum_smooth() -> Iterator[Sample]:
    rng = generator("cumsum", "smooth")
    for reverse in (False, True):
        yield Sample((apart(rng, (5,)),), {"axis": 0, "reverse": reverse})
        yield Sample((apart(rng, (2, 3)),), {"axis": 1, "reverse": reverse})


REDUCTION: tuple[Record, ...] = (
    _reduction("sum", NUMBERS, within_rounding(8), True),
    _reduction("prod", NUMBERS, within_rounding(1000), True, (0.7, 1.4)),
    _reduction("reduce_max", ALL, any_zero, False),
    _reduction("reduce_min", ALL, any_zero, False),
    _positional("argmax"),
    _positional("argmin"),
    Record("cumsum", NUMBERS, _cumsum_samples, within_rounding(130), tuple(_cumsum_smooth())),
    Record("dot", NUMBERS, _product_samples, within_rounding(16), tuple(_product_smooth())),
)
