"""``Vec``: an operand with arithmetic operators, so that algorithms read like their formulas.

Floats and integers of any number of lanes; ``+ - *`` choose the instruction by element type.
Comparisons are ordered (false on NaN) and signed, and give an ``i1`` mask that combines with
``& | ~`` and drives ``where``. Python numbers become constants of the other operand's type.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Sequence

from ..assembly import Function
from ..operand import Operand, constant
from .formats import FORMATS, Format

Number = int | float
_Instruction = Callable[[Function, Operand, Operand], Operand]


def _operator(floating: _Instruction, integer: _Instruction) -> Callable[[Vec, Vec | Number], Vec]:
    """The operator that is one instruction for floats and another for integers and masks."""

    def apply(self: Vec, other: Vec | Number) -> Vec:
        emit = floating if self.is_float else integer
        return Vec(self.b, emit(self.b, self.x, self.operand(other)))

    return apply


def _comparison(floating: str, integer: str) -> Callable[[Vec, Vec | Number], Vec]:
    def apply(self: Vec, other: Vec | Number) -> Vec:
        right = self.operand(other)
        if self.is_float:
            return Vec(self.b, self.b.fcmp(floating, self.x, right))
        return Vec(self.b, self.b.icmp(integer, self.x, right))

    return apply


class Vec:
    """An SSA value together with the function it is computed in."""

    __slots__ = ("b", "is_float", "x")

    def __init__(self, b: Function, x: Operand) -> None:
        self.b = b
        self.x = x
        self.is_float = x.type.endswith(("float", "float>", "double", "double>"))

    @property
    def format(self) -> Format:
        """The floating-point format of the elements."""
        return FORMATS[self.x.element]

    def operand(self, value: Vec | Number) -> Operand:
        """``value`` as an operand of this type."""
        return value.x if isinstance(value, Vec) else constant(self.x.type, value)

    def like(self, value: Vec | Number) -> Vec:
        """``value`` as a Vec of this type."""
        return value if isinstance(value, Vec) else Vec(self.b, constant(self.x.type, value))

    __add__ = _operator(Function.fadd, Function.add)
    __sub__ = _operator(Function.fsub, Function.sub)
    __mul__ = _operator(Function.fmul, Function.mul)
    __truediv__ = _operator(Function.fdiv, Function.fdiv)
    __and__ = _operator(Function.and_, Function.and_)
    __or__ = _operator(Function.or_, Function.or_)
    __xor__ = _operator(Function.xor, Function.xor)
    __lshift__ = _operator(Function.shl, Function.shl)
    __rshift__ = _operator(Function.ashr, Function.ashr)

    lt, le = _comparison("olt", "slt"), _comparison("ole", "sle")
    gt, ge = _comparison("ogt", "sgt"), _comparison("oge", "sge")
    eq, ne = _comparison("oeq", "eq"), _comparison("une", "ne")
    below = _comparison("ult", "ult")  # unsigned for integers

    def __radd__(self, other: Number) -> Vec:
        return self + other

    def __rmul__(self, other: Number) -> Vec:
        return self * other

    def __rsub__(self, other: Number) -> Vec:
        return self.like(other) - self

    def __rtruediv__(self, other: Number) -> Vec:
        return self.like(other) / self

    def __neg__(self) -> Vec:
        return Vec(self.b, self.b.fneg(self.x)) if self.is_float else 0 - self

    def __invert__(self) -> Vec:
        return self ^ -1

    def logical_shift(self, count: int) -> Vec:
        """Integer shift right, zeros coming in."""
        return Vec(self.b, self.b.lshr(self.x, self.operand(count)))

    def fma(self, factor: Vec | Number, addend: Vec | Number) -> Vec:
        """self * factor + addend, fused if the target does it fast, else rounded twice."""
        return Vec(self.b, self.b.mul_add(self.x, self.operand(factor), self.operand(addend)))

    def is_nan(self) -> Vec:
        """The mask of NaN lanes."""
        return Vec(self.b, self.b.fcmp("uno", self.x, self.x))

    def cast(self, kind: str, element: str) -> Vec:
        """Convert the elements (``Function.cast``)."""
        return Vec(self.b, self.b.cast(kind, self.x, element))

    def to_bits(self) -> Vec:
        """The same bits as integers."""
        return self.cast("bitcast", self.format.integer)

    def as_float(self, element: str) -> Vec:
        """Integer bits seen as floats."""
        return self.cast("bitcast", element)

    def intrinsic(self, name: str, *others: Vec) -> Vec:
        """An elementwise intrinsic of operands of this type."""
        args = (self.x, *(other.x for other in others))
        return Vec(self.b, self.b.intrinsic(name, self.x.type, args, (self.x.type,)))

    def sqrt(self) -> Vec:
        """The correctly rounded square root."""
        return self.intrinsic("llvm.sqrt")

    def abs(self) -> Vec:
        """The sign bit cleared (floats)."""
        return self.intrinsic("llvm.fabs")

    def copysign(self, sign: Vec) -> Vec:
        """This magnitude with the sign bit of ``sign``."""
        return self.intrinsic("llvm.copysign", sign)

    def flip_sign(self, sign: Vec) -> Vec:
        """Negated where the sign bit of ``sign`` is set."""
        flip = sign.to_bits() & sign.format.sign_mask
        return (self.to_bits() ^ flip).as_float(self.format.element)

    def where(self, mask: Vec, otherwise: Vec | Number) -> Vec:
        """This where ``mask``, else ``otherwise``."""
        return Vec(self.b, self.b.select(mask.x, self.x, self.operand(otherwise)))

    def clamp(self, low: float, high: float) -> Vec:
        """Limited to [low, high]; NaN stays NaN."""
        capped = self.like(high).where(self.gt(high), self)
        return capped.like(low).where(capped.lt(low), capped)


def choose(mask: Vec, a: Vec | Number, b: Vec) -> Vec:
    """``a`` where ``mask``, else ``b``."""
    return b.like(a).where(mask, b)


def horner(coefficients: Iterable[float], x: Vec) -> Vec:
    """The polynomial with these coefficients, lowest first, by Horner's rule."""
    terms = list(coefficients)
    total = x.like(terms[-1])
    for coefficient in reversed(terms[:-1]):
        total = total.fma(x, coefficient)
    return total


def even_odd(coefficients: Sequence[float], x: Vec) -> Vec:
    """The same polynomial as ``horner``, as E(x**2) + x O(x**2): half the latency."""
    square = x * x
    return horner(coefficients[1::2], square).fma(x, horner(coefficients[::2], square))


def all_of(*masks: Vec) -> Vec:
    """The conjunction of masks."""
    return functools.reduce(operator.and_, masks)
