"""The layer of weighted sums, and that of learned rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from ...ir.errors import ShapeError
from ..arrays import Array
from ..initializers import Initializer, glorot_uniform, normal, zeros
from ..linear import embedding, linear
from ..windows import per_axis
from .base import Layer, Parameter, Params, Shape, State


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """x weight + bias along the last axis: examples (…, n) become (…, features).

    Parameters: "weight" (n, features) and, unless `bias` is False, "bias" (features,).
    """

    features: int
    bias: bool = True
    initializer: Initializer = glorot_uniform

    def result_shape(self, input_shape: Shape) -> Shape:
        """(…, n) becomes (…, features)."""
        per_axis(self.features, 1, 1, "features")
        if not input_shape:
            raise ShapeError("an example has an axis of features", given="shape ()")
        return (*input_shape[:-1], self.features)

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The weight and the bias."""
        weight = Parameter((input_shape[-1], self.features), self.initializer)
        bias = Parameter((self.features,), zeros)
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The weighted sums."""
        return linear(x, params["weight"], params.get("bias"))


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """A learned row of `width` numbers for each integer below `rows`: (…) becomes (…, width).

    Parameters: "table" (rows, width), normal of deviation 1 / √width unless said otherwise.
    """

    rows: int
    width: int
    initializer: Initializer | None = None

    def result_shape(self, input_shape: Shape) -> Shape:
        """(…) becomes (…, width)."""
        per_axis((self.rows, self.width), 2, 1, "(rows, width)")
        return (*input_shape, self.width)

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The table."""
        spread = partial(normal, deviation=max(self.width, 1) ** -0.5)
        return {"table": Parameter((self.rows, self.width), self.initializer or spread)}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The rows looked up."""
        return embedding(params["table"], x)
