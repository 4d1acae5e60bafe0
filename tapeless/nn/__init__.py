"""Building blocks of neural networks, as functions of arrays.

Convolution and pooling, activations, losses. They work inside `tl.compile`, in `f.dynamic`, under
every transformation and on bare NumPy arrays alike; nothing here holds parameters or state.
"""

from .activations import (
    gelu,
    layer_norm,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from .convolution import conv1d, conv2d
from .losses import cross_entropy, mse, one_hot
from .pooling import avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "gelu",
    "layer_norm",
    "log_softmax",
    "max_pool2d",
    "mse",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
