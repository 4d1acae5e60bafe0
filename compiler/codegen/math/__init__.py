"""Elementary functions as vector code for any number of lanes of float32 and float64.

Errors stay below one ulp as measured (tests/compiler/codegen/test_math.py), subnormals and special
values are NumPy's, on any target, with or without fused multiply-add, and no library is called.
Algorithms are written with ``Vec`` operators and pairs (``double_word``); their polynomials come
from tools/minimax.py. Branch-free but for branches that all lanes take together and that are
rarely taken: huge arguments of sin, cos and tan, and far quotients of remainder.
"""

from __future__ import annotations

from collections.abc import Callable

from ..operand import Operand
from . import (
    division,
    exponential,
    inverse_trigonometric,
    logarithm,
    power,
    rounding,
    trigonometric,
)

MATH: dict[str, Callable[..., Operand]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "logistic": exponential.logistic,
    "sinh": exponential.sinh,
    "cosh": exponential.cosh,
    "tanh": exponential.tanh,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "arcsinh": logarithm.arcsinh,
    "arccosh": logarithm.arccosh,
    "arctanh": logarithm.arctanh,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "arcsin": inverse_trigonometric.arcsin,
    "arccos": inverse_trigonometric.arccos,
    "arctan": inverse_trigonometric.arctan,
    "arctan2": inverse_trigonometric.arctan2,
    "pow": power.power,
    "cbrt": power.cbrt,
    "sqrt": rounding.sqrt,
    "abs": rounding.absolute,
    "floor": rounding.floor,
    "ceil": rounding.ceil,
    "trunc": rounding.trunc,
    "rint": rounding.rint,
    "sign": rounding.sign,
    "floor_divide": division.floor_divide,
    "remainder": division.remainder,
}
"""Functions of floats: (function, operands...) to the result, all of one element type."""
