"""Dropout: elements left out at random while training."""

from __future__ import annotations

import numpy as np

from ..ir.errors import ArgumentError, ShapeError
from .arrays import Array, is_traced, shape_of

__all__ = ["dropout"]


def dropout(x: Array, rate: float, noise: Array | np.random.Generator) -> Array:
    """Each element 0 with probability `rate`, else x / (1 - rate), which keeps the mean.

    An element is left out where `noise`, numbers from [0, 1) that broadcast to x, is below the
    rate: `nn.uniform(stream, x.shape)` inside a compiled function, or numbers drawn outside. On
    bare arrays and Tensors a NumPy generator does as well; a compiled function refuses it, as it
    would draw once and for all. The result has the shape and dtype of x. (Srivastava et al. 2014.)

    Raises `ArgumentError` for a rate outside of [0, 1) or a generator while tracing, `ShapeError`
    for noise of another shape.
    """
    check_rate(rate, "dropout")
    if isinstance(noise, np.random.Generator):
        noise = _drawn(x, noise)
    result = np.where(noise < rate, 0, x * (1 / (1 - rate)))
    if shape_of(result) != shape_of(x):
        raise ShapeError(
            f"the noise of dropout broadcasts to x of shape {shape_of(x)}",
            given=f"shape {shape_of(noise)}",
        )
    return result


def check_rate(rate: float, name: str) -> None:
    """Raise `ArgumentError` unless `rate` is a number from [0, 1)."""
    if not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ArgumentError(f"the rate of {name} is a number from [0, 1)", given=repr(rate))


def _drawn(x: Array, generator: np.random.Generator) -> Array:
    if is_traced(x):
        raise ArgumentError(
            "dropout in a compiled function takes its random numbers from the program",
            given="a numpy.random.Generator, which would draw once, while tracing",
            hint="noise=tl.nn.uniform(stream, x.shape) with stream=tl.nn.stream(generator) "
            "an argument of the function",
        )
    return generator.random(shape_of(x))
