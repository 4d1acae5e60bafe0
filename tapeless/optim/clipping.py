"""Gradients kept within bounds, before an optimizer sees them.

Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks" (2013),
algorithm 1, for the norm.
"""

from __future__ import annotations

import numpy as np

from ..ir.errors import ArgumentError
from ..ir.pytree import flatten, map_leaves
from .trees import Array, Scalar, Tree, cast


def global_norm(tree: Tree) -> Scalar:
    """The Euclidean norm of all elements of all arrays of a pytree, as one float64 number.

    Squares are formed and added in float64, so that large float32 numbers do not overflow.
    """
    leaves, _ = flatten(tree)
    if not leaves:
        raise ArgumentError("a norm is taken of at least one array", given="a tree without leaves")
    return np.sqrt(sum(_sum_of_squares(leaf) for leaf in leaves))


def clip_by_norm(grads: Tree, max_norm: Scalar) -> Tree:
    """The gradients scaled together so that their `global_norm` is at most `max_norm` (> 0).

    Gradients within the bound come back with the same values; where one is NaN or infinite, so is
    the norm, and all become NaN or zero. Dtypes stay as they are.
    """
    require_positive("max_norm", max_norm)
    factor = max_norm / np.maximum(global_norm(grads), max_norm)
    return map_leaves(lambda g: g * cast(factor, g), grads)


def clip_by_value(grads: Tree, limit: Scalar) -> Tree:
    """The gradients with every element moved into the interval from -limit to limit (limit > 0)."""
    require_positive("limit", limit)
    return map_leaves(lambda g: np.clip(g, -cast(limit, g), cast(limit, g)), grads)


def _sum_of_squares(leaf: Array) -> Scalar:
    return np.sum(np.multiply(leaf, leaf, dtype=np.float64))


def require_positive(name: str, bound: Scalar) -> None:
    """A bound that is known before anything runs must make sense."""
    if isinstance(bound, int | float | np.generic | np.ndarray) and not float(bound) > 0:
        raise ArgumentError(f"{name} is a positive number", given=repr(bound))
