"""How many elements a vector of a row program has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ...ir.graph import Graph, Node, Value
from ...ir.ops import OPS, Family
from ...ir.types import INT64
from ..space import Space
from ..target import Target

MOST_LANES = 16

_FAMILIES = (Family.JOIN, Family.INDEXING)
_PLACED = frozenset(["iota", *(op.name for op in OPS.values() if op.family in _FAMILIES)])
"""Ops whose results vary with the position, not only with operands."""


def vector_lanes(body: Graph, space: Space, target: Target) -> int:
    """As many as the widest element type among its vectors allows, no more than a row needs."""
    sizes = [value.type.dtype.itemsize for value in _vectors(body, space)]
    if any(_counts(node, space) for node in body.nodes):
        sizes.append(INT64.itemsize)
    if not sizes:
        sizes = [value.type.dtype.itemsize for value in (*body.inputs, *body.outputs)]
    extent = space.extents[-1] if space.extents else 1
    lanes = min(target.lanes(max(sizes)), MOST_LANES)
    while lanes > 1 and lanes // 2 >= extent:
        lanes //= 2
    return lanes


def _vectors(body: Graph, space: Space) -> list[Value]:
    """The values that vary along the last axis of the space: the others are scalars in a vector
    of rows, or computed once for a row. What is read at positions of its own is not among them,
    but what was read is."""
    last = len(space.extents) - 1
    found = dict.fromkeys(v for v in body.inputs if last in space.alignment.get(v, ()))
    for node in body.nodes:
        varies = node.op.name in _PLACED or any(value in found for value in node.inputs)
        if varies and last in space.alignment.get(node.output, (last,)):
            found[node.output] = None
    return list(found)


def _counts(node: Node, space: Space) -> bool:
    """Whether `node` computes with positions along the last axis, which are 64 bits wide."""
    axes = _AXES.get(node.op.name)
    if axes is None:
        return False
    folded = node.op.name in ("argmax", "argmin")
    alignment = space.alignment.get(node.inputs[0] if folded else node.output)
    last = len(space.extents) - 1
    return alignment is None or any(alignment[axis] == last for axis in axes(node))


def _padded(node: Node) -> Iterable[int]:
    columns = zip(node.attrs["low"], node.attrs["high"], node.attrs["interior"], strict=True)
    return (axis for axis, widths in enumerate(columns) if any(widths))


def _replaced(node: Node) -> Iterable[int]:
    x, new = node.inputs
    extents = zip(x.type.shape, new.type.shape, strict=True)
    return (axis for axis, (old, part) in enumerate(extents) if old != part)


_AXES: Mapping[str, Callable[[Node], Iterable[int]]] = {
    "argmax": lambda node: (node.attrs["axis"],),
    "argmin": lambda node: (node.attrs["axis"],),
    "concatenate": lambda node: (node.attrs["axis"],),
    "gather": lambda node: range(node.inputs[1].type.rank),
    "pad": _padded,
    "update": _replaced,
}
"""The axes of the result (of the operand, where one is folded) along which positions are data."""
