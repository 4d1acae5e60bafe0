"""Python's operators on traced arrays, each the ufunc that NumPy runs for it."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .kinds import Kind
from .surface import SURFACE

if TYPE_CHECKING:
    from .array import TracedArray


def _operate(ufunc: np.ufunc, x: Any, y: Any) -> Any:
    if _is_weak(x) and _is_weak(y):
        return SURFACE.weak_operator(ufunc, x, y)
    return SURFACE.apply_ufunc(ufunc, "__call__", (x, y), {})


def _is_weak(x: Any) -> bool:
    kind = getattr(x, "kind", None)
    return kind.weak if isinstance(kind, Kind) else type(x) in (float, int, bool)


def _defers(other: Any) -> bool:
    """Whether `other` asked to handle operators with us itself, as NumPy's arrays would let it."""
    return getattr(other, "__array_ufunc__", _defers) is None


_BINARY_OP = dis.opmap.get("BINARY_OP")  # Python 3.11 on; before, INPLACE_ADD and the like
_IN_PLACE = range(13, 26)  # arguments of BINARY_OP from NB_INPLACE_ADD to NB_INPLACE_XOR


def is_in_place_operator(frame: types.FrameType) -> bool:
    """Whether the code of `frame` is at `x += y` or the like, rather than at a call."""
    code, position = frame.f_code.co_code, frame.f_lasti
    opcode, argument = code[position], code[position + 1]
    if opcode == _BINARY_OP:
        return argument in _IN_PLACE
    return dis.opname[opcode].startswith("INPLACE_")


_Operator: TypeAlias = Callable[["TracedArray", Any], Any]


def binary(ufunc: np.ufunc) -> tuple[_Operator, _Operator, _Operator]:
    """The methods for `x op y`, `y op x` and `x op= y` of one ufunc."""

    def forward(self: TracedArray, other: Any) -> Any:
        return NotImplemented if _defers(other) else _operate(ufunc, self, other)

    def reflected(self: TracedArray, other: Any) -> Any:
        return NotImplemented if _defers(other) else _operate(ufunc, other, self)

    def in_place(self: TracedArray, other: Any) -> Any:
        if self.kind is not Kind.ARRAY:  # numbers are immutable: the name is bound anew
            return forward(self, other)
        SURFACE.apply_ufunc(ufunc, "__call__", (self, other), {"out": (self,)})
        return self

    return forward, reflected, in_place


def unary(ufunc: np.ufunc) -> Callable[[TracedArray], Any]:
    """The method for `op x` of one ufunc."""

    def operator(self: TracedArray) -> Any:
        if self.kind.weak:
            return SURFACE.weak_unary(ufunc, self)
        return SURFACE.apply_ufunc(ufunc, "__call__", (self,), {})

    return operator
