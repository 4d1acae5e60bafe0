"""Building blocks of neural networks: functions of arrays, and layers made of them.

Activations, normalization, convolution, pooling, attention, dropout and losses are functions in
plain NumPy. They work inside `tl.compile`, in `f.dynamic`, under every transformation and on bare
arrays alike, and hold neither parameters nor state.
"""

from . import initializers
from .activations import (
    celu,
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    step,
    tanh,
)
from .attention import causal_mask, scaled_dot_product_attention
from .classification import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    multiclass_hinge,
    nll,
)
from .convolution import conv1d, conv2d
from .dropout import dropout
from .gaussian import normal_cdf
from .layers import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool2D,
    MultiHeadAttention,
    Parameter,
    Residual,
    RMSNorm,
    Sequential,
)
from .linear import embedding, linear, one_hot
from .losses import huber, mae, mse, rmse
from .normalization import batch_norm, layer_norm, rms_norm
from .penalties import l1_penalty, l2_penalty
from .pooling import avg_pool2d, max_pool2d
from .randomness import stream, uniform
from .softmax import log_softmax, softmax
from .summary import Summary, summary

__all__ = [
    "Activation",
    "AvgPool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "MultiHeadAttention",
    "Parameter",
    "RMSNorm",
    "Residual",
    "Sequential",
    "Summary",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "causal_mask",
    "celu",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hardtanh",
    "huber",
    "initializers",
    "l1_penalty",
    "l2_penalty",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mae",
    "max_pool2d",
    "mish",
    "mse",
    "multiclass_hinge",
    "nll",
    "normal_cdf",
    "one_hot",
    "relu",
    "relu6",
    "rms_norm",
    "rmse",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "step",
    "stream",
    "summary",
    "tanh",
    "uniform",
]
