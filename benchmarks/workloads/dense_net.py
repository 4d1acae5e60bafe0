"""Two dense layers with biases, ReLU between them, 64x1000x100x1000, MSE, SGD, float32."""

from __future__ import annotations

import numpy as onp

from .kinds import SGD, Training, normal, weights

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 1000


def make(rng):
    """Weights after He, zero biases, standard normal data."""
    params = {
        "w1": weights(rng, (INPUTS, HIDDEN)),
        "b1": onp.zeros(HIDDEN, "float32"),
        "w2": weights(rng, (HIDDEN, OUTPUTS)),
        "b2": onp.zeros(OUTPUTS, "float32"),
    }
    return params, (normal(rng, (BATCH, INPUTS)), normal(rng, (BATCH, OUTPUTS)))


def loss(np, params, x, y):
    """For tapeless."""
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    return np.mean(np.square(hidden @ params["w2"] + params["b2"] - y))


def jax_loss(jax, params, x, y):
    """For JAX."""
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    return jax.numpy.mean(jax.numpy.square(hidden @ params["w2"] + params["b2"] - y))


def torch_loss(torch, params, x, y):
    """For torch."""
    hidden = torch.addmm(params["b1"], x, params["w1"]).relu()
    return torch.nn.functional.mse_loss(torch.addmm(params["b2"], hidden, params["w2"]), y)


def numpy_gradients(np, params, x, y):
    """By hand."""
    hidden = x @ params["w1"]
    hidden += params["b1"]
    np.maximum(hidden, 0, out=hidden)
    error = hidden @ params["w2"]
    error += params["b2"]
    error -= y
    value = np.vdot(error, error) / error.size
    error *= 2 / error.size
    d_hidden = error @ params["w2"].T
    d_hidden *= hidden > 0
    return value, {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(0),
        "w2": hidden.T @ error,
        "b2": error.sum(0),
    }


DENSE_NET = Training(
    name="dense_net",
    title="dense net 64x1000x100x1000, MSE, SGD",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=SGD(1e-2),
    flops=2 * BATCH * HIDDEN * (2 * INPUTS + 3 * OUTPUTS),
)
