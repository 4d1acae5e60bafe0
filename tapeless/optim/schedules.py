"""Schedules: learning rates that depend on the number of steps made so far.

Each is a function of that number (0 at the first step) with its settings as fields; it may be a
Python int, a NumPy integer, a 0-d array or, in a compiled step, the traced counter of a state:

    rate = optim.WarmUp(optim.CosineDecay(0.1, steps=900), steps=100)
    optim.adam(params, grads, state, lr=rate(state.step))      # inside tl.compile
    optimizer = optim.Adam(tensors, lr=rate)                   # define-by-run

They are frozen dataclasses: they print, compare and hash, and are pytrees of their settings.
Sources: Loshchilov & Hutter, "SGDR" (2017), equation 5, for the cosine; Goyal et al., "Accurate,
large minibatch SGD" (2017), section 2.2, for the warm-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..ir.errors import ArgumentError
from .trees import Scalar


@dataclass(frozen=True)
class Constant:
    """`lr` at every step."""

    lr: float

    def __post_init__(self) -> None:
        require_rate("lr", self.lr)

    def __call__(self, step: Scalar) -> Scalar:
        """The learning rate after `step` steps."""
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """`lr`, multiplied by `factor` after every `steps` steps."""

    lr: float
    steps: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        require_rate("lr", self.lr)
        _require_count("steps", self.steps)
        require_rate("factor", self.factor)

    def __call__(self, step: Scalar) -> Scalar:
        """lr · factor^⌊step / steps⌋"""
        return self.lr * self.factor ** (step // self.steps)


@dataclass(frozen=True)
class ExponentialDecay:
    """`lr`, multiplied by `factor` after every step."""

    lr: float
    factor: float

    def __post_init__(self) -> None:
        require_rate("lr", self.lr)
        require_rate("factor", self.factor)

    def __call__(self, step: Scalar) -> Scalar:
        """lr · factor^step"""
        return self.lr * self.factor**step


@dataclass(frozen=True)
class CosineDecay:
    """From `lr` down to `end` along half a cosine wave within `steps` steps; `end` from then on."""

    lr: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        require_rate("lr", self.lr)
        _require_count("steps", self.steps)
        require_rate("end", self.end)

    def __call__(self, step: Scalar) -> Scalar:
        """end + (lr - end) (1 + cos(π t)) / 2 with t = min(step / steps, 1)"""
        done = np.minimum(step / self.steps, 1.0)
        return self.end + 0.5 * (self.lr - self.end) * (1.0 + np.cos(math.pi * done))


@dataclass(frozen=True)
class WarmUp:
    """The first rate of `then` approached in `steps` equal steps, and `then` from there on.

    `then` is a schedule, which starts to count after the warm-up, or a constant rate. The first
    step is made with 1 / steps of it, the one numbered `steps` - 1 with all of it.
    """

    then: Schedule | float
    steps: int

    def __post_init__(self) -> None:
        if not callable(self.then):
            require_rate("then", self.then)
        _require_count("steps", self.steps)

    def __call__(self, step: Scalar) -> Scalar:
        """then(max(step - steps, 0)) · min((step + 1) / steps, 1)"""
        risen = np.minimum((step + 1) / self.steps, 1.0)
        rate = self.then(np.maximum(step - self.steps, 0)) if callable(self.then) else self.then
        return rate * risen


Schedule: TypeAlias = Constant | StepDecay | ExponentialDecay | CosineDecay | WarmUp
"""The schedules of this module; wherever one is accepted, any function of the step is as well."""


def require_rate(name: str, rate: object) -> None:
    """Raise `ArgumentError` unless `rate` is a finite number that is not negative."""
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not number or not 0 <= rate < math.inf:  # type: ignore[operator]
        raise ArgumentError(
            f"{name} is a finite number that is not negative", given=f"{rate!r:.60}"
        )


def _require_count(name: str, count: object) -> None:
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise ArgumentError(f"{name} is a positive whole number", given=f"{count!r:.60}")
