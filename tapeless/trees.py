"""Functions of pytrees: nested dicts, lists, tuples, named tuples and dataclasses, None included.

Everything that is none of these is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ir.pytree import flatten, map_leaves

__all__ = ["tree_leaves", "tree_map"]


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of a pytree, in order."""
    return flatten(tree)[0]


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`function` of each leaf of `tree` and of the leaves of the `others` at the same place.

    The result has the structure of `tree`: `tree_map(lambda p, g: p - 0.1 * g, params, grads)`.
    Raises `ArgumentError` where another tree has another structure.
    """
    return map_leaves(function, tree, *others)
