"""Normalization of activations: over the features of an example, or over the examples of a batch.

Mean squares are plain ones (no Bessel's correction) wherever they normalize.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..custom import stop_gradient
from ..ir.errors import ShapeError
from .arrays import Array, as_array, one_call

__all__ = ["batch_norm", "layer_norm", "rms_norm"]


@one_call
def layer_norm(
    x: Array,
    scale: Array | None = None,
    shift: Array | None = None,
    axis: Any = -1,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / √(variance + eps) along `axis`, times `scale` plus `shift` (Ba et al. 2016).

    `axis` is one or several; `scale` and `shift` broadcast to x. The result has the shape of x.
    """
    centred = x - np.mean(x, axis=axis, keepdims=True)
    variance = np.mean(centred * centred, axis=axis, keepdims=True)
    return _affine(centred / np.sqrt(variance + eps), scale, shift)


@one_call
def rms_norm(x: Array, scale: Array | None = None, axis: Any = -1, eps: float = 1e-6) -> Array:
    """x / √(mean of x² + eps) along `axis`, times `scale` (Zhang & Sennrich 2019).

    Arguments and shape as `layer_norm`.
    """
    return _affine(x / np.sqrt(np.mean(x * x, axis=axis, keepdims=True) + eps), scale, None)


def batch_norm(
    x: Array,
    running: Mapping[str, Array],
    scale: Array | None = None,
    shift: Array | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    axis: int = 1,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / √(variance + eps) for each feature along `axis`, times `scale` plus `shift`.

    `running["mean"]`, `running["variance"]`, `scale` and `shift` have shape (features,). In
    training the mean and variance are those of the batch, over all other axes, and the running
    ones move towards them in place: r += momentum (batch - r), with the unbiased variance, as
    torch has it; no gradient flows there. Otherwise the running ones are used as they are.
    (Ioffe & Szegedy 2015, algorithms 1 and 2.)

    Raises `ShapeError` for other shapes, and in training for fewer than two values per feature.
    """
    x = as_array(x)
    features = _features(x, running, axis)
    along = [1] * x.ndim
    along[axis] = features
    mean, variance = (running[name].reshape(along) for name in ("mean", "variance"))
    if training:
        mean, variance = _batch_statistics(x, axis)
        count = _examples(x, features)
        _approach(running["mean"], mean, momentum)
        _approach(running["variance"], variance * (count / (count - 1)), momentum)
    scale, shift = (None if each is None else each.reshape(along) for each in (scale, shift))
    return _affine((x - mean) / np.sqrt(variance + eps), scale, shift)


def _batch_statistics(x: Array, axis: int) -> tuple[Array, Array]:
    """Mean and mean square deviation over all axes but one, which stay with extent 1."""
    others = tuple(other for other in range(x.ndim) if other != axis % x.ndim)
    mean = np.mean(x, axis=others, keepdims=True)
    centred = x - mean
    return mean, np.mean(centred * centred, axis=others, keepdims=True)


def _approach(running: Array, batch: Array, momentum: float) -> None:
    """running += momentum (batch - running), in place, the batch held constant."""
    target = stop_gradient(batch).reshape(running.shape)
    np.add(running, momentum * (target - running), out=running)


def _affine(x: Array, scale: Array | None, shift: Array | None) -> Array:
    if scale is not None:
        x = x * scale
    return x if shift is None else x + shift


def _features(x: Array, running: Mapping[str, Array], axis: int) -> int:
    shape = tuple(running["mean"].shape)
    if not -x.ndim <= axis < x.ndim or shape != (x.shape[axis],):
        raise ShapeError(
            f"batch_norm: axis {axis} of x has one element per feature of the running mean",
            given=f"x of shape {x.shape}, a running mean of shape {shape}",
        )
    return int(x.shape[axis])


def _examples(x: Array, features: int) -> int:
    """How many values each feature has."""
    count = x.size // max(features, 1)
    if count < 2:
        raise ShapeError(
            "batch_norm: in training there are two values or more for each feature, as one alone "
            "has no variance",
            given=f"x of shape {x.shape}",
        )
    return int(count)
