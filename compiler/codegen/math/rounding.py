"""Rounding to integral values, signs, and square roots of floats."""

from __future__ import annotations

import math

from ..assembly import Function, Module
from ..operand import Operand
from .vec import Vec, choose


def has_rounding(module: Module) -> bool:
    """Whether the target rounds to integral values in one instruction (SSE4.1 or AArch64)."""
    enabled = module.features.split(",")
    return module.triple.startswith(("aarch64", "arm64")) or "+sse4.1" in enabled


def round_half_even(v: Vec) -> Vec:
    """Nearest integral value, ties to even: adding and subtracting 2**mantissa_bits."""
    if has_rounding(v.b.module):
        return v.intrinsic("llvm.rint")
    limit = 2.0**v.format.mantissa_bits
    magnitude = v.abs()
    rounded = ((magnitude + limit) - limit).copysign(v)
    return choose(magnitude.lt(limit), rounded, v)  # larger ones are integral, NaN is NaN


def truncate(v: Vec) -> Vec:
    """The integral value next to v towards zero."""
    if has_rounding(v.b.module):
        return v.intrinsic("llvm.trunc")
    nearest = round_half_even(v).abs()
    return choose(nearest.gt(v.abs()), nearest - 1.0, nearest).copysign(v)


def floor_of(v: Vec) -> Vec:
    """The largest integral value not above v."""
    if has_rounding(v.b.module):
        return v.intrinsic("llvm.floor")
    nearest = round_half_even(v)
    return choose(nearest.gt(v), nearest - 1.0, nearest).copysign(v)


def rint(b: Function, x: Operand) -> Operand:
    """Nearest integral value, ties to even."""
    return round_half_even(Vec(b, x)).x


def floor(b: Function, x: Operand) -> Operand:
    """The largest integral value not above x."""
    return floor_of(Vec(b, x)).x


def ceil(b: Function, x: Operand) -> Operand:
    """The smallest integral value not below x."""
    if has_rounding(b.module):
        return Vec(b, x).intrinsic("llvm.ceil").x
    return (-floor_of(-Vec(b, x))).x


def trunc(b: Function, x: Operand) -> Operand:
    """The integral value next to x towards zero."""
    return truncate(Vec(b, x)).x


def sqrt(b: Function, x: Operand) -> Operand:
    """The correctly rounded square root."""
    return Vec(b, x).sqrt().x


def absolute(b: Function, x: Operand) -> Operand:
    """|x|; the magnitude of the least integer wraps to itself, as in NumPy."""
    v = Vec(b, x)
    return v.abs().x if v.is_float else choose(v.lt(0), -v, v).x


def sign(b: Function, x: Operand) -> Operand:
    """-1, 0 or 1; NaN for NaN, +0 for either zero (``np.sign``)."""
    v = Vec(b, x)
    if not v.is_float:
        return choose(v.gt(0), 1, choose(v.lt(0), -1, v.like(0))).x
    one = choose(v.gt(0.0), 1.0, choose(v.lt(0.0), -1.0, v.like(0.0)))
    return choose(v.is_nan(), math.nan, one).x
