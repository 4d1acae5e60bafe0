"""What a layer is: an immutable object that says how parameters act, and does not hold them.

`params = layer.init(generator, input_shape)` makes the parameters, a pytree of arrays that is
passed to `layer(params, x)`, differentiated with respect to and updated in place by optimizers.
What a layer remembers from call to call besides (running means, random streams) is its *state*,
`layer.init_state(generator, input_shape)`: another pytree of arrays, updated in place by
`layer(params, x, state, training=True)`. So a layer is a function of arrays, and runs inside
`tl.compile`, in `f.dynamic`, on Tensors and on bare arrays alike.

`input_shape` is the shape of one example; x has the axis of the examples before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from operator import index
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...ir.errors import ArgumentError, DTypeError, ShapeError, TapelessError
from ...ir.pytree import Leaf
from ..arrays import Array, as_array, shape_of
from ..initializers import Initializer

Shape: TypeAlias = tuple[int, ...]
Params: TypeAlias = Any
"""A pytree of parameters, as `Layer.init` makes it."""

State: TypeAlias = Any
"""A pytree of arrays updated in place, as `Layer.init_state` makes it."""


class Parameter(NamedTuple):
    """The shape of a parameter, and what makes its initial value."""

    shape: Shape
    initializer: Initializer


@dataclass(frozen=True, repr=False)
class Layer(Leaf):
    """Base of all layers.

    A layer of one's own is a frozen dataclass that says in `result_shape`, `parameters` and
    `apply` what it does, and in `buffers` what it remembers. All four may rely on what the public
    methods check beforehand: shapes are tuples of ints, and x and params fit together.
    """

    def result_shape(self, input_shape: Shape) -> Shape:
        """The shape of the result for one example; `ShapeError` for a shape it cannot take."""
        return input_shape

    def parameters(self, input_shape: Shape) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {}

    def buffers(
        self, generator: np.random.Generator, input_shape: Shape, dtype: Any
    ) -> Mapping[str, Any]:
        """The arrays of the state by name, as they are at the start."""
        return {}

    def apply(self, params: Params, x: Array, state: State, training: bool) -> Array:
        """The result for examples x."""
        raise NotImplementedError(f"{type(self).__name__}.apply")

    @property
    def title(self) -> str:
        """What error messages and summaries call this layer."""
        return repr(self)

    def output_shape(self, input_shape: Any) -> Shape:
        """The shape of the result for one example of shape `input_shape`.

        Raises `ShapeError` for shapes that the layer cannot take.
        """
        try:
            return self.result_shape(checked_shape(input_shape))
        except TapelessError as error:
            raise placed(error, self.title) from None

    def init(
        self, generator: np.random.Generator, input_shape: Any, dtype: Any = np.float64
    ) -> Params:
        """New parameters for examples of shape `input_shape`, with initial values.

        A dict of arrays by name; a tuple with one entry per layer for `Sequential`. Raises
        `ShapeError` for shapes that the layer cannot take.
        """
        try:
            check_generator(generator)
            check_floating(dtype)
            return self.make_params(generator, self._taken(input_shape), dtype)
        except TapelessError as error:
            raise placed(error, self.title) from None

    def init_state(
        self, generator: np.random.Generator, input_shape: Any, dtype: Any = np.float64
    ) -> State:
        """New state for examples of shape `input_shape`; structured as the parameters are."""
        try:
            check_generator(generator)
            check_floating(dtype)
            return self.make_state(generator, self._taken(input_shape), dtype)
        except TapelessError as error:
            raise placed(error, self.title) from None

    def __call__(
        self, params: Params, x: Array, state: State = None, *, training: bool = False
    ) -> Array:
        """The result for examples `x`, of shape (examples, *input_shape).

        `training` switches on what only training does: dropout, and statistics of the batch. A
        layer with a state updates it then, in place. Raises `ShapeError` or `ArgumentError` where
        x, params and state do not fit.
        """
        try:
            return self.apply(params, self.checked(params, x), state, training)
        except TapelessError as error:
            raise placed(error, self.title) from None

    def make_params(self, generator: np.random.Generator, shape: Shape, dtype: Any) -> Params:
        """What `init` gives, for a shape that is known to fit."""
        return {
            name: parameter.initializer(generator, parameter.shape, dtype)
            for name, parameter in self.parameters(shape).items()
        }

    def make_state(self, generator: np.random.Generator, shape: Shape, dtype: Any) -> State:
        """What `init_state` gives, for a shape that is known to fit."""
        return dict(self.buffers(generator, shape, dtype))

    def checked(self, params: Params, x: Any) -> Array:
        """x as an array; `ShapeError` or `ArgumentError` unless x and params fit this layer."""
        x = as_array(x)
        if x.ndim == 0:
            raise ShapeError("x has an axis of examples", given="shape ()")
        shape = tuple(x.shape[1:])
        self.result_shape(shape)
        expected = self.parameters(shape)
        if not isinstance(params, dict) or params.keys() != expected.keys():
            raise ArgumentError(
                f"params are those that init makes: a dict of {list(expected)}",
                given=_sketch(params),
            )
        for name, parameter in expected.items():
            if shape_of(params[name]) != parameter.shape:
                raise ShapeError(
                    f"x has the shape for which params were made: for x of shape {tuple(x.shape)} "
                    f"the {name} has shape {parameter.shape}",
                    given=f"a {name} of shape {shape_of(params[name])}",
                )
        return x

    def _taken(self, input_shape: Any) -> Shape:
        shape = checked_shape(input_shape)
        self.result_shape(shape)
        return shape

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is MISSING:
                shown.append(_text(value))
            elif value != field.default:
                shown.append(f"{field.name}={_text(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _text(value: Any) -> str:
    return str(getattr(value, "__name__", None) or repr(value))


def _sketch(params: Any) -> str:
    if isinstance(params, dict):
        return f"a dict of {list(params)}"
    shape = f" of shape {shape_of(params)}" if hasattr(params, "shape") else ""
    size = f" of {len(params)}" if isinstance(params, tuple | list) else ""
    return f"{type(params).__name__}{size}{shape}"


def placed(error: TapelessError, what: str) -> TapelessError:
    """The same error, saying first that it is of `what`: a layer, or its place among others."""
    return type(error)(
        f"{what}: {error.requirement}", given=error.given, hint=error.hint, loc=error.loc
    )


def checked_shape(input_shape: Any) -> Shape:
    """A shape given as ints, or as one, as a tuple; `ArgumentError` for anything else."""
    try:
        shape = (
            tuple(map(index, input_shape)) if np.iterable(input_shape) else (index(input_shape),)
        )
    except TypeError:
        shape = (-1,)
    if any(extent < 0 for extent in shape):
        raise ArgumentError(
            "the input shape is that of one example: ints, 0 or more", given=repr(input_shape)
        )
    return shape


def check_generator(generator: Any) -> None:
    """Raise `ArgumentError` for what is no generator, such as a seed."""
    if not isinstance(generator, np.random.Generator):
        raise ArgumentError(
            "initial values are drawn by a numpy.random.Generator",
            given=f"{type(generator).__name__} {generator!r:.40}",
            hint="np.random.default_rng(seed)",
        )


def check_floating(dtype: Any) -> None:
    """Raise `DTypeError` unless parameters of `dtype` can be trained."""
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise DTypeError("parameters are float32 or float64", given=f"dtype {np.dtype(dtype)}")


def needs_state(state: State, names: tuple[str, ...], why: str) -> None:
    """Raise `ArgumentError` unless `state` is the dict of `names` that `init_state` makes."""
    if not isinstance(state, dict) or tuple(state) != names:
        raise ArgumentError(
            f"{why}, so it is called with the state that init_state makes: a dict of {list(names)}",
            given="state=None" if state is None else _sketch(state),
            hint="state = model.init_state(generator, input_shape), once; then "
            "model(params, x, state, training=...)",
        )


def rank_is(input_shape: Shape, rank: int, axes: str) -> None:
    """Raise `ShapeError` unless an example has `rank` axes, which are called `axes`."""
    if len(input_shape) != rank:
        raise ShapeError(f"an example has the axes {axes}", given=f"shape {input_shape}")
