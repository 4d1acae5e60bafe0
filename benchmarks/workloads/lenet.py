"""A convolutional net after LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, float32.

Batch 64 of 28x28: convolution 5x5 to 6 (padding 2), pool 2, convolution 5x5 to 16, pool 2, dense
120, 84, 10; softmax cross-entropy, SGD. Images are NCHW, kernels OIHW.
"""

from __future__ import annotations

import numpy as onp

from .cross_entropy import cross_entropy, jax_cross_entropy, numpy_cross_entropy
from .kinds import SGD, Training, normal, weights

BATCH, SIDE, CLASSES = 64, 28, 10
DENSE = {"w3": (400, 120), "w4": (120, 84), "w5": (84, CLASSES)}


def make(rng):
    """Weights after He, zero biases, pixels in [0, 1), labels."""
    params = {
        "k1": normal(rng, (6, 1, 5, 5), scale=0.2),
        "b1": onp.zeros(6, "float32"),
        "k2": normal(rng, (16, 6, 5, 5), scale=0.1),
        "b2": onp.zeros(16, "float32"),
    }
    for name, shape in DENSE.items():
        params[name] = weights(rng, shape)
        params["b" + name[1:]] = onp.zeros(shape[1], "float32")
    images = rng.random((BATCH, 1, SIDE, SIDE)).astype("float32")
    return params, (images, rng.integers(0, CLASSES, BATCH))


def loss(np, params, images, labels, *, nn):
    """For tapeless; `nn` is `tl.nn`."""
    h = nn.conv2d(images, params["k1"], padding=2) + params["b1"][:, None, None]
    h = nn.max_pool2d(np.maximum(h, 0), 2)
    h = nn.conv2d(h, params["k2"]) + params["b2"][:, None, None]
    h = nn.max_pool2d(np.maximum(h, 0), 2).reshape(BATCH, -1)
    h = np.maximum(h @ params["w3"] + params["b3"], 0)
    h = np.maximum(h @ params["w4"] + params["b4"], 0)
    return cross_entropy(np, h @ params["w5"] + params["b5"], labels)


def jax_loss(jax, params, images, labels):
    """For JAX."""

    def layer(x, kernel, bias, padding):
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), padding, dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
        x = jax.nn.relu(x + bias[:, None, None])
        window = (1, 1, 2, 2)
        return jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, window, window, "VALID")

    h = layer(images, params["k1"], params["b1"], [(2, 2), (2, 2)])
    h = layer(h, params["k2"], params["b2"], "VALID").reshape(BATCH, -1)
    h = jax.nn.relu(h @ params["w3"] + params["b3"])
    h = jax.nn.relu(h @ params["w4"] + params["b4"])
    return jax_cross_entropy(jax, h @ params["w5"] + params["b5"], labels)


def torch_loss(torch, params, images, labels):
    """For torch."""
    functional = torch.nn.functional
    h = functional.conv2d(images, params["k1"], params["b1"], padding=2)
    h = functional.max_pool2d(h.relu(), 2)
    h = functional.conv2d(h, params["k2"], params["b2"])
    h = functional.max_pool2d(h.relu(), 2).flatten(1)
    h = torch.addmm(params["b3"], h, params["w3"]).relu()
    h = torch.addmm(params["b4"], h, params["w4"]).relu()
    return functional.cross_entropy(torch.addmm(params["b5"], h, params["w5"]), labels)


def _windows(np, x, size):
    """Rows of all size × size windows: (n h w, c size size)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    n, c, h, w = view.shape[:4]
    return view.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * size * size)


def _convolve(np, x, kernel, bias):
    """Valid convolution as one product; also the window rows, for the backward pass."""
    out, _, size, _ = kernel.shape
    rows = _windows(np, x, size)
    side = x.shape[2] - size + 1
    y = rows @ kernel.reshape(out, -1).T
    y += bias
    np.maximum(y, 0, out=y)
    return y.reshape(len(x), side, side, out).transpose(0, 3, 1, 2), rows


def _pool(np, x):
    """Max of 2 × 2 blocks, and the four candidates of each, for the backward pass."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(n, c, h // 2, w // 2, 4)
    chosen = blocks.argmax(axis=-1)[..., None]
    return np.take_along_axis(blocks, chosen, -1)[..., 0], chosen


def _unpool(np, g, chosen):
    n, c, h, w = g.shape
    blocks = np.zeros((n, c, h, w, 4), "float32")
    np.put_along_axis(blocks, chosen, g[..., None], -1)
    blocks = blocks.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return blocks.reshape(n, c, 2 * h, 2 * w)


def _rows(g):
    return g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1])


def _convolve_input(np, g, kernel):
    """Gradient by the input: full convolution with the kernel turned around."""
    pad = kernel.shape[2] - 1
    padded = np.pad(g, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    turned = kernel[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    side = g.shape[2] + pad
    y = _windows(np, padded, pad + 1) @ turned.reshape(kernel.shape[1], -1).T
    return y.reshape(len(g), side, side, kernel.shape[1]).transpose(0, 3, 1, 2)


def numpy_gradients(np, params, images, labels):
    """By hand, with windows unrolled to the rows of products."""
    grads = {}
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    c1, rows1 = _convolve(np, padded, params["k1"], params["b1"])
    p1, chosen1 = _pool(np, c1)
    c2, rows2 = _convolve(np, p1, params["k2"], params["b2"])
    p2, chosen2 = _pool(np, c2)
    h2 = p2.reshape(BATCH, -1)
    h3 = np.maximum(h2 @ params["w3"] + params["b3"], 0)
    h4 = np.maximum(h3 @ params["w4"] + params["b4"], 0)
    value, g = numpy_cross_entropy(np, h4 @ params["w5"] + params["b5"], labels)
    for layer, inputs in ((5, h4), (4, h3), (3, h2)):
        grads[f"w{layer}"], grads[f"b{layer}"] = inputs.T @ g, g.sum(axis=0)
        g = g @ params[f"w{layer}"].T
        g *= inputs > 0
    g2 = _unpool(np, g.reshape(p2.shape), chosen2)
    flat = _rows(g2)
    grads["k2"], grads["b2"] = (flat.T @ rows2).reshape(params["k2"].shape), flat.sum(axis=0)
    g1 = _convolve_input(np, g2, params["k2"])
    g1 *= p1 > 0
    flat = _rows(_unpool(np, g1, chosen1))
    grads["k1"], grads["b1"] = (flat.T @ rows1).reshape(params["k1"].shape), flat.sum(axis=0)
    return value, {name: grads[name] for name in params}


def _flops():
    first = 28 * 28 * 6 * 25
    second = 10 * 10 * 16 * 6 * 25
    dense = sum(inputs * outputs for inputs, outputs in DENSE.values())
    return 2 * BATCH * (2 * first + 3 * (second + dense))


LENET = Training(
    name="lenet",
    title="LeNet-like convolutional net, batch 64, 28x28, SGD",
    dtype="float32",
    make=make,
    loss=loss,
    jax_loss=jax_loss,
    torch_loss=torch_loss,
    numpy_gradients=numpy_gradients,
    optimizer=SGD(1e-2),
    flops=_flops(),
    needs=("nn.conv2d", "nn.max_pool2d"),
)
