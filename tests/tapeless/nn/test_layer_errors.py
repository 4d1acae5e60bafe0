"""What layers say of shapes, parameters and states that do not fit: which layer, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(0)
DENSE = nn.Dense(10).init(RNG, 64)
IMAGE = np.zeros((2, 3, 8, 8))
NET = nn.Sequential(nn.Flatten(), nn.Dense(4), nn.Residual(nn.Dense(4), nn.Dropout(0.5)))
NET_PARAMS = NET.init(RNG, (3, 8, 8))


CALLS: dict[str, tuple[Any, str, Any]] = {
    "another width": (
        ShapeError,
        r"Dense\(10\): x has the shape for which params were made: for x of shape \(32, 63\) the "
        r"weight has shape \(63, 10\); given: a weight of shape \(64, 10\)",
        lambda: nn.Dense(10)(DENSE, np.zeros((32, 63))),
    ),
    "no examples": (
        ShapeError,
        r"Dense\(10\): x has an axis of examples; given: shape \(\)",
        lambda: nn.Dense(10)(DENSE, np.float64(3)),
    ),
    "one example": (
        ShapeError,
        r"Dense\(10\): an example has an axis of features",
        lambda: nn.Dense(10)(DENSE, np.zeros(64)),
    ),
    "parameters of another layer": (
        ArgumentError,
        r"LayerNorm\(\): params are .* a dict of \['scale', 'shift'\]; given: a dict of \['weight'",
        lambda: nn.LayerNorm()(DENSE, np.zeros((2, 64))),
    ),
    "an array for parameters": (
        ArgumentError,
        r"Dense\(10\): params are .*; given: ndarray of 2 of shape|Dense\(10\): params are .*given",
        lambda: nn.Dense(10)(np.zeros((64, 10)), np.zeros((2, 64))),
    ),
    "a deep layer": (
        ShapeError,
        r"Sequential: layer 1: Dense\(4\): x has the shape .* \(2, 256\).*\(256, 4\).*\(192, 4\)",
        lambda: NET(NET_PARAMS, np.zeros((2, 4, 8, 8))),
    ),
    "a deeper layer, made": (
        ShapeError,
        r"Sequential: layer 1: Residual: the layers keep the shape.*\(5,\) becomes \(6,\)",
        lambda: nn.Sequential(nn.Dense(5), nn.Residual(nn.Dense(6))).init(RNG, 3),
    ),
    "a deeper layer without state": (
        ArgumentError,
        r"Sequential: layer 2: Residual: layer 1: Dropout\(0.5\): in training dropout draws.*"
        r"\['stream'\]; given: state=None\n  hint: state = model.init_state",
        lambda: NET(NET_PARAMS, IMAGE, training=True),
    ),
    "too few parameters": (
        ArgumentError,
        r"Sequential: params is what init makes: a tuple .* the 3 layers; given: a tuple of 2",
        lambda: NET(NET_PARAMS[:2], IMAGE),
    ),
    "the state of one layer": (
        ArgumentError,
        r"Sequential: state is what init_state makes.*given: a dict of 1",
        lambda: NET(NET_PARAMS, IMAGE, {"stream": np.zeros(2)}),
    ),
    "running statistics": (
        ArgumentError,
        r"BatchNorm\(\): it keeps running statistics.*\['mean', 'variance'\]; given: state=None",
        lambda: nn.BatchNorm()(nn.BatchNorm().init(RNG, 4), np.zeros((2, 4))),
    ),
    "one example in training": (
        ShapeError,
        r"BatchNorm\(\): batch_norm: in training there are two values or more",
        lambda: nn.BatchNorm()(
            nn.BatchNorm().init(RNG, 4),
            np.zeros((1, 4)),
            nn.BatchNorm().init_state(RNG, 4),
            training=True,
        ),
    ),
    "axes of an image": (
        ShapeError,
        r"Conv2D\(4, 3\): an example has the axes \(c, h, w\); given: shape \(8, 8\)",
        lambda: nn.Conv2D(4, 3).output_shape((8, 8)),
    ),
    "a window that does not fit": (
        ShapeError,
        r"MaxPool2D\(9\): the window, dilated, fits.* \(9, 9\) elements in an input of \(8, 8\)",
        lambda: nn.MaxPool2D(9).output_shape((3, 8, 8)),
    ),
    "groups": (
        ShapeError,
        r"Conv2D\(4, 3, groups=2\): groups divides both.*3 channels, 4 features",
        lambda: nn.Conv2D(4, 3, groups=2).init(RNG, (3, 8, 8)),
    ),
    "heads": (
        ShapeError,
        r"MultiHeadAttention\(4\): the number of heads divides the width.*heads=4.*\(5, 6\)",
        lambda: nn.MultiHeadAttention(4).init(RNG, (5, 6)),
    ),
    "a context of another width": (
        ShapeError,
        r"MultiHeadAttention\(2\): the context has .* width of x.*; given: shapes \(2, 3, 5\) and",
        lambda: nn.MultiHeadAttention(2)(
            nn.MultiHeadAttention(2).init(RNG, (3, 4)),
            np.zeros((2, 3, 4)),
            context=np.zeros((2, 3, 5)),
        ),
    ),
    "numbers that are no integers": (
        DTypeError,
        r"Embedding\(5, 2\): embedding: the numbers of rows are integers.*float64",
        lambda: nn.Embedding(5, 2)(nn.Embedding(5, 2).init(RNG, 3), np.zeros((2, 3))),
    ),
    "a seed": (
        ArgumentError,
        r"Dense\(3\): initial values are drawn by a numpy.random.Generator; given: int 0\n.*rng\(s",
        lambda: nn.Dense(3).init(0, 4),
    ),
    "a shape of text": (
        ArgumentError,
        r"Dense\(3\): the input shape is that of one example.*'abc'",
        lambda: nn.Dense(3).init(RNG, "abc"),
    ),
    "no features": (
        ArgumentError,
        r"Dense\(0\): features is one int, 1 or more",
        lambda: nn.Dense(0).output_shape(3),
    ),
    "a rate": (
        ArgumentError,
        r"Dropout\(1.5\): the rate of dropout is a number from \[0, 1\)",
        lambda: nn.Dropout(1.5).output_shape(3),
    ),
    "parameters of integers": (
        DTypeError,
        r"Dense\(3\): parameters are float32 or float64; given: dtype int64",
        lambda: nn.Dense(3).init(RNG, 4, np.int64),
    ),
    "a function that changes the shape": (
        ShapeError,
        r"Sequential: layer 0: Activation\(<lambda>\): the function keeps.*\(2, 3\) became \(2,\)",
        lambda: nn.Sequential(lambda x: x.mean(axis=1))(({},), np.zeros((2, 3))),
    ),
    "a class for a layer": (
        ArgumentError,
        r"layers are .*; layer 1 is neither; given: <class .*\n  hint: Dense\(\.\.\.\)",
        lambda: nn.Sequential(nn.Flatten(), nn.Dense),
    ),
    "a number for a layer": (
        ArgumentError,
        r"layers are layers or functions of an array; layer 0 is neither; given: 10",
        lambda: nn.Sequential(10),
    ),
    "the summary of a function": (
        ArgumentError,
        r"summary takes a layer; given: function",
        lambda: nn.summary(nn.relu, 3),
    ),
    "the summary of what does not fit": (
        ShapeError,
        r"Sequential: layer 0: Conv2D\(4, 3\): an example has the axes",
        lambda: nn.summary(nn.Sequential(nn.Conv2D(4, 3)), 3),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_error_names_the_layer_the_shapes_and_the_line(name: str) -> None:
    error, message, call = CALLS[name]
    with pytest.raises(error, match=r"^test_layer_errors\.py:\d+: " + message):
        call()


@pytest.mark.parametrize("name", ["another width", "a deep layer", "a deeper layer without state"])
def test_the_same_while_tracing(name: str) -> None:
    error, message, call = CALLS[name]
    with pytest.raises(error, match=r"^test_layer_errors\.py:\d+: " + message):
        tl.compile(call)()
