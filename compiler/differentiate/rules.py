"""Reverse-mode derivatives: one row per op, one function per operand.

`VJP[op][i](g, ans, *operands, **attributes)` is the cotangent of operand `i`, given the cotangent
`g` of the result `ans`. Rules are ordinary NumPy on traced arrays, so their results can be
differentiated again. Operands of an elementwise op have equal shapes (broadcasting is an op of its
own, whose rule is a sum), so that no rule here thinks about shapes.

`ZERO` marks an operand in which the derivative is zero wherever it exists, or whose element type
has no derivative. `docs/gradients.md` lists what happens at ties, kinks and poles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..trace.array import TracedArray
from ..trace.lift import emit
from . import formulas

Rule: TypeAlias = Callable[..., formulas.Result]
Row: TypeAlias = tuple[Rule | None, ...] | Callable[[int], Rule | None]
"""A rule per operand, or for ops with any number of operands a function from position to rule."""

ZERO = None
LN2, LN10 = math.log(2), math.log(10)


def _concatenate(position: int) -> Rule:
    def rule(g: TracedArray, ans: TracedArray, *xs: TracedArray, axis: int) -> formulas.Result:
        return formulas.concatenate_operand(position, g, xs, axis)

    return rule


def _first(*rules: Rule) -> Callable[[int], Rule | None]:
    """Rules for the first operands; all later ones are indices."""
    return lambda position: rules[position] if position < len(rules) else ZERO


# fmt: off
VJP: dict[str, Row] = {
    # one operand
    "neg":      (lambda g, ans, x: -g,),
    "abs":      (lambda g, ans, x: g * np.sign(x),),
    "sign":     (ZERO,),
    "floor":    (ZERO,),
    "ceil":     (ZERO,),
    "trunc":    (ZERO,),
    "rint":     (ZERO,),
    "sqrt":     (lambda g, ans, x: g / (2 * ans),),
    "cbrt":     (lambda g, ans, x: g / (3 * (ans * ans)),),
    "exp":      (lambda g, ans, x: g * ans,),
    "exp2":     (lambda g, ans, x: g * (LN2 * ans),),
    "expm1":    (lambda g, ans, x: g * np.exp(x),),  # ans + 1 would cancel for x << 0
    "log":      (lambda g, ans, x: g / x,),
    "log2":     (lambda g, ans, x: g / (LN2 * x),),
    "log10":    (lambda g, ans, x: g / (LN10 * x),),
    "log1p":    (lambda g, ans, x: g / (1 + x),),
    "sin":      (lambda g, ans, x: g * np.cos(x),),
    "cos":      (lambda g, ans, x: -g * np.sin(x),),
    "tan":      (lambda g, ans, x: g * (1 + ans * ans),),
    "arcsin":   (lambda g, ans, x: g / np.sqrt((1 - x) * (1 + x)),),
    "arccos":   (lambda g, ans, x: -g / np.sqrt((1 - x) * (1 + x)),),
    "arctan":   (lambda g, ans, x: g / (1 + x * x),),
    "sinh":     (lambda g, ans, x: g * np.cosh(x),),
    "cosh":     (lambda g, ans, x: g * np.sinh(x),),
    "tanh":     (lambda g, ans, x: g * (1 - ans * ans),),
    "arcsinh":  (lambda g, ans, x: g / np.sqrt(1 + x * x),),
    "arccosh":  (lambda g, ans, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)),),
    "arctanh":  (lambda g, ans, x: g / ((1 - x) * (1 + x)),),
    "logistic": (lambda g, ans, x: g * (ans * (1 - ans)),),
    "convert":  (lambda g, ans, x, dtype: g.astype(x.dtype),),
    "stop_gradient": (ZERO,),

    # two operands
    "add": (lambda g, ans, x, y: g,            lambda g, ans, x, y: g),
    "sub": (lambda g, ans, x, y: g,            lambda g, ans, x, y: -g),
    "mul": (lambda g, ans, x, y: g * y,        lambda g, ans, x, y: g * x),
    "div": (lambda g, ans, x, y: g / y,        lambda g, ans, x, y: -(g / y) * ans),
    "pow": (formulas.power_base,               formulas.power_exponent),
    "max": (lambda g, ans, x, y: _winner(g, x, y, x > y),
            lambda g, ans, x, y: _winner(g, x, y, y > x)),
    "min": (lambda g, ans, x, y: _winner(g, x, y, x < y),
            lambda g, ans, x, y: _winner(g, x, y, y < x)),
    "arctan2":      (lambda g, ans, y, x: g * formulas.angle_gradient(y, x)[0],
                     lambda g, ans, y, x: g * formulas.angle_gradient(y, x)[1]),
    "remainder":    (lambda g, ans, x, y: g,   lambda g, ans, x, y: -g * np.floor_divide(x, y)),
    "floor_divide": (ZERO, ZERO),
    "select": (ZERO, lambda g, ans, c, x, y: np.where(c, g, 0),
                     lambda g, ans, c, x, y: np.where(c, 0, g)),

    # moving elements
    "broadcast":   (lambda g, ans, x, shape, axes: formulas.fold(g, axes),),
    "reshape":     (lambda g, ans, x, shape: formulas.reshape(g, x.shape),),
    "transpose":   (lambda g, ans, x, axes: formulas.permute(g, formulas.inverse(axes)),),
    "reverse":     (lambda g, ans, x, axes: emit("reverse", g, axes=axes),),
    "slice":       (formulas.slice_operand,),
    "pad":         (formulas.pad_operand,),
    "concatenate": _concatenate,
    "update":      (formulas.update_operand,
                    lambda g, ans, x, new, **bounds: emit("slice", g, **bounds)),

    "windows":     (formulas.windows_operand,),
    "unwindow":    (formulas.unwindow_operand,),

    # sums and products
    "sum":        (lambda g, ans, x, axes: formulas.spread(g, x.shape, axes),),
    "prod":       (formulas.prod_operand,),
    "reduce_max": (formulas.extreme_operand,),
    "reduce_min": (formulas.extreme_operand,),
    "cumsum":     (lambda g, ans, x, axis, reverse:
                       emit("cumsum", g, axis=axis, reverse=not reverse),),
    "dot":        (formulas.dot_left, formulas.dot_right),

    # positions known at run time
    "gather":      _first(formulas.gather_operand),
    "scatter":     _first(formulas.scatter_operand, formulas.scatter_updates),
    "scatter_add": _first(lambda g, ans, x, updates, *indices, axes: g,
                          lambda g, ans, x, updates, *indices, axes:
                              emit("gather", g, *indices, axes=axes)),
}
"""The reverse-mode rules of every differentiable op."""

BESIDE_LITERAL: dict[str, tuple[Rule, Rule]] = {
    "max": (lambda g, ans, x, y: np.where(x > y, g, 0), lambda g, ans, x, y: np.where(y > x, g, 0)),
    "min": (lambda g, ans, x, y: np.where(x < y, g, 0), lambda g, ans, x, y: np.where(y < x, g, 0)),
    "pow": (formulas.power_to_literal, formulas.power_of_literal),
}
"""Rules that replace those of `VJP` when the other operand is a number written in the program.

A tie with a literal goes to the literal, which gives relu'(0) = 0 and clips that are flat at their
bounds. The literal is passed as a Python number.
"""
# fmt: on

NOT_DIFFERENTIABLE: frozenset[str] = frozenset(
    "not isnan isinf isfinite and or xor shift_left shift_right eq ne lt le gt ge "
    "argmax argmin constant iota".split()
)
"""Ops whose results carry no derivative: they are not of floating type, or have no operands."""


def _winner(g: TracedArray, x: TracedArray, y: TracedArray, wins: TracedArray) -> formulas.Result:
    """`g` where an operand wins, half of it at a tie."""
    return np.where(x == y, g / 2, np.where(wins, g, 0))
