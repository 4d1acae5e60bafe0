"""Applying a pass inside the sub-graphs that nodes hold."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from ...ir.graph import Graph, Node

TRANSFORMATIONS = frozenset({"vjp", "jvp", "vmap", "custom_vjp"})
"""Nodes whose sub-graphs are still the user's program: what they mean, derivatives at kinks
included, is read off them by the differentiate stage, so that no pass may simplify them."""


def within(node: Node, transform: Callable[[Graph], Graph]) -> Node:
    """`node` with `transform` applied to its sub-graphs; the same node if that changes nothing."""
    if node.op.name in TRANSFORMATIONS:
        return node
    changed = {}
    for name, attribute in node.attrs.items():
        if isinstance(attribute, Graph):
            replacement = transform(attribute)
            if replacement is not attribute:
                changed[name] = replacement
    if not changed:
        return node
    attrs = MappingProxyType({**node.attrs, **changed})
    return Node(node.op, node.inputs, node.outputs, attrs, node.loc, node.phase)
