"""Which LLVM comes out of each elementwise op: one table per kind of operand.

A row takes the function builder and the operands (scalars or vectors alike) and returns the
result. Booleans are `i1` in registers. Elementary functions live in `math/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ...ir.types import BOOL, DType
from .assembly import Function, Operand
from .math import MATH
from .math import conversions as cv
from .math import integers as ints

Row = Callable[..., Operand]

_ELEMENT = {"bool": "i1", "float32": "float", "float64": "double"}


@cache
def element_type(dtype: DType) -> str:
    """The LLVM type of an element in a register."""
    return _ELEMENT.get(dtype.name) or f"i{dtype.itemsize * 8}"


@cache
def memory_type(dtype: DType) -> str:
    """The LLVM type of an element in memory: a boolean is a byte."""
    return "i8" if dtype == BOOL else element_type(dtype)


def _intrinsic(name: str) -> Row:
    def emit(b: Function, *args: Operand) -> Operand:
        return b.intrinsic(name, args[0].type, args, (args[0].type,))

    return emit


def _compare(method: str, predicate: str) -> Row:
    def emit(b: Function, x: Operand, y: Operand) -> Operand:
        result: Operand = getattr(b, method)(predicate, x, y)
        return result

    return emit


def _zero(b: Function, x: Operand) -> Operand:
    return b.const(x.type, 0)


def _not(b: Function, x: Operand) -> Operand:
    return b.xor(x, b.const(x.type, True if x.element == "i1" else -1))


def _is_inf(b: Function, x: Operand) -> Operand:
    magnitude = b.intrinsic("llvm.fabs", x.type, (x,), (x.type,))
    return b.fcmp("oeq", magnitude, b.const(x.type, float("inf")))


def _is_finite(b: Function, x: Operand) -> Operand:
    magnitude = b.intrinsic("llvm.fabs", x.type, (x,), (x.type,))
    return b.fcmp("olt", magnitude, b.const(x.type, float("inf")))


def _extreme(predicate: str) -> Row:
    """np.maximum / np.minimum: the first NaN met wins, otherwise the first of equals."""

    def emit(b: Function, x: Operand, y: Operand) -> Operand:
        keep = b.or_(b.fcmp(predicate, x, y), b.fcmp("uno", x, x))
        return b.select(keep, x, y)

    return emit


def _sign_of_signed(b: Function, x: Operand) -> Operand:
    one, minus = b.const(x.type, 1), b.const(x.type, -1)
    positive = b.select(b.icmp("sgt", x, _zero(b, x)), one, _zero(b, x))
    return b.select(b.icmp("slt", x, _zero(b, x)), minus, positive)


def _sign_of_unsigned(b: Function, x: Operand) -> Operand:
    return b.select(b.icmp("ne", x, _zero(b, x)), b.const(x.type, 1), x)


def _abs_of_signed(b: Function, x: Operand) -> Operand:
    return b.select(b.icmp("slt", x, _zero(b, x)), b.sub(_zero(b, x), x), x)


_FLOAT: dict[str, Row] = {
    **MATH,
    "neg": Function.fneg,
    "add": Function.fadd,
    "sub": Function.fsub,
    "mul": Function.fmul,
    "div": Function.fdiv,
    "multiply_add": Function.mul_add,
    "max": _extreme("oge"),
    "min": _extreme("ole"),
    "isnan": lambda b, x: b.fcmp("uno", x, x),
    "isinf": _is_inf,
    "isfinite": _is_finite,
    "eq": _compare("fcmp", "oeq"),
    "ne": _compare("fcmp", "une"),
    "lt": _compare("fcmp", "olt"),
    "le": _compare("fcmp", "ole"),
    "gt": _compare("fcmp", "ogt"),
    "ge": _compare("fcmp", "oge"),
}

_INTEGER: dict[str, Row] = {
    "neg": lambda b, x: b.sub(_zero(b, x), x),
    "add": Function.add,
    "sub": Function.sub,
    "mul": Function.mul,
    "multiply_add": lambda b, x, y, z: b.add(b.mul(x, y), z),
    "and": Function.and_,
    "or": Function.or_,
    "xor": Function.xor,
    "not": _not,
    "pow": ints.power,
    "eq": _compare("icmp", "eq"),
    "ne": _compare("icmp", "ne"),
}

_SIGNED: dict[str, Row] = {
    **_INTEGER,
    "abs": _abs_of_signed,
    "sign": _sign_of_signed,
    "floor_divide": ints.floor_divide_signed,
    "remainder": ints.remainder_signed,
    "shift_left": ints.shift_left,
    "shift_right": ints.shift_right_signed,
    "max": _intrinsic("llvm.smax"),
    "min": _intrinsic("llvm.smin"),
    "lt": _compare("icmp", "slt"),
    "le": _compare("icmp", "sle"),
    "gt": _compare("icmp", "sgt"),
    "ge": _compare("icmp", "sge"),
}

_UNSIGNED: dict[str, Row] = {
    **_INTEGER,
    "abs": lambda b, x: x,
    "sign": _sign_of_unsigned,
    "floor_divide": ints.floor_divide_unsigned,
    "remainder": ints.remainder_unsigned,
    "shift_left": ints.shift_left,
    "shift_right": ints.shift_right_unsigned,
    "max": _intrinsic("llvm.umax"),
    "min": _intrinsic("llvm.umin"),
    "lt": _compare("icmp", "ult"),
    "le": _compare("icmp", "ule"),
    "gt": _compare("icmp", "ugt"),
    "ge": _compare("icmp", "uge"),
}

_BOOLEAN: dict[str, Row] = {
    "and": Function.and_,
    "or": Function.or_,
    "xor": Function.xor,
    "not": _not,
    "max": Function.or_,
    "min": Function.and_,
    "eq": lambda b, x, y: _not(b, b.xor(x, y)),
    "ne": Function.xor,
    "lt": lambda b, x, y: b.and_(_not(b, x), y),
    "le": lambda b, x, y: b.or_(_not(b, x), y),
    "gt": lambda b, x, y: b.and_(x, _not(b, y)),
    "ge": lambda b, x, y: b.or_(x, _not(b, y)),
}

ELEMENTWISE: Mapping[str, Mapping[str, Row]] = {
    "f": _FLOAT,
    "i": _SIGNED,
    "u": _UNSIGNED,
    "b": _BOOLEAN,
}
"""Kind of the first operand (NumPy's letter) → op → emission."""


def convert(b: Function, x: Operand, source: DType, target: DType) -> Operand:
    """NumPy's astype, element by element; never undefined behaviour."""
    if source == target:
        return x
    kind = target.kind
    if kind == "b":
        zero = _zero(b, x)
        return b.fcmp("une", x, zero) if source.kind == "f" else b.icmp("ne", x, zero)
    element = element_type(target)
    if source.kind == "f":
        if kind == "f":
            return b.cast("fpext" if target.itemsize > source.itemsize else "fptrunc", x, element)
        return cv.float_to_integer(b, x, element, kind == "i")
    if kind == "f":
        return b.cast("sitofp" if source.kind == "i" else "uitofp", x, element)
    if source != BOOL and source.itemsize == target.itemsize:
        return x
    if source != BOOL and source.itemsize > target.itemsize:
        return b.cast("trunc", x, element)
    return b.cast("sext" if source.kind == "i" else "zext", x, element)


def emit_elementwise(
    b: Function, op: str, args: tuple[Operand, ...], source: DType, target: DType, **attrs: Any
) -> Operand:
    """`op` on `args` of element type `source`, giving elements of type `target`."""
    if op == "select":
        return b.select(*args)
    if op == "convert":
        return convert(b, args[0], source, target)
    return ELEMENTWISE[source.kind][op](b, *args)
