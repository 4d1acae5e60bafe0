"""A small model of each kind, trained by a compiled step, learns its task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn

RNG = np.random.default_rng(0)


def images() -> tuple[Any, Any]:
    """Bright spots in one of four corners."""
    labels = RNG.integers(0, 4, 32)
    x = 0.3 * RNG.standard_normal((32, 1, 8, 8))
    for image, label in zip(x, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 1
    return x, labels


def signals() -> tuple[Any, Any]:
    """Slow and fast waves."""
    labels = RNG.integers(0, 2, 32)
    phase = RNG.random((32, 1)) * 6
    x = np.sin((0.5 + labels[:, None]) * np.arange(16) + phase)
    return x[:, None], labels


def rows() -> tuple[Any, Any]:
    """Whether the product of two numbers is positive."""
    x = RNG.standard_normal((64, 2))
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def texts() -> tuple[Any, Any]:
    """The largest number of each row, at every place of it."""
    x = RNG.integers(0, 5, (32, 4))
    return x, np.broadcast_to(x.max(axis=1, keepdims=True), x.shape).copy()


MODELS: dict[str, tuple[Any, Any]] = {
    "dense": (rows, nn.Sequential(nn.Dense(16), nn.tanh, nn.Dense(2))),
    "residual": (
        rows,
        nn.Sequential(
            nn.Dense(16), nn.Residual(nn.LayerNorm(), nn.Dense(16), nn.gelu), nn.Dense(2)
        ),
    ),
    "normalized with dropout": (
        rows,
        nn.Sequential(nn.Dense(32), nn.BatchNorm(), nn.relu, nn.Dropout(0.1), nn.Dense(2)),
    ),
    "images": (
        images,
        nn.Sequential(
            nn.Conv2D(4, 3, padding=1), nn.relu, nn.MaxPool2D(2), nn.BatchNorm(), nn.Flatten(),
            nn.Dense(4),
        ),
    ),
    "averaged images": (
        images, nn.Sequential(nn.AvgPool2D(2), nn.Flatten(), nn.RMSNorm(), nn.Dense(4))
    ),
    "signals": (signals, nn.Sequential(nn.Conv1D(8, 5), nn.relu, nn.Flatten(), nn.Dense(2))),
    "texts": (
        texts,
        nn.Sequential(
            nn.Embedding(5, 16),
            nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(2)),
            nn.Residual(nn.RMSNorm(), nn.Dense(32), nn.silu, nn.Dense(16)),
            nn.Dense(5),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_training_reduces_the_loss(name: str) -> None:
    data, model = MODELS[name]
    x, labels = data()
    shape = x.shape[1:]
    params = model.init(np.random.default_rng(1), shape, np.float32)
    state = model.init_state(np.random.default_rng(2), shape, np.float32)
    memory = tl.optim.adam_init(params)
    x = x.astype(np.float32) if x.dtype.kind == "f" else x

    @tl.compile
    def step(params: Any, state: Any, memory: Any, x: Any, labels: Any) -> Any:
        def loss(params: Any) -> Any:
            return nn.cross_entropy(model(params, x, state, training=True), labels)

        value, gradient = tl.value_and_grad(loss)(params)
        tl.optim.adam(params, gradient, memory, lr=0.02)
        return value

    losses = [step(params, state, memory, x, labels) for _ in range(60)]
    assert losses[0].dtype == np.float32
    assert losses[-1] < 0.5 * losses[0]
    predict = tl.compile(model)
    assert np.mean(np.argmax(predict(params, x, state), -1) == labels) > 0.7


def test_the_same_run_compiled_define_by_run_and_on_tensors() -> None:
    x, labels = rows()
    _, model = MODELS["normalized with dropout"]

    def start() -> tuple[Any, Any]:
        params = model.init(np.random.default_rng(1), 2)
        return params, model.init_state(np.random.default_rng(2), 2)

    def step(params: Any, state: Any) -> Any:
        def loss(params: Any) -> Any:
            return nn.cross_entropy(model(params, x, state, training=True), labels)

        value, gradient = tl.value_and_grad(loss)(params)
        tl.optim.sgd(params, gradient, 0.1)
        return value

    compiled = tl.compile(step)
    losses = []
    for run in (compiled, compiled.dynamic):
        params, state = start()
        losses.append([run(params, state) for _ in range(10)])

    params, state = start()
    tensors = tl.tree_map(lambda p: tl.Tensor(p, requires_grad=True), params)
    optimizer = tl.optim.SGD(tl.tree_leaves(tensors), lr=0.1)
    losses.append([])
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(tensors, x, state, training=True), labels)
        loss.backward()
        optimizer.step()
        losses[-1].append(loss.item())

    for others in losses[1:]:
        np.testing.assert_allclose(others, losses[0], rtol=1e-9)
    assert len(set(losses[0])) == 10
