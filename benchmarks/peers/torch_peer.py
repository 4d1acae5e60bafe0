"""torch as it comes (eager): autograd and the fused optimizers of `torch.optim`."""

from __future__ import annotations

import os
from typing import Any

import torch
from workloads.kinds import SGD, Adam, Product, Training

from .numpy_peer import product_figures
from .step import Step

VERSION = f"torch {torch.__version__}"
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def tensors(workload: Training) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The parameters and the batch as tensors with memory of their own."""
    initial, batch = workload.example()
    params = {name: torch.tensor(p) for name, p in initial.items()}
    return params, tuple(torch.tensor(array) for array in batch)


def training(workload: Training) -> Step:
    """`backward()`, then the optimizer's step."""
    initial, batch = tensors(workload)
    run: dict[str, Any] = {}

    def reset() -> None:
        run["params"] = {name: p.clone().requires_grad_() for name, p in initial.items()}
        run["optimizer"] = _optimizer(workload.optimizer, run["params"])

    def steps(count: int) -> None:
        params, optimizer = run["params"], run["optimizer"]
        for _ in range(count):
            for p in params.values():
                p.grad = None
            value = workload.torch_loss(torch, params, *batch)
            value.backward()
            if optimizer is not None:
                optimizer.step()
        run["value"] = value

    def figures() -> list[float]:
        value = run["value"].item()
        if workload.optimizer is not None:
            return [value]
        return [value, *(p.grad.norm().item() for p in run["params"].values())]

    reset()
    return Step(reset, steps, figures)


def _optimizer(optimizer: SGD | Adam | None, params: dict[str, Any]) -> Any:
    if optimizer is None:
        return None
    made = torch.optim.SGD if isinstance(optimizer, SGD) else torch.optim.Adam
    return made(params.values(), lr=optimizer.rate, fused=True)


def product(workload: Product) -> Step:
    """`torch.matmul` into an existing tensor."""
    a, b = (torch.tensor(array) for array in workload.example())
    c = torch.empty(workload.m, workload.n, dtype=a.dtype)

    def steps(count: int) -> None:
        for _ in range(count):
            torch.matmul(a, b, out=c)

    return Step(lambda: None, steps, lambda: product_figures(c.numpy()))


BUILDERS = {Training: training, Product: product}
