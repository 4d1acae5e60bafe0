"""Values for testing ops: every element type's extremes and special values, and random arrays."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from tapeless.ir.types import DTYPE_NAMES

Array = np.ndarray[Any, Any]

FLOATS = ("f32", "f64")
SIGNED = ("i8", "i16", "i32", "i64")
UNSIGNED = ("u8", "u16", "u32", "u64")
INTEGERS = (*SIGNED, *UNSIGNED)
NUMBERS = (*INTEGERS, *FLOATS)
BITS = ("bool", *INTEGERS)
ALL = tuple(DTYPE_NAMES)

SHAPES = ((), (0,), (1,), (3,), (17,), (33,), (130,), (2, 0, 3), (5, 7), (2, 3, 4))
"""Scalars, nothing, less than a vector, vectors and a rest, several axes."""


def generator(*key: object) -> np.random.Generator:
    """A generator seeded by the text of `key`: the same in every process."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def specials(name: str) -> Array:
    """The values of an element type at which implementations go wrong."""
    dtype = DTYPE_NAMES[name]
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info, width = np.iinfo(dtype), 8 * dtype.itemsize
        values = [0, 1, 2, 3, 7, 10, width - 1, width, width + 1, info.max // 2 + 1]
        values += [info.max, info.max - 1, info.min, info.min + 1]
        values += [-1, -2, -3, -7] if dtype.kind == "i" else []
        return np.array(values, dtype)
    limits = np.finfo(dtype)
    positive = [
        *(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.1, 10.0, 1e-3, 1e4, 100.25, np.pi / 2, np.pi),
        *(float(limits.smallest_subnormal), float(limits.smallest_subnormal) * 12345),
        *(float(limits.tiny), float(limits.max), float(limits.eps), 1 + float(limits.eps)),
        *(1 - float(limits.epsneg), 1 / float(limits.eps), 2.0**31, 2.0**63, np.inf, np.nan),
    ]
    half = np.array(positive, dtype)
    return np.concatenate([half, -half])


def random_values(
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, ...],
    domain: tuple[float, float] | None = None,
) -> Array:
    """Random elements of an element type, uniform in `domain` (a modest one if None).

    For integers the domain is cut to what the type holds.
    """
    dtype = DTYPE_NAMES[name]
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    low, high = domain or (-5.0, 5.0)
    if dtype.kind == "f":
        return np.asarray(rng.uniform(low, high, shape).astype(dtype))
    info = np.iinfo(dtype)
    least, most = max(int(low), info.min), min(int(high), info.max)
    return np.asarray(rng.integers(least, most, shape, dtype, endpoint=True))


def random_bits(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Every bit random: for floats all magnitudes alike, with infinities, NaNs and denormals."""
    dtype = DTYPE_NAMES[name]
    if dtype.kind == "b":
        return random_values(rng, name, shape)
    words = rng.integers(0, 2 ** (8 * dtype.itemsize) - 1, shape, np.uint64, endpoint=True)
    return np.asarray(words.astype(f"u{dtype.itemsize}")).view(dtype).reshape(shape)


def apart(rng: np.random.Generator, shape: tuple[int, ...], gap: float = 0.25) -> Array:
    """float64 elements that are all at least `gap` apart and that far from zero, shuffled."""
    count = int(np.prod(shape))
    places = (np.arange(count) - count // 2 + 0.5) * 2 * gap
    jitter = rng.uniform(-gap / 2, gap / 2, count)
    return np.asarray(rng.permutation(places + jitter).reshape(shape))
