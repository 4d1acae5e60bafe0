"""What a tensor is made of: an array, where it came from, and the memory that it shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..compiler.trace.foreign import ForeignArray
from ..ir.pytree import flatten
from .layout import Layout
from .lines import Place

Array: TypeAlias = np.ndarray[Any, Any]
Data: TypeAlias = Any
"""What NumPy gave: an array or a NumPy scalar."""


class Memory:
    """Shared by all tensors on the same memory: how often it was written, and where last."""

    version: int = 0
    written_at: Place = None


@dataclass(eq=False, slots=True)
class View:
    """The call that made a view of `parent`, and the version of the memory that it has seen."""

    parent: TensorBase
    function: Callable[..., Any]
    operands: Sequence[Any]
    layout: Layout
    version: int
    result: int | None = None

    def of(self, source: Any) -> Any:
        """The same view of another array or tensor; it is result number `result` of the call."""
        operands = [source if x is self.parent else data_of(x) for x in self.operands]
        return self.chosen(self.layout.call(self.function, operands))

    def chosen(self, out: Any) -> Any:
        """The view among the results of the call."""
        return out if self.result is None else flatten(out)[0][self.result]


def data_of(x: Any) -> Any:
    """The array of a tensor; other operands are what they are."""
    return x._data if isinstance(x, TensorBase) else x


class TensorBase(ForeignArray):
    """The fields of a tensor.

    `_node` computed it as its result number `_slot` (None: nothing recorded). `_wants` says that
    it requires gradients: a leaf if `_node` is None. `_view` is None unless in-place updates go
    to another tensor, which this one is a view of.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "_memory",
        "_node",
        "_slot",
        "_view",
        "_wants",
    )

    _data: Data
    _memory: Memory
    _node: Any
    _slot: int
    _wants: bool
    _view: View | None
    _grad: Any

    @classmethod
    def _of(cls, data: Data, memory: Memory | None = None) -> Any:
        """A tensor on `data` itself, without history."""
        made = cls.__new__(cls)
        made._data = data
        made._memory = Memory() if memory is None else memory
        made._node = None
        made._slot = 0
        made._wants = False
        made._view = None
        made._grad = None
        return made
