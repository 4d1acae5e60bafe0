"""The chain sin(tanh(exp(x))) on 10⁶ elements: its sum and the gradient, float32."""

from __future__ import annotations

from .kinds import Training, normal

SIZE = 1_000_000


def make(rng):
    """Standard normal numbers."""
    return {"x": normal(rng, (SIZE,))}, ()


def loss(np, params):
    """For tapeless."""
    return np.sum(np.sin(np.tanh(np.exp(params["x"]))))


def jax_loss(jax, params):
    """For JAX."""
    return loss(jax.numpy, params)


def torch_loss(torch, params):
    """For torch."""
    return torch.sum(torch.sin(torch.tanh(torch.exp(params["x"]))))


def numpy_gradients(np, params):
    """By hand; in place, which spares NumPy fresh memory."""
    e = np.exp(params["x"])
    t = np.tanh(e)
    gradient = np.sin(t)
    value = gradient.sum()
    np.cos(t, out=gradient)
    gradient *= e
    t *= t
    np.subtract(1, t, out=t)
    gradient *= t
    return value, {"x": gradient}


POINTWISE = Training(
    name="pointwise",
    title="pointwise chain exp, tanh, sin on 10⁶ elements, value and gradient",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=None,
    flops=SIZE * (4 * 20 + 6),  # exponential, tanh, sine and cosine counted as 20 each
)
