"""Softmax and its logarithm."""

from __future__ import annotations

import numpy as np

from ..custom import stop_gradient
from .arrays import Array, floating, one_call

__all__ = ["log_softmax", "softmax"]


@one_call
def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) along `axis`, without overflow; the shape of x. (Bridle 1990.)

    Integers count as float64. A row of nothing but -∞ has no softmax: it gives NaN.
    """
    weights = np.exp(_shifted(x, axis))
    return weights / weights.sum(axis=axis, keepdims=True)


@one_call
def log_softmax(x: Array, axis: int = -1) -> Array:
    """x - log Σ exp(x) along `axis`, without overflow; the shape of x."""
    shifted = _shifted(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _shifted(x: Array, axis: int) -> Array:
    """x less its largest element, on which the functions of it do not depend."""
    x = floating(x)
    return x - stop_gradient(x.max(axis=axis, keepdims=True))
