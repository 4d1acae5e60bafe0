"""Layers without parameters: a function of each element, another shape, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import ShapeError
from ..arrays import Array, shape_of
from ..dropout import check_rate, dropout
from ..randomness import stream, uniform
from .base import Layer, Params, Shape, State, needs_state


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """A function of an array that keeps its shape, such as `nn.relu`."""

    function: Callable[[Array], Array]

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The function of x; `ShapeError` if that has another shape."""
        result = self.function(x)
        if shape_of(result) != shape_of(x):
            raise ShapeError(
                "the function keeps the shape of its argument",
                given=f"{shape_of(x)} became {shape_of(result)}",
                hint="write a layer of your own: a subclass of nn.Layer",
            )
        return result


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """All axes of an example as one, in row-major order: (a, b, …) becomes (a b …,)."""

    def result_shape(self, input_shape: Shape) -> Shape:
        """(a, b, …) becomes (a b …,)."""
        return (math.prod(input_shape),)

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The same elements in another shape."""
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training, each element 0 with probability `rate` and else x / (1 - rate).

    State: "stream", from which the random numbers are (see `nn.stream`); a call in training moves
    it on. Otherwise x as it is.
    """

    rate: float

    def result_shape(self, input_shape: Shape) -> Shape:
        """That of the input."""
        check_rate(self.rate, "dropout")
        return input_shape

    def buffers(
        self, generator: np.random.Generator, input_shape: Shape, dtype: Any
    ) -> Mapping[str, Any]:
        """A stream of random numbers of the layer's own."""
        return {"stream": stream(generator)}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x, in training with elements left out."""
        if not training:
            return x
        needs_state(state, ("stream",), "in training dropout draws random numbers")
        # 24 random bits decide as well as 53, and cost half.
        return dropout(x, self.rate, uniform(state["stream"], x.shape, np.float32))
