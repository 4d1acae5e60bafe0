"""Records of `windows` and `unwindow`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tapeless.ir.ops.convolution import window_axes

from .agreement import exact
from .op_record import Record, Sample
from .op_values import ALL, NUMBERS, apart, generator, random_bits, random_values

Shape = tuple[int, ...]
Case = tuple[Shape, Shape, dict[str, Any]]
"""The shape of the array, that of its windows, and the attributes common to both ops."""


def _case(
    shape: Shape,
    windows: Shape,
    axes: Shape,
    strides: Shape | None = None,
    dilations: Shape | None = None,
) -> Case:
    ones = (1,) * len(axes)
    attrs = {"axes": axes, "strides": strides or ones, "dilations": dilations or ones}
    return shape, windows, attrs


CASES: tuple[Case, ...] = (
    _case((), (), ()),
    _case((5,), (5,), ()),
    _case((7,), (5, 3), (0,)),
    _case((7,), (1, 7), (0,)),
    _case((7,), (7, 1), (0,)),
    _case((8,), (4, 2), (0,), (2,)),
    _case((9,), (2, 3), (0,), (4,)),
    _case((9,), (5, 3), (0,), None, (2,)),
    _case((11,), (3, 3), (0,), (3,), (2,)),
    _case((3, 5), (3, 4, 2), (1,)),
    _case((5, 3), (4, 2, 3), (0,)),
    _case((4, 4), (3, 2, 2, 3), (0, 1)),
    _case((2, 7, 9), (2, 3, 3, 3, 3), (1, 2), (2, 3), (1, 1)),
    _case((130,), (128, 3), (0,)),
    _case((2, 70), (2, 33, 5), (1,), (2,)),
    _case((2, 3, 40, 37), (2, 3, 38, 3, 33, 5), (2, 3)),
    _case((0, 5), (0, 3, 3), (1,)),
)


def _sizes(shape: Shape, windows: Shape, attrs: dict[str, Any]) -> Shape:
    return tuple(windows[axis] for axis in window_axes(len(shape), attrs["axes"])[1])


def _windows_samples(name: str) -> Iterator[Sample]:
    rng = generator("windows", name)
    for shape, windows, attrs in CASES:
        yield Sample(
            (random_bits(rng, name, shape),), {**attrs, "sizes": _sizes(shape, windows, attrs)}
        )


def _unwindow_attrs(shape: Shape, attrs: dict[str, Any]) -> dict[str, Any]:
    return {**attrs, "extents": tuple(shape[axis] for axis in attrs["axes"])}


def _unwindow_samples(name: str) -> Iterator[Sample]:
    rng = generator("unwindow", name)
    for shape, windows, attrs in CASES:
        yield Sample((random_values(rng, name, windows),), _unwindow_attrs(shape, attrs))


def _small(shape: Shape) -> bool:
    return 0 < int(np.prod(shape)) <= 12


def _windows_smooth() -> Iterator[Sample]:
    rng = generator("windows", "smooth")
    for shape, windows, attrs in CASES:
        if _small(shape):
            yield Sample((apart(rng, shape),), {**attrs, "sizes": _sizes(shape, windows, attrs)})


def _unwindow_smooth() -> Iterator[Sample]:
    rng = generator("unwindow", "smooth")
    for shape, windows, attrs in CASES:
        if _small(windows):
            yield Sample((apart(rng, windows),), _unwindow_attrs(shape, attrs))


CONVOLUTION: tuple[Record, ...] = (
    Record("windows", ALL, _windows_samples, smooth=tuple(_windows_smooth())),
    Record("unwindow", NUMBERS, _unwindow_samples, exact, smooth=tuple(_unwindow_smooth())),
)
