"""JAX: `jax.jit` of value, gradient and update, parameters and state donated.

Steps are dispatched one after the other and waited for at the end, which is how JAX is meant to be
used; data lie in JAX arrays from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from workloads.kinds import SGD, Adam, Product, Training

from .numpy_peer import product_figures
from .step import Step

VERSION = f"jax {jax.__version__}"


def _enable(dtype: str) -> None:
    jax.config.update("jax_enable_x64", dtype == "float64")


def training(workload: Training) -> Step:
    """A jitted function from parameters and state to new ones."""
    _enable(workload.dtype)
    initial, batch = workload.example()
    batch = tuple(jnp.array(array) for array in batch)
    update = OPTIMIZERS[type(workload.optimizer)](workload.optimizer)
    gradient = jax.value_and_grad(partial(workload.jax_loss, jax))

    def step(params, state, *batch):
        value, grads = gradient(params, *batch)
        return value, *update(params, grads, state)

    donated = () if workload.optimizer is None else (0, 1)
    compiled = jax.jit(step, donate_argnums=donated)
    run: dict[str, Any] = {}

    def reset() -> None:
        params = {name: jnp.array(p) for name, p in initial.items()}
        run["params"], run["state"] = params, ()
        if isinstance(workload.optimizer, Adam):
            zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
            run["state"] = (jnp.zeros((), jnp.int32), *zeros)
        jax.block_until_ready((run["params"], run["state"]))

    def steps(count: int) -> None:
        params, state = run["params"], run["state"]
        for _ in range(count):
            value, result, state = compiled(params, state, *batch)
            if donated:
                params = result
        run["value"], run["result"] = jax.block_until_ready((value, result))
        run["params"], run["state"] = params, state

    def figures() -> list[float]:
        if donated:
            return [float(run["value"])]
        norms = [float(np.linalg.norm(np.asarray(g))) for g in run["result"].values()]
        return [float(run["value"]), *norms]

    reset()
    return Step(reset, steps, figures)


Update = Callable[[Any, Any, Any], tuple[Any, Any]]


def _none(optimizer: None) -> Update:
    return lambda params, grads, state: (grads, ())


def _sgd(optimizer: SGD) -> Update:
    def update(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda p, g: p - optimizer.rate * g, params, grads), state

    return update


def _adam(optimizer: Adam, beta1: float = 0.9, beta2: float = 0.999) -> Update:
    def update(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        count, mean, square = state
        count = count + 1
        mean = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, mean, grads)
        square = jax.tree.map(lambda s, g: beta2 * s + (1 - beta2) * g * g, square, grads)
        step_size = optimizer.rate / (1 - beta1**count)
        correction = jnp.sqrt(1 - beta2**count)

        def move(p, m, s):
            return p - step_size * m / (jnp.sqrt(s) / correction + 1e-8)

        return jax.tree.map(move, params, mean, square), (count, mean, square)

    return update


OPTIMIZERS: dict[type, Callable[[Any], Update]] = {SGD: _sgd, Adam: _adam, type(None): _none}


def product(workload: Product) -> Step:
    """A jitted product; JAX arrays cannot be written to, so each is a new one."""
    _enable(workload.dtype)
    a, b = (jnp.array(array) for array in workload.example())
    multiply = jax.jit(jnp.matmul)
    run: dict[str, Any] = {}

    def steps(count: int) -> None:
        for _ in range(count):
            c = multiply(a, b)
        run["c"] = jax.block_until_ready(c)

    return Step(lambda: None, steps, lambda: product_figures(run["c"]))


BUILDERS = {Training: training, Product: product}
