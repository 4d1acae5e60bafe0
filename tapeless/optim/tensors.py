"""Tensors as an optimizer sees them: leaves to train, their memory and their gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..compiler.trace.context import current_trace
from ..ir.errors import ArgumentError, DTypeError, TraceError
from ..ir.pytree import flatten, is_container
from ..tensor import Tensor
from ..tensor.lines import place
from .trees import Array


def trainable(tensors: Any) -> list[Tensor]:
    """The Tensors of an iterable or a pytree, which can be trained.

    Raises `ArgumentError` where there is none, where one is no leaf, does not require gradients or
    stands twice; `DTypeError` for one without floating-point numbers.
    """
    if isinstance(tensors, Iterable) and not isinstance(tensors, Tensor | np.ndarray | str):
        tensors = tensors if is_container(tensors) else list(tensors)
    leaves, structure = flatten(tensors)
    if not leaves:
        raise ArgumentError("an optimizer has at least one Tensor to train", given="none")
    names = structure.paths("tensors")
    first: dict[int, str] = {}
    for name, leaf in zip(names, leaves, strict=True):
        _check(name, leaf)
        other = first.setdefault(id(leaf), name)
        if other != name:
            raise ArgumentError(f"{name} stands once", given=f"the same Tensor as {other}")
    return leaves


def _check(name: str, leaf: Any) -> None:
    if not isinstance(leaf, Tensor):
        raise ArgumentError(
            f"{name} is a tl.Tensor",
            given=f"{type(leaf).__name__} {leaf!r:.60}",
            hint="arrays are trained by the functions: tl.optim.sgd, tl.optim.adam, …",
        )
    node = leaf.grad_fn
    if node is not None:
        raise ArgumentError(
            f"{name} is a leaf: a Tensor that is given, not computed",
            given=f"the result of {node.name}",
            hint="train the Tensors that it is computed from, or a copy: x.detach()",
        )
    if leaf.dtype.kind != "f":
        raise DTypeError(f"{name} holds floating-point numbers", given=f"dtype {leaf.dtype}")
    if not leaf.requires_grad:
        raise ArgumentError(
            f"{name} requires gradients",
            given="one that does not",
            hint="make it with tl.Tensor(…, requires_grad=True), or call its requires_grad_()",
        )


def memory(tensor: Tensor) -> Array:
    """The array that holds the values of a leaf, to be overwritten."""
    if not isinstance(tensor._data, np.ndarray):  # a NumPy scalar, as full reductions give
        tensor._data = np.array(tensor._data)
    return tensor._data


def mark_updated(tensor: Tensor) -> None:
    """Tell that the memory of a leaf was overwritten: graphs that need the old values are void."""
    tensor._memory.note_write(place())


def gradient(tensor: Tensor) -> Array:
    """The values of the gradient of a tensor that has one."""
    assert tensor.grad is not None
    return tensor.grad._data


def require_untraced() -> None:
    """Raise `TraceError` while a function is traced: a compiled step has optimizers of its own."""
    if current_trace() is not None:
        raise TraceError(
            "an optimizer of Tensors steps outside of compiled functions",
            given="a step while a function is traced",
            hint="in a compiled step use the functions on arrays: tl.optim.sgd, tl.optim.adam, …",
        )
