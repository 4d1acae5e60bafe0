"""Penalties on the size of parameters, to be added to a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.pytree import flatten
from .arrays import Array

__all__ = ["l1_penalty", "l2_penalty"]


def l1_penalty(params: Any) -> Array:
    """Σ |p| over all elements of all arrays of a pytree. Derivative at 0: 0. (Tibshirani 1996.)"""
    return _total(np.abs, params)


def l2_penalty(params: Any) -> Array:
    """Σ p² over all elements of all arrays of a pytree: its gradient is 2 p. (Hoerl 1970.)"""
    return _total(np.square, params)


def _total(size: Callable[[Array], Array], params: Any) -> Array:
    leaves, _ = flatten(params)
    return sum((np.sum(size(leaf)) for leaf in leaves), start=0.0)
