"""Activation functions, elementwise.

Each takes an array of any shape (or a number) and gives one of the same shape and, for floats, of
the same dtype; integers become what NumPy makes of them together with floats. The formulas stay
finite where the function does, and so do their derivatives. "Derivative at 0" says what a program
gives at a kink, where there is none.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array, as_array, floating, logistic, one_call
from .gaussian import normal_cdf

__all__ = [
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hardtanh",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "step",
    "tanh",
]

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
"""Klambauer et al. (2017), §2: mean 0 and variance 1 are a stable fixed point with these."""


def relu(x: Array) -> Array:
    """max(x, 0). Derivative at 0: 0. (Nair & Hinton 2010.)"""
    return np.maximum(x, 0)


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6). Derivative at 0 and at 6: 0. (Krizhevsky 2010.)"""
    return np.clip(x, 0, 6)


@one_call
def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """x above zero, slope x below. Derivative at 0: `slope`. (Maas et al. 2013.)"""
    x = as_array(x)
    return np.where(x > 0, x, slope * x)


@one_call
def elu(x: Array, alpha: float = 1.0) -> Array:
    """x above zero, alpha (eˣ - 1) below. Derivative at 0: `alpha`. (Clevert et al. 2016.)"""
    x = as_array(x)
    return np.where(x > 0, x, alpha * np.expm1(_below_zero(x)))


@one_call
def selu(x: Array) -> Array:
    """scale elu(x, alpha) with the constants of Klambauer et al. (2017).

    Derivative at 0: scale alpha = 1.758.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


@one_call
def celu(x: Array, alpha: float = 1.0) -> Array:
    """x above zero, alpha (e^(x / alpha) - 1) below: smooth for every alpha. (Barron 2017.)"""
    x = as_array(x)
    return np.where(x > 0, x, alpha * np.expm1(_below_zero(x) / alpha))


def _below_zero(x: Array) -> Array:
    """x where it is used, 0 where its exponential might overflow; passes the derivative at 0."""
    return np.where(x > 0, 0, x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), without overflow; the derivative is s (1 - s)."""
    return logistic(floating(x))


@one_call
def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -log(1 + e⁻ˣ), without overflow and without loss where it is close to 0."""
    return -softplus(-floating(x))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.tanh(x)


def hardtanh(x: Array, low: float = -1.0, high: float = 1.0) -> Array:
    """x between `low` and `high`, the bounds beyond. Derivative at both bounds: 0."""
    return np.clip(x, low, high)


@one_call
def hard_sigmoid(x: Array) -> Array:
    """The line x / 6 + 1 / 2 between 0 and 1. Derivative at ±3: 0. (Howard et al. 2019, §5.2.)"""
    x = as_array(x)
    return np.clip(x / 6 + 0.5, 0, 1)


@one_call
def hard_silu(x: Array) -> Array:
    """x hard_sigmoid(x). Derivative at -3: 0, at 3: 1. (Howard et al. 2019, §5.2: h-swish.)"""
    x = as_array(x)
    return x * hard_sigmoid(x)


def step(x: Array, at_zero: float = 1.0) -> Array:
    """0 below zero, 1 above, `at_zero` at zero (Rosenblatt 1958). Derivative everywhere: 0."""
    return np.heaviside(x, at_zero)


def softplus(x: Array) -> Array:
    """log(1 + eˣ), without overflow; the derivative is sigmoid(x). (Dugas et al. 2001.)"""
    return np.logaddexp(x, 0)


@one_call
def softsign(x: Array) -> Array:
    """x / (1 + |x|), whose derivative 1 / (1 + |x|)² is 1 at 0. (Turian et al. 2009.)"""
    x = as_array(x)
    return x / (1 + np.abs(x))


@one_call
def silu(x: Array) -> Array:
    """x sigmoid(x), also called swish. (Hendrycks & Gimpel 2016; Elfwing et al. 2018.)"""
    x = as_array(x)
    return x * sigmoid(x)


@one_call
def mish(x: Array) -> Array:
    """x tanh(log(1 + eˣ)). (Misra 2020.)"""
    x = as_array(x)
    return x * np.tanh(softplus(x))


@one_call
def gelu(x: Array, exact: bool = False) -> Array:
    """x Φ(x), Φ the distribution function of the normal distribution. (Hendrycks & Gimpel 2016.)

    By default their tanh form, x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), which is faster and at
    most 0.0005 off; with `exact=True` Φ itself, to a few units in the last place.
    """
    x = as_array(x)
    if exact:
        return x * normal_cdf(x)
    near = np.clip(x, -8, 8)  # beyond, tanh is ±1 in every dtype, and x³ might overflow
    inner = math.sqrt(2 / math.pi) * (near + 0.044715 * (near * near * near))
    return 0.5 * x * (1 + np.tanh(inner))
