"""The layers of `nn.normalization`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import ShapeError
from ..arrays import Array
from ..initializers import ones, zeros
from ..normalization import batch_norm, layer_norm, rms_norm
from .base import Layer, Parameter, Params, Shape, State, needs_state


@dataclass(frozen=True, repr=False)
class _Normalization(Layer):
    def result_shape(self, input_shape: Shape) -> Shape:
        """That of the input."""
        if not input_shape:
            raise ShapeError("an example has an axis of features", given="shape ()")
        return input_shape


@dataclass(frozen=True, repr=False)
class LayerNorm(_Normalization):
    """`nn.layer_norm` over the last axis; examples (…, n).

    Parameters: "scale" (n,), at the start 1, and "shift" (n,), at the start 0.
    """

    eps: float = 1e-5

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The scale and the shift."""
        shape = input_shape[-1:]
        return {"scale": Parameter(shape, ones), "shift": Parameter(shape, zeros)}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x normalized, scaled and shifted."""
        return layer_norm(x, params["scale"], params["shift"], eps=self.eps)


@dataclass(frozen=True, repr=False)
class RMSNorm(_Normalization):
    """`nn.rms_norm` over the last axis; examples (…, n).

    Parameters: "scale" (n,), at the start 1.
    """

    eps: float = 1e-6

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The scale."""
        return {"scale": Parameter(input_shape[-1:], ones)}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x normalized and scaled."""
        return rms_norm(x, params["scale"], eps=self.eps)


@dataclass(frozen=True, repr=False)
class BatchNorm(_Normalization):
    """`nn.batch_norm`; the features are the first axis of an example (c, …).

    Parameters: "scale" (c,), at the start 1, and "shift" (c,), at the start 0. State: the running
    "mean" and "variance" (c,), which training updates in place and everything else reads.
    """

    momentum: float = 0.1
    eps: float = 1e-5

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The scale and the shift."""
        shape = input_shape[:1]
        return {"scale": Parameter(shape, ones), "shift": Parameter(shape, zeros)}

    def buffers(
        self, generator: np.random.Generator, input_shape: Shape, dtype: Any
    ) -> Mapping[str, Any]:
        """A running mean of 0 and a running variance of 1."""
        shape = input_shape[:1]
        return {"mean": np.zeros(shape, dtype), "variance": np.ones(shape, dtype)}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x normalized, scaled and shifted."""
        needs_state(state, ("mean", "variance"), "it keeps running statistics")
        return batch_norm(
            x,
            state,
            params["scale"],
            params["shift"],
            training=training,
            momentum=self.momentum,
            eps=self.eps,
        )
