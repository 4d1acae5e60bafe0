"""Iteration spaces: how the values inside a kernel line up with its loops.

A kernel runs over a *space*, a tuple of extents; some of its axes may be *reduced*. A value of the
body is *aligned* when each of its axes is one axis of the space (or has extent 1). Fusion admits
only aligned values; lowering reads the loops off the alignment.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from ..ir.graph import Graph, Node, Value
from ..ir.ops import Family
from ..ir.types import Shape

Alignment = tuple[int | None, ...]
"""For each axis of a value, the axis of the space that it runs along; None for extent 1."""


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The operand axes that a reduction or arg-reduction folds away."""
    if node.op.name in ("argmax", "argmin"):
        return (node.attrs["axis"],)
    axes: tuple[int, ...] = node.attrs["axes"]
    return axes


def product_of(nodes: Iterable[Node]) -> Node:
    """The product that a kernel of kind `dot` is built around."""
    return next(node for node in nodes if node.op.name == "dot")


@dataclass(slots=True)
class Space:
    """Extents, the reduced axes among them, and the alignment of every aligned value."""

    extents: Shape
    reduced: frozenset[int]
    alignment: dict[Value, Alignment] = field(default_factory=dict)

    @property
    def outer(self) -> tuple[int, ...]:
        """The axes that are not reduced, in order."""
        return tuple(a for a in range(len(self.extents)) if a not in self.reduced)

    @property
    def outer_extents(self) -> Shape:
        """The shape of a value that has one element per row."""
        return tuple(self.extents[a] for a in self.outer)

    @property
    def inner(self) -> tuple[int, ...]:
        """The reduced axes, in order."""
        return tuple(sorted(self.reduced))

    def is_full(self, alignment: Alignment) -> bool:
        """Whether a value so aligned has one element per point of the space."""
        wide = {a for a, extent in enumerate(self.extents) if extent != 1}
        return wide <= {a for a in alignment if a is not None}

    def is_outer(self, alignment: Alignment) -> bool:
        """Whether a value so aligned does not vary along reduced axes."""
        return not any(a in self.reduced for a in alignment if a is not None)


def identity(shape: Sequence[int]) -> Alignment:
    """The alignment of a value that has exactly the axes of the space."""
    return tuple(range(len(shape)))


def _through_broadcast(node: Node, operand: Alignment, space: Space) -> Alignment | None:
    """New axes must be the axes of the space that the operand lacks, in order."""
    shape, axes = node.attrs["shape"], node.attrs["axes"]
    missing = [a for a in range(len(space.extents)) if a not in operand]
    result: list[int | None] = [None] * len(shape)
    for axis, along in zip(axes, operand, strict=True):
        result[axis] = along
    fresh = [axis for axis in range(len(shape)) if axis not in axes and shape[axis] != 1]
    wide = [a for a in missing if space.extents[a] != 1]
    if [shape[axis] for axis in fresh] != [space.extents[a] for a in wide]:
        return None
    for axis, along in zip(fresh, wide, strict=True):
        result[axis] = along
    return tuple(result)


def _through_reshape(node: Node, operand: Alignment, space: Space) -> Alignment | None:
    source, target = node.inputs[0].type.shape, node.output.type.shape
    if not is_unit_reshape(node):
        return None
    wide = iter([a for a, extent in zip(operand, source, strict=True) if extent != 1])
    return tuple(next(wide) if extent != 1 else None for extent in target)


def is_unit_reshape(node: Node) -> bool:
    """A reshape that only inserts or drops axes of extent 1."""
    if node.op.name != "reshape":
        return False
    source, target = node.inputs[0].type.shape, node.output.type.shape
    return [n for n in source if n != 1] == [n for n in target if n != 1]


def _through_transpose(node: Node, operand: Alignment, space: Space) -> Alignment | None:
    return tuple(operand[axis] for axis in node.attrs["axes"])


_FORWARD: dict[str, Callable[[Node, Alignment, Space], Alignment | None]] = {
    "broadcast": _through_broadcast,
    "reshape": _through_reshape,
    "transpose": _through_transpose,
}
"""Alignment of a view's result from that of its operand."""


def through_view(node: Node, operand: Alignment, space: Space) -> Alignment | None:
    """Alignment of the result of a view, or None when it is not aligned."""
    rule = _FORWARD.get(node.op.name)
    return rule(node, operand, space) if rule is not None else None


def after_reduction(node: Node, operand: Alignment) -> Alignment:
    """Alignment of the result of a reduction."""
    axes = reduced_axes(node)
    return tuple(along for axis, along in enumerate(operand) if axis not in axes)


def _known_result(node: Node, space: Space, linked: Container[Value]) -> Alignment | None:
    """The alignment of a node's result from its `linked` operands, where that is possible."""
    known = [space.alignment.get(value) if value in linked else None for value in node.inputs]
    if node.op.family is Family.ELEMENTWISE:
        return next((alignment for alignment in known if alignment is not None), None)
    if not known or known[0] is None:
        return None
    if node.op.family is Family.REDUCTION:
        return after_reduction(node, known[0])
    return through_view(node, known[0], space)


def _known_operands(node: Node, result: Alignment) -> Iterable[tuple[Value, Alignment]]:
    """The alignments of a node's operands from its result, where that is possible."""
    if node.op.family is Family.ELEMENTWISE:
        return [(value, result) for value in node.inputs]
    if node.op.name == "broadcast":
        return [(node.inputs[0], tuple(result[axis] for axis in node.attrs["axes"]))]
    if node.op.name == "transpose":
        axes = node.attrs["axes"]
        return [(node.inputs[0], tuple(result[axes.index(a)] for a in range(len(axes))))]
    if is_unit_reshape(node):
        source, target = node.inputs[0].type.shape, node.output.type.shape
        wide = iter([a for a, extent in zip(result, target, strict=True) if extent != 1])
        return [(node.inputs[0], tuple(next(wide) if n != 1 else None for n in source))]
    return []


def is_consistent(body: Graph, space: Space) -> bool:
    """Whether every node reads its operands as they are aligned, none of them in two ways."""

    def wide(value: Value, alignment: Alignment) -> list[int | None]:
        pairs = zip(alignment, value.type.shape, strict=True)
        return [axis for axis, extent in pairs if extent != 1]

    return all(
        value in space.alignment and wide(value, space.alignment[value]) == wide(value, wanted)
        for node in body.nodes
        if node.output in space.alignment
        for value, wanted in _known_operands(node, space.alignment[node.output])
        if value.type.size != 1
    )


def derive(body: Graph) -> Space:
    """The space of a fused body: from its first reduction, else from its first output.

    What the body computes is tied together by its operations: alignments are propagated along the
    nodes, forwards and backwards, until nothing is new; what nothing ties to the root lines up by
    its shape, as when it was admitted. Operands from outside follow from their readers and tie
    nothing, because one of them may be read along several axes.
    """
    reductions = [node for node in body.nodes if node.op.family is Family.REDUCTION]
    root = reductions[0].inputs[0] if reductions else body.outputs[0]
    reduced = frozenset(reduced_axes(reductions[0])) if reductions else frozenset()
    space = Space(root.type.shape, reduced)
    computed = _computed(body)
    if root in computed or root in body.outputs:
        space.alignment[root] = identity(space.extents)
    _propagate(body, space, computed, computed)
    for node in body.nodes:
        for value in node.outputs:
            if value in space.alignment or not (value in computed or value in body.outputs):
                continue
            alignment = _by_shape(node, space)
            if alignment is not None:
                space.alignment[value] = alignment
                _propagate(body, space, computed, computed)
    outside = {v for node in body.nodes for v in (*node.inputs, *node.outputs)} - computed
    for node in reductions:
        alignment = _of_reduced(node, space)
        if node.inputs[0] in outside and alignment is not None:
            space.alignment.setdefault(node.inputs[0], alignment)
    _propagate(body, space, outside, ())
    return space


def _computed(body: Graph) -> set[Value]:
    """The values that the body makes, by arithmetic or in memory, and the views of these."""
    made = set(body.outputs)
    found: set[Value] = set()
    for node in body.nodes:
        shows = node.op.family in (Family.VIEW, Family.CREATION) and made.isdisjoint(node.outputs)
        if not shows or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def _by_shape(node: Node, space: Space) -> Alignment | None:
    """The alignment of the result of a node that nothing ties to the rest."""
    if node.op.family is Family.REDUCTION:
        operand = _of_reduced(node, space)
        return None if operand is None else after_reduction(node, operand)
    shape = node.output.type.shape
    everywhere = next(_fitting(shape, range(len(space.extents)), space), None)
    return next(_fitting(shape, space.outer, space), None) if everywhere is None else everywhere


def _of_reduced(node: Node, space: Space) -> Alignment | None:
    """An alignment for the operand of a reduction that folds the space's reduced axes."""
    shape = node.inputs[0].type.shape
    reduced = {axis for axis in space.reduced if space.extents[axis] != 1}
    for alignment in _fitting(shape, range(len(space.extents)), space):
        if {alignment[axis] for axis in reduced_axes(node) if shape[axis] != 1} == reduced:
            return alignment
    return None


def _fitting(shape: Shape, axes: Iterable[int], space: Space) -> Iterator[Alignment]:
    """Every way to lay `shape` along `axes` of the space, in order first; unit axes count for
    nothing. Another order fits what was admitted to a space whose axes were named in another one.
    """
    wide = [axis for axis in axes if space.extents[axis] != 1]
    extents = [extent for extent in shape if extent != 1]
    if sorted(extents) != sorted(space.extents[axis] for axis in wide):
        return
    for order in permutations(wide):
        if [space.extents[axis] for axis in order] == extents:
            along = iter(order)
            yield tuple(next(along) if extent != 1 else None for extent in shape)


def _propagate(
    body: Graph, space: Space, wanted: Container[Value], linked: Container[Value]
) -> None:
    """Align those of the `wanted` values that follow from their neighbours: results from their
    `linked` operands, operands from any result."""
    count = 0
    while count != len(space.alignment):
        count = len(space.alignment)
        for node in body.nodes:
            result = _known_result(node, space, linked)
            if result is not None and node.output in wanted:
                space.alignment.setdefault(node.output, result)
        for node in reversed(body.nodes):
            found = space.alignment.get(node.output)
            if found is not None:
                for value, alignment in _known_operands(node, found):
                    if value in wanted:
                        space.alignment.setdefault(value, alignment)
