"""Products with weights, and rows looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ArgumentError, DTypeError, ShapeError
from .arrays import Array, as_array, shape_of

__all__ = ["embedding", "linear", "one_hot"]


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x weight + bias: x (…, n), weight (n, m), bias (m,) or None; the result is (…, m).

    The dtype is that of `x @ weight`. Raises `ShapeError` for other shapes.
    """
    if not fits(x, weight, bias):
        raise ShapeError(
            "linear takes x (…, n), a weight (n, m) and a bias (m,)",
            given=f"x {shape_of(x)}, weight {shape_of(weight)}"
            + ("" if bias is None else f", bias {shape_of(bias)}"),
        )
    product = x @ weight
    return product if bias is None else product + bias


def fits(x: Array, weight: Array, bias: Array | None) -> bool:
    """Whether `linear` takes arrays of these shapes."""
    matrix = shape_of(weight)
    rows = shape_of(x)[-1:]
    return (
        len(matrix) == 2 and rows == matrix[:1] and (bias is None or shape_of(bias) == matrix[1:])
    )


def embedding(table: Array, numbers: Array) -> Array:
    """The row of `table` (rows, width) for each of `numbers`: shape (*numbers.shape, width).

    Gradients of rows looked up repeatedly add up. Numbers are integers and count from the end if
    negative, as indices do; one outside of the table raises `OutOfBoundsError` in a compiled
    function and NumPy's `IndexError`, its base, on bare arrays. Raises `DTypeError` for numbers
    that are not integers and `ShapeError` for a table of other than two axes.
    """
    table, numbers = as_array(table), as_array(numbers)
    if table.ndim != 2:
        raise ShapeError("embedding: the table is (rows, width)", given=f"shape {table.shape}")
    check_integers(numbers, "embedding: the numbers of rows")
    return table[numbers]


def one_hot(labels: Array, classes: int, dtype: Any = np.float64) -> Array:
    """1 at the position of each label along a new last axis of extent `classes`, 0 elsewhere.

    A label outside of the classes gives a row of zeros. Raises `DTypeError` for labels that are
    not integers and `ArgumentError` for a negative number of classes.
    """
    labels = as_array(labels)
    check_integers(labels, "labels")
    if classes < 0:
        raise ArgumentError("one_hot: there are 0 classes or more", given=repr(classes))
    return (labels[..., None] == np.arange(classes)).astype(dtype)


def check_integers(numbers: Array, what: str) -> None:
    """Raise `DTypeError` unless `numbers` are integers."""
    if numbers.dtype.kind not in "iu":
        raise DTypeError(f"{what} are integers", given=f"dtype {numbers.dtype}")
