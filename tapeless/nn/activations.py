"""Activation functions: elementwise, or along one axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compiler.trace.array import TracedArray
from ..compiler.trace.lift import emit
from ..custom import stop_gradient
from ..ir.ops import OPS
from .windows import Array, as_array


def relu(x: Array) -> Array:
    """max(x, 0), with derivative 0 at 0."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    x = _floating(x)
    if isinstance(x, TracedArray):
        return emit("logistic", x)
    reference = OPS["logistic"].reference
    assert reference is not None
    return reference(x)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def silu(x: Array) -> Array:
    """x sigmoid(x) (Hendrycks & Gimpel 2016; Elfwing et al. 2018)."""
    return x * sigmoid(x)


def gelu(x: Array) -> Array:
    """x Φ(x) in its tanh form (Hendrycks & Gimpel 2016).

    x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
    """
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1 + np.tanh(inner))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow (Dugas et al. 2001)."""
    return np.logaddexp(x, 0)


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) / Σ exp(x) along `axis`, without overflow."""
    weights = np.exp(_shifted(x, axis))
    return weights / weights.sum(axis=axis, keepdims=True)


def log_softmax(x: Array, axis: int = -1) -> Array:
    """x - log Σ exp(x) along `axis`, without overflow."""
    shifted = _shifted(x, axis)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _shifted(x: Array, axis: int) -> Array:
    """x less its largest element, on which the functions of it do not depend."""
    x = _floating(x)
    return x - stop_gradient(x.max(axis=axis, keepdims=True))


def _floating(x: Any) -> Array:
    """`x` as an array of floats: integers become float64."""
    x = as_array(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def layer_norm(
    x: Array,
    scale: Array | None = None,
    shift: Array | None = None,
    axis: Any = -1,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / √(variance + eps) along `axis`, times `scale` plus `shift` (Ba et al. 2016).

    The variance is the mean square (no Bessel's correction).
    """
    centred = x - np.mean(x, axis=axis, keepdims=True)
    variance = np.mean(centred * centred, axis=axis, keepdims=True)
    result = centred / np.sqrt(variance + eps)
    if scale is not None:
        result = result * scale
    return result if shift is None else result + shift
