"""What is written into the box of an operation: a formula in which `·` stands for a wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..ir.graph import Graph, Node, Value
from ..ir.ops import Family
from ..ir.printer import DataSection, attribute_text
from ..ir.types import dtype_name

INFIX = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "/",
    "floor_divide": "//",
    "remainder": "%",
    "pow": "**",
    "and": "&",
    "or": "|",
    "xor": "^",
    "shift_left": "<<",
    "shift_right": ">>",
    "lt": "<",
    "le": "≤",
    "gt": ">",
    "ge": "≥",
    "eq": "=",
    "ne": "≠",
}
"""Operations that are written between their operands."""

MAX_ATTRIBUTE = 24
"""Characters of an attribute; longer ones are cut."""

_IMPLIED = frozenset({"shape"})
"""Attributes that the result's type already says."""

Axes = Sequence[int]

Inline = Mapping[Value, str]
"""Values that are written where they are read, and how."""


def title_of(node: Node, inline: Inline) -> str:
    """The formula of a node; operands in `inline` are written out."""
    special = _SPECIAL.get(node.op.name)
    if special is not None:
        return special(node)
    if node.op.family is Family.REDUCTION:
        return _reduction(node)
    operands = [inline.get(value, "·") for value in node.inputs]
    written = any(value in inline for value in node.inputs)
    symbol = INFIX.get(node.op.name)
    if symbol and written:
        return f" {symbol} ".join(operands)
    if symbol:
        return symbol
    arguments = f"({', '.join(operands)})" if written else ""
    attributes = _attributes(node)
    return f"{node.op.name}{arguments}{' ' if attributes else ''}{attributes}"


def is_view(node: Node) -> bool:
    """Whether a node moves no data: it is drawn small."""
    return node.op.family is Family.VIEW


def inline_constants(graph: Graph, given: Inline) -> dict[Value, str]:
    """The values that are one number throughout; outputs of the graph are never among them.

    `given` are inputs of the graph that are known to be.
    """
    texts = dict(given)
    for node in graph.nodes:
        number = _number_text(node, texts)
        if number is not None and node.output not in graph.outputs:
            texts[node.output] = number
    return texts


def _number_text(node: Node, texts: Inline) -> str | None:
    if node.op.name == "broadcast":
        return texts.get(node.inputs[0])
    if node.op.name != "constant":
        return None
    array = node.attrs["value"]
    return f"{array.flat[0]:.6g}" if array.size == 1 else None


def _dot(node: Node) -> str:
    """A product of matrices, batches of them included, or the axes as `einsum` names them."""
    (left_batch, right_batch), (left, right) = node.attrs["batch"], node.attrs["contract"]
    ranks = [value.type.rank for value in node.inputs]
    leading = tuple(range(len(left_batch)))
    matrices = len(left) == 1 and ranks == [len(leading) + 2] * 2
    if not (matrices and tuple(left_batch) == tuple(right_batch) == leading):
        return _einsum(left_batch, right_batch, left, right, ranks)
    turned = (left[0] == len(leading), right[0] == len(leading) + 1)
    operands = ("·ᵀ" if turned[0] else "·", "·ᵀ" if turned[1] else "·")
    return " @ ".join(operands) if any(turned) else "@"


def _einsum(
    left_batch: Axes, right_batch: Axes, left: Axes, right: Axes, ranks: Sequence[int]
) -> str:
    letters = iter(ascii_lowercase)
    first = [next(letters) for _ in range(ranks[0])]
    shared = dict(zip((*right_batch, *right), (*left_batch, *left), strict=True))
    second = [first[shared[axis]] if axis in shared else next(letters) for axis in range(ranks[1])]
    kept = [first[axis] for axis in left_batch]
    kept += [x for axis, x in enumerate(first) if axis not in {*left_batch, *left}]
    kept += [x for axis, x in enumerate(second) if axis not in {*right_batch, *right}]
    return f"einsum {''.join(first)}, {''.join(second)} → {''.join(kept)}"


def _transpose(node: Node) -> str:
    axes = node.attrs["axes"]
    return "transpose" if axes == tuple(reversed(range(len(axes)))) else f"transpose {_short(axes)}"


def _convert(node: Node) -> str:
    return f"to {dtype_name(node.output.type.dtype)}"


def _constant(node: Node) -> str:
    array = node.attrs["value"]
    return f"{array.flat[0]:.6g}" if array.size == 1 else f"constant {_short(array)}"


def _reduction(node: Node) -> str:
    name = node.op.name.removeprefix("reduce_")
    axes = node.attrs["axes"] if "axes" in node.attrs else (node.attrs["axis"],)
    if len(axes) == node.inputs[0].type.rank:
        return name
    word = "axis" if len(axes) == 1 else "axes"
    return f"{name} {word} {', '.join(map(str, axes))}"


_SPECIAL: Mapping[str, Callable[[Node], str]] = {
    "dot": _dot,
    "transpose": _transpose,
    "convert": _convert,
    "constant": _constant,
}


def _attributes(node: Node) -> str:
    attributes = {
        name: _short(value)
        for name, value in node.attrs.items()
        if name not in _IMPLIED and not isinstance(value, Graph)
    }
    attributes = {name: text for name, text in attributes.items() if text.strip("(),")}
    if len(attributes) == 1:
        return next(iter(attributes.values()))
    return " ".join(f"{name}={text}" for name, text in attributes.items())


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{dtype_name(value.dtype)}{list(value.shape)}"
    text = attribute_text(value, DataSection())
    return text if len(text) <= MAX_ATTRIBUTE else text[: MAX_ATTRIBUTE - 1] + "…"
