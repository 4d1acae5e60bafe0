"""tapeless: the workload's loss as it stands, `tl.value_and_grad`, `tl.optim`, `tl.compile`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from workloads.kinds import SGD, Adam, Product, Training

import tapeless as tl

from .numpy_peer import product_figures
from .step import Step, Unavailable

VERSION = f"tapeless {tl.__version__}"


def require(workload: Training) -> None:
    """`Unavailable` if tapeless lacks something that the workload is written with."""
    for name in workload.needs:
        try:
            attrgetter(name)(tl)
        except AttributeError:
            raise Unavailable(f"not yet available: tl.{name}") from None


def training(workload: Training) -> Step:
    """One compiled function: loss, gradient, update in place."""
    require(workload)
    initial, batch = workload.example()
    step, make_state = STEPS[type(workload.optimizer)](_loss(workload), workload.optimizer)
    run: dict[str, Any] = {}

    def reset() -> None:
        run["params"] = copy.deepcopy(initial)
        run["state"] = make_state(run["params"])

    def steps(count: int) -> None:
        params, state = run["params"], run["state"]
        for _ in range(count):
            value = step(params, *state, *batch)
        run["value"] = value

    def figures() -> list[float]:
        if workload.optimizer is not None:
            return [float(run["value"])]
        value, grads = run["value"]
        return [float(value), *(float(np.linalg.norm(g)) for g in grads.values())]

    reset()
    return Step(reset, steps, figures)


def _loss(workload: Training) -> Callable[..., Any]:
    options = {"nn": tl.nn} if workload.needs else {}
    return partial(workload.loss, np, **options)


def _none(loss: Callable[..., Any], optimizer: None) -> tuple[Any, Callable[[Any], tuple[Any]]]:
    @tl.compile
    def step(params, *batch):
        return tl.value_and_grad(loss)(params, *batch)

    return step, lambda params: ()


def _sgd(loss: Callable[..., Any], optimizer: SGD) -> tuple[Any, Callable[[Any], tuple[Any]]]:
    @tl.compile
    def step(params, *batch):
        value, grads = tl.value_and_grad(loss)(params, *batch)
        tl.optim.sgd(params, grads, optimizer.rate)
        return value

    return step, lambda params: ()


def _adam(loss: Callable[..., Any], optimizer: Adam) -> tuple[Any, Callable[[Any], tuple[Any]]]:
    @tl.compile
    def step(params, state, *batch):
        value, grads = tl.value_and_grad(loss)(params, *batch)
        tl.optim.adam(params, grads, state, optimizer.rate)
        return value

    return step, lambda params: (tl.optim.adam_init(params),)


STEPS: dict[type, Callable[..., Any]] = {SGD: _sgd, Adam: _adam, type(None): _none}


def product(workload: Product) -> Step:
    """A compiled product into an existing array."""

    @tl.compile
    def multiply(a, b, c):
        np.matmul(a, b, out=c)

    a, b = workload.example()
    c = np.empty((workload.m, workload.n), workload.dtype)

    def steps(count: int) -> None:
        for _ in range(count):
            multiply(a, b, c)

    return Step(lambda: None, steps, lambda: product_figures(c))


BUILDERS = {Training: training, Product: product}
