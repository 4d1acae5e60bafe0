"""What optimizers do with pytrees: pair parameters with gradients and memory, and check them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler.trace.array import Kind, TracedArray
from ..ir.errors import ArgumentError, DTypeError, ShapeError
from ..ir.pytree import TreeDef, flatten

Array = Any
"""A NumPy array, or what stands for one while a function is traced."""

Scalar = Any
"""A Python number, a NumPy scalar or a 0-d array."""

Tree = Any
"""A pytree of arrays."""


def is_zero(setting: Scalar) -> bool:
    """True for a zero known before anything runs: its term is then left out altogether."""
    return isinstance(setting, int | float) and setting == 0


def cast(setting: Scalar, like: Array) -> Scalar:
    """A NumPy scalar in the dtype of `like`, so that float32 stays float32; a number as it is."""
    return setting.astype(like.dtype) if hasattr(setting, "astype") else setting


def zeros_like(params: Tree) -> Tree:
    """A tree of zeros like the parameters, which are checked."""
    leaves, structure = flatten(params)
    for i, leaf in enumerate(leaves):
        _check_parameter(leaf, structure, i)
    return structure.unflatten([np.zeros_like(leaf) for leaf in leaves])


def rows(params: Tree, grads: Tree, *memories: Tree | None) -> list[tuple[Array, ...]]:
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
