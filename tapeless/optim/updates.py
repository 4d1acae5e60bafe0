"""Optimizers as functions that update a pytree of parameters in place, in plain NumPy.

Definitions, defaults and order of operations are those of torch.optim. Sources: Polyak, "Some
methods of speeding up the convergence of iteration methods" (1964); Nesterov (1983) in the form of
Sutskever et al. (2013); Duchi, Hazan & Singer, "Adaptive subgradient methods" (2011); Tieleman &
Hinton, Lecture 6.5 (2012); Kingma & Ba, "Adam" (2015); Loshchilov & Hutter, "Decoupled weight
decay" (2019).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ir.errors import ArgumentError
from ..ir.pytree import map_leaves
from .trees import Array, Scalar, Tree, cast, is_zero, rows, zeros_like


class SGDState(NamedTuple):
    """Memory of `sgd` with momentum: `velocity`, a tree like the parameters."""

    velocity: Tree


class AdagradState(NamedTuple):
    """Memory of `adagrad`: `total`, the sums of squared gradients, a tree like the parameters."""

    total: Tree


class RMSpropState(NamedTuple):
    """Memory of `rmsprop`; each field is a tree like the parameters.

    `square`: running mean of squared gradients; `velocity`: momentum, or None without.
    """

    square: Tree
    velocity: Tree | None


class AdamState(NamedTuple):
    """Memory of `adam` and `adamw`.

    `step`: 0-d int64 array, the number of updates made; `mean` and `square`: running means of the
    gradients and of their squares, each a tree like the parameters.
    """

    step: Array
    mean: Tree
    square: Tree


def sgd_init(params: Tree) -> SGDState:
    """The state of `sgd` with momentum at the start of training: zero velocities."""
    return SGDState(zeros_like(params))


def sgd(
    params: Tree,
    grads: Tree,
    lr: Scalar,
    *,
    state: SGDState | None = None,
    momentum: Scalar = 0.0,
    nesterov: bool = False,
    weight_decay: Scalar = 0.0,
) -> None:
    """One step of gradient descent: with g = grad + weight_decay p,

        p -= lr g                               without state
        v = momentum v + g;  p -= lr v          with a state from `sgd_init` (heavy ball)
        v = momentum v + g;  p -= lr (g + momentum v)       with nesterov=True

    Raises `ArgumentError` when momentum is asked for without a state to keep it in, or when
    `params` and `grads` do not match.
    """
    if state is None and (nesterov or not is_zero(momentum)):
        raise ArgumentError(
            "momentum needs a state that lasts from step to step",
            given="state=None",
            hint="make it once with state = optim.sgd_init(params) and pass state=state",
        )
    memory = None if state is None else state.velocity
    for p, g, v in rows(params, grads, memory):
        g = _with_decay(g, p, weight_decay)
        if v is not None:
            mu = cast(momentum, p)
            np.add(mu * v, g, out=v)
            g = g + mu * v if nesterov else v
        np.subtract(p, cast(lr, p) * g, out=p)


def adagrad_init(params: Tree, *, initial: float = 0.0) -> AdagradState:
    """The state of `adagrad` at the start of training: sums that begin at `initial`."""
    start = map_leaves(lambda zero: np.full_like(zero, initial), zeros_like(params))
    return AdagradState(start)


def adagrad(
    params: Tree,
    grads: Tree,
    state: AdagradState,
    lr: Scalar = 1e-2,
    *,
    eps: Scalar = 1e-10,
    weight_decay: Scalar = 0.0,
) -> None:
    """One step of Adagrad (Duchi et al. 2011, figure 1): with g = grad + weight_decay p,

    s = s + g²;  p -= lr g / (sqrt(s) + eps)
    """
    for p, g, s in rows(params, grads, state.total):
        g = _with_decay(g, p, weight_decay)
        np.add(s, g * g, out=s)
        np.subtract(p, cast(lr, p) * (g / (np.sqrt(s) + cast(eps, p))), out=p)


def rmsprop_init(params: Tree, *, momentum: bool = False) -> RMSpropState:
    """The state of `rmsprop` at the start of training; `momentum=True` makes room for it."""
    return RMSpropState(zeros_like(params), zeros_like(params) if momentum else None)


def rmsprop(
    params: Tree,
    grads: Tree,
    state: RMSpropState,
    lr: Scalar = 1e-2,
    *,
    decay: Scalar = 0.99,
    eps: Scalar = 1e-8,
    momentum: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
) -> None:
    """One step of RMSprop: with g = grad + weight_decay p,

        s = decay s + (1 - decay) g²;  u = g / (sqrt(s) + eps)
        p -= lr u                               without momentum
        v = momentum v + u;  p -= lr v          with a state made by rmsprop_init(…, momentum=True)

    Raises `ArgumentError` when momentum is asked for and the state has no room for it.
    """
    if state.velocity is None and not is_zero(momentum):
        raise ArgumentError(
            "momentum needs a state that has room for it",
            given="state.velocity is None",
            hint="make the state with optim.rmsprop_init(params, momentum=True)",
        )
    for p, g, s, v in rows(params, grads, state.square, state.velocity):
        g = _with_decay(g, p, weight_decay)
        _average(s, g * g, decay)
        u = g / (np.sqrt(s) + cast(eps, p))
        if v is not None:
            np.add(cast(momentum, p) * v, u, out=v)
            u = v
        np.subtract(p, cast(lr, p) * u, out=p)


def adam_init(params: Tree) -> AdamState:
    """The state of `adam` at the start of training: step 0, zero averages."""
    return AdamState(np.zeros((), np.int64), zeros_like(params), zeros_like(params))


def adam(
    params: Tree,
    grads: Tree,
    state: AdamState,
    lr: Scalar = 1e-3,
    *,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
) -> None:
    """One step of Adam (Kingma & Ba 2015, algorithm 1): with g = grad + weight_decay p,

        t += 1;  m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g²
        p -= lr / (1 - beta1ᵗ) · m / (sqrt(s) / sqrt(1 - beta2ᵗ) + eps)

    Bias corrections are computed in float64 and then rounded to the dtype of each parameter.
    """
    updates = rows(params, grads, state.mean, state.square)
    step_size, correction = _adam_schedule(state, lr, beta1, beta2)
    for p, g, m, s in updates:
        g = _with_decay(g, p, weight_decay)
        _average(m, g, beta1)
        _average(s, g * g, beta2)
        _adam_move(p, m, s, step_size, correction, eps)


def adamw_init(params: Tree) -> AdamState:
    """The state of `adamw` at the start of training: that of `adam`."""
    return adam_init(params)


def adamw(
    params: Tree,
    grads: Tree,
    state: AdamState,
    lr: Scalar = 1e-3,
    *,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    weight_decay: Scalar = 1e-2,
) -> None:
    """One step of Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2):

    p -= lr weight_decay p;  then as `adam` on the bare gradient
    """
    updates = rows(params, grads, state.mean, state.square)
    step_size, correction = _adam_schedule(state, lr, beta1, beta2)
    for p, g, m, s in updates:
        if not is_zero(weight_decay):
            np.multiply(p, cast(1 - lr * weight_decay, p), out=p)
        _average(m, g, beta1)
        _average(s, g * g, beta2)
        _adam_move(p, m, s, step_size, correction, eps)


def _adam_schedule(
    state: AdamState, lr: Scalar, beta1: Scalar, beta2: Scalar
) -> tuple[Scalar, Scalar]:
    """Count the step; the step size and the root of the second bias correction, in float64."""
    np.add(state.step, 1, out=state.step)
    return lr / (1 - beta1**state.step), np.sqrt(1 - beta2**state.step)


def _adam_move(
    p: Array, m: Array, s: Array, step_size: Scalar, correction: Scalar, eps: Scalar
) -> None:
    denominator = np.sqrt(s) / cast(correction, p) + cast(eps, p)
    np.subtract(p, cast(step_size, p) * (m / denominator), out=p)


def _average(average: Array, value: Array, decay: Scalar) -> None:
    """average = decay average + (1 - decay) value, in place, as one step towards `value`."""
    np.add(average, cast(1 - decay, average) * (value - average), out=average)


def _with_decay(g: Array, p: Array, weight_decay: Scalar) -> Array:
    return g if is_zero(weight_decay) else g + cast(weight_decay, p) * p
