"""Gradients under the user's control: derivatives of one's own, and stopped gradients."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from .compiler.trace.context import current_trace
from .compiler.trace.custom import custom_vjp as record_custom
from .compiler.trace.custom import stop_gradient as stop
from .compiler.trace.graph_trace import GraphTrace
from .ir.errors import ArgumentError
from .ir.pytree import flatten, map_leaves
from .parameters import function_name, location_of
from .tensor import Tensor
from .tensor.custom import apply_rule
from .transforms import Function, require_function


def stop_gradient(x: Any) -> Any:
    """`x`, any pytree, with derivative zero; Tensors are detached."""
    held = map_leaves(_detached, x)
    return stop(held) if isinstance(current_trace(), GraphTrace) else held


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


class custom_vjp:
    """A function whose reverse-mode derivative is given by `defvjp`; a decorator.

    `forward(*args)` gives `(out, residuals)`: what the function gives, and whatever pytree the
    derivative needs. `backward(residuals, cotangent)` gives a tuple with the cotangent of every
    argument (None for zero). Forward mode is not defined for such a function. Called outside of all
    transformations it is the function itself.
    """

    __name__: str

    def __init__(self, fn: Function) -> None:
        require_function(fn)
        update_wrapper(self, fn, updated=())
        self.__name__ = function_name(fn)
        self._fn = fn
        self._rule: tuple[Function, Function] | None = None

    def defvjp(self, forward: Function, backward: Function) -> custom_vjp:
        """Set the derivative; returns the function itself."""
        require_function(forward)
        require_function(backward)
        self._rule = forward, backward
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args = self._positional(args, kwargs)
        tensors = any(isinstance(leaf, Tensor) for leaf in flatten(args)[0])
        if not tensors and not isinstance(current_trace(), GraphTrace):
            return self._fn(*args)
        if self._rule is None:
            raise ArgumentError(
                f"a custom_vjp has its derivative defined before it is used: {self.__name__}",
                given="no call of defvjp",
                hint=f"{self.__name__}.defvjp(forward, backward)",
            )
        if isinstance(current_trace(), GraphTrace):
            return record_custom(self._fn, *self._rule, args)
        return apply_rule(self._fn, *self._rule, args)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        try:
            bound = inspect.signature(self._fn).bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(
                f"the arguments of {function_name(self._fn)} fit its parameters", given=str(error)
            ) from None
        if bound.kwargs:
            raise ArgumentError(
                "arguments of a custom_vjp can be passed by position",
                given=", ".join(bound.kwargs),
                loc=location_of(self._fn),
            )
        return bound.args

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        return self if instance is None else types.MethodType(self, instance)
