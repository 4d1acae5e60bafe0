"""`Function`: operations with a derivative of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..compiler.trace.context import current_trace
from ..compiler.trace.graph_trace import GraphTrace
from ..ir.errors import ArgumentError, ShapeError, TraceError
from ..ir.types import TensorType, is_float
from .base import Memory
from .lines import Place, place
from .modes import MODE, no_grad
from .node import Edge, Node, edge_of, freed, overwritten
from .tensor import Tensor


class Context:
    """What `forward` leaves for `backward`. Other attributes may be set freely.

    `needs_input_grad` says for each argument whether its gradient is asked for.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._node: FunctionNode | None = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, arguments and results among them, for `backward`."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given. Raises `DifferentiationError` if overwritten."""
        return self._to_save if self._node is None else self._node.unpacked()


class Function:
    """Base of operations with a derivative of one's own.

    A subclass has two static methods, `forward(ctx, *args)`, which computes with nothing recorded,
    and `backward(ctx, *gradients)`, which takes the gradient of each result and gives that of each
    argument (None: zero). It is used as `MyFunction.apply(*args)`. Where `backward` is made of
    operations on tensors, it can be differentiated again.
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """The result: a tensor, or a tuple of them."""
        raise NotImplementedError("a subclass of tl.Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Context, *gradients: Any) -> Any:
        """The gradient of each argument, from that of each result."""
        raise NotImplementedError("a subclass of tl.Function defines backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The operation on tensors, arrays and other objects.

        Raises `TraceError` inside of a compiled function.
        """
        if isinstance(current_trace(), GraphTrace):
            raise TraceError(
                "a tl.Function runs define-by-run",
                given=f"{cls.__name__} inside a compiled or mapped function",
                hint="define it with tl.custom_vjp, which works in both",
            )
        wants = [isinstance(x, Tensor) and x.requires_grad for x in args]
        ctx = Context(tuple(wants))
        with no_grad():
            out = cls.forward(ctx, *args)
        results = out if isinstance(out, tuple) else (out,)
        made = [_result(x, args, cls) for x in results]
        if MODE.grad and any(wants):
            inputs = [edge_of(x) for x, wanted in zip(args, wants, strict=True) if wanted]
            FunctionNode(cls, ctx, args, results, made, inputs, place())
        return tuple(made) if isinstance(out, tuple) else made[0]


def _result(x: Any, args: Sequence[Any], cls: type[Function]) -> Tensor:
    """A result as a tensor that is none of the arguments."""
    if isinstance(x, Tensor):
        if any(x is argument for argument in args):
            x = Tensor._of(x._data.copy())
        made: Tensor = Tensor._of(x._data, x._memory)
        return made
    if isinstance(x, np.ndarray | np.generic):
        return Tensor(x)
    raise ArgumentError(
        f"forward of {cls.__name__} returns a tensor or a tuple of tensors",
        given=f"{type(x).__name__} {x!r:.60}",
    )


class FunctionNode(Node):
    """A recorded call of a `Function`."""

    __slots__ = ("_arguments", "_cls", "_ctx", "_floats", "_results", "_saved")

    def __init__(
        self,
        cls: type[Function],
        ctx: Context,
        args: Sequence[Any],
        results: Sequence[Any],
        made: Sequence[Tensor],
        inputs: Sequence[Edge],
        place: Place,
    ) -> None:
        super().__init__(inputs, place)
        self._cls = cls
        self._ctx: Context | None = ctx
        self._arguments = [x.type if isinstance(x, Tensor) else None for x in args]
        self._results = [x.type for x in made]
        self._floats = [i for i, type in enumerate(self._results) if is_float(type.dtype)]
        for slot, position in enumerate(self._floats):
            made[position]._node, made[position]._slot = self, slot
            made[position]._wants = True
        numbers = {id(x): i for i, x in enumerate(results)}
        self._saved = [
            _Saved(made[numbers[id(x)]], numbers[id(x)]) if id(x) in numbers else _Saved(x)
            for x in ctx._to_save
        ]
        ctx._to_save = ()
        ctx._node = self

    @property
    def name(self) -> str:
        """The name of the class."""
        return self._cls.__name__

    @property
    def width(self) -> int:
        """The number of floating-point results."""
        return len(self._floats)

    def unpacked(self) -> tuple[Any, ...]:
        """The saved tensors, with their history."""
        return tuple(saved.unpack(self) for saved in self._saved)

    def pull(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """By the user's `backward`."""
        pulled, owned = self.pull_recorded(cotangents)
        return [None if g is None else g._data for g in pulled], owned

    def pull_recorded(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """By the user's `backward`, recorded if the grad mode says so."""
        if self._ctx is None:
            raise freed(self)
        gradients = [_zeros(type) for type in self._results]
        for position, g in zip(self._floats, cotangents, strict=True):
            if g is not None:
                gradients[position] = g if isinstance(g, Tensor) else Tensor._of(g)
        found = self._cls.backward(self._ctx, *gradients)
        found = found if isinstance(found, tuple) else (found,)
        needs = self._ctx.needs_input_grad
        if len(found) != len(needs):
            self._refuse(f"{len(found)} for {len(needs)} arguments")
        pulled = [
            self._fitting(g, type)
            for g, type, needed in zip(found, self._arguments, needs, strict=True)
            if needed
        ]
        return pulled, (False,) * len(pulled)

    def _fitting(self, g: Any, type: TensorType | None) -> Tensor | None:
        """A gradient as a tensor of its argument's type."""
        assert type is not None, "only tensors require gradients"
        if g is None:
            return None
        if not isinstance(g, Tensor | np.ndarray | np.generic | float | int):
            self._refuse(f"{g.__class__.__name__} {g!r:.60}")
        tensor = g if isinstance(g, Tensor) else Tensor(g)
        if tensor.shape != type.shape:
            raise ShapeError(
                f"backward of {self.name} gives a gradient of its argument's shape {type.shape}",
                given=str(tensor.shape),
                hint="sum over the axes along which the argument was broadcast",
                loc=self.location,
            )
        return tensor if tensor.dtype == type.dtype else tensor.astype(type.dtype)

    def _refuse(self, given: str) -> NoReturn:
        raise ArgumentError(
            f"backward of {self.name} returns the gradient of each argument of forward, or None",
            given=given,
            loc=self.location,
        )

    def release(self) -> None:
        """Give up the context."""
        self._ctx = None
        self._saved = []

    def describe(self) -> str:
        """The class, the types of its arguments and results, and its line."""
        arguments = ", ".join(str(type or "an object") for type in self._arguments)
        results = ", ".join(map(str, self._results))
        at = self.location
        return f"{self.name}({arguments}) -> {results}" + (f" at {at}" if at else "")


def _zeros(type: TensorType) -> Tensor:
    made: Tensor = Tensor._of(np.zeros(type.shape, type.dtype))
    return made


class _Saved:
    """One saved object; a result without its history, which would be a cycle of references."""

    __slots__ = ("_memory", "_result", "_value", "_version")

    def __init__(self, value: Any, result: int | None = None) -> None:
        self._result = result
        self._memory: Memory | None = value._memory if isinstance(value, Tensor) else None
        self._version = self._memory.version if self._memory is not None else 0
        self._value = value if result is None else value._data

    def unpack(self, node: FunctionNode) -> Any:
        if self._memory is not None and self._memory.version != self._version:
            raise overwritten(node, self._memory)
        if self._result is None:
            return self._value
        made = Tensor._of(self._value, self._memory)
        made._node, made._slot, made._wants = node, node._floats.index(self._result), True
        return made
