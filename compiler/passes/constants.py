"""Constant folding.

Only ops whose result NumPy and generated code agree on to the last bit are folded: what IEEE 754
rounds exactly, integers, comparisons and moves. An `exp` of a constant is left to the generated
`exp`, so that a value does not depend on whether the compiler could see it.

A constant that repeats one element is kept as the broadcast of a scalar, however large it is; ops
on such values are folded by their element.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ir.graph import Graph, Node, Value
from ...ir.ops import OPS, Family
from ...ir.types import DType, is_float
from .rewriting import Array, Rewriter, Rule, rewrite

MAX_ELEMENTS = 1024
"""Larger arrays are not computed at compile time: a program is small, its data may not be."""


def _always(*operands: Array) -> bool:
    return True


def _integers(*operands: Array) -> bool:
    return not is_float(operands[0].dtype)


def _no_mixed_zeros(x: Array, y: Array) -> bool:
    """NumPy leaves open which of 0.0 and -0.0 is the larger."""
    if _integers(x):
        return True
    return not bool(np.any((x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))))


def _in_range(x: Array, dtype: DType) -> bool:
    """A float outside the range of an integer type has no defined conversion."""
    if x.dtype.kind != "f" or dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool(np.all((x > float(limits.min) - 1) & (x < float(limits.max) + 1)))


_EXACT_ALWAYS = (
    "neg abs sign floor ceil trunc rint sqrt not isnan isinf isfinite add sub mul div and or xor "
    "shift_left shift_right eq ne lt le gt ge select reshape transpose slice reverse pad "
    "concatenate update argmax argmin"
)
_EXACT_ON_INTEGERS = "floor_divide remainder sum prod cumsum reduce_max reduce_min"

EXACT: dict[str, Callable[..., bool]] = {
    **dict.fromkeys(_EXACT_ALWAYS.split(), _always),
    **dict.fromkeys(_EXACT_ON_INTEGERS.split(), _integers),
    "max": _no_mixed_zeros,
    "min": _no_mixed_zeros,
    "convert": _in_range,
}
"""The ops that may be folded, with a test that their operands must pass."""

_ELEMENTWISE = tuple(name for name in EXACT if OPS[name].family is Family.ELEMENTWISE)
_VIEWS = tuple(name for name in EXACT if OPS[name].family is Family.VIEW)


def _computed(node: Node, operands: list[Array]) -> Array | None:
    """The result of `node` on constants, if it may be folded."""
    arguments = node.attrs if node.op.name == "convert" else {}
    if not EXACT[node.op.name](*operands, **arguments):
        return None
    assert node.op.reference is not None
    with np.errstate(all="ignore"):
        return np.array(node.op.reference(*operands, **node.attrs), order="C")


def _fold(node: Node, rewriter: Rewriter) -> Value | None:
    operands = []
    for value in node.inputs:
        definition = rewriter.definition(value, "constant")
        if definition is None or value.type.size > MAX_ELEMENTS:
            return None
        operands.append(np.asarray(definition.attrs["value"]))
    if node.output.type.size > MAX_ELEMENTS:
        return None
    result = _computed(node, operands)
    return None if result is None else rewriter.emit("constant", value=result)


def _fold_repeated(node: Node, rewriter: Rewriter) -> Value | None:
    operands = []
    for value in node.inputs:
        element = rewriter.uniform(value)
        if element is None:
            return None
        operands.append(element)
    result = _computed(node, operands)
    return None if result is None else rewriter.filled(result, node.output.type)


def _move_repeated(node: Node, rewriter: Rewriter) -> Value | None:
    element = rewriter.uniform(node.inputs[0])
    return None if element is None else rewriter.filled(element, node.output.type)


def _reduce_repeated(node: Node, rewriter: Rewriter) -> Value | None:
    element = rewriter.uniform(node.inputs[0])
    return None if element is None else rewriter.filled(element, node.output.type)


def _sum_repeated(node: Node, rewriter: Rewriter) -> Value | None:
    """Exact in any order while every partial sum is: whole numbers within the mantissa."""
    element, result = rewriter.uniform(node.inputs[0]), node.output.type
    if element is None or result.size == 0:
        return None
    count = node.inputs[0].type.size // result.size
    with np.errstate(all="ignore"):
        total = element * np.asarray(count).astype(element.dtype) + element.dtype.type(0)
    if is_float(element.dtype):
        limit = 2.0 ** np.finfo(element.dtype).nmant
        if not (element == np.rint(element) and abs(float(element)) * count <= limit):
            return None
    return rewriter.filled(np.asarray(total, element.dtype), result)


_OF_NOTHING = {"sum": 0, "prod": 1}


def _reduce_nothing(node: Node, rewriter: Rewriter) -> Value | None:
    if node.inputs[0].type.size > 0:
        return None
    element = np.asarray(_OF_NOTHING[node.op.name]).astype(node.output.type.dtype)
    return rewriter.filled(element, node.output.type)


def _unpack_repeated(node: Node, rewriter: Rewriter) -> Value | None:
    array = np.asarray(node.attrs["value"])
    if array.ndim == 0 or array.size < 2:
        return None
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    if bits[0] != bits[-1] or not np.all(bits == bits[0]):
        return None
    return rewriter.filled(array.reshape(-1)[0], node.output.type)


RULES: tuple[Rule, ...] = (
    Rule("constant[c c … c] -> broadcast c", ("constant",), _unpack_repeated),
    Rule("op(broadcast c, broadcast d) -> broadcast op(c, d)", _ELEMENTWISE, _fold_repeated),
    Rule("view(broadcast c) -> broadcast c", _VIEWS, _move_repeated),
    Rule("max(broadcast c) -> broadcast c", ("reduce_max", "reduce_min"), _reduce_repeated),
    Rule("sum of no elements -> 0, prod -> 1", tuple(_OF_NOTHING), _reduce_nothing),
    Rule("sum(broadcast c) -> broadcast n c, if all sums are exact", ("sum",), _sum_repeated),
    Rule("op(c, d) -> constant, if op is exact", tuple(EXACT), _fold),
)
"""All rules of this pass, in the order in which they are tried."""


def fold_constants(graph: Graph) -> Graph:
    """Requires: any graph.
    Ensures: no op of `EXACT` is left whose operands are all small, or repeated, constants.
    """
    return rewrite(graph, RULES)
