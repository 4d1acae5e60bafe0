"""Losses, means over all examples, and the encoding of labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.errors import DTypeError, ShapeError
from .activations import log_softmax
from .windows import Array, as_array


def mse(prediction: Array, target: Array) -> Array:
    """The mean squared difference of two arrays, which broadcast."""
    difference = prediction - target
    return np.mean(difference * difference)


def cross_entropy(scores: Array, labels: Array) -> Array:
    """The mean of -log softmax(scores)[label] over all examples.

    `scores` has shape (…, classes), `labels`, of integers, the shape of `scores` without its last
    axis. Raises `ShapeError` or `DTypeError` otherwise; labels are checked as indices are.
    """
    scores, labels = as_array(scores), as_array(labels)
    _check_labels(labels)
    if scores.ndim == 0 or scores.shape[:-1] != labels.shape:
        raise ShapeError(
            "cross_entropy: labels have the shape of the scores without the last axis",
            given=f"scores of shape {scores.shape}, labels of shape {labels.shape}",
        )
    count = math.prod(labels.shape)
    rows = log_softmax(scores).reshape(count, scores.shape[-1])
    return -np.mean(rows[np.arange(count), labels.reshape(count)])


def one_hot(labels: Array, classes: int, dtype: Any = np.float64) -> Array:
    """1 at the position of each label along a new last axis of extent `classes`, 0 elsewhere."""
    labels = as_array(labels)
    _check_labels(labels)
    return (labels[..., None] == np.arange(classes)).astype(dtype)


def _check_labels(labels: Array) -> None:
    if labels.dtype.kind not in "iu":
        raise DTypeError("labels are integers", given=f"dtype {labels.dtype}")
