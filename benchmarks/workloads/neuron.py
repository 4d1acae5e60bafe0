"""One sigmoid neuron on twelve pairs of readings, MSE, SGD, in NumPy's default float64."""

from __future__ import annotations

import numpy as onp

from .kinds import SGD, Training, normal

READINGS, INPUTS = 12, 2


def make(rng):
    """Readings of which those with a positive sum are to be told apart.

    The bias has one element and not none: torch.compile (2.13) leaves a 0-d parameter as it was.
    """
    x = normal(rng, (READINGS, INPUTS), "float64")
    y = (x.sum(axis=1) > 0).astype("float64")
    return {"w": onp.zeros(INPUTS), "b": onp.zeros(1)}, (x, y)


def loss(np, params, x, y):
    """For tapeless."""
    p = 1 / (1 + np.exp(-(x @ params["w"] + params["b"])))
    return np.mean((p - y) ** 2)


def jax_loss(jax, params, x, y):
    """For JAX."""
    p = jax.nn.sigmoid(x @ params["w"] + params["b"])
    return jax.numpy.mean((p - y) ** 2)


def torch_loss(torch, params, x, y):
    """For torch."""
    p = (x @ params["w"] + params["b"]).sigmoid()
    return torch.nn.functional.mse_loss(p, y)


def numpy_gradients(np, params, x, y):
    """By hand."""
    p = 1 / (1 + np.exp(-(x @ params["w"] + params["b"])))
    error = p - y
    d_sum = error * p * (1 - p) * (2 / len(y))
    return error @ error / len(y), {"w": d_sum @ x, "b": d_sum.sum(keepdims=True)}


NEURON = Training(
    name="neuron",
    title="sigmoid neuron 12x2, SGD",
    dtype="float64",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=SGD(0.5),
    flops=READINGS * (4 * INPUTS + 40),  # exponential and division counted as 20 and 10
)
