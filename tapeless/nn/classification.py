"""Losses of predicted classes, by labels or by probabilities.

Classes lie along the last axis. `reduction` joins the losses of the examples: "mean" (the default),
"sum" or "none". Shapes that do not fit raise `ShapeError`, labels that are not integers
`DTypeError`, another reduction `ArgumentError`; labels are checked as indices are.
"""

from __future__ import annotations

import numpy as np

from ..ir.errors import ArgumentError, DTypeError, ShapeError
from .activations import log_sigmoid
from .arrays import Array, as_array, floating, one_call, shape_of
from .linear import check_integers
from .losses import reduced
from .softmax import log_softmax

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "multiclass_hinge",
    "nll",
]


@one_call
def cross_entropy(
    scores: Array,
    target: Array,
    *,
    weights: Array | None = None,
    smoothing: float = 0.0,
    reduction: str = "mean",
) -> Array:
    """-log softmax(scores) of the target, for scores (…, classes).

    `target` holds labels, integers of shape (…), or probabilities, floats of the shape of the
    scores: then -Σ target log softmax(scores) over the classes, 0 log 0 being 0. With `smoothing`
    s, labels stand for probabilities that give 1 - s to the label and s to all classes evenly
    (Szegedy et al. 2016, §7). `weights` (classes,) as in `nll`.
    """
    scores, target = as_array(scores), as_array(target)
    if target.dtype.kind == "f":
        _check_probabilities(scores, target, smoothing)
        return _expected(log_softmax(scores), target, weights, reduction)
    check_labels("cross_entropy", scores, target)
    if not 0 <= smoothing <= 1:
        raise ArgumentError("smoothing is a number from [0, 1]", given=repr(smoothing))
    logs = log_softmax(scores)
    if smoothing == 0:
        return nll(logs, target, weights=weights, reduction=reduction)
    classes = scores.shape[-1]
    hot = target[..., None] == np.arange(classes)
    shares = np.where(hot, 1 - smoothing, 0) + smoothing / classes
    return _expected(logs, shares.astype(logs.dtype), weights, reduction)


@one_call
def nll(
    log_probabilities: Array,
    labels: Array,
    *,
    weights: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """The negative log-likelihood: -log_probabilities (…, classes) at `labels` (…).

    `weights` (classes,) multiplies the loss of each example by the weight of its label; the mean
    is then Σ weight loss / Σ weight.
    """
    logs, labels = as_array(log_probabilities), as_array(labels)
    check_labels("nll", logs, labels)
    losses = -at_labels(logs, labels)
    if weights is None:
        return reduced(losses, reduction)
    shares = _class_weights(weights, logs)[labels]
    if reduction == "mean":
        return np.sum(losses * shares) / np.sum(shares)
    return reduced(losses * shares, reduction)


@one_call
def binary_cross_entropy_with_logits(
    scores: Array, target: Array, *, reduction: str = "mean"
) -> Array:
    """-(t log σ(s) + (1 - t) log σ(-s)) for scores s and probabilities (or labels 0, 1) t.

    Exact for scores of any size. Scores and targets have equal shapes.
    """
    _check_equal("binary_cross_entropy_with_logits", scores, target)
    losses = target * log_sigmoid(scores) + (1 - target) * log_sigmoid(-scores)
    return reduced(-losses, reduction)


@one_call
def binary_cross_entropy(probabilities: Array, target: Array, *, reduction: str = "mean") -> Array:
    """-(t log p + (1 - t) log(1 - p)) for probabilities p and targets t of equal shapes.

    0 log 0 is 0, so that certainty costs nothing where it is right and ∞ where it is wrong. Where
    p comes from a sigmoid, `binary_cross_entropy_with_logits` is the accurate form.
    """
    _check_equal("binary_cross_entropy", probabilities, target)
    p, t = floating(probabilities), as_array(target)
    never, always = t == 0, t == 1
    if_one = np.where(never, 0, t * np.log(np.where(never, 1, p)))
    if_zero = np.where(always, 0, (1 - t) * np.log1p(np.where(always, 0, -p)))
    return reduced(-(if_one + if_zero), reduction)


@one_call
def multiclass_hinge(
    scores: Array, labels: Array, margin: float = 1.0, *, reduction: str = "mean"
) -> Array:
    """Σ max(0, score - score of the label + margin) over all other classes, for each example.

    Derivative at the hinge: 0. (Weston & Watkins 1999.)
    """
    scores, labels = as_array(scores), as_array(labels)
    check_labels("multiclass_hinge", scores, labels)
    excess = np.maximum(scores - at_labels(scores, labels)[..., None] + margin, 0)
    others = labels[..., None] != np.arange(scores.shape[-1])
    return reduced(np.sum(np.where(others, excess, 0), axis=-1), reduction)


def at_labels(x: Array, labels: Array) -> Array:
    """x[…, label] for x (…, classes) and labels (…)."""
    count = labels.size
    rows = x.reshape(count, x.shape[-1])
    return rows[np.arange(count), labels.reshape(count)].reshape(labels.shape)


def check_labels(name: str, scores: Array, labels: Array) -> None:
    """Raise `DTypeError` or `ShapeError` unless `labels` are labels for scores (…, classes)."""
    check_integers(labels, f"{name}: labels")
    if scores.ndim == 0 or scores.shape[:-1] != labels.shape:
        raise ShapeError(
            f"{name}: labels have the shape of the scores without the last axis",
            given=f"scores of shape {scores.shape}, labels of shape {labels.shape}",
        )


def _expected(logs: Array, shares: Array, weights: Array | None, reduction: str) -> Array:
    """-Σ share log over the classes, the logarithms weighted by class."""
    if weights is not None:
        logs = logs * _class_weights(weights, logs)
    excluded = shares == 0  # costs nothing, whatever the logarithm is: 0 log 0 is 0
    return reduced(-np.sum(shares * np.where(excluded, 0, logs), axis=-1), reduction)


def _class_weights(weights: Array, logs: Array) -> Array:
    weights = as_array(weights)
    if weights.shape != logs.shape[-1:]:
        raise ShapeError(
            "there is one weight per class",
            given=f"weights of shape {weights.shape}, {logs.shape[-1]} classes",
        )
    return weights


def _check_probabilities(scores: Array, target: Array, smoothing: float) -> None:
    if scores.ndim == 0 or scores.shape != target.shape:
        kind = "labels, which are integers," if target.ndim < scores.ndim else "probabilities"
        error = DTypeError if target.ndim < scores.ndim else ShapeError
        raise error(
            f"cross_entropy takes {kind} or probabilities of the shape of the scores",
            given=f"scores of shape {scores.shape}, a target of shape {target.shape} and dtype "
            f"{target.dtype}",
        )
    if smoothing:
        raise ArgumentError("smoothing is for labels", given="probabilities")


def _check_equal(name: str, prediction: Array, target: Array) -> None:
    if shape_of(prediction) != shape_of(target):
        raise ShapeError(
            f"{name}: targets have the shape of the predictions",
            given=f"shapes {shape_of(target)} and {shape_of(prediction)}",
            hint="target.reshape(prediction.shape)",
        )
