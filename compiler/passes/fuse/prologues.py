"""Prologues: elementwise work on an operand of a product, done where the product reads it.

The right operand is computed vector by vector when a tile reads it or a panel is packed, the left
one element by element before it is broadcast. So it never exists in memory; but an element is
computed again for every tile that reads it, which is worth it only if that is cheap or rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ....ir.graph import Node, Value
from ....ir.ops import Family
from ....ir.ops.contraction import free_axes
from ...space import product_of
from .admission import MAX_GROUP_NODES, Refusal, is_inline, reads_windows
from .groups import Group

if TYPE_CHECKING:
    from .fuse import Fuser

_TRAFFIC = 16
"""Arithmetic per element that costs as much as to write the element to memory and read it again."""

_ROWS = 128
"""Rows of the product that share what is computed of the right operand (a panel)."""

_COLUMNS = 32
"""Columns of the product that share an element of the left operand, computed as a scalar."""


_SHOWN = Refusal("its operand is read through a view, or is a convolution's: from memory")
_SHARED = Refusal("its operand is read by others, too: it has to be in memory")
_PLACES = Refusal("its operand is not computed from arrays of its shape, element by element")
_AGAIN = Refusal("computing its operand again for every tile would cost more than its memory")
_LARGE = Refusal(f"the kernel would have more than {MAX_GROUP_NODES} operations")
BETWEEN = Refusal("another kernel has to run between the two")


def take_in_prologues(fuser: Fuser) -> None:
    """Requires: all groups are formed. Ensures: what only prepares an operand is in its product."""
    for product in fuser.groups.in_order():
        if product.kind != "dot":
            continue
        dot = product_of(product.nodes)
        for operand in dot.inputs:
            maker = fuser.groups.of.get(operand)
            if maker is None or maker.kind != "map":
                continue
            if why_not_prologue(fuser, maker, product, dot) is None:
                fuser.groups.merge(product, [maker], "dot", product.space)


def why_not_prologue(fuser: Fuser, maker: Group, product: Group, dot: Node) -> Refusal | None:
    """What keeps the group `maker` out of the group of the product `dot`, an operand of which it
    computes."""
    operand = next((v for v in dot.inputs if fuser.groups.of.get(v) is maker), None)
    if operand is None or reads_windows(dot, fuser.producers):
        return _SHOWN
    if not _serves_only(fuser, maker, dot, operand):
        return _SHARED
    if not all(_is_simple(node, operand, maker, fuser.producers) for node in maker.nodes):
        return _PLACES
    if not _pays(dot, dot.inputs.index(operand), maker):
        return _AGAIN
    if len(product.nodes) + len(maker.nodes) > MAX_GROUP_NODES:
        return _LARGE
    return None if fuser.groups.may_merge(product, maker) else BETWEEN


def _serves_only(fuser: Fuser, maker: Group, dot: Node, operand: Value) -> bool:
    """Whether nothing but `operand`, and that by nothing but `dot`, is read of the group."""
    inside = set(maker.nodes)
    return dot.inputs.count(operand) == 1 and all(
        value not in fuser.graph.outputs
        and (
            fuser.users.get(value, []) == [dot]
            if value is operand
            else inside.issuperset(fuser.users.get(value, [dot]))
        )
        for node in maker.nodes
        for value in node.outputs
    )


def _is_simple(node: Node, operand: Value, maker: Group, producers: Mapping[Value, Node]) -> bool:
    """Whether a node computes each element from the elements at the same place, and numbers."""
    shape = operand.type.shape
    return (
        node.op.family is Family.ELEMENTWISE
        and not node.op.fails
        and node.output.type.shape == shape
        and all(
            maker.space.alignment.get(value) is not None
            or _is_number(value, producers)
            or (value.type.shape == shape and not _is_view(value, producers))
            for value in node.inputs
        )
    )


def _is_view(value: Value, producers: Mapping[Value, Node]) -> bool:
    return value in producers and is_inline(producers[value])


def _is_number(value: Value, producers: Mapping[Value, Node]) -> bool:
    """Whether a value is one number, shown at every place."""
    while value.type.size != 1 and _is_view(value, producers) and producers[value].inputs:
        (value,) = producers[value].inputs
    return value.type.size == 1


def _pays(dot: Node, position: int, maker: Group) -> bool:
    """Whether the arithmetic done again costs less than the memory that is not touched."""
    x, y = dot.inputs
    batch, contract = dot.attrs["batch"], dot.attrs["contract"]
    left = free_axes(x.type.rank, batch[0], contract[0])
    right = free_axes(y.type.rank, batch[1], contract[1])
    rows = x.type.shape[left[-1]] if left else 1
    columns = y.type.shape[right[-1]] if right else 1
    cost = sum(node.op.cost for node in maker.nodes)
    again = -(-rows // _ROWS) - 1 if position else -(-columns // _COLUMNS)
    outer = right[:-1] if not position else left[:-1]
    return not outer and cost * again <= _TRAFFIC
