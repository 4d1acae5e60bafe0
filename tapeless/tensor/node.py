"""Nodes of the graph that is recorded while operations run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..ir.errors import DifferentiationError
from ..ir.location import Location
from .base import Memory, TensorBase, next_number
from .calls import Call, call_of
from .derive import Pullback
from .lines import Place, location, place
from .modes import MODE

Edge: TypeAlias = tuple[Any, int]
"""Where an operand came from: a node and the number of its result, or a leaf tensor and 0."""


class Node(ABC):
    """A recorded operation. `inputs` has an edge for every operand that requires gradients.

    Nodes are numbered in the order of their creation, so that what an operation reads always has
    smaller numbers. `retained` lists the results whose tensors keep their gradient.
    """

    __slots__ = ("__weakref__", "_place", "inputs", "number", "retained")

    def __init__(self, inputs: Sequence[Edge], place: Place) -> None:
        self.inputs = inputs
        self.number = next_number()
        self.retained: Any = None
        self._place = place

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the operation."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of results that can have cotangents."""

    @property
    @abstractmethod
    def forward_mode(self) -> bool:
        """Whether tangents can be carried through."""

    @abstractmethod
    def pull(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """The cotangents of the inputs from one per floating-point result (None: zero).

        Beside them, which arrays nobody else holds.
        """

    @abstractmethod
    def pull_recorded(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """The same with tensors, recorded in turn: derivatives of any order."""

    @abstractmethod
    def release(self) -> None:
        """Give up what is kept for the derivative."""

    @abstractmethod
    def describe(self) -> str:
        """The operation, the types of its operands and results, and its line."""

    @property
    def location(self) -> Location | None:
        """The user's line."""
        return location(self._place)

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


def freed(node: Node) -> DifferentiationError:
    """The error for a second pass through a node."""
    return DifferentiationError(
        "backward goes through a graph once, and then it is freed",
        given=f"a second pass through {node.describe()}",
        hint="use backward(retain_graph=True) the first time, or compute the result again",
    )


def overwritten(node: Node, memory: Memory) -> DifferentiationError:
    """The error for a value that was updated after it was saved."""
    written = location(memory.written_at)
    return DifferentiationError(
        "a value that a gradient needs stays as it was when it was used",
        given=f"{node.describe()} reads one that was updated in place"
        + (f" at {written}" if written else ""),
        hint="use x = x + y instead of x += y there, or update a copy: x = x.copy()",
        loc=node.location,
    )


class CallNode(Node):
    """A call of NumPy. `saved` are the arrays that the derivative reads (None: freed), `memories`
    what each lies in (None: nobody can write to it).
    """

    __slots__ = ("call", "memories", "pullback", "saved")

    def __init__(
        self,
        call: Call,
        pullback: Pullback,
        inputs: Sequence[Edge],
        saved: Sequence[Any],
        memories: Sequence[Memory | None],
        place: Place,
    ) -> None:
        self.inputs = inputs  # as in Node.__init__, whose call would cost as much as all this
        self.number = next_number()
        self.retained = None
        self._place = place
        self.call = call
        self.pullback = pullback
        self.saved: Sequence[Any] | None = saved
        self.memories = memories

    @property
    def name(self) -> str:
        """The name of the NumPy function."""
        return self.call.name

    @property
    def wants(self) -> int:
        """Bit i says that operand i requires gradients."""
        return self.pullback.wants

    @property
    def forward_mode(self) -> bool:
        """The derivative is linear, and has a derivative."""
        return True

    @property
    def width(self) -> int:
        """The number of results that can have cotangents."""
        return len(self.call.floats)

    def pull(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """By the plan of the call's derivative."""
        plan, saved = self.pullback.plan, self.readable()
        if len(cotangents) > 1:
            cotangents = self.dense(cotangents)
        return plan.run(*cotangents, *saved), plan.owned

    def pull_recorded(self, cotangents: Sequence[Any]) -> tuple[Sequence[Any], Sequence[bool]]:
        """The plan applied to tensors is one more call, whose graph is known."""
        like = next(type(g) for g in cotangents if g is not None)
        operands: list[Any] = [
            g if isinstance(g, TensorBase) else like._of(g) for g in self.dense(cotangents)
        ]
        for position, array, memory in zip(
            self.pullback.reads, self.readable(), self.memories, strict=True
        ):
            edge = self._edge(position)
            operands.append(array if edge is None else _tensor(self, like, array, edge, memory))
        plan = self.pullback.plan
        pulled = apply_call(call_of(self.pullback), plan.run, operands, like)
        return pulled, (False,) * len(pulled)

    def _edge(self, position: int) -> Edge | None:
        """The history of an operand or result, by its position among both."""
        count = len(self.call.graph.inputs)
        if position >= count:
            result = position - count
            return (self, self.call.floats.index(result)) if result in self.call.floats else None
        if not self.wants >> position & 1:
            return None
        return self.inputs[(self.wants & ((1 << position) - 1)).bit_count()]

    def dense(self, cotangents: Sequence[Any]) -> list[Any]:
        """The cotangents with zeros for those that nothing asked for."""
        types = [self.call.types[i] for i in self.call.floats]
        return [
            np.zeros(type.shape, type.dtype) if g is None else g
            for g, type in zip(cotangents, types, strict=True)
        ]

    def readable(self) -> Sequence[Any]:
        """The saved arrays; raises if they were freed or overwritten."""
        if self.saved is None:
            raise freed(self)
        for memory in self.memories:
            if memory is not None and memory.written > self.number:
                raise overwritten(self, memory)
        return self.saved

    def describe(self) -> str:
        """The operation, the types of its operands and results, and its line."""
        operands = ", ".join(str(value.type) for value in self.call.graph.inputs)
        results = ", ".join(str(type) for type in self.call.types)
        at = self.location
        return f"{self.name}({operands}) -> {results}" + (f" at {at}" if at else "")

    def release(self) -> None:
        """Give the saved arrays up."""
        self.saved = None
        self.memories = ()


def edge_of(tensor: TensorBase) -> Edge:
    """Where a tensor that requires gradients came from."""
    node = tensor._node
    return (tensor, 0) if node is None else (node, tensor._slot)


def _tensor(
    node: Node, like: type[TensorBase], array: Any, edge: Edge, memory: Memory | None
) -> TensorBase:
    """A tensor on an array that `node` saved, with the history that the operand or result has."""
    source, slot = edge
    if isinstance(source, TensorBase):
        if source._data is not array:  # a leaf that was updated inside of `f.dynamic`
            raise overwritten(node, source._memory)
        return source
    made: TensorBase = like._of(array, memory)
    made._node, made._slot, made._wants = source, slot, True
    return made


def attach(call: Call, made: Sequence[TensorBase], operands: Sequence[Any], wants: int) -> None:
    """Make `made` the results of a new node, for `call` on `operands`; see `Call.pullback`."""
    pullback = call.pullbacks.get(wants)
    if pullback is None:
        pullback = call.pullback(wants)
    preserve = MODE.preserve
    saved: list[Any] = []
    memories: list[Memory | None] = []
    for position in pullback.operands:
        x = operands[position]
        if isinstance(x, TensorBase):
            saved.append(x._data)
            memories.append(None if preserve else x._memory)
        else:
            saved.append(snapshot(x))
            memories.append(None)
    for position in pullback.results:
        saved.append(made[position]._data)
        memories.append(None if preserve else made[position]._memory)
    inputs: list[Edge] = []
    for position in pullback.wrt:
        x = operands[position]
        inputs.append((x, 0) if x._node is None else (x._node, x._slot))
    node = CallNode(call, pullback, inputs, saved, memories, place(3))
    for slot, position in enumerate(call.floats):
        tensor = made[position]
        tensor._kind = call.kinds[position]
        tensor._node = node
        tensor._slot = slot
        tensor._wants = True


def apply_call(
    call: Call, function: Callable[..., Any], operands: Sequence[Any], like: type[TensorBase]
) -> list[Any]:
    """`function(*operands)`, whose graph is that of `call`, on tensors and arrays."""
    wants = sum(1 << i for i, x in enumerate(operands) if isinstance(x, TensorBase) and x._wants)
    arrays = [x._data if isinstance(x, TensorBase) else x for x in operands]
    made = [like._of(result) for result in function(*arrays)]
    if wants and MODE.grad and call.floats:
        attach(call, made, operands, wants)
    return made


def snapshot(array: Any) -> Any:
    """A plain array as it is now, as nobody can see it change."""
    if array.__class__ is not np.ndarray or frozen(array):
        return array
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def frozen(array: np.ndarray[Any, Any]) -> bool:
    """Whether nobody can write to the memory of an array."""
    while not array.flags.writeable:
        base = array.base
        if base is None or isinstance(base, bytes):
            return True
        if not isinstance(base, np.ndarray):
            return False
        array = base
    return False
