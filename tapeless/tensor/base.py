"""What a tensor is made of: an array, where it came from, and the memory that it shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

import numpy as np

from ..compiler.trace.foreign import ForeignArray
from ..ir.pytree import flatten
from .layout import Layout
from .lines import Place

Array: TypeAlias = np.ndarray[Any, Any]
Data: TypeAlias = Any
"""What NumPy gave: an array or a NumPy scalar; in `f.dynamic` also a Python float."""


next_number: Callable[[], int] = count(1).__next__
"""Numbers what happens to tensors, in order: operations that are recorded, and writes."""


class Memory:
    """Shared by all tensors on the same memory: when it was written last (0: never), and where."""

    written: int = 0
    written_at: Place = None
    rebased: int = 0
    """The last write that gave its owner another history."""

    def note_write(self, at: Place, *, recorded: bool = False) -> None:
        """Say that the memory is being written: graphs that need the old values are void."""
        self.written = next_number()
        self.written_at = at
        if recorded:
            self.rebased = self.written


_KINDS: dict[Any, int] = {}
_kinds = count(1)
_MOST_KINDS = 1 << 16


def kind_of(array: Data) -> int:
    """A number for the element type and shape; equal numbers mean equal types.

    Numbers are never used again, so that forgetting some is harmless.
    """
    key = array.dtype, array.shape
    known = _KINDS.get(key)
    if known is None:
        if len(_KINDS) >= _MOST_KINDS:
            _KINDS.clear()
        known = _KINDS[key] = next(_kinds)
    return known


@dataclass(eq=False, slots=True)
class View:
    """The call that made a view of `parent`, and the last write that its history knows of.

    A view that was made where nothing is recorded (`recorded`) has no history unless its owner
    gets another one.
    """

    parent: TensorBase
    function: Callable[..., Any]
    operands: Sequence[Any]
    layout: Layout
    seen: int
    recorded: bool
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
    to another tensor, which this one is a view of. `_kind` is `kind_of(_data)`, or 0 if it was not
    asked for yet.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "_kind",
        "_memory",
        "_node",
        "_slot",
        "_view",
        "_wants",
    )

    _data: Data
    _kind: int
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
        made._kind = 0
        made._node = None
        made._slot = 0
        made._wants = False
        made._view = None
        made._grad = None
        return made
