"""The layers of windows that slide over an example: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ...ir.errors import ShapeError
from ..arrays import Array
from ..convolution import conv1d, conv2d
from ..initializers import Initializer, glorot_uniform, zeros
from ..pooling import avg_pool2d, max_pool2d
from ..windows import per_axis, positions
from .base import Layer, Parameter, Params, Shape, State, rank_is

_AXES = {1: "(c, h)", 2: "(c, h, w)"}


@dataclass(frozen=True, repr=False)
class _Convolution(Layer):
    features: int
    size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    initializer: Initializer = glorot_uniform

    rank: ClassVar[int]

    def result_shape(self, input_shape: Shape) -> Shape:
        """(c, *extents) becomes (features, *positions)."""
        rank_is(input_shape, self.rank + 1, _AXES[self.rank])
        per_axis(self.features, 1, 1, "features")
        (groups,) = per_axis(self.groups, 1, 1, "groups")
        if input_shape[0] % groups or self.features % groups:
            raise ShapeError(
                "groups divides both the channels and the features",
                given=f"{input_shape[0]} channels, {self.features} features, groups={groups}",
            )
        sizes, strides, paddings, dilations = (
            per_axis(value, self.rank, least, name)
            for value, least, name in (
                (self.size, 1, "size"),
                (self.stride, 1, "stride"),
                (self.padding, 0, "padding"),
                (self.dilation, 1, "dilation"),
            )
        )
        extents = positions(input_shape[1:], sizes, strides, paddings, dilations)
        return (self.features, *extents)

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The kernels and the bias."""
        size = per_axis(self.size, self.rank, 1, "size")
        shape = (self.features, input_shape[0] // self.groups, *size)
        weight, bias = Parameter(shape, self.initializer), Parameter((self.features,), zeros)
        return {"weight": weight, "bias": bias} if self.bias else {"weight": weight}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The convolution, and the bias of each feature."""
        convolve = conv1d if self.rank == 1 else conv2d
        steps = self.stride, self.padding, self.dilation, self.groups
        result = convolve(x, params["weight"], *steps)
        if not self.bias:
            return result
        return result + params["bias"].reshape(self.features, *(1,) * self.rank)


@dataclass(frozen=True, repr=False)
class Conv1D(_Convolution):
    """Convolution of signals: (c, h) becomes (features, p). Arguments as `nn.conv1d`.

    Parameters: "weight" (features, c / groups, size) and, unless `bias` is False, "bias".
    """

    rank: ClassVar[int] = 1


@dataclass(frozen=True, repr=False)
class Conv2D(_Convolution):
    """Convolution of images: (c, h, w) becomes (features, p, q). Arguments as `nn.conv2d`.

    Parameters: "weight" (features, c / groups, *size) and, unless `bias` is False, "bias".
    """

    rank: ClassVar[int] = 2


@dataclass(frozen=True, repr=False)
class _Pooling(Layer):
    size: Any
    stride: Any = None
    padding: Any = 0

    def result_shape(self, input_shape: Shape) -> Shape:
        """(c, h, w) becomes (c, p, q)."""
        rank_is(input_shape, 3, _AXES[2])
        sizes = per_axis(self.size, 2, 1, "size")
        strides = sizes if self.stride is None else per_axis(self.stride, 2, 1, "stride")
        paddings = per_axis(self.padding, 2, 0, "padding")
        return (input_shape[0], *positions(input_shape[1:], sizes, strides, paddings, (1, 1)))


@dataclass(frozen=True, repr=False)
class MaxPool2D(_Pooling):
    """The largest of each window: (c, h, w) becomes (c, p, q). Arguments as `nn.max_pool2d`."""

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The pooled images."""
        return max_pool2d(x, self.size, self.stride, self.padding)


@dataclass(frozen=True, repr=False)
class AvgPool2D(_Pooling):
    """The mean of each window: (c, h, w) becomes (c, p, q). Arguments as `nn.avg_pool2d`."""

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The pooled images."""
        return avg_pool2d(x, self.size, self.stride, self.padding)
