"""Results stored where the caller says: `out=`, and functions that write to an argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..ir.errors import DifferentiationError
from .base import TensorBase
from .inplace import update
from .layout import lay_out
from .modes import MODE

_KNOWN: dict[Any, Callable[..., Any]] = {}


def remembered(key: Any, bound: Callable[..., Any], name: str) -> Callable[..., Any]:
    """One function per method of a ufunc, as bound methods are new objects each time."""
    if key not in _KNOWN:

        def call(*args: Any, **kwargs: Any) -> Any:
            return bound(*args, **kwargs)

        call.__name__ = name
        _KNOWN[key] = call
    return _KNOWN[key]


def storing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that stores the result of `function` in its first argument."""

    def call(target: Any, *inputs: Any, **kwargs: Any) -> Any:
        function(*inputs, out=target, **kwargs)

    name = getattr(function, "__name__", "ufunc")
    return remembered(("out", function), call, f"{name}(out=)")


@cache
def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that can be passed by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)


def split_out(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
    """`out`, however it was passed (None if it was not), and the other arguments."""
    names = _positional(function)
    position = names.index("out") if "out" in names else len(args)
    if len(args) > position:
        kwargs = {**dict(zip(names[position:], args[position:], strict=False)), **kwargs}
        args = args[:position]
    out = kwargs.get("out")
    if out is None:
        return None, args, kwargs
    return out, args, {name: value for name, value in kwargs.items() if name != "out"}


def apply_into(
    function: Callable[..., Any], out: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """`function(*args, **kwargs)` stored in `out`, which is returned."""
    target = out[0] if isinstance(out, tuple) else out
    update_any(storing(function), target, args, kwargs)
    return target


def update_any(
    write: Callable[..., Any], target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """`write(target, *args, **kwargs)` on a tensor, or on an array that cannot carry history."""
    if isinstance(target, TensorBase):
        return update(write, target, args, kwargs)
    operands, layout = lay_out((target, *args), kwargs)
    tensors = [x for x in operands if isinstance(x, TensorBase)]
    if not MODE.grad or not any(x._wants for x in tensors):
        layout.call(write, [x._data if isinstance(x, TensorBase) else x for x in operands])
        return None
    if MODE.stand_ins is None:
        raise no_history(f"a numpy.ndarray of shape {target.shape} that is written to")
    found = MODE.stand_ins.find(target)
    standing = found if isinstance(found, TensorBase) else type(tensors[0])._of(target.copy())
    update(write, standing, args, kwargs)
    MODE.stand_ins.store(target, standing)
    return None


def no_history(given: str) -> DifferentiationError:
    """The error for results that are stored where their history would be lost."""
    return DifferentiationError(
        "what is computed from tensors that require gradients is stored in a tensor",
        given=given,
        hint="make it one with tl.Tensor(array), or detach the operands",
    )
