"""Whether a node may join a group, and how its result is then aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....ir.graph import Node, Value
from ....ir.ops import Family
from ...space import (
    Alignment,
    Space,
    after_reduction,
    identity,
    is_unit_reshape,
    reduced_axes,
    through_view,
)
from .groups import Group

MAX_GROUP_NODES = 128
"""Longer chains are cut: code size, register pressure and the depth of lowering stay bounded."""

_INLINE_OPS = frozenset(["broadcast", "transpose", "slice", "reverse", "iota"])
_BODY_JOINS = frozenset(["pad", "concatenate", "update", "gather"])


def is_inline(node: Node) -> bool:
    """Nodes that cost nothing inside a kernel and are copied into each kernel that wants them."""
    if node.op.name == "constant":
        return bool(node.output.type.size == 1)
    return node.op.name in _INLINE_OPS or is_unit_reshape(node)


def is_fusible(node: Node) -> bool:
    """Nodes that loops over an iteration space can compute."""
    return (
        node.op.family in (Family.ELEMENTWISE, Family.REDUCTION)
        or node.op.name in _BODY_JOINS
        or is_inline(node)
    )


def reads_views(node: Node) -> bool:
    """Nodes whose kernels, though not fused with others, can read through inline views."""
    return node.op.name in ("cumsum", "scatter", "scatter_add")


def aligned_operand(
    value: Value, group: Group, producers: Mapping[Value, Node]
) -> tuple[Alignment | None, bool]:
    """(alignment of `value` in `group` if it is computed there, whether that is a problem).

    Walks back through inline views to the value that they show. An operand from outside the group
    is no problem and has no alignment.
    """
    views: list[Node] = []
    while (node := producers.get(value)) is not None and is_inline(node) and node.inputs:
        if value in group.space.alignment:
            break
        views.append(node)
        value = node.inputs[0]
    alignment = group.space.alignment.get(value)
    if alignment is None:
        return None, False
    for view in reversed(views):
        alignment = through_view(view, alignment, group.space)
        if alignment is None:
            return None, True
    return alignment, False


def _common_alignment(
    node: Node, group: Group, producers: Mapping[Value, Node]
) -> tuple[Alignment | None, bool]:
    found: Alignment | None = None
    for value in node.inputs:
        alignment, problem = aligned_operand(value, group, producers)
        if problem or (alignment is not None and found is not None and alignment != found):
            return None, True
        found = found if alignment is None else alignment
    return found, False


def _admit_elementwise(
    node: Node, group: Group, producers: Mapping[Value, Node]
) -> Alignment | None:
    alignment, problem = _common_alignment(node, group, producers)
    if problem:
        return None
    if alignment is None:
        return _unrelated_alignment(node, group.space)
    space = group.space
    if group.kind == "dot":
        return alignment if alignment == identity(space.extents) else None
    full = space.is_full(alignment)
    return alignment if full or (space.reduced and space.is_outer(alignment)) else None


def _unrelated_alignment(node: Node, space: Space) -> Alignment | None:
    """For a node that reads nothing of the group: by its shape alone."""
    shape = node.output.type.shape
    if shape == space.extents:
        return identity(shape)
    return space.outer if space.reduced and shape == space.outer_extents else None


def _admit_reduction(node: Node, group: Group, producers: Mapping[Value, Node]) -> Alignment | None:
    if group.kind == "dot":
        return None
    alignment, problem = aligned_operand(node.inputs[0], group, producers)
    if problem:
        return None
    if alignment is None:
        if node.inputs[0].type.shape != group.space.extents:
            return None
        alignment = identity(group.space.extents)
    if None in alignment or not group.space.is_full(alignment):
        return None
    along = frozenset(a for a in (alignment[axis] for axis in reduced_axes(node)) if a is not None)
    # A sum over no axes is a reduction, too, and shares its kernel with none over some.
    if not along or (group.kind == "rows" and group.space.reduced != along):
        return None
    return after_reduction(node, alignment)


def _admit_join(node: Node, group: Group, producers: Mapping[Value, Node]) -> Alignment | None:
    """Joins read their operands at other indices: none may be computed in the group."""
    if group.kind == "dot" or node.output.type.shape != group.space.extents:
        return None
    for value in node.inputs:
        alignment, problem = aligned_operand(value, group, producers)
        if problem or alignment is not None:
            return None
    return identity(node.output.type.shape)


_ADMISSION: dict[Family, Callable[[Node, Group, Mapping[Value, Node]], Alignment | None]] = {
    Family.ELEMENTWISE: _admit_elementwise,
    Family.REDUCTION: _admit_reduction,
    Family.JOIN: _admit_join,
    Family.INDEXING: _admit_join,
    Family.VIEW: _admit_join,
    Family.CREATION: _admit_join,
}


def admit(node: Node, group: Group, producers: Mapping[Value, Node]) -> Alignment | None:
    """The alignment that `node`'s result would have in `group`, or None if it may not join."""
    if group.kind not in ("map", "rows", "dot") or len(group.nodes) >= MAX_GROUP_NODES:
        return None
    return _ADMISSION[node.op.family](node, group, producers)


def _translation(guest: Group, host: Group) -> Alignment | None:
    """The axis of the host's space for each of the guest's, or None if they do not match."""
    if guest.space.extents == host.space.extents:
        both = {guest.space.reduced, host.space.reduced}
        agree = len(both - {frozenset()}) <= 1
        return identity(host.space.extents) if agree else None
    if guest.kind == "map" and guest.space.extents == host.space.outer_extents:
        return host.space.outer
    return None


def merged_space(
    host: Group, guest: Group, nodes: list[Node], producers: Mapping[Value, Node]
) -> tuple[str, Space] | None:
    """Kind and space of the two groups as one, or None if they cannot be.

    `nodes` are those of both, in order. They are admitted again one by one to the joint space, and
    each must be aligned as it was: a value that was read through memory is now read in place.
    """
    kinds = {host.kind, guest.kind}
    axes = _translation(guest, host)
    if kinds not in _MERGEABLE or axes is None or len(nodes) > MAX_GROUP_NODES:
        return None
    before = dict(host.space.alignment)
    for value, alignment in guest.space.alignment.items():
        before[value] = tuple(None if a is None else axes[a] for a in alignment)
    kind = next(kind for kind in _CHOOSY if kind in kinds)
    reduced = host.space.reduced | guest.space.reduced
    joint = Group(-1, kind, Space(host.space.extents, reduced))
    for node in nodes:
        wanted = before[node.output]
        found = wanted if node.op.name == "dot" else admit(node, joint, producers)
        if found != wanted:
            return None
        joint.space.alignment[node.output] = wanted
    return kind, joint.space


_CHOOSY = ("dot", "rows", "map")
"""Kinds from the one that admits least to the one that admits most."""

_MERGEABLE = ({"map"}, {"rows"}, {"map", "rows"}, {"map", "dot"})
"""Kinds of groups that can become one."""


def choosiness(group: Group) -> int:
    """Sorts groups so that those that admit less come first."""
    return _CHOOSY.index(group.kind) if group.kind in _CHOOSY else len(_CHOOSY)


def own_space(node: Node) -> tuple[str, Space, Alignment]:
    """Kind, space and result alignment of a group that starts with `node`."""
    if node.op.family is Family.REDUCTION:
        shape = node.inputs[0].type.shape
        space = Space(shape, frozenset(reduced_axes(node)))
        return "rows", space, after_reduction(node, identity(shape))
    shape = node.output.type.shape
    kind = "map" if is_fusible(node) else node.op.name
    return kind, Space(shape, frozenset()), identity(shape)
