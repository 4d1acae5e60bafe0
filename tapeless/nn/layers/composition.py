"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import ArgumentError, ShapeError, TapelessError
from ..arrays import Array, as_array
from .base import Layer, Params, Shape, State, placed
from .elementary import Activation


@dataclass(frozen=True, repr=False, init=False)
class Sequential(Layer):
    """Layers one after another; functions among them stand for `Activation(function)`.

    Parameters and state are tuples with one entry per layer: `params[0]["weight"]`.
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Any) -> None:
        found = tuple(_as_layer(layer, number) for number, layer in enumerate(layers))
        object.__setattr__(self, "layers", found)

    @property
    def title(self) -> str:
        """The name of the class: the layers inside name themselves."""
        return type(self).__name__

    def steps(self, input_shape: Shape) -> Iterator[tuple[Layer, Shape, Shape]]:
        """Each layer with its input and its output shape, for examples of shape `input_shape`."""
        for number, layer in enumerate(self.layers):
            try:
                result = layer.output_shape(input_shape)
            except TapelessError as error:
                raise placed(error, f"layer {number}") from None
            yield layer, input_shape, result
            input_shape = result

    def result_shape(self, input_shape: Shape) -> Shape:
        """The shape after the last layer."""
        shapes = [result for _, _, result in self.steps(input_shape)]
        return shapes[-1] if shapes else input_shape

    def make_params(self, generator: np.random.Generator, shape: Shape, dtype: Any) -> Params:
        """The parameters of each layer."""
        return tuple(layer.init(generator, given, dtype) for layer, given, _ in self.steps(shape))

    def make_state(self, generator: np.random.Generator, shape: Shape, dtype: Any) -> State:
        """The state of each layer."""
        return tuple(
            layer.init_state(generator, given, dtype) for layer, given, _ in self.steps(shape)
        )

    def checked(self, params: Params, x: Any) -> Array:
        """x as an array; `ArgumentError` unless params has one entry per layer."""
        self._check_length(params, "params", "init")
        return as_array(x)

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x through all layers."""
        if state is not None:
            self._check_length(state, "state", "init_state")
        for number, layer in enumerate(self.layers):
            memory = None if state is None else state[number]
            try:
                x = layer(params[number], x, memory, training=training)
            except TapelessError as error:
                raise placed(error, f"layer {number}") from None
        return x

    def _check_length(self, tree: Any, name: str, maker: str) -> None:
        if not isinstance(tree, tuple | list) or len(tree) != len(self.layers):
            size = f" of {len(tree)}" if isinstance(tree, tuple | list | dict) else ""
            raise ArgumentError(
                f"{name} is what {maker} makes: a tuple with one entry for each of the "
                f"{len(self.layers)} layers",
                given=f"a {type(tree).__name__}{size}",
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


@dataclass(frozen=True, repr=False, init=False)
class Residual(Sequential):
    """x + layers(x) (He et al. 2016); the layers keep the shape.

    Parameters and state as those of `Sequential`.
    """

    def result_shape(self, input_shape: Shape) -> Shape:
        """That of the input; `ShapeError` if the layers do not keep it."""
        result = super().result_shape(input_shape)
        if result != input_shape:
            raise ShapeError(
                "the layers keep the shape of an example, so that the sum can be taken",
                given=f"{input_shape} becomes {result}",
            )
        return result

    def checked(self, params: Params, x: Any) -> Array:
        """As `Sequential`, and the shape of x is kept."""
        x = super().checked(params, x)
        self.result_shape(tuple(x.shape[1:]))
        return x

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """x, and what the layers make of it."""
        return x + super().apply(params, x, state, training)


def _as_layer(layer: Any, number: int) -> Layer:
    if isinstance(layer, Layer):
        return layer
    if not callable(layer) or isinstance(layer, type | Sequence):
        raise ArgumentError(
            f"layers are layers or functions of an array; layer {number} is neither",
            given=f"{layer!r:.60}",
            hint=f"{layer.__name__}(...)" if isinstance(layer, type) else "",
        )
    return Activation(layer)
