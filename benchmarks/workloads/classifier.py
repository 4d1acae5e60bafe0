"""A 784-512-256-10 classifier with ReLU, batch 128, softmax cross-entropy, Adam, float32."""

from __future__ import annotations

from itertools import pairwise

import numpy as onp

from .cross_entropy import cross_entropy, jax_cross_entropy, numpy_cross_entropy
from .kinds import Adam, Training, weights

BATCH, WIDTHS = 128, (784, 512, 256, 10)


def make(rng):
    """Weights after He, zero biases, pixels in [0, 1), labels."""
    params = {}
    for i, shape in enumerate(pairwise(WIDTHS), start=1):
        params[f"w{i}"] = weights(rng, shape)
        params[f"b{i}"] = onp.zeros(shape[1], "float32")
    images = rng.random((BATCH, WIDTHS[0])).astype("float32")
    return params, (images, rng.integers(0, WIDTHS[-1], BATCH))


def loss(np, params, images, labels):
    """For tapeless."""
    h = np.maximum(images @ params["w1"] + params["b1"], 0)
    h = np.maximum(h @ params["w2"] + params["b2"], 0)
    return cross_entropy(np, h @ params["w3"] + params["b3"], labels)


def jax_loss(jax, params, images, labels):
    """For JAX."""
    h = jax.nn.relu(images @ params["w1"] + params["b1"])
    h = jax.nn.relu(h @ params["w2"] + params["b2"])
    return jax_cross_entropy(jax, h @ params["w3"] + params["b3"], labels)


def torch_loss(torch, params, images, labels):
    """For torch."""
    h = torch.addmm(params["b1"], images, params["w1"]).relu()
    h = torch.addmm(params["b2"], h, params["w2"]).relu()
    scores = torch.addmm(params["b3"], h, params["w3"])
    return torch.nn.functional.cross_entropy(scores, labels)


def numpy_gradients(np, params, images, labels):
    """By hand."""
    w1, b1, w2, b2, w3, b3 = params.values()
    h1 = images @ w1
    h1 += b1
    np.maximum(h1, 0, out=h1)
    h2 = h1 @ w2
    h2 += b2
    np.maximum(h2, 0, out=h2)
    scores = h2 @ w3
    scores += b3
    value, d3 = numpy_cross_entropy(np, scores, labels)
    d2 = d3 @ w3.T
    d2 *= h2 > 0
    d1 = d2 @ w2.T
    d1 *= h1 > 0
    return value, {
        "w1": images.T @ d1,
        "b1": d1.sum(0),
        "w2": h1.T @ d2,
        "b2": d2.sum(0),
        "w3": h2.T @ d3,
        "b3": d3.sum(0),
    }


CLASSIFIER = Training(
    name="classifier",
    title="784-512-256-10 classifier, batch 128, Adam",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=Adam(1e-3),
    flops=2 * BATCH * (2 * 784 * 512 + 3 * 512 * 256 + 3 * 256 * 10)
    + 12 * (784 * 512 + 512 * 256 + 256 * 10),
)
