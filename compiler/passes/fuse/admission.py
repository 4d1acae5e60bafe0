"""Whether a node may join a group, and how its result is then aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ....ir.graph import Node, Value
from ....ir.ops import Family
from ...space import (
    Alignment,
    Space,
    after_reduction,
    identity,
    is_unit_reshape,
    product_of,
    reduced_axes,
    through_view,
)
from .groups import Group

MAX_GROUP_NODES = 128
"""Longer chains are cut: code size, register pressure and the depth of lowering stay bounded."""

_INLINE_OPS = frozenset(["broadcast", "transpose", "slice", "reverse", "windows", "iota"])
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


def reads_views(node: Node, producers: Mapping[Value, Node]) -> bool:
    """Nodes whose kernels, though not fused with others, can read through inline views."""
    if node.op.name == "dot":
        return reads_windows(node, producers)
    return node.op.name in ("cumsum", "unwindow", "scatter", "scatter_add")


def reads_windows(node: Node, producers: Mapping[Value, Node]) -> bool:
    """Whether an operand of `node` shows windows: a product of it is a convolution."""
    pending = list(node.inputs)
    while pending:
        producer = producers.get(pending.pop())
        if producer is not None and is_inline(producer):
            if producer.op.name == "windows":
                return True
            pending += producer.inputs
    return False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node may not join a group, in words that complete "not fused: …"."""

    reason: str


Verdict: TypeAlias = Alignment | Refusal
"""How a node's result would be aligned in a group, or why it may not join."""

_FULL = Refusal(f"the kernel already has {MAX_GROUP_NODES} operations")
_ALONE = Refusal("what computes its operand is a kernel of its own kind, which takes nothing in")
_READS_ALL = Refusal("it reads its operand many times, or in an order of its own: from memory")
_ELSEWHERE = Refusal("it reads a value of the kernel at other indices than the loops compute it at")
_TWO_WAYS = Refusal("it reads values of the kernel along different axes")
_OTHER_SHAPE = Refusal("its elements are not those that the kernel's loops run over")
_PARTIAL = Refusal("its result repeats along some of the kernel's loops")
_ACROSS = Refusal("its elements lie across the order in which the kernel's loops run")
_AFTER_PRODUCT = Refusal("only elementwise operations of the product's own shape join a product")
_AFTER_FOLD = Refusal("it reads what the kernel has only once all of its product is there")
_WITH_ROWS = Refusal("of reductions only sums and extrema over its rows join a product")
_OTHER_AXES = Refusal("it reduces along other axes than the kernel does")


def aligned_operand(
    value: Value, group: Group, producers: Mapping[Value, Node]
) -> Alignment | Refusal | None:
    """The alignment of `value` in `group`; None if it comes from outside.

    Walks back through inline views to the value that they show. It is a refusal when a view shows
    a value of the group in a way that the group's loops do not follow.
    """
    value, views = _shown(value, group, producers)
    alignment = group.space.alignment.get(value)
    if alignment is None:
        return None
    if group.kind == "dot" and producers[value].op.family is Family.REDUCTION:
        return _AFTER_FOLD
    for view in reversed(views):
        alignment = through_view(view, alignment, group.space)
        if alignment is None:
            return _ELSEWHERE
    return alignment


def _shown(value: Value, group: Group, producers: Mapping[Value, Node]) -> tuple[Value, list[Node]]:
    """What `value` shows: a value of the group, or one from outside; and the views in between,
    the last one first."""
    views: list[Node] = []
    while (node := producers.get(value)) is not None and is_inline(node) and node.inputs:
        if value in group.space.alignment:
            break
        views.append(node)
        value = node.inputs[0]
    return value, views


def _common_alignment(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict | None:
    found: Alignment | None = None
    for value in node.inputs:
        alignment = aligned_operand(value, group, producers)
        if isinstance(alignment, Refusal):
            return alignment
        if alignment is not None and found is not None and alignment != found:
            return _TWO_WAYS
        found = found if alignment is None else alignment
    return found


def _admit_elementwise(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    alignment = _common_alignment(node, group, producers)
    if isinstance(alignment, Refusal):
        return alignment
    if alignment is None:
        return _unrelated_alignment(node, group.space)
    space = group.space
    if group.kind == "dot":
        return alignment if _follows_product(alignment, group, producers) else _AFTER_PRODUCT
    if bool(space.reduced) and space.is_outer(alignment):
        return alignment
    if not space.is_full(alignment):
        return _PARTIAL
    return _ACROSS if _spreads_across(node, alignment, group, producers) else alignment


def _spreads_across(
    node: Node, alignment: Alignment, group: Group, producers: Mapping[Value, Node]
) -> bool:
    """Whether a result of rows is spread over an array that lies across the kernel's loops: between
    square weights, the product of one layer with those of the next, or the update of a weight."""
    axes = [axis for axis in alignment if axis is not None and group.space.extents[axis] != 1]
    if not group.space.reduced or axes == sorted(axes):
        return False
    shown = (_shown(value, group, producers)[0] for value in node.inputs)
    found = (group.space.alignment.get(value, ()) for value in shown)
    return not any(map(group.space.is_full, found))


def _follows_product(alignment: Alignment, group: Group, producers: Mapping[Value, Node]) -> bool:
    """Whether a product's kernel can store elements so aligned: in the order of the product, or in
    another one if it is a convolution."""
    order = identity(group.space.extents)
    if alignment == order:
        return True
    permuted = sorted(axis for axis in alignment if axis is not None) == list(order)
    return permuted and any(
        node.op.name == "dot" and reads_windows(node, producers) for node in group.nodes
    )


def _unrelated_alignment(node: Node, space: Space) -> Verdict:
    """For a node that reads nothing of the group: by its shape alone."""
    shape = node.output.type.shape
    if shape == space.extents:
        return identity(shape)
    return space.outer if space.reduced and shape == space.outer_extents else _OTHER_SHAPE


def _admit_tile_fold(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    """Reductions over at least the rows of a product of matrices that lie in memory."""
    dot = product_of(group.nodes)
    # The last free axis of the left operand.
    rows = dot.inputs[0].type.rank - len(dot.attrs["contract"][0]) - 1
    alignment = aligned_operand(node.inputs[0], group, producers)
    if isinstance(alignment, Refusal):
        return alignment
    if alignment != identity(group.space.extents):
        return _AFTER_PRODUCT
    known = node.op.name in _TILE_FOLDS and not reads_windows(dot, producers)
    if not known or rows not in reduced_axes(node) or 0 in group.space.extents:
        return _WITH_ROWS
    return after_reduction(node, alignment)


_TILE_FOLDS = frozenset(["sum", "prod", "reduce_max", "reduce_min"])
"""Reductions of which partial results are reduced in the same way."""


def _admit_reduction(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    if group.kind == "dot":
        return _admit_tile_fold(node, group, producers)
    alignment = aligned_operand(node.inputs[0], group, producers)
    if isinstance(alignment, Refusal):
        return alignment
    if alignment is None:
        if node.inputs[0].type.shape != group.space.extents:
            return _OTHER_SHAPE
        alignment = identity(group.space.extents)
    if None in alignment or not group.space.is_full(alignment):
        return _PARTIAL
    along = frozenset(a for a in (alignment[axis] for axis in reduced_axes(node)) if a is not None)
    # A sum over no axes is a reduction, too, and shares its kernel with none over some.
    if not along or (group.kind == "rows" and group.space.reduced != along):
        return _OTHER_AXES
    return after_reduction(node, alignment)


def _admit_view(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    """A view that has to lie in memory: the kernel of what it shows can store it as it is."""
    if group.kind == "dot" and node.op.name == "transpose":
        alignment = aligned_operand(node.inputs[0], group, producers)
        if alignment is not None and not isinstance(alignment, Refusal):
            shown = through_view(node, alignment, group.space)
            if shown is not None and _follows_product(shown, group, producers):
                return shown
    return _admit_join(node, group, producers)


def _admit_join(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    """Joins read their operands at other indices: none may be computed in the group."""
    if group.kind == "dot":
        return _AFTER_PRODUCT
    if node.output.type.shape != group.space.extents:
        return _OTHER_SHAPE
    if any(aligned_operand(value, group, producers) is not None for value in node.inputs):
        return _ELSEWHERE
    return identity(node.output.type.shape)


_ADMISSION: dict[Family, Callable[[Node, Group, Mapping[Value, Node]], Verdict]] = {
    Family.ELEMENTWISE: _admit_elementwise,
    Family.REDUCTION: _admit_reduction,
    Family.JOIN: _admit_join,
    Family.INDEXING: _admit_join,
    Family.VIEW: _admit_view,
    Family.CREATION: _admit_join,
}


def admit(node: Node, group: Group, producers: Mapping[Value, Node]) -> Verdict:
    """The alignment that `node`'s result would have in `group`, or why it may not join."""
    if not is_fusible(node):
        return _READS_ALL
    if group.kind not in _CHOOSY:
        return _ALONE
    if len(group.nodes) >= MAX_GROUP_NODES:
        return _FULL
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
