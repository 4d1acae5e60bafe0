"""Attention: averages of values, weighted by how well their keys fit a query."""

from __future__ import annotations

import math

import numpy as np

from ..ir.errors import DTypeError, ShapeError
from .arrays import Array, as_array, one_call
from .softmax import softmax

__all__ = ["causal_mask", "scaled_dot_product_attention"]


@one_call
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Array:
    """softmax(query keyᵀ scale) value (Vaswani et al. 2017, §3.2.1).

    query (…, q, d), key (…, k, d), value (…, k, v) give (…, q, v); `scale` is 1/√d unless given.
    `mask` broadcasts to (…, q, k): booleans say which keys a query attends to, floats are added
    to the scores. `causal` lets query i attend to keys 0 to i only, and goes together with a mask
    of booleans. A query that attends to no key gives zeros.

    Raises `ShapeError` for shapes that do not fit, `DTypeError` for a mask of integers or one of
    floats together with `causal`.
    """
    query, key, value = as_array(query), as_array(key), as_array(value)
    _check_shapes(query.shape, key.shape, value.shape)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = (query * scale) @ np.swapaxes(key, -1, -2)
    if mask is not None:
        mask = as_array(mask)
        _check_mask(mask, scores.shape, causal)
    if mask is not None and mask.dtype.kind == "f":
        return softmax(scores + mask.astype(scores.dtype)) @ value
    return _weights(scores, _allowed(mask, scores.shape, causal)) @ value


def causal_mask(queries: int, keys: int | None = None) -> Array:
    """Booleans (queries, keys): query i attends to keys 0 to i. `keys` is `queries` by default."""
    return np.arange(queries)[:, None] >= np.arange(queries if keys is None else keys)


def _allowed(mask: Array | None, shape: tuple[int, ...], causal: bool) -> Array | None:
    if not causal:
        return mask
    triangle = causal_mask(*shape[-2:])
    return triangle if mask is None else mask & triangle


def _weights(scores: Array, allowed: Array | None) -> Array:
    """softmax over the allowed keys alone; zeros where there are none.

    The lowest number rather than -∞ takes the place of other scores, so that a row without any
    key has differences that are numbers.
    """
    if allowed is None:
        return softmax(scores)
    lowest = np.finfo(scores.dtype).min
    return np.where(allowed, softmax(np.where(allowed, scores, lowest)), 0)


def _check_shapes(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...]) -> None:
    ranks = min(len(query), len(key), len(value)) >= 2
    if not ranks or query[-1] != key[-1] or key[-2] != value[-2]:
        raise ShapeError(
            "attention takes a query (…, q, d), a key (…, k, d) and a value (…, k, v)",
            given=f"shapes {query}, {key} and {value}",
        )


def _check_mask(mask: Array, scores: tuple[int, ...], causal: bool) -> None:
    if mask.dtype.kind not in ("b" if causal else "bf"):
        kinds = "booleans, if causal" if causal else "booleans, or floats to add"
        raise DTypeError(
            f"the mask of attention is of {kinds}",
            given=f"dtype {mask.dtype}",
            hint="mask != 0, or a mask that is causal itself: tl.nn.causal_mask(q, k)",
        )
    try:
        fits = np.broadcast_shapes(mask.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"the mask of attention broadcasts to the scores {scores}",
            given=f"shape {mask.shape}",
        )
