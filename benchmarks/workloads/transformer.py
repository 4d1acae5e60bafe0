"""A pre-norm transformer block: batch 8, 64 tokens, width 128, 4 heads, causal, Adam, float32.

x + attention(norm(x)), then + mlp(norm(·)) with four times the width and GELU (its tanh form);
mean squared error against given outputs.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as onp

from .kinds import Adam, Training, normal

BATCH, TOKENS, WIDTH, HEADS, INNER = 8, 64, 128, 4, 512
DEPTH = WIDTH // HEADS
EPS = 1e-5
GELU = sqrt(2 / pi)
CUBIC = 0.044715
MASKED = -1e9


def make(rng):
    """Weights of standard deviation 0.05, ones and zeros elsewhere, standard normal data."""
    shapes = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH), "up": (WIDTH, INNER)}
    shapes["down"] = (INNER, WIDTH)
    params = {}
    for name in ("norm1", "norm2"):
        params[f"{name}_gain"] = onp.ones(WIDTH, "float32")
        params[f"{name}_bias"] = onp.zeros(WIDTH, "float32")
    for name, shape in shapes.items():
        params[f"{name}_w"] = normal(rng, shape, scale=0.05)
        params[f"{name}_b"] = onp.zeros(shape[1], "float32")
    shape = (BATCH, TOKENS, WIDTH)
    return params, (normal(rng, shape), normal(rng, shape))


def norm(np, params, name, x):
    """Layer norm over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + EPS) * params[f"{name}_gain"] + params[f"{name}_bias"]


def dense(params, name, x):
    """x w + b"""
    return x @ params[f"{name}_w"] + params[f"{name}_b"]


def attention(np, params, x):
    """Causal self-attention."""
    qkv = dense(params, "qkv", x).reshape(BATCH, TOKENS, 3, HEADS, DEPTH)
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = q @ k.transpose(0, 1, 3, 2) / np.float32(sqrt(DEPTH))
    causal = np.tril(np.ones((TOKENS, TOKENS), dtype=bool))
    scores = np.where(causal, scores, np.float32(MASKED))
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    mixed = exps / exps.sum(axis=-1, keepdims=True) @ v
    return dense(params, "out", mixed.transpose(0, 2, 1, 3).reshape(BATCH, TOKENS, WIDTH))


def gelu(np, x):
    """Hendrycks & Gimpel (2016), the tanh form."""
    return 0.5 * x * (1 + np.tanh(GELU * (x + CUBIC * x * x * x)))


def loss(np, params, x, y):
    """For tapeless."""
    x = x + attention(np, params, norm(np, params, "norm1", x))
    inner = gelu(np, dense(params, "up", norm(np, params, "norm2", x)))
    return np.mean((x + dense(params, "down", inner) - y) ** 2)


def jax_loss(jax, params, x, y):
    """For JAX."""
    return loss(jax.numpy, params, x, y)


def torch_loss(torch, params, x, y):
    """For torch, with its own layer norm, attention and GELU."""
    functional = torch.nn.functional

    def norm(name, x):
        gain, bias = params[f"{name}_gain"], params[f"{name}_bias"]
        return functional.layer_norm(x, (WIDTH,), gain, bias, EPS)

    def dense(name, x):
        return functional.linear(x, params[f"{name}_w"].T, params[f"{name}_b"])

    qkv = dense("qkv", norm("norm1", x)).view(BATCH, TOKENS, 3, HEADS, DEPTH)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + dense("out", mixed.transpose(1, 2).reshape(BATCH, TOKENS, WIDTH))
    inner = functional.gelu(dense("up", norm("norm2", x)), approximate="tanh")
    return functional.mse_loss(x + dense("down", inner), y)


def _norm_forward(np, params, name, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + EPS)
    centred /= deviation
    return centred * params[f"{name}_gain"] + params[f"{name}_bias"], (centred, deviation)


def _norm_backward(np, params, name, saved, g, grads):
    centred, deviation = saved
    grads[f"{name}_gain"] = np.sum(g * centred, axis=(0, 1))
    grads[f"{name}_bias"] = np.sum(g, axis=(0, 1))
    g = g * params[f"{name}_gain"]
    slope = np.mean(g * centred, axis=-1, keepdims=True)
    return (g - g.mean(axis=-1, keepdims=True) - centred * slope) / deviation


def _dense_forward(params, name, x):
    """All tokens of all sequences as the rows of one product, not one product per sequence."""
    y = x.reshape(-1, x.shape[-1]) @ params[f"{name}_w"]
    y += params[f"{name}_b"]
    return y.reshape(BATCH, TOKENS, -1)


def _dense_backward(params, name, x, g, grads):
    rows = g.reshape(-1, g.shape[-1])
    grads[f"{name}_w"] = x.reshape(-1, x.shape[-1]).T @ rows
    grads[f"{name}_b"] = rows.sum(axis=0)
    return (rows @ params[f"{name}_w"].T).reshape(x.shape)


def _attention_forward(np, params, x):
    qkv = _dense_forward(params, "qkv", x).reshape(BATCH, TOKENS, 3, HEADS, DEPTH)
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = q @ k.transpose(0, 1, 3, 2)
    scores *= np.float32(1 / sqrt(DEPTH))
    scores[..., np.triu(np.ones((TOKENS, TOKENS), dtype=bool), 1)] = MASKED
    scores -= scores.max(axis=-1, keepdims=True)
    shares = np.exp(scores, out=scores)
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed = (shares @ v).transpose(0, 2, 1, 3).reshape(BATCH, TOKENS, WIDTH)
    return _dense_forward(params, "out", mixed), (x, q, k, v, shares, mixed)


def _attention_backward(np, params, saved, g, grads):
    x, q, k, v, shares, mixed = saved
    g = _dense_backward(params, "out", mixed, g, grads)
    g = g.reshape(BATCH, TOKENS, HEADS, DEPTH).transpose(0, 2, 1, 3)
    d_qkv = np.empty((BATCH, TOKENS, 3, HEADS, DEPTH), "float32")
    d_shares = g @ v.transpose(0, 1, 3, 2)
    d_scores = d_shares - np.sum(d_shares * shares, axis=-1, keepdims=True)
    d_scores *= shares
    d_scores *= np.float32(1 / sqrt(DEPTH))
    d_qkv[:, :, 0] = (d_scores @ k).transpose(0, 2, 1, 3)
    d_qkv[:, :, 1] = (d_scores.transpose(0, 1, 3, 2) @ q).transpose(0, 2, 1, 3)
    d_qkv[:, :, 2] = (shares.transpose(0, 1, 3, 2) @ g).transpose(0, 2, 1, 3)
    return _dense_backward(params, "qkv", x, d_qkv.reshape(BATCH, TOKENS, 3 * WIDTH), grads)


def _gelu_backward(np, x, t, g):
    slope = GELU * (1 + 3 * CUBIC * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


def numpy_gradients(np, params, x, y):
    """By hand."""
    grads = {}
    normed1, saved1 = _norm_forward(np, params, "norm1", x)
    attended, saved_attention = _attention_forward(np, params, normed1)
    middle = x + attended
    normed2, saved2 = _norm_forward(np, params, "norm2", middle)
    up = _dense_forward(params, "up", normed2)
    t = np.tanh(GELU * (up + CUBIC * up * up * up))
    inner = 0.5 * up * (1 + t)
    error = middle + _dense_forward(params, "down", inner) - y
    value = np.vdot(error, error) / error.size
    error *= 2 / error.size
    d_inner = _dense_backward(params, "down", inner, error, grads)
    d_up = _gelu_backward(np, up, t, d_inner)
    d_normed2 = _dense_backward(params, "up", normed2, d_up, grads)
    d_middle = error + _norm_backward(np, params, "norm2", saved2, d_normed2, grads)
    d_normed1 = _attention_backward(np, params, saved_attention, d_middle, grads)
    _norm_backward(np, params, "norm1", saved1, d_normed1, grads)
    return value, {name: grads[name] for name in params}


def _flops():
    rows = BATCH * TOKENS
    weights = WIDTH * (3 * WIDTH + WIDTH + 2 * INNER)
    attended = 2 * BATCH * HEADS * TOKENS * TOKENS * DEPTH  # scores and mixing
    elementwise = rows * (20 * WIDTH + 30 * INNER) + 40 * BATCH * HEADS * TOKENS * TOKENS
    return 3 * 2 * (rows * weights + attended / 2) + elementwise + 12 * weights


TRANSFORMER = Training(
    name="transformer",
    title="pre-norm transformer block, batch 8, 64 tokens, width 128, 4 heads, causal, Adam",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=Adam(1e-3),
    flops=_flops(),  # half of the scores are masked and need not be computed
)
