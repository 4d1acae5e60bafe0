"""Small nets, two dense layers with tanh, MSE, SGD, float32: overhead counts, not arithmetic."""

from __future__ import annotations

from functools import partial

import numpy as onp

from .kinds import SGD, Training, normal, weights

SHAPES = ((1, 8, 8, 1), (1, 128, 128, 10), (8, 16, 32, 4), (32, 32, 64, 4), (64, 128, 128, 10))
"""Batch, inputs, hidden units, outputs."""


def make(shape, rng):
    """Weights after He, zero biases, standard normal data."""
    batch, inputs, hidden, outputs = shape
    params = {
        "w1": weights(rng, (inputs, hidden)),
        "b1": onp.zeros(hidden, "float32"),
        "w2": weights(rng, (hidden, outputs)),
        "b2": onp.zeros(outputs, "float32"),
    }
    return params, (normal(rng, (batch, inputs)), normal(rng, (batch, outputs)))


def loss(np, params, x, y):
    """For tapeless."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    return np.mean((hidden @ params["w2"] + params["b2"] - y) ** 2)


def jax_loss(jax, params, x, y):
    """For JAX."""
    return loss(jax.numpy, params, x, y)


def torch_loss(torch, params, x, y):
    """For torch."""
    hidden = torch.addmm(params["b1"], x, params["w1"]).tanh()
    return torch.nn.functional.mse_loss(torch.addmm(params["b2"], hidden, params["w2"]), y)


def numpy_gradients(np, params, x, y):
    """By hand."""
    hidden = x @ params["w1"]
    hidden += params["b1"]
    np.tanh(hidden, out=hidden)
    error = hidden @ params["w2"]
    error += params["b2"]
    error -= y
    value = np.vdot(error, error) / error.size
    error *= 2 / error.size
    d_hidden = error @ params["w2"].T
    d_hidden *= 1 - hidden * hidden
    return value, {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(0),
        "w2": hidden.T @ error,
        "b2": error.sum(0),
    }


def small_net(shape: tuple[int, int, int, int]) -> Training:
    """The workload for one shape."""
    batch, inputs, hidden, outputs = shape
    return Training(
        name="small_net_" + "x".join(map(str, shape)),
        title=f"small net, batch {batch}, {inputs}-{hidden}-{outputs}, SGD",
        dtype="float32",
        make=partial(make, shape),
        loss=loss,
        jax_loss=jax_loss,
        torch_loss=torch_loss,
        numpy_gradients=numpy_gradients,
        optimizer=SGD(1e-2),
        flops=2 * batch * hidden * (2 * inputs + 3 * outputs) + 20 * batch * hidden,
        peers=("numpy", "jax", "torch"),
    )


SMALL_NETS = [small_net(shape) for shape in SHAPES]
