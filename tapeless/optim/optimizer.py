"""`Optimizer`: what all optimizers of Tensors have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..compiled import compile
from ..ir.errors import ArgumentError
from ..ir.pytree import flatten
from ..tensor import Tensor
from .clipping import clip_by_norm, global_norm
from .schedules import require_rate
from .tensors import gradient, mark_updated, memory, require_untraced, trainable
from .trees import Array, Scalar

Rate: TypeAlias = "float | Callable[[int], float]"
"""A learning rate, or a schedule: a function from the number of steps made to one."""

Settings: TypeAlias = tuple[tuple[str, float | bool], ...]
"""Hyperparameters and their names. One object for all steps: native calls compare identity."""

Rule: TypeAlias = Callable[..., None]
"""Updates one array in place: `rule(p, g, state, lr, **settings)`."""

FRACTIONS = ("beta1", "beta2", "decay")
"""Settings that are smaller than 1, besides not being negative as all are."""


class Optimizer:
    """What the optimizers of Tensors have in common.

    `tensors` is an iterable or a pytree of leaf Tensors that require gradients, `lr` a number or a
    schedule. Raises `ArgumentError` for tensors that cannot be trained and settings out of range.
    """

    _rule: ClassVar[Rule]

    def __init__(self, tensors: Any, lr: Rate, **settings: Any) -> None:
        self._tensors = trainable(tensors)
        self._settings = _checked(settings)
        self._states = [self._start(memory(tensor)) for tensor in self._tensors]
        self._steps = 0
        self.lr = lr

    def _start(self, array: Array) -> Any:
        """The state of one tensor at the start of training."""
        raise NotImplementedError

    @property
    def lr(self) -> float:
        """The learning rate of the next step; set it to a number, or to a schedule."""
        if not callable(self._lr):
            return self._lr
        rate = self._lr(self._steps)
        require_rate(f"the learning rate after {self._steps} steps", rate)
        return float(rate)

    @lr.setter
    def lr(self, rate: Rate) -> None:
        if not callable(rate):
            require_rate("lr", rate)
            rate = float(rate)
        self._lr: Rate = rate

    @property
    def steps(self) -> int:
        """The number of steps made."""
        return self._steps

    @property
    def settings(self) -> Mapping[str, Any]:
        """All hyperparameters except the learning rate, by name."""
        return dict(self._settings)

    def step(self) -> None:
        """Update every tensor that has a gradient, in place.

        Raises `ArgumentError` when none has one, `TraceError` while a function is traced.
        """
        require_untraced()
        chosen = self._with_gradients()
        _update(
            type(self)._rule,
            self._settings,
            [memory(self._tensors[i]) for i in chosen],
            [gradient(self._tensors[i]) for i in chosen],
            [self._states[i] for i in chosen],
            self.lr,
        )
        for i in chosen:
            mark_updated(self._tensors[i])
        self._steps += 1

    def zero_grad(self) -> None:
        """Forget the gradients of all tensors, which would otherwise add up."""
        for tensor in self._tensors:
            tensor.zero_grad()

    def clip_by_norm(self, max_norm: float) -> float:
        """Scale all gradients so that their global norm is at most `max_norm`; the norm before.

        To be called between `backward()` and `step()`; see `tl.optim.clip_by_norm`.
        """
        require_untraced()
        chosen = [self._tensors[i] for i in self._with_gradients()]
        gradients = [gradient(tensor) for tensor in chosen]
        for tensor, clipped in zip(chosen, clip_by_norm(gradients, max_norm), strict=True):
            tensor.grad = Tensor(clipped)
        return float(global_norm(gradients))

    def _with_gradients(self) -> list[int]:
        """Which tensors have a gradient."""
        chosen = [i for i, tensor in enumerate(self._tensors) if tensor.grad is not None]
        if not chosen:
            raise ArgumentError(
                "the tensors of an optimizer have gradients when it steps",
                given=f"{len(self._tensors)} without any",
                hint="compute a loss from them and call its backward() first",
            )
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on later: plain dicts, lists, numbers and copies of arrays.

        `lr` is None where it is a schedule, which is not part of it.
        """
        return {
            "optimizer": type(self).__name__,
            "steps": self._steps,
            "lr": None if callable(self._lr) else self._lr,
            "settings": self.settings,
            "states": [_fields(state) for state in self._states],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an optimizer of this kind, for tensors like these.

        Settings, and the learning rate unless it was a schedule, become those of `state`. Raises
        `ArgumentError` for the state of another kind of optimizer or of other tensors.
        """
        kind = state.get("optimizer") if isinstance(state, Mapping) else None
        if kind != type(self).__name__:
            raise ArgumentError(
                f"the state is that of {type(self).__name__}",
                given=f"one of {kind}" if kind else f"{type(state).__name__} {state!r:.60}",
            )
        before, self._settings = self._settings, _checked(state["settings"])
        try:
            states = self._restored(state["states"])
        except ArgumentError:
            self._settings = before
            raise
        self._states = states
        self._steps = int(state["steps"])
        if state["lr"] is not None:
            self.lr = state["lr"]

    def _restored(self, saved: list[Any]) -> list[Any]:
        if len(saved) != len(self._tensors):
            raise ArgumentError(
                f"the state is one of {len(self._tensors)} tensors", given=f"one of {len(saved)}"
            )
        states = [self._start(memory(tensor)) for tensor in self._tensors]
        for i, (state, given) in enumerate(zip(states, saved, strict=True)):
            arrays, structure = flatten({} if state is None else state._asdict())
            others, other = flatten(given)
            wanted = [(a.dtype, a.shape) for a in arrays]
            if structure != other or wanted != [(np.asarray(a).dtype, np.shape(a)) for a in others]:
                raise ArgumentError(
                    f"the state of tensor {i} fits its shape {self._tensors[i].shape}",
                    given=f"arrays of shapes {', '.join(str(np.shape(a)) for a in others)}",
                )
            for array, value in zip(arrays, others, strict=True):
                np.copyto(array, value)
        return states

    def __repr__(self) -> str:
        settings = {"lr": self._lr, **self.settings}
        listed = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return f"{type(self).__name__}({len(self._tensors)} tensors, {listed})"


@compile(static=("rule", "settings"))
def _update(
    rule: Rule,
    settings: Settings,
    params: Sequence[Array],
    grads: Sequence[Array],
    states: Sequence[Any],
    lr: Scalar,
) -> None:
    """One step of all tensors as one program."""
    for p, g, state in zip(params, grads, states, strict=True):
        rule(p, g, state, lr, **dict(settings))


def _checked(settings: Mapping[str, Any]) -> Settings:
    """The settings as Python numbers; `ArgumentError` for one that is out of range."""
    return _interned(tuple((name, _setting(name, value)) for name, value in settings.items()))


@lru_cache(maxsize=256)
def _interned(settings: Settings) -> Settings:
    """The same object for equal settings, so that optimizers alike share their native entries."""
    return settings


def _setting(name: str, value: Any) -> float | bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    most = 1.0 if name in FRACTIONS else math.inf
    if not isinstance(value, int | float | np.number) or not 0 <= value < most:
        bound = "at least 0 and less than 1" if name in FRACTIONS else "finite and at least 0"
        raise ArgumentError(f"{name} is {bound}", given=f"{value!r:.60}")
    return float(value)


def _fields(state: Any) -> dict[str, Any]:
    """A state as a dict of copies of its arrays; empty where there is none."""
    if state is None:
        return {}
    return {name: None if a is None else np.array(a) for name, a in state._asdict().items()}
