"""Products added up over windows become products over windows.

The gradient of a convolution by its image adds, for every element of the kernel, a product back to
where the window element came from. The same sums are the convolution of the padded (and dilated)
cotangent with the kernel turned round: each element gathers what belongs to it, no intermediate is
stored, and the product can be tiled. Only the order of the additions differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.graph import Graph, Node, Value
from ...ir.ops.contraction import AxisPair, free_axes
from ...ir.ops.convolution import window_axes, window_span
from .rewriting import Rewriter, Rule, rewrite


def form_convolutions(graph: Graph) -> Graph:
    """Requires: a flat graph.

    Ensures: no sums over windows of a product that could be a product over windows.
    """
    return rewrite(graph, RULES)


@dataclass(frozen=True, slots=True)
class _Product:
    """A `dot` whose transpose by `order` is added up over windows."""

    dot: Node
    order: tuple[int, ...]

    def origins(self) -> list[tuple[int | None, int]]:
        """For each axis of the dot's result: the operand that alone has it (None: both have), and
        which of its axes."""
        (batch_x, batch_y), (sums_x, sums_y) = self.dot.attrs["batch"], self.dot.attrs["contract"]
        x, y = self.dot.inputs
        return [
            *((None, axis) for axis in batch_x),
            *((0, axis) for axis in free_axes(x.type.rank, batch_x, sums_x)),
            *((1, axis) for axis in free_axes(y.type.rank, batch_y, sums_y)),
        ]


def _product(value: Value, rewriter: Rewriter) -> _Product | None:
    order = tuple(range(value.type.rank))
    while rewriter.uses(value) == 1 and (node := rewriter.definition(value)) is not None:
        if node.op.name == "dot":
            return _Product(node, order)
        if node.op.name != "transpose":
            return None
        order = tuple(node.attrs["axes"][axis] for axis in order)
        (value,) = node.inputs
    return None


def _unwindow_dot(node: Node, rewriter: Rewriter) -> Value | None:
    found = _product(node.inputs[0], rewriter)
    rank = node.output.type.rank
    axes: Sequence[int] = node.attrs["axes"]
    if found is None or not axes:
        return None
    origin = found.origins()
    shown = [origin[found.order[axis]] for axis in range(node.inputs[0].type.rank)]
    places, inside = window_axes(rank, axes)
    positions = [shown[places[axis]] for axis in axes]
    elements = [shown[axis] for axis in inside]
    image, kernel = positions[0][0], elements[0][0]
    if image is None or kernel is None or image == kernel:
        return None
    if {side for side, _ in positions} != {image} or {side for side, _ in elements} != {kernel}:
        return None
    sizes = tuple(node.inputs[0].type.shape[axis] for axis in inside)
    along, across = [axis for _, axis in positions], [axis for _, axis in elements]
    operands = list(found.dot.inputs)
    turned = tuple(sorted(across))
    operands[kernel] = rewriter.emit("reverse", operands[kernel], axes=turned)
    moved, behind = _window_places(operands[image].type.rank, along)
    operands[image] = _gathered(node, operands[image], along, sizes, rewriter)
    pairs = [[list(side) for side in found.dot.attrs[name]] for name in ("batch", "contract")]
    for pair in pairs:
        pair[image] = [moved[axis] for axis in pair[image]]
    batch, contract = pairs
    contract[image] += behind
    contract[kernel] += across
    product = rewriter.emit("dot", *operands, batch=_pair(batch), contract=_pair(contract))
    gone = {found.order[axis] for axis in inside}
    kept = [axis for axis in range(len(origin)) if axis not in gone]
    order = tuple(kept.index(found.order[axis]) for axis in places)
    return rewriter.emit("transpose", product, axes=order)


def _pair(axes: Sequence[Sequence[int]]) -> AxisPair:
    left, right = axes
    return tuple(left), tuple(right)


def _window_places(rank: int, along: list[int]) -> tuple[tuple[int, ...], list[int]]:
    """Where windows have the axes of their array, and those of their elements in the order of
    `along`."""
    order = sorted(along)
    positions, elements = window_axes(rank, order)
    return positions, [elements[order.index(axis)] for axis in along]


def _gathered(
    node: Node, image: Value, along: list[int], sizes: tuple[int, ...], rewriter: Rewriter
) -> Value:
    """The windows of positions that each element of the result lies in, zeros where none is."""
    attrs, rank = node.attrs, image.type.rank
    low, high, interior = [0] * rank, [0] * rank, [0] * rank
    for axis, size, extent, stride, dilation in zip(
        along, sizes, attrs["extents"], attrs["strides"], attrs["dilations"], strict=True
    ):
        before = window_span(size, dilation) - 1
        last = (image.type.shape[axis] - 1) * stride
        low[axis], high[axis], interior[axis] = before, extent - 1 - last, stride - 1
    padded = rewriter.emit(
        "pad", image, low=tuple(low), high=tuple(high), interior=tuple(interior), fill=0.0
    )
    order = sorted(range(len(along)), key=along.__getitem__)
    return rewriter.emit(
        "windows",
        padded,
        axes=tuple(along[i] for i in order),
        sizes=tuple(sizes[i] for i in order),
        strides=(1,) * len(along),
        dilations=tuple(attrs["dilations"][i] for i in order),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "unwindow transpose dot(x, y) -> transpose dot(reverse x, windows pad y)",
        ("unwindow",),
        _unwindow_dot,
    ),
)
"""The rule, and its variants with the operands exchanged."""
