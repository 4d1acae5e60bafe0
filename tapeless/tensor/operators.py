"""Python's operators on tensors, each the ufunc that NumPy runs for it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..compiler.trace.array import TracedArray
from .apply import NUMBERS, apply, not_plain
from .base import TensorBase
from .inplace import update
from .layout import lay_out

_Operator: TypeAlias = Callable[[Any, Any], Any]

ARITHMETIC = frozenset({np.add, np.subtract, np.multiply, np.divide})
"""Ufuncs whose derivative is the same whether an operand is a literal: numbers are operands."""


def apply_ufunc(like: type[TensorBase], ufunc: np.ufunc, x: Any, y: Any) -> Any:
    """`ufunc(x, y)`, one of which is a tensor."""
    for other in (x, y):
        kind = other.__class__
        if kind is like or kind is np.ndarray:
            continue
        if kind in NUMBERS:
            if ufunc not in ARITHMETIC:
                return apply(like, ufunc, *lay_out((x, y), {}))
        elif not isinstance(other, np.generic | TensorBase):
            return apply(like, ufunc, [as_operand(x), as_operand(y)])
    return apply(like, ufunc, (x, y))


def as_operand(x: Any) -> Any:
    """`x` as an operand: lists become arrays; `UnsupportedError` for kinds of arrays of others."""
    if isinstance(x, TensorBase | int | float | np.generic):
        return x
    if isinstance(x, np.ndarray) and type(x) is not np.ndarray:
        raise not_plain(x)
    return np.asarray(x)


def by_python(function: _Operator, x: Any, y: Any) -> Any:
    """Python's operator on two operands, one of which is a tensor that is a Python number."""
    like = (x if isinstance(x, TensorBase) else y).__class__
    operands, layout = lay_out((x, y), {}, numbers=function in _ARITHMETIC)
    return apply(like, function, operands, layout)


_ARITHMETIC = frozenset({operator.iadd, operator.isub, operator.imul, operator.itruediv})


def _defers(other: Any) -> bool:
    """Whether the other operand carries the operator out: a traced array, or who asked for it."""
    return isinstance(other, TracedArray) or getattr(other, "__array_ufunc__", _defers) is None


def binary(ufunc: np.ufunc, in_place: _Operator) -> tuple[_Operator, _Operator, _Operator]:
    """The methods for `x op y`, `y op x` and `x op= y` of one ufunc."""
    numbers = ufunc in ARITHMETIC

    def forward(self: TensorBase, other: Any) -> Any:
        kind = other.__class__
        if self._data.__class__ is float:  # a Python number in `f.dynamic` stays one
            return NotImplemented if _defers(other) else by_python(in_place, self, other)
        if kind is self.__class__ or kind is np.ndarray or (numbers and kind in NUMBERS):
            return apply(self.__class__, ufunc, (self, other))
        return NotImplemented if _defers(other) else apply_ufunc(self.__class__, ufunc, self, other)

    def reflected(self: TensorBase, other: Any) -> Any:
        if self._data.__class__ is float:
            return NotImplemented if _defers(other) else by_python(in_place, other, self)
        if numbers and other.__class__ in NUMBERS:
            return apply(self.__class__, ufunc, (other, self))
        return NotImplemented if _defers(other) else apply_ufunc(self.__class__, ufunc, other, self)

    def assigned(self: TensorBase, other: Any) -> Any:
        if _defers(other):
            return NotImplemented
        if not isinstance(self._data, np.ndarray):  # numbers are immutable: bind the name anew
            return forward(self, other)
        update(in_place, self, (as_operand(other),), {}, numbers=numbers)
        return self

    return forward, reflected, assigned


def unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    """The method for `op x` of one ufunc."""

    def apply_unary(self: TensorBase) -> Any:
        return apply(self.__class__, ufunc, (self,))

    return apply_unary


class Operators(TensorBase):
    """Python's operators."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    __add__, __radd__, __iadd__ = binary(np.add, operator.iadd)
    __sub__, __rsub__, __isub__ = binary(np.subtract, operator.isub)
    __mul__, __rmul__, __imul__ = binary(np.multiply, operator.imul)
    __truediv__, __rtruediv__, __itruediv__ = binary(np.divide, operator.itruediv)
    __floordiv__, __rfloordiv__, __ifloordiv__ = binary(np.floor_divide, operator.ifloordiv)
    __mod__, __rmod__, __imod__ = binary(np.remainder, operator.imod)
    __pow__, __rpow__, __ipow__ = binary(np.power, operator.ipow)
    __matmul__, __rmatmul__, __imatmul__ = binary(np.matmul, operator.imatmul)
    __and__, __rand__, __iand__ = binary(np.bitwise_and, operator.iand)
    __or__, __ror__, __ior__ = binary(np.bitwise_or, operator.ior)
    __xor__, __rxor__, __ixor__ = binary(np.bitwise_xor, operator.ixor)
    __lshift__, __rlshift__, __ilshift__ = binary(np.left_shift, operator.ilshift)
    __rshift__, __rrshift__, __irshift__ = binary(np.right_shift, operator.irshift)
    __lt__, _, _ = binary(np.less, operator.lt)
    __le__, _, _ = binary(np.less_equal, operator.le)
    __gt__, _, _ = binary(np.greater, operator.gt)
    __ge__, _, _ = binary(np.greater_equal, operator.ge)
    __eq__, _, _ = binary(np.equal, operator.eq)
    __ne__, _, _ = binary(np.not_equal, operator.ne)
    __neg__ = unary(np.negative)
    __pos__ = unary(np.positive)
    __abs__ = unary(np.absolute)
    __invert__ = unary(np.invert)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self
