"""Elementwise ops: equal shapes in, the same shape out; element types never mix.

Broadcasting and promotion are ops of their own (`broadcast`, `convert`), so that no rule for an
elementwise op ever has to think about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..types import BOOL, DTYPE_NAMES, TensorType, dtype_name
from .registry import Family, Op, TypeRule, declare, require

Array = np.ndarray[Any, Any]

FLOATS, INTEGERS, NUMBERS, BITS, ANY = "f", "iu", "iuf", "biu", "biuf"
"""Dtype kinds (NumPy's letters) that a family accepts."""


def _same_type_rule(name: str, kinds: str, result: str) -> TypeRule:
    def rule(operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
        first = operands[0]
        require(
            all(operand == first for operand in operands),
            f"{name} needs operands of one type",
            operands,
        )
        require(first.dtype.kind in kinds, f"{name} is defined on kinds {kinds!r}", operands)
        return (first if result == "same" else first.with_dtype(BOOL),)

    return rule


def _family(arity: int, kinds: str, result: str = "same") -> Callable[..., Op]:
    def declare_one(
        name: str, reference: Callable[..., Any], doc: str, *, cost: int = 1, fails: bool = False
    ) -> Op:
        rule = _same_type_rule(name, kinds, result)
        return declare(
            name, Family.ELEMENTWISE, arity, rule, reference, doc, cost=cost, fails=fails
        )

    return declare_one


_float_unary = _family(1, FLOATS)
_number_unary = _family(1, NUMBERS)
_float_predicate = _family(1, FLOATS, "bool")
_number_binary = _family(2, NUMBERS)
_float_binary = _family(2, FLOATS)
_any_binary = _family(2, ANY)
_bit_binary = _family(2, BITS)
_integer_binary = _family(2, INTEGERS)
_comparison = _family(2, ANY, "bool")


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


neg = _number_unary("neg", np.negative, "-x")
abs_ = _number_unary("abs", np.abs, "|x|")
sign = _number_unary("sign", np.sign, "-1, 0 or 1; NaN stays NaN")
floor = _float_unary("floor", np.floor, "the largest integer not above x")
ceil = _float_unary("ceil", np.ceil, "the smallest integer not below x")
trunc = _float_unary("trunc", np.trunc, "x rounded towards zero")
rint = _float_unary("rint", np.rint, "the nearest integer, ties to even")
sqrt = _float_unary("sqrt", np.sqrt, "square root", cost=8)
cbrt = _float_unary("cbrt", np.cbrt, "cube root", cost=30)
exp = _float_unary("exp", np.exp, "e to the power x", cost=20)
exp2 = _float_unary("exp2", np.exp2, "2 to the power x", cost=20)
expm1 = _float_unary("expm1", np.expm1, "exp(x) - 1 without cancellation", cost=25)
log = _float_unary("log", np.log, "natural logarithm", cost=25)
log2 = _float_unary("log2", np.log2, "logarithm to base 2", cost=25)
log10 = _float_unary("log10", np.log10, "logarithm to base 10", cost=25)
log1p = _float_unary("log1p", np.log1p, "log(1 + x) without cancellation", cost=30)
sin = _float_unary("sin", np.sin, "sine of x radians", cost=30)
cos = _float_unary("cos", np.cos, "cosine of x radians", cost=30)
tan = _float_unary("tan", np.tan, "tangent of x radians", cost=40)
arcsin = _float_unary("arcsin", np.arcsin, "inverse sine, in radians", cost=30)
arccos = _float_unary("arccos", np.arccos, "inverse cosine, in radians", cost=30)
arctan = _float_unary("arctan", np.arctan, "inverse tangent, in radians", cost=30)
sinh = _float_unary("sinh", np.sinh, "hyperbolic sine", cost=35)
cosh = _float_unary("cosh", np.cosh, "hyperbolic cosine", cost=35)
tanh = _float_unary("tanh", np.tanh, "hyperbolic tangent", cost=30)
arcsinh = _float_unary("arcsinh", np.arcsinh, "inverse hyperbolic sine", cost=40)
arccosh = _float_unary("arccosh", np.arccosh, "inverse hyperbolic cosine", cost=40)
arctanh = _float_unary("arctanh", np.arctanh, "inverse hyperbolic tangent", cost=40)
logistic = _float_unary("logistic", _logistic, "1 / (1 + exp(-x))", cost=25)
not_ = _family(1, BITS)("not", np.invert, "bitwise complement; logical not on booleans")
isnan = _float_predicate("isnan", np.isnan, "x is a NaN")
isinf = _float_predicate("isinf", np.isinf, "x is an infinity")
isfinite = _float_predicate("isfinite", np.isfinite, "x is neither NaN nor infinite")

add = _number_binary("add", np.add, "x + y; integers wrap around")
sub = _number_binary("sub", np.subtract, "x - y; integers wrap around")
mul = _number_binary("mul", np.multiply, "x y; integers wrap around")
div = _float_binary("div", np.divide, "x / y", cost=4)
floor_divide = _number_binary(
    "floor_divide", np.floor_divide, "floor(x / y); an integer over 0 is 0", cost=10
)
remainder = _number_binary(
    "remainder", np.remainder, "x - floor(x / y) y, the sign of y; an integer by 0 is 0", cost=10
)
pow_ = _number_binary(
    "pow", np.power, "x to the power y; a negative integer power raises", cost=60, fails=True
)
arctan2 = _float_binary("arctan2", np.arctan2, "the angle of the point (y, x), in radians", cost=40)
max_ = _any_binary("max", np.maximum, "the larger; NaN if either is")
min_ = _any_binary("min", np.minimum, "the smaller; NaN if either is")
and_ = _bit_binary("and", np.bitwise_and, "bitwise and; logical on booleans")
or_ = _bit_binary("or", np.bitwise_or, "bitwise or; logical on booleans")
xor = _bit_binary("xor", np.bitwise_xor, "bitwise exclusive or; logical on booleans")
shift_left = _integer_binary("shift_left", np.left_shift, "x << y; 0 for y beyond the width")
shift_right = _integer_binary(
    "shift_right", np.right_shift, "x >> y, arithmetic for signed x; sign fill beyond the width"
)
eq = _comparison("eq", np.equal, "x == y")
ne = _comparison("ne", np.not_equal, "x != y")
lt = _comparison("lt", np.less, "x < y")
le = _comparison("le", np.less_equal, "x <= y")
gt = _comparison("gt", np.greater, "x > y")
ge = _comparison("ge", np.greater_equal, "x >= y")


def _select_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    condition, then, otherwise = operands
    require(
        condition.dtype == BOOL and then == otherwise and condition.shape == then.shape,
        "select needs a boolean and two operands of one type, all of one shape",
        operands,
    )
    return (then,)


select = declare(
    "select", Family.ELEMENTWISE, 3, _select_rule, np.where, "x where the condition holds, else y"
)


def _convert_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    require(
        attrs["dtype"] in DTYPE_NAMES.values(), f"convert to {dtype_name(attrs['dtype'])}", operands
    )
    return (operands[0].with_dtype(attrs["dtype"]),)


convert = declare(
    "convert",
    Family.ELEMENTWISE,
    1,
    _convert_rule,
    lambda x, dtype: np.asarray(x).astype(dtype),
    "the element type changed as by NumPy's astype",
    attrs=("dtype",),
)


def _identity_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    return (operands[0],)


stop_gradient = declare(
    "stop_gradient",
    Family.ELEMENTWISE,
    1,
    _identity_rule,
    lambda x: x,
    "x, with derivative zero",
)
