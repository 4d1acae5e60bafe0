"""The layer of attention with several heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.errors import ShapeError, TapelessError
from ..arrays import Array, as_array
from ..attention import scaled_dot_product_attention
from ..initializers import Initializer, glorot_uniform, zeros
from ..linear import linear
from .base import Layer, Parameter, Params, Shape, State, placed, rank_is

_INWARD = ("query", "key", "value")


@dataclass(frozen=True, repr=False)
class MultiHeadAttention(Layer):
    """Attention of tokens (t, d) to one another, or to others, in `heads` parts of width d / heads.

    Parameters: weights "query", "key", "value" and "output" (d, d) and, unless `bias` is False,
    the same with "_bias" (d,). `causal` lets a token attend to itself and to those before it.
    (Vaswani et al. 2017, §3.2.2.)
    """

    heads: int
    causal: bool = False
    bias: bool = True
    initializer: Initializer = glorot_uniform

    def result_shape(self, input_shape: Shape) -> Shape:
        """That of the input."""
        rank_is(input_shape, 2, "(tokens, width)")
        if self.heads < 1 or input_shape[1] % self.heads:
            raise ShapeError(
                "the number of heads divides the width",
                given=f"heads={self.heads}, examples of shape {input_shape}",
            )
        return input_shape

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The four weights, and their biases."""
        width = input_shape[1]
        names = (*_INWARD, "output")
        weights = {name: Parameter((width, width), self.initializer) for name in names}
        biases = {f"{name}_bias": Parameter((width,), zeros) for name in names}
        return weights | biases if self.bias else weights

    def __call__(
        self,
        params: Params,
        x: Array,
        state: State = None,
        *,
        training: bool = False,
        context: Array | None = None,
        mask: Array | None = None,
    ) -> Array:
        """The result for examples `x` (examples, t, d).

        Tokens attend to those of `context` (examples, k, d), which is x unless given. `mask` says
        to which: (t, k), or (examples, 1 or heads, t, k), else as in
        `nn.scaled_dot_product_attention`.
        """
        try:
            x = self.checked(params, x)
            return self.attend(params, x, x if context is None else as_array(context), mask)
        except TapelessError as error:
            raise placed(error, self.title) from None

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """Attention of x to itself."""
        return self.attend(params, x, x, None)

    def attend(self, params: Params, x: Array, context: Array, mask: Array | None) -> Array:
        """Attention of x to `context`."""
        if context.ndim != 3 or context.shape[0] != x.shape[0] or context.shape[2] != x.shape[2]:
            raise ShapeError(
                "the context has the examples and the width of x: (examples, tokens, width)",
                given=f"shapes {tuple(context.shape)} and {tuple(x.shape)}",
            )
        query, key, value = (
            self._heads(linear(source, params[name], params.get(f"{name}_bias")))
            for name, source in zip(_INWARD, (x, context, context), strict=True)
        )
        seen = scaled_dot_product_attention(query, key, value, mask, causal=self.causal)
        joined = np.swapaxes(seen, 1, 2).reshape(x.shape)
        return linear(joined, params["output"], params.get("output_bias"))

    def _heads(self, x: Array) -> Array:
        """(examples, tokens, width) as (examples, heads, tokens, width / heads)."""
        count, tokens, width = x.shape
        return np.swapaxes(x.reshape(count, tokens, self.heads, width // self.heads), 1, 2)
