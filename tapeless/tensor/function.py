"""`Function`: operations with a derivative of the user's own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ..compiler.trace.context import current_trace
from ..compiler.trace.graph_trace import GraphTrace
from ..ir.errors import ArgumentError, ShapeError, TraceError
from ..ir.types import TensorType, is_float
from .base import Memory
from .lines import place
from .modes import MODE, no_grad
from .node import Node, edge_of, freed, overwritten
from .tensor import Tensor


class Context:
    """What `forward` leaves for `backward`. Other attributes may be set freely.

    `needs_input_grad` says for each argument whether its gradient is asked for.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[_Saved] | None = None
        self._node: weakref.ref[RuleNode] | None = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, arguments and results among them, for `backward`."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given. Raises `DifferentiationError` if overwritten."""
        node = None if self._node is None else self._node()
        if self._saved is None or node is None:
            return self._to_save
        return tuple(saved.unpack(node) for saved in self._saved)

    def close(self, node: RuleNode, results: Sequence[Any], made: Sequence[Tensor]) -> None:
        """The operation is `node`: from now on results are kept without their history."""
        numbers = {id(x): i for i, x in enumerate(results)}
        self._saved = [
            _Saved(made[numbers[id(x)]], numbers[id(x)]) if id(x) in numbers else _Saved(x)
            for x in self._to_save
        ]
        self._to_save, self._node = (), weakref.ref(node)


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
            node = RuleNode(cls.__name__, lambda *gs: cls.backward(ctx, *gs), args, wants, made)
            ctx.close(node, results, made)
        return tuple(made) if isinstance(out, tuple) else made[0]


def _result(x: Any, args: Sequence[Any], cls: type[Function]) -> Tensor:
    """A result as a tensor that is none of the arguments."""
    if isinstance(x, Tensor):
        return as_result(x, args)
    if isinstance(x, np.ndarray | np.generic):
        return Tensor(x)
    raise ArgumentError(
        f"forward of {cls.__name__} returns a tensor or a tuple of tensors",
        given=f"{type(x).__name__} {x!r:.60}",
    )


def as_result(x: Tensor, args: Sequence[Any]) -> Tensor:
    """`x` without history, on memory that it shares with no argument."""
    shared = any(isinstance(y, Tensor) and y._memory is x._memory for y in args)
    made: Tensor = Tensor._of(x._data.copy()) if shared else Tensor._of(x._data, x._memory)
    return made


class RuleNode(Node):
    """A recorded operation whose derivative is a function of the user's own.

    `backward` takes the gradient of every result and gives one per argument, None for zero; of
    these, the ones marked in `wants` are asked for. `made` become results of the node.
    """

    __slots__ = ("_arguments", "_backward", "_name", "_results", "_wants", "floats")

    def __init__(
        self,
        name: str,
        backward: Callable[..., Any],
        args: Sequence[Any],
        wants: Sequence[bool],
        made: Sequence[Tensor],
    ) -> None:
        edges = [edge_of(x) for x, wanted in zip(args, wants, strict=True) if wanted]
        super().__init__(edges, place())
        self._name = name
        self._backward: Callable[..., Any] | None = backward
        self._wants = wants
        self._arguments = [x.type if isinstance(x, Tensor) else None for x in args]
        self._results = [x.type for x in made]
        self.floats = [i for i, type in enumerate(self._results) if is_float(type.dtype)]
        for slot, position in enumerate(self.floats):
            made[position]._node, made[position]._slot = self, slot
            made[position]._wants = True

    @property
    def name(self) -> str:
        """The name of the function."""
        return self._name

    @property
    def forward_mode(self) -> bool:
        """The user's `backward` says nothing about tangents."""
        return False

    @property
    def width(self) -> int:
        """The number of floating-point results."""
        return len(self.floats)

    def pull(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """By the user's `backward`."""
        pulled, owned = self.pull_recorded(cotangents)
        return [None if g is None else g._data for g in pulled], owned

    def pull_recorded(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """By the user's `backward`, recorded if the grad mode says so."""
        if self._backward is None:
            raise freed(self)
        gradients = [_zeros(type) for type in self._results]
        for position, g in zip(self.floats, cotangents, strict=True):
            if g is not None:
                gradients[position] = g if isinstance(g, Tensor) else Tensor._of(g)
        found = self._backward(*gradients)
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(self._wants):
            self._refuse(f"{len(found)} for {len(self._wants)} arguments")
        pulled = [
            self._fitting(g, type)
            for g, type, wanted in zip(found, self._arguments, self._wants, strict=True)
            if wanted
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
        """Give up what the derivative needs."""
        self._backward = None

    def describe(self) -> str:
        """The function, the types of its arguments and results, and its line."""
        arguments = ", ".join(str(type or "an object") for type in self._arguments)
        results = ", ".join(map(str, self._results))
        at = self.location
        return f"{self.name}({arguments}) -> {results}" + (f" at {at}" if at else "")


def _zeros(type: TensorType) -> Tensor:
    made: Tensor = Tensor._of(np.zeros(type.shape, type.dtype))
    return made


class _Saved:
    """One saved object; a result without its history, which would be a cycle of references."""

    __slots__ = ("_memory", "_result", "_value")

    def __init__(self, value: Any, result: int | None = None) -> None:
        self._result = result
        self._memory: Memory | None = value._memory if isinstance(value, Tensor) else None
        self._value = value if result is None else value._data

    def unpack(self, node: RuleNode) -> Any:
        if self._memory is not None and self._memory.written > node.number:
            raise overwritten(node, self._memory)
        if self._result is None:
            return self._value
        made = Tensor._of(self._value, self._memory)
        made._node, made._slot, made._wants = node, node.floats.index(self._result), True
        return made
