"""`torch.compile` of the whole step as one graph: loss, gradient by `torch.func`, update in place.

One graph is faster than `backward()` and an optimizer around a compiled loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from workloads.kinds import SGD, Adam, Training

from .step import Step
from .torch_peer import VERSION as VERSION
from .torch_peer import tensors


def training(workload: Training) -> Step:
    """A compiled function that updates its parameters in place."""
    initial, batch = tensors(workload)
    update = OPTIMIZERS[type(workload.optimizer)](workload.optimizer)
    gradient = torch.func.grad_and_value(partial(workload.torch_loss, torch))

    def step(params, state, *batch):
        grads, value = gradient(params, *batch)
        update(params, grads, state)
        return value, () if workload.optimizer else grads

    compiled = torch.compile(step, fullgraph=True)
    run: dict[str, Any] = {}

    def reset() -> None:
        run["params"] = {name: p.clone() for name, p in initial.items()}
        run["state"] = ()
        if isinstance(workload.optimizer, Adam):
            zeros = [{name: torch.zeros_like(p) for name, p in initial.items()} for _ in range(2)]
            run["state"] = (torch.zeros(()), *zeros)

    def steps(count: int) -> None:
        params, state = run["params"], run["state"]
        for _ in range(count):
            value, grads = compiled(params, state, *batch)
        run["value"], run["grads"] = value, grads

    def figures() -> list[float]:
        value = run["value"].item()
        if workload.optimizer is not None:
            return [value]
        return [value, *(g.norm().item() for g in run["grads"].values())]

    reset()
    return Step(reset, steps, figures)


Update = Callable[[Any, Any, Any], None]


def _none(optimizer: None) -> Update:
    return lambda params, grads, state: None


def _sgd(optimizer: SGD) -> Update:
    def update(params: Any, grads: Any, state: Any) -> None:
        for name, p in params.items():
            p.sub_(optimizer.rate * grads[name])

    return update


def _adam(optimizer: Adam, beta1: float = 0.9, beta2: float = 0.999) -> Update:
    def update(params: Any, grads: Any, state: Any) -> None:
        count, means, squares = state
        count.add_(1)
        step_size = optimizer.rate / (1 - beta1**count)
        correction = torch.sqrt(1 - beta2**count)
        for name, p in params.items():
            g, m, s = grads[name], means[name], squares[name]
            m.lerp_(g, 1 - beta1)
            s.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            p.sub_(step_size * m / (s.sqrt() / correction + 1e-8))

    return update


OPTIMIZERS: dict[type, Callable[[Any], Update]] = {SGD: _sgd, Adam: _adam, type(None): _none}

BUILDERS = {Training: training}
