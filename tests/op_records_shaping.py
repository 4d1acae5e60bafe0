"""Records of the ops that move elements or make them: views, joins, constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tapeless.ir.types import DTYPE_NAMES

from .op_record import Record, Sample, Samples
from .op_values import ALL, NUMBERS, apart, generator, random_bits, specials

Case = tuple[tuple[tuple[int, ...], ...], dict[str, Any]]
"""Operand shapes and attributes."""


def _case(*shapes: tuple[int, ...], **attrs: Any) -> Case:
    return shapes, attrs


def _samples(op: str, cases: Sequence[Case]) -> Samples:
    def samples(name: str) -> Iterator[Sample]:
        rng = generator(op, name)
        for shapes, attrs in cases:
            yield Sample(tuple(random_bits(rng, name, shape) for shape in shapes), attrs)

    return samples


def _record(op: str, *cases: Case) -> Record:
    """All cases by value; derivatives on those that are small."""
    rng = generator(op, "smooth")
    smooth = tuple(
        Sample(tuple(apart(rng, shape) for shape in shapes), attrs)
        for shapes, attrs in cases
        if 0 < sum(int(np.prod(shape)) for shape in shapes) <= 16
    )
    return Record(op, ALL, _samples(op, cases), smooth=smooth)


_BROADCAST = _record(
    "broadcast",
    _case((), shape=(), axes=()),
    _case((), shape=(4,), axes=()),
    _case((3,), shape=(2, 3), axes=(1,)),
    _case((3,), shape=(3, 2), axes=(0,)),
    _case((2, 3), shape=(2, 4, 3), axes=(0, 2)),
    _case((33,), shape=(33, 17), axes=(0,)),
    _case((17,), shape=(5, 17), axes=(1,)),
    _case((1,), shape=(130, 1), axes=(1,)),
    _case((0,), shape=(3, 0), axes=(1,)),
    _case((3,), shape=(0, 3), axes=(1,)),
)
_RESHAPE = _record(
    "reshape",
    _case((), shape=(1, 1)),
    _case((1, 1), shape=()),
    _case((2, 3), shape=(3, 2)),
    _case((2, 3), shape=(6,)),
    _case((130,), shape=(2, 5, 13)),
    _case((0, 3), shape=(7, 0)),
)
_TRANSPOSE = _record(
    "transpose",
    _case((), axes=()),
    _case((5,), axes=(0,)),
    _case((2, 3), axes=(1, 0)),
    _case((33, 17), axes=(1, 0)),
    _case((2, 3, 2), axes=(2, 0, 1)),
    _case((3, 5, 7, 2), axes=(3, 1, 0, 2)),
    _case((0, 3), axes=(1, 0)),
)
_SLICE = _record(
    "slice",
    _case((), starts=(), limits=(), steps=()),
    _case((7,), starts=(2,), limits=(6,), steps=(1,)),
    _case((7,), starts=(1,), limits=(7,), steps=(3,)),
    _case((7,), starts=(3,), limits=(3,), steps=(1,)),
    _case((130,), starts=(1,), limits=(130,), steps=(2,)),
    _case((4, 3), starts=(1, 0), limits=(4, 2), steps=(2, 1)),
    _case((5, 33), starts=(1, 3), limits=(5, 32), steps=(1, 1)),
    _case((0, 3), starts=(0, 1), limits=(0, 3), steps=(1, 1)),
)
_REVERSE = _record(
    "reverse",
    _case((), axes=()),
    _case((7,), axes=(0,)),
    _case((130,), axes=(0,)),
    _case((2, 3), axes=()),
    _case((2, 3), axes=(1,)),
    _case((5, 17), axes=(0, 1)),
    _case((3, 0), axes=(0,)),
)
_PAD = _record(
    "pad",
    _case((), low=(), high=(), interior=(), fill=0),
    _case((3,), low=(2,), high=(1,), interior=(0,), fill=0),
    _case((3,), low=(0,), high=(1,), interior=(2,), fill=1),
    _case((130,), low=(3,), high=(2,), interior=(0,), fill=0),
    _case((2, 3), low=(1, 0), high=(0, 2), interior=(1, 1), fill=1),
    _case((5, 17), low=(1, 2), high=(0, 2), interior=(0, 0), fill=0),
    _case((0,), low=(2,), high=(1,), interior=(3,), fill=1),
    _case((1,), low=(0,), high=(0,), interior=(5,), fill=1),
)
_CONCATENATE = _record(
    "concatenate",
    _case((3,), axis=0),
    _case((3,), (4,), axis=0),
    _case((2, 1), (2, 3), (2, 2), axis=1),
    _case((0, 3), (2, 3), axis=0),
    _case((33,), (17,), (1,), (130,), axis=0),
    _case((5, 17), (2, 17), axis=0),
    _case((3, 2, 5), (3, 7, 5), axis=1),
    _case((0,), (0,), axis=0),
)
_UPDATE = _record(
    "update",
    _case((), (), starts=(), limits=(), steps=()),
    _case((7,), (3,), starts=(2,), limits=(5,), steps=(1,)),
    _case((7,), (3,), starts=(0,), limits=(7,), steps=(3,)),
    _case((7,), (0,), starts=(3,), limits=(3,), steps=(1,)),
    _case((4, 3), (2, 1), starts=(1, 1), limits=(4, 2), steps=(2, 1)),
    _case((130,), (64,), starts=(1,), limits=(129,), steps=(2,)),
    _case((5, 33), (4, 30), starts=(1, 2), limits=(5, 32), steps=(1, 1)),
    _case((0, 3), (0, 2), starts=(0, 1), limits=(0, 3), steps=(1, 1)),
)


def _constants(name: str) -> Iterator[Sample]:
    rng = generator("constant", name)
    for value in specials(name)[:6]:
        yield Sample((), {"value": np.asarray(value)})
    yield Sample((), {"value": specials(name)})
    for shape in ((0,), (1,), (17,), (5, 7), (0, 3)):
        yield Sample((), {"value": random_bits(rng, name, shape)})


def _iotas(name: str) -> Iterator[Sample]:
    for size in (0, 1, 3, 17, 130, 300):
        yield Sample((), {"size": size, "dtype": DTYPE_NAMES[name]})


SHAPING: tuple[Record, ...] = (
    _BROADCAST,
    _RESHAPE,
    _TRANSPOSE,
    _SLICE,
    _REVERSE,
    _PAD,
    _CONCATENATE,
    _UPDATE,
    Record("constant", ALL, _constants),
    Record("iota", NUMBERS, _iotas),
)
