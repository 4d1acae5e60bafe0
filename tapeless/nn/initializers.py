"""Initial values of parameters: functions `(generator, shape, dtype) -> array`.

`normal`, `uniform`, … have further parameters; `functools.partial(normal, deviation=0.02)` sets
them. Where the spread depends on how many values a unit reads and writes (its fans), a weight of
two axes is (inputs, outputs) and one of more is a kernel (outputs, inputs, *window), whose fans
count the window too. Numbers are drawn in float64 and rounded to `dtype`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..ir.errors import ShapeError

__all__ = [
    "Initializer",
    "constant",
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "zeros",
]

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Generator: TypeAlias = "np.random.Generator"  # in quotes: NumPy imports its generators when used

Initializer: TypeAlias = Callable[["np.random.Generator", Shape, Any], Array]
"""What makes the initial value of a parameter, from a generator, a shape and a dtype."""

_CUT = 2.0
_CUT_DEVIATION = 0.8796256610342398
"""The deviation of a standard normal number known to lie within ±2."""


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs and outputs a unit of a weight has: (fan_in, fan_out).

    Raises `ShapeError` for fewer than two axes, which have none.
    """
    if len(shape) < 2:
        raise ShapeError(
            "a weight whose initial spread depends on its fans has two axes or more",
            given=f"shape {shape}",
            hint="use zeros, normal or uniform",
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def zeros(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """All 0."""
    return np.zeros(shape, dtype)


def ones(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """All 1."""
    return np.ones(shape, dtype)


def constant(
    generator: Generator, shape: Shape, dtype: Any = np.float64, *, value: float = 0.0
) -> Array:
    """All `value`."""
    return np.full(shape, value, dtype)


def normal(
    generator: Generator,
    shape: Shape,
    dtype: Any = np.float64,
    *,
    mean: float = 0.0,
    deviation: float = 0.05,
) -> Array:
    """Normal numbers."""
    return generator.normal(mean, deviation, shape).astype(dtype)


def truncated_normal(
    generator: Generator,
    shape: Shape,
    dtype: Any = np.float64,
    *,
    mean: float = 0.0,
    deviation: float = 0.05,
) -> Array:
    """Normal numbers, those drawn again that lie further than two deviations from the mean.

    `deviation` is that of the result: the numbers are drawn from a normal distribution wider by
    1 / 0.8796, so they lie within 2.274 deviations.
    """
    drawn = generator.standard_normal(shape)
    while (outside := np.abs(drawn) > _CUT).any():
        drawn[outside] = generator.standard_normal(int(np.count_nonzero(outside)))
    return (mean + deviation / _CUT_DEVIATION * drawn).astype(dtype)


def uniform(
    generator: Generator,
    shape: Shape,
    dtype: Any = np.float64,
    *,
    low: float = -0.05,
    high: float = 0.05,
) -> Array:
    """Numbers evenly distributed over [low, high)."""
    return generator.uniform(low, high, shape).astype(dtype)


def glorot_uniform(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Uniform of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, equation 16)."""
    return _even(generator, shape, dtype, 2 / _positive(sum(fans(shape))))


def glorot_normal(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, equation 12)."""
    return _bell(generator, shape, dtype, 2 / _positive(sum(fans(shape))))


def he_uniform(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Uniform of variance 2 / fan_in, for ReLU (He et al. 2015, equation 10)."""
    return _even(generator, shape, dtype, 2 / _positive(fans(shape)[0]))


def he_normal(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Truncated normal of variance 2 / fan_in, for ReLU (He et al. 2015, equation 10)."""
    return _bell(generator, shape, dtype, 2 / _positive(fans(shape)[0]))


def lecun_uniform(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Uniform of variance 1 / fan_in (LeCun et al. 1998, "Efficient BackProp", equation 16)."""
    return _even(generator, shape, dtype, 1 / _positive(fans(shape)[0]))


def lecun_normal(generator: Generator, shape: Shape, dtype: Any = np.float64) -> Array:
    """Truncated normal of variance 1 / fan_in, for SELU (Klambauer et al. 2017, §3)."""
    return _bell(generator, shape, dtype, 1 / _positive(fans(shape)[0]))


def orthogonal(
    generator: Generator, shape: Shape, dtype: Any = np.float64, *, gain: float = 1.0
) -> Array:
    """`gain` times a random matrix with orthonormal rows or columns, whichever are fewer.

    Axes after the first count as one. The matrices are evenly distributed: Q of a normal matrix
    with the signs of R's diagonal (Saxe et al. 2014; Mezzadri 2007, §5). Raises `ShapeError` for
    fewer than two axes.
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diagonal(r) < 0, -1, 1)
    return np.ascontiguousarray(gain * (q.T if rows < columns else q)).reshape(shape).astype(dtype)


def _positive(count: int) -> int:
    """The fans of a weight without elements do not matter."""
    return max(count, 1)


def _even(generator: Generator, shape: Shape, dtype: Any, variance: float) -> Array:
    bound = math.sqrt(3 * variance)
    return uniform(generator, shape, dtype, low=-bound, high=bound)


def _bell(generator: Generator, shape: Shape, dtype: Any, variance: float) -> Array:
    return truncated_normal(generator, shape, dtype, deviation=math.sqrt(variance))
