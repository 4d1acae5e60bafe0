"""Random numbers inside compiled functions.

NumPy's generators run while a function is traced, and never again: what they drew would be a
constant of the program. A *stream* is an array instead, two 64-bit words: a key, and how many
numbers have been drawn. Number i is a hash of key and i, computed in plain NumPy, and drawing
moves the count on in place. So a stream is an argument like any other, the numbers are made by the
kernel that uses them, and the same stream gives the same numbers compiled, define-by-run and on
bare arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.errors import ArgumentError, DTypeError
from .arrays import Array

__all__ = ["stream", "uniform"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)


def stream(generator: np.random.Generator) -> Array:
    """A new stream of random numbers, uint64 of shape (2,): a key from `generator`, count 0."""
    return np.array([generator.integers(0, 2**64, dtype=np.uint64), 0], np.uint64)


def uniform(state: Array, shape: int | Sequence[int], dtype: Any = np.float64) -> Array:
    """Numbers of the stream `state`, evenly distributed over [0, 1); the count moves on in place.

    float64 has 53 random bits, float32 24. Raises `DTypeError` for other dtypes, `ArgumentError`
    for a state that is no stream.

    SplitMix64: the finalizer of Steele, Lea & Flood, "Fast splittable pseudorandom number
    generators" (2014), figure 16, on key + (i + 1) times an odd constant.
    """
    dtype = np.dtype(dtype)
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise DTypeError("random numbers are float32 or float64", given=f"dtype {dtype}")
    if getattr(state, "dtype", None) != np.uint64 or state.shape != (2,):
        raise ArgumentError(
            "random numbers come from a stream, a uint64 array of shape (2,)",
            given=f"{type(state).__name__} {state!r:.60}",
            hint="make it once: tl.nn.stream(np.random.default_rng(seed))",
        )
    shape = tuple(shape) if np.iterable(shape) else (shape,)
    count = math.prod(shape)
    place = np.arange(1, count + 1, dtype=np.uint64) + state[1:]
    bits = state[:1] + place * _STEP
    for shift, factor in _MIX:
        bits = (bits ^ (bits >> shift)) * factor
    bits = bits ^ (bits >> _LAST_SHIFT)
    state[1:] += np.uint64(count)
    digits = np.finfo(dtype).nmant + 1
    numbers = (bits >> np.uint64(64 - digits)).astype(dtype) * dtype.type(2.0**-digits)
    return numbers.reshape(shape)
