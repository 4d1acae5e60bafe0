"""How a NumPy function finds its handler, and what is said when there is none.

A handler has the parameters of its NumPy function that are understood, under NumPy's names, so
its signature is the documentation of what is supported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from ....ir.errors import UnsupportedError

Handler: TypeAlias = Callable[..., Any]
Table: TypeAlias = Mapping[Callable[..., Any], Handler]


def name_of(function: Callable[..., Any]) -> str:
    """How a user writes the function, e.g. `np.linalg.norm`."""
    module = getattr(function, "__module__", "") or ""
    prefix = module.replace("numpy", "np", 1) if module.startswith("numpy") else module
    return f"{prefix}.{function.__name__}" if prefix else function.__name__


@cache
def _signature(handler: Handler) -> inspect.Signature:
    return inspect.signature(handler)


def call(name: str, handler: Handler, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`handler(*args, **kwargs)`; `UnsupportedError` for options that it does not have."""
    signature = _signature(handler)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UnsupportedError(
            f"{name} is understood with the arguments {signature_text(signature)}",
            given=str(error),
        ) from None
    return handler(*args, **kwargs)


def signature_text(signature: inspect.Signature) -> str:
    """The parameters without annotations: `(a, axis=None)`."""
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
