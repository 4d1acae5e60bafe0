"""Records of gather and the scatters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .agreement import Agreement, exact, within_rounding
from .op_record import Array, Record, Sample, Samples
from .op_values import ALL, NUMBERS, apart, generator, random_bits, random_values

Shape = tuple[int, ...]
Case = tuple[Shape, tuple[int, ...], Shape]
"""Shape of the array, the indexed axes, shape of the indices."""

CASES: tuple[Case, ...] = (
    ((5,), (0,), ()),
    ((5,), (0,), (0,)),
    ((5,), (0,), (3,)),
    ((5,), (0,), (2, 3)),
    ((130,), (0,), (33,)),
    ((2, 3), (0,), (2,)),
    ((2, 3), (1,), (2,)),
    ((2, 3), (0, 1), (4,)),
    ((17, 33), (0,), (5,)),
    ((17, 33), (1,), (5,)),
    ((17, 33), (0, 1), (17,)),
    ((2, 3, 5), (0, 2), (4,)),
    ((2, 3, 5), (1,), (2, 2)),
    ((0, 3), (1,), (2,)),
)


def _indices(rng: np.random.Generator, case: Case) -> tuple[Array, ...]:
    """Index arrays within bounds, negative ones and repetitions among them."""
    shape, axes, index_shape = case
    return tuple(
        np.asarray(rng.integers(-shape[axis], shape[axis], index_shape, np.int64)) for axis in axes
    )


def _gathered(case: Case) -> Shape:
    shape, axes, index_shape = case
    return index_shape + tuple(n for axis, n in enumerate(shape) if axis not in axes)


def _gather_samples(name: str) -> Iterator[Sample]:
    rng = generator("gather", name)
    for case in CASES:
        x = random_bits(rng, name, case[0])
        yield Sample((x, *_indices(rng, case)), {"axes": case[1]})


def _scatter_samples(name: str) -> Iterator[Sample]:
    rng = generator("scatter", name)
    for case in CASES:
        x, new = (random_bits(rng, name, shape) for shape in (case[0], _gathered(case)))
        yield Sample((x, new, *_indices(rng, case)), {"axes": case[1]})


def _scatter_add_samples(name: str) -> Iterator[Sample]:
    rng = generator("scatter_add", name)
    for case in CASES:
        x, new = (random_values(rng, name, shape) for shape in (case[0], _gathered(case)))
        yield Sample((x, new, *_indices(rng, case)), {"axes": case[1]})


def _smooth(updates: bool) -> tuple[Sample, ...]:
    """Small cases; indices are float64's only non-float operands."""
    rng = generator("indexing", "smooth", updates)
    samples = []
    for case in CASES:
        total = int(np.prod(case[0])) + updates * int(np.prod(_gathered(case)))
        if 0 < total <= 16:
            floats = [apart(rng, case[0])] + [apart(rng, _gathered(case))] * updates
            samples.append(Sample((*floats, *_indices(rng, case)), {"axes": case[1]}))
    return tuple(samples)


def _failing(updates: bool) -> tuple[Sample, ...]:
    """One index outside its axis, on either side."""
    samples = []
    for bad in (5, -6, 2**40, -(2**63)):
        operands: Sequence[Array] = [np.arange(5.0)] + [np.ones(3)] * updates
        samples.append(Sample((*operands, np.array([0, bad, 1])), {"axes": (0,)}))
    grid = [np.ones((2, 3))] + [np.ones(2)] * updates
    samples.append(Sample((*grid, np.array([0, 1]), np.array([0, 3])), {"axes": (0, 1)}))
    return tuple(samples)


def _record(op: str, dtypes: tuple[str, ...], samples: Samples, agreement: Agreement) -> Record:
    updates = op != "gather"
    return Record(
        op,
        dtypes,
        samples,
        agreement,
        _smooth(updates),
        failing=_failing(updates),
    )


INDEXING: tuple[Record, ...] = (
    _record("gather", ALL, _gather_samples, exact),
    _record("scatter", ALL, _scatter_samples, exact),
    _record("scatter_add", NUMBERS, _scatter_add_samples, within_rounding(8)),
)
