"""Losses of predicted numbers, and how losses of many examples become one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..ir.errors import ArgumentError, ShapeError
from .arrays import Array, one_call, shape_of

__all__ = ["huber", "mae", "mse", "rmse"]

REDUCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "mean": lambda losses: np.mean(losses),
    "sum": lambda losses: np.sum(losses),
    "none": lambda losses: losses,
}
"""What `reduction` may be, and how it joins losses."""


def reduced(losses: Array, reduction: str) -> Array:
    """The losses joined as `reduction` says; `ArgumentError` for an unknown one."""
    join = REDUCTIONS.get(reduction)
    if join is None:
        raise ArgumentError(f"reduction is one of {list(REDUCTIONS)}", given=repr(reduction))
    return join(losses)


@one_call
def mse(prediction: Array, target: Array, *, reduction: str = "mean") -> Array:
    """(prediction - target)²: the mean, the sum, or each ("none").

    One of the two broadcasts to the other, here and in `rmse`, `mae` and `huber`; where both would
    have to grow, as (n, 1) and (n,) to (n, n), they raise `ShapeError`. Raises `ArgumentError` for
    another reduction.
    """
    difference = _difference("mse", prediction, target)
    return reduced(difference * difference, reduction)


@one_call
def rmse(prediction: Array, target: Array) -> Array:
    """The root of `mse`. Derivative at a perfect fit: 0."""
    square = mse(prediction, target)
    perfect = square == 0
    return np.where(perfect, 0, np.sqrt(np.where(perfect, 1, square)))


@one_call
def mae(prediction: Array, target: Array, *, reduction: str = "mean") -> Array:
    """|prediction - target|. Derivative where they are equal: 0. Arguments as `mse`."""
    return reduced(np.abs(_difference("mae", prediction, target)), reduction)


@one_call
def huber(
    prediction: Array, target: Array, delta: float = 1.0, *, reduction: str = "mean"
) -> Array:
    """d²/2 for a difference d up to delta, delta (|d| - delta/2) beyond; else as `mse`.

    Differentiable once everywhere. (Huber 1964.)
    """
    distance = np.abs(_difference("huber", prediction, target))
    near = np.minimum(distance, delta)  # one formula for both sides, and no d² that overflows
    return reduced(near * (distance - near / 2), reduction)


def _difference(name: str, prediction: Array, target: Array) -> Any:
    difference: Any = np.subtract(prediction, target)
    shapes = shape_of(prediction), shape_of(target)
    if shape_of(difference) not in shapes:
        raise ShapeError(
            f"{name}: the target has the shape of the prediction, or one of the two broadcasts to "
            "the other",
            given=f"a prediction of shape {shapes[0]} and a target of shape {shapes[1]}",
            hint="target.reshape(prediction.shape)",
        )
    return difference
