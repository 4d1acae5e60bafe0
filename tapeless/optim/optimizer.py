"""`Optimizer`: what all optimizers of Tensors have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..compiled import CompiledFunction, compile
from ..ir.errors import ArgumentError
from ..ir.pytree import flatten
from ..ir.types import TensorType
from ..tensor import Tensor
from .clipping import clip_by_norm, global_norm, require_positive
from .schedules import require_rate
from .tensors import gradient, mark_updated, memory, require_untraced, trainable
from .trees import Array, Scalar

Rate: TypeAlias = "float | Callable[[int], float]"
"""A learning rate, or a schedule: a function from the number of steps made to one."""

Settings: TypeAlias = tuple[tuple[str, float | bool], ...]
"""Hyperparameters and their names."""

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
        self._states = self._started(self.settings)
        self._updates = self._compiled()
        self._steps = 0
        self.lr = lr

    def _start(self, array: Array, settings: Mapping[str, Any]) -> Any:
        """The state of one tensor at the start of training."""
        raise NotImplementedError

    def _started(self, settings: Mapping[str, Any]) -> list[Any]:
        return [self._start(memory(tensor), settings) for tensor in self._tensors]

    def _compiled(self) -> list[CompiledFunction]:
        return [_update(type(self)._rule, self._settings, tensor.type) for tensor in self._tensors]

    @property
    def lr(self) -> float:
        """The learning rate of the next step; set it to a number, or to a schedule."""
        if not callable(self._lr):
            return self._lr
        rate: Any = self._lr(self._steps)
        rate = rate[()] if isinstance(rate, np.ndarray) else rate  # a number, if it is one
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
        chosen, rate = self._with_gradients(), self.lr
        for i in chosen:
            tensor = self._tensors[i]
            self._updates[i](memory(tensor), gradient(tensor), self._states[i], rate)
            mark_updated(tensor)
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
        require_positive("max_norm", max_norm)
        chosen = [self._tensors[i] for i in self._with_gradients()]
        norm, clipped = _clipped([gradient(tensor) for tensor in chosen], float(max_norm))
        for tensor, values in zip(chosen, clipped, strict=True):
            tensor.grad = Tensor(values)
        return float(norm)

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
        settings = _checked(state["settings"])
        states = self._started(dict(settings))
        self._restore(states, state["states"])
        if state["lr"] is not None:
            self.lr = state["lr"]
        self._settings, self._states, self._steps = settings, states, int(state["steps"])
        self._updates = self._compiled()

    def _restore(self, states: Sequence[Any], saved: Sequence[Any]) -> None:
        """Copy saved states into `states`, which they must be like."""
        if len(saved) != len(states):
            raise ArgumentError(
                f"the state is one of {len(states)} tensors", given=f"one of {len(saved)}"
            )
        for i, (state, given) in enumerate(zip(states, saved, strict=True)):
            arrays, structure = flatten({} if state is None else state._asdict())
            others, other = flatten(given)
            if structure != other or list(map(_form, arrays)) != list(map(_form, others)):
                raise ArgumentError(
                    f"the state of tensor {i} is one for shape {self._tensors[i].shape}",
                    given=f"arrays of shapes {', '.join(str(np.shape(a)) for a in others)}",
                )
            for array, value in zip(arrays, others, strict=True):
                np.copyto(array, value)

    def __repr__(self) -> str:
        settings = {"lr": self._lr, **self.settings}
        listed = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return f"{type(self).__name__}({len(self._tensors)} tensors, {listed})"


@lru_cache(maxsize=1024)
def _update(rule: Rule, settings: Settings, type_: TensorType) -> CompiledFunction:
    """The compiled step of a tensor of this type: one program, and native entries of its own."""
    given = dict(settings)

    def update(p: Array, g: Array, state: Any, lr: Scalar) -> None:
        rule(p, g, state, lr, **given)

    return CompiledFunction(update)


@compile
def _clipped(grads: Sequence[Array], max_norm: Scalar) -> tuple[Scalar, Sequence[Array]]:
    return global_norm(grads), clip_by_norm(grads, max_norm)


def _checked(settings: Mapping[str, Any]) -> Settings:
    """The settings as Python numbers; `ArgumentError` for one that is out of range."""
    return tuple((name, _setting(name, value)) for name, value in settings.items())


def _setting(name: str, value: Any) -> float | bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    most = 1.0 if name in FRACTIONS else math.inf
    if not isinstance(value, int | float | np.number) or not 0 <= value < most:
        bound = "at least 0 and less than 1" if name in FRACTIONS else "finite and at least 0"
        raise ArgumentError(f"{name} is {bound}", given=f"{value!r:.60}")
    return float(value)


def _form(array: Any) -> tuple[Any, ...]:
    return np.asarray(array).dtype, np.shape(array)


def _fields(state: Any) -> dict[str, Any]:
    """A state as a dict of copies of its arrays; empty where there is none."""
    if state is None:
        return {}
    return {name: None if a is None else np.array(a) for name, a in state._asdict().items()}
