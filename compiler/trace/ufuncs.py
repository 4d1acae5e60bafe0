"""Which NumPy ufuncs are understood: one table from ufunc to op or formula.

A row says, for each kind of element in the ufunc's loop (NumPy's letters: b, i, u, f), what is
emitted. The loop is chosen by NumPy (`promotion`); operands are converted to its types and
broadcast before the rule of the row is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ...ir.types import BOOL, INT64
from . import contraction, formulas
from .array import TracedArray
from .lift import convert, emit

Rule: TypeAlias = Callable[..., Any]
Row: TypeAlias = Mapping[str, Rule]

ANY, NUMBERS, INTEGERS, BITS = "biuf", "iuf", "iu", "biu"


def on(kinds: str, rule: str | Rule) -> dict[str, Rule]:
    """The part of a row for the element kinds in `kinds`: the name of an op, or a formula."""
    apply = _emits(rule) if isinstance(rule, str) else rule
    return dict.fromkeys(kinds, apply)


def _emits(op: str) -> Rule:
    def rule(*operands: TracedArray) -> Any:
        return emit(op, *operands)

    return rule


def _logical(op: str) -> Row:
    """Logic on truth values, which numbers have by not being zero."""

    def of_numbers(*operands: TracedArray) -> Any:
        return emit(op, *(convert(x, BOOL) for x in operands))

    return on("b", op) | on(NUMBERS, of_numbers)


def _compared(op: str, if_left_negative: bool) -> Row:
    """A comparison; between signed and unsigned integers it is exact, as NumPy's.

    There a negative left operand decides by itself; all others compare as unsigned.
    """

    def mixed(x: TracedArray, y: TracedArray) -> Any:
        if x.dtype == y.dtype:
            return emit(op, x, y)
        if y.dtype.kind == "i":
            return _MIRRORED[op](y, x)
        same = emit(op, convert(x, y.dtype), y)
        return (x < 0) | same if if_left_negative else (x >= 0) & same

    return on(BITS, mixed) | on("f", op)


_LT, _LE = _compared("lt", True), _compared("le", True)
_GT, _GE = _compared("gt", False), _compared("ge", False)
_EQ, _NE = _compared("eq", False), _compared("ne", True)
_MIRRORED: Mapping[str, Rule] = {
    "lt": _GT["i"],
    "le": _GE["i"],
    "gt": _LT["i"],
    "ge": _LE["i"],
    "eq": _EQ["i"],
    "ne": _NE["i"],
}

COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
"""Ufuncs that NumPy computes exactly even for Python integers outside the other's range."""

CLIP: np.ufunc = np._core.umath.clip  # type: ignore[attr-defined]
"""The ufunc behind `ndarray.clip`."""

UFUNCS: dict[np.ufunc, Row] = {
    # arithmetic
    np.add: on(NUMBERS, "add") | on("b", "or"),
    np.subtract: on(NUMBERS, "sub"),
    np.multiply: on(NUMBERS, "mul") | on("b", "and"),
    np.divide: on("f", "div"),
    np.floor_divide: on(NUMBERS, "floor_divide"),
    np.remainder: on(NUMBERS, "remainder"),
    np.fmod: on(INTEGERS, formulas.integer_fmod) | on("f", formulas.fmod),
    np.divmod: on(NUMBERS, formulas.divmod_),
    np.power: on(NUMBERS, "pow"),
    np.float_power: on("f", "pow"),
    np.negative: on(NUMBERS, "neg"),
    np.positive: on(NUMBERS, formulas.identity),
    np.conjugate: on(NUMBERS, formulas.identity),
    np.absolute: on("if", "abs") | on("bu", formulas.identity),
    np.fabs: on("f", "abs"),
    np.sign: on(NUMBERS, "sign"),
    np.square: on(NUMBERS, formulas.square),
    np.reciprocal: on("f", formulas.reciprocal) | on(INTEGERS, formulas.integer_reciprocal),
    np.heaviside: on("f", formulas.heaviside),
    # powers and logarithms
    np.sqrt: on("f", "sqrt"),
    np.cbrt: on("f", "cbrt"),
    np.exp: on("f", "exp"),
    np.exp2: on("f", "exp2"),
    np.expm1: on("f", "expm1"),
    np.log: on("f", "log"),
    np.log2: on("f", "log2"),
    np.log10: on("f", "log10"),
    np.log1p: on("f", "log1p"),
    np.logaddexp: on("f", formulas.logaddexp),
    np.logaddexp2: on("f", formulas.logaddexp2),
    np.hypot: on("f", formulas.hypot),
    # angles
    np.sin: on("f", "sin"),
    np.cos: on("f", "cos"),
    np.tan: on("f", "tan"),
    np.arcsin: on("f", "arcsin"),
    np.arccos: on("f", "arccos"),
    np.arctan: on("f", "arctan"),
    np.arctan2: on("f", "arctan2"),
    np.sinh: on("f", "sinh"),
    np.cosh: on("f", "cosh"),
    np.tanh: on("f", "tanh"),
    np.arcsinh: on("f", "arcsinh"),
    np.arccosh: on("f", "arccosh"),
    np.arctanh: on("f", "arctanh"),
    np.deg2rad: on("f", formulas.degrees_to_radians),
    np.radians: on("f", formulas.degrees_to_radians),
    np.rad2deg: on("f", formulas.radians_to_degrees),
    np.degrees: on("f", formulas.radians_to_degrees),
    # rounding and parts of a number
    np.floor: on("f", "floor") | on(BITS, formulas.identity),
    np.ceil: on("f", "ceil") | on(BITS, formulas.identity),
    np.trunc: on("f", "trunc") | on(BITS, formulas.identity),
    np.rint: on("f", "rint"),
    np.modf: on("f", formulas.modf),
    np.signbit: on("f", formulas.signbit),
    np.copysign: on("f", formulas.copysign),
    # comparisons and logic
    np.equal: _EQ,
    np.not_equal: _NE,
    np.less: _LT,
    np.less_equal: _LE,
    np.greater: _GT,
    np.greater_equal: _GE,
    np.maximum: on(ANY, "max"),
    np.minimum: on(ANY, "min"),
    np.fmax: on("f", formulas.fmax) | on(BITS, "max"),
    np.fmin: on("f", formulas.fmin) | on(BITS, "min"),
    CLIP: on(ANY, formulas.clip),
    np.logical_and: _logical("and"),
    np.logical_or: _logical("or"),
    np.logical_xor: _logical("xor"),
    np.logical_not: _logical("not"),
    np.isnan: on("f", "isnan") | on(BITS, formulas.never),
    np.isinf: on("f", "isinf") | on(BITS, formulas.never),
    np.isfinite: on("f", "isfinite") | on(BITS, formulas.always),
    # bits
    np.bitwise_and: on(BITS, "and"),
    np.bitwise_or: on(BITS, "or"),
    np.bitwise_xor: on(BITS, "xor"),
    np.invert: on(BITS, "not"),
    np.left_shift: on(INTEGERS, "shift_left"),
    np.right_shift: on(INTEGERS, "shift_right"),
    np.bitwise_count: on(INTEGERS, formulas.bitwise_count),
    # products along axes
    np.matmul: on(ANY, contraction.matmul),
    np.vecdot: on(ANY, contraction.vecdot),
    np.matvec: on(ANY, contraction.matvec),
    np.vecmat: on(ANY, contraction.vecmat),
}
"""Every ufunc that traced arrays understand."""

ALTERNATIVES: dict[np.ufunc, str] = {
    np.ldexp: "x * np.exp2(n)",
    np.frexp: "np.log2, np.floor and np.exp2",
    np.nextafter: "a constant step such as np.finfo(x.dtype).eps",
    np.spacing: "np.finfo(x.dtype).eps * np.abs(x)",
    np.gcd: "compute it outside the compiled function and pass it in",
    np.lcm: "compute it outside the compiled function and pass it in",
}
"""What to write instead of a ufunc that is not understood."""

SHORTCUTS: dict[float, np.ufunc] = {1: np.positive, 2: np.square, 0.5: np.sqrt, -1: np.reciprocal}
"""Powers by a known number that NumPy's `**` computes by another ufunc."""


def shortcut(ufunc: np.ufunc, x: TracedArray, exponent: TracedArray) -> np.ufunc | None:
    """The ufunc that stands for a power with a known exponent, with the same element type."""
    if ufunc is not np.power or exponent.literal is None or x.ndim == 0:
        return None
    floating = x.dtype.kind == "f"
    small_integer = x.dtype.kind in INTEGERS and exponent.literal in (1, 2)
    if floating or (small_integer and exponent.type.dtype == INT64):
        return SHORTCUTS.get(exponent.literal)
    return None
