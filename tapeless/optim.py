"""Optimizers: functions that update a pytree of parameters in place, in plain NumPy.

One pattern for all: `state = adam_init(params)` once, then `adam(params, grads, state, lr=…)` on
every step. Parameters and state are arrays that keep their dtype and are overwritten where they
lie, so a step works alike inside `tl.compile` (where it fuses with the backward pass), in
`f.dynamic`, and on bare arrays. Step counters are arrays too, hence no recompilation as they grow.

Definitions, defaults and order of operations are those of torch.optim. Hyperparameters may be
Python numbers, NumPy scalars or 0-d arrays; pass those that change (`lr`) as arguments of the
compiled function.

Sources: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964);
Nesterov (1983) in the form of Sutskever et al. (2013); Tieleman & Hinton, Lecture 6.5 (2012);
Kingma & Ba, "Adam" (2015); Loshchilov & Hutter, "Decoupled weight decay" (2019).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compiler.trace.array import Kind, TracedArray
from .ir.errors import ArgumentError, DTypeError, ShapeError
from .ir.pytree import TreeDef, flatten

__all__ = [
    "AdamState",
    "RMSpropState",
    "SGDState",
    "adam",
    "adam_init",
    "adamw",
    "adamw_init",
    "rmsprop",
    "rmsprop_init",
    "sgd",
    "sgd_init",
]

Array = Any
"""A NumPy array, or what stands for one while a function is traced."""

Scalar = Any
"""A Python number, a NumPy scalar or a 0-d array."""

Tree = Any
"""A pytree of arrays."""


class SGDState(NamedTuple):
    """Memory of `sgd` with momentum: `velocity`, a tree like the parameters."""

    velocity: Tree


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
    return SGDState(_zeros_like(params))


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
    if state is None and (nesterov or not _is_zero(momentum)):
        raise ArgumentError(
            "momentum needs a state that lasts from step to step",
            given="state=None",
            hint="make it once with state = optim.sgd_init(params) and pass state=state",
        )
    memory = None if state is None else state.velocity
    for p, g, v in _rows(params, grads, memory):
        g = _with_decay(g, p, weight_decay)
        if v is not None:
            mu = _cast(momentum, p)
            np.add(mu * v, g, out=v)
            g = g + mu * v if nesterov else v
        np.subtract(p, _cast(lr, p) * g, out=p)


def rmsprop_init(params: Tree, *, momentum: bool = False) -> RMSpropState:
    """The state of `rmsprop` at the start of training; `momentum=True` makes room for it."""
    return RMSpropState(_zeros_like(params), _zeros_like(params) if momentum else None)


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
    if state.velocity is None and not _is_zero(momentum):
        raise ArgumentError(
            "momentum needs a state that has room for it",
            given="state.velocity is None",
            hint="make the state with optim.rmsprop_init(params, momentum=True)",
        )
    for p, g, s, v in _rows(params, grads, state.square, state.velocity):
        g = _with_decay(g, p, weight_decay)
        _average(s, g * g, decay)
        u = g / (np.sqrt(s) + _cast(eps, p))
        if v is not None:
            np.add(_cast(momentum, p) * v, u, out=v)
            u = v
        np.subtract(p, _cast(lr, p) * u, out=p)


def adam_init(params: Tree) -> AdamState:
    """The state of `adam` at the start of training: step 0, zero averages."""
    return AdamState(np.zeros((), np.int64), _zeros_like(params), _zeros_like(params))


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
    rows = _rows(params, grads, state.mean, state.square)
    step_size, correction = _adam_schedule(state, lr, beta1, beta2)
    for p, g, m, s in rows:
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
    rows = _rows(params, grads, state.mean, state.square)
    step_size, correction = _adam_schedule(state, lr, beta1, beta2)
    for p, g, m, s in rows:
        if not _is_zero(weight_decay):
            np.multiply(p, _cast(1 - lr * weight_decay, p), out=p)
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
    denominator = np.sqrt(s) / _cast(correction, p) + _cast(eps, p)
    np.subtract(p, _cast(step_size, p) * (m / denominator), out=p)


def _average(average: Array, value: Array, decay: Scalar) -> None:
    """average = decay average + (1 - decay) value, in place, as one step towards `value`."""
    np.add(average, _cast(1 - decay, average) * (value - average), out=average)


def _with_decay(g: Array, p: Array, weight_decay: Scalar) -> Array:
    return g if _is_zero(weight_decay) else g + _cast(weight_decay, p) * p


def _is_zero(setting: Scalar) -> bool:
    """True for a zero known before anything runs: its term is then left out altogether."""
    return isinstance(setting, int | float) and setting == 0


def _cast(setting: Scalar, like: Array) -> Scalar:
    """A NumPy scalar in the dtype of `like`, so that float32 stays float32; a number as it is."""
    return setting.astype(like.dtype) if hasattr(setting, "astype") else setting


def _zeros_like(params: Tree) -> Tree:
    leaves, structure = flatten(params)
    for i, leaf in enumerate(leaves):
        _check_parameter(leaf, structure, i)
    return structure.unflatten([np.zeros_like(leaf) for leaf in leaves])


def _rows(params: Tree, grads: Tree, *memories: Tree | None) -> list[tuple[Array, ...]]:
    """For each parameter: itself, its gradient, and its array in each memory (None for None)."""
    parameters, structure = flatten(params)
    gradients, other = flatten(grads)
    if structure != other:
        raise ArgumentError(
            "grads must have the structure of params",
            given=f"{_names(structure, 'params')}, and {_names(other, 'grads')}",
            hint="pass the gradients as tl.grad or tl.value_and_grad gives them",
        )
    for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
        _check_parameter(p, structure, i)
        if np.shape(g) != np.shape(p):
            raise ShapeError(
                f"the gradient of {structure.paths('params')[i]} must have its shape {np.shape(p)}",
                given=f"shape {np.shape(g)}",
            )
    columns = [_memory_leaves(memory, structure) for memory in memories]
    return list(zip(parameters, gradients, *columns, strict=True))


def _memory_leaves(memory: Tree | None, structure: TreeDef) -> list[Array]:
    if memory is None:
        return [None] * structure.num_leaves
    leaves, found = flatten(memory)
    if found != structure:
        raise ArgumentError(
            "the optimizer's state must be made from the same params",
            given=f"{_names(structure, 'params')}, and {_names(found, 'state')}",
            hint="make the state once from params, with the function ending in _init",
        )
    return list(leaves)


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and not isinstance(leaf, np.generic)


def _names(structure: TreeDef, root: str) -> str:
    return ", ".join(structure.paths(root)) or f"{root} without leaves"


def _check_parameter(leaf: Array, structure: TreeDef, i: int) -> None:
    array = leaf.kind is Kind.ARRAY if isinstance(leaf, TracedArray) else _is_array(leaf)
    if not array:
        raise ArgumentError(
            f"{structure.paths('params')[i]} must be an array, so that it can be updated in place",
            given=f"{type(leaf).__name__} {leaf!r}",
            hint="wrap a single number as np.array(number)",
        )
    if leaf.dtype.kind != "f":
        raise DTypeError(
            f"{structure.paths('params')[i]} must hold floating-point numbers",
            given=f"dtype {leaf.dtype}",
            hint="convert it once with .astype(np.float64)",
        )
