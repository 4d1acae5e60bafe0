"""Two layers with ReLU and without biases, 64x1000x100x10, sum of squares, SGD, float32."""

from __future__ import annotations

from .kinds import SGD, Training, normal

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


def make(rng):
    """Standard normal weights and data."""
    params = {"w1": normal(rng, (INPUTS, HIDDEN)), "w2": normal(rng, (HIDDEN, OUTPUTS))}
    return params, (normal(rng, (BATCH, INPUTS)), normal(rng, (BATCH, OUTPUTS)))


def loss(np, params, x, y):
    """For tapeless."""
    hidden = np.maximum(x @ params["w1"], 0)
    return np.sum(np.square(hidden @ params["w2"] - y))


def jax_loss(jax, params, x, y):
    """For JAX."""
    hidden = jax.nn.relu(x @ params["w1"])
    return jax.numpy.sum(jax.numpy.square(hidden @ params["w2"] - y))


def torch_loss(torch, params, x, y):
    """For torch."""
    hidden = (x @ params["w1"]).relu()
    return (hidden @ params["w2"] - y).square().sum()


def numpy_gradients(np, params, x, y):
    """By hand."""
    hidden = x @ params["w1"]
    np.maximum(hidden, 0, out=hidden)
    error = hidden @ params["w2"]
    error -= y
    value = np.vdot(error, error)
    error *= 2
    d_hidden = error @ params["w2"].T
    d_hidden *= hidden > 0
    return value, {"w1": x.T @ d_hidden, "w2": hidden.T @ error}


TWO_LAYER_NET = Training(
    name="two_layer_net",
    title="two-layer ReLU net 64x1000x100x10, sum of squares, SGD",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=SGD(1e-6),
    flops=2 * BATCH * HIDDEN * (2 * INPUTS + 3 * OUTPUTS),
)
