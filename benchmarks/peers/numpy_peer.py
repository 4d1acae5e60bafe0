"""Hand-written NumPy: derivatives by hand, updates in place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads.kinds import SGD, Adam, Product, Training

from .step import Step

VERSION = f"numpy {np.__version__}"


def training(workload: Training) -> Step:
    """The step by `numpy_gradients` and the optimizers below."""
    initial, batch = workload.example()
    update = OPTIMIZERS[type(workload.optimizer)](workload.optimizer)
    run: dict[str, Any] = {}

    def reset() -> None:
        run["params"] = copy.deepcopy(initial)
        run["state"] = [{name: np.zeros_like(p) for name, p in initial.items()} for _ in range(2)]
        run["count"] = 0

    def steps(count: int) -> None:
        params, state = run["params"], run["state"]
        for _ in range(count):
            value, grads = workload.numpy_gradients(np, params, *batch)
            run["count"] += 1
            update(params, grads, state, run["count"])
        run["value"], run["grads"] = value, grads

    def figures() -> list[float]:
        if workload.optimizer is not None:
            return [float(run["value"])]
        norms = [float(np.linalg.norm(g)) for g in run["grads"].values()]
        return [float(run["value"]), *norms]

    reset()
    return Step(reset, steps, figures)


def _none(optimizer: None) -> Callable[..., None]:
    return lambda params, grads, state, count: None


def _sgd(optimizer: SGD) -> Callable[..., None]:
    def update(params: Any, grads: Any, state: Any, count: int) -> None:
        for name, p in params.items():
            g = grads[name]
            g *= optimizer.rate
            p -= g

    return update


def _adam(optimizer: Adam, beta1: float = 0.9, beta2: float = 0.999) -> Callable[..., None]:
    def update(params: Any, grads: Any, state: Any, count: int) -> None:
        step_size = optimizer.rate / (1 - beta1**count)
        correction = (1 - beta2**count) ** 0.5
        means, squares = state
        for name, p in params.items():
            g, m, s = grads[name], means[name], squares[name]
            m *= beta1
            m += (1 - beta1) * g
            g *= g
            g *= 1 - beta2
            s *= beta2
            s += g
            np.sqrt(s, out=g)
            g /= correction
            g += 1e-8
            np.divide(m, g, out=g)
            g *= step_size
            p -= g

    return update


OPTIMIZERS: dict[type, Callable[[Any], Callable[..., None]]] = {
    SGD: _sgd,
    Adam: _adam,
    type(None): _none,
}


def product(workload: Product) -> Step:
    """`np.matmul` into an existing array."""
    a, b = workload.example()
    c = np.empty((workload.m, workload.n), workload.dtype)

    def steps(count: int) -> None:
        for _ in range(count):
            np.matmul(a, b, out=c)

    return Step(lambda: None, steps, lambda: product_figures(c))


def product_figures(c: Any) -> list[float]:
    """Two numbers that tell a product: its norm, and its sum weighted by the position."""
    exact = np.asarray(c, "float64")
    position = np.linspace(1, 2, exact.size).reshape(exact.shape)
    return [float(np.linalg.norm(exact)), float(np.sum(np.abs(exact) * position))]


BUILDERS = {Training: training, Product: product}
