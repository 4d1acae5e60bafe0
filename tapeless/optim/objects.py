"""Optimizers as objects that update Tensors, as in torch: `step()` after `backward()`.

    optimizer = tl.optim.Adam([w, b], lr=1e-3)
    for x, y in batches:
        optimizer.zero_grad()
        loss(w, b, x, y).backward()
        optimizer.step()

The formulas are those of `updates.py`, compiled once for each type of tensor and applied where the
tensors lie. Every tensor has a state of its own, so that one without a gradient
is left alone as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir.errors import ArgumentError
from .optimizer import Optimizer, Rate
from .trees import Array
from .updates import (
    SGDState,
    adagrad,
    adagrad_init,
    adam,
    adam_init,
    adamw,
    rmsprop,
    rmsprop_init,
    sgd,
    sgd_init,
)


def _sgd(p: Array, g: Array, state: SGDState | None, lr: Any, **settings: Any) -> None:
    sgd(p, g, lr, state=state, **settings)


class SGD(Optimizer):
    """Gradient descent, plain or with (Nesterov) momentum; the formula of `sgd`."""

    _rule = staticmethod(_sgd)

    def __init__(
        self,
        tensors: Any,
        lr: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            tensors, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )

    def _start(self, array: Array, settings: Mapping[str, Any]) -> SGDState | None:
        momentum = settings["momentum"]
        if settings["nesterov"] and not momentum:
            raise ArgumentError("nesterov=True needs momentum", given="momentum=0")
        return sgd_init(array) if momentum else None


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients; the formula of `adagrad`."""

    _rule = staticmethod(adagrad)

    def __init__(
        self, tensors: Any, lr: Rate = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        super().__init__(tensors, lr, eps=eps, weight_decay=weight_decay)

    def _start(self, array: Array, settings: Mapping[str, Any]) -> Any:
        return adagrad_init(array)


class RMSprop(Optimizer):
    """Steps divided by the root of a mean of recent squared gradients; the formula of `rmsprop`."""

    _rule = staticmethod(rmsprop)

    def __init__(
        self,
        tensors: Any,
        lr: Rate = 1e-2,
        decay: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"decay": decay, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(tensors, lr, **settings)

    def _start(self, array: Array, settings: Mapping[str, Any]) -> Any:
        return rmsprop_init(array, momentum=settings["momentum"] > 0)


class Adam(Optimizer):
    """Running means of gradients over the root of those of their squares; the formula of `adam`."""

    _rule = staticmethod(adam)

    def __init__(
        self,
        tensors: Any,
        lr: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(tensors, lr, **settings)

    def _start(self, array: Array, settings: Mapping[str, Any]) -> Any:
        return adam_init(array)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient; the formula of `adamw`."""

    _rule = staticmethod(adamw)

    def __init__(
        self,
        tensors: Any,
        lr: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(tensors, lr, beta1, beta2, eps, weight_decay)
