"""Rules that merge a view with the view that it reads, so that at most one of each kind is left.

Canonical order, from the source outwards: slice, reverse, reshape or transpose, broadcast. A
broadcast reads as few elements as it can; a view that only inserts or drops axes of extent 1 is a
reshape, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.graph import Node, Value
from ...ir.ops.shaping import slice_shape
from ...ir.types import Shape
from .rewriting import Rewriter, Rule


def without_units(shape: Shape) -> Shape:
    """`shape` without its axes of extent 1."""
    return tuple(extent for extent in shape if extent != 1)


def _same_type(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    return x if x.type == node.output.type else None


def _identity_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    return (
        node.inputs[0] if list(node.attrs["axes"]) == list(range(len(node.attrs["axes"]))) else None
    )


# Transposes


def _transpose_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "transpose")
    if inner is None:
        return None
    axes = tuple(inner.attrs["axes"][axis] for axis in node.attrs["axes"])
    return rewriter.emit("transpose", inner.inputs[0], axes=axes)


def _transpose_units(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    moved = [axis for axis in node.attrs["axes"] if x.type.shape[axis] != 1]
    if moved != sorted(moved):
        return None
    return rewriter.emit("reshape", x, shape=node.output.type.shape)


def _transpose_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    if inner is None:
        return None
    position = {axis: result for result, axis in enumerate(node.attrs["axes"])}
    places = [position[axis] for axis in inner.attrs["axes"]]
    order = tuple(sorted(range(len(places)), key=places.__getitem__))
    x = rewriter.emit("transpose", inner.inputs[0], axes=order)
    axes = tuple(places[axis] for axis in order)
    return rewriter.emit("broadcast", x, shape=node.output.type.shape, axes=axes)


# Reshapes


def _reshape_reshape(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "reshape")
    if inner is None:
        return None
    return rewriter.emit("reshape", inner.inputs[0], shape=node.attrs["shape"])


def reshape_groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes, of extents other than 1, that a reshape maps onto each other.

    Neither shape may have an extent of 0.
    """
    left = [axis for axis, extent in enumerate(before) if extent != 1]
    right = [axis for axis, extent in enumerate(after) if extent != 1]
    groups = []
    i = j = 0
    while i < len(left):
        start_i, start_j, size_i, size_j = i, j, before[left[i]], after[right[j]]
        i, j = i + 1, j + 1
        while size_i != size_j:
            if size_i < size_j:
                size_i *= before[left[i]]
                i += 1
            else:
                size_j *= after[right[j]]
                j += 1
        groups.append((left[start_i:i], right[start_j:j]))
    return groups


def _reshape_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    shape: Shape = node.attrs["shape"]
    if inner is None or node.output.type.size == 0:
        return None
    kept = set(inner.attrs["axes"])
    axes: list[int] = []
    for before, after in reshape_groups(inner.attrs["shape"], shape):
        inside = [axis in kept for axis in before]
        if all(inside):
            axes += after
        elif any(inside):
            return None
    x = rewriter.emit("reshape", inner.inputs[0], shape=tuple(shape[axis] for axis in axes))
    return rewriter.emit("broadcast", x, shape=shape, axes=tuple(axes))


# Broadcasts


def _broadcast_units(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    if x.type.size != node.output.type.size:
        return None
    return rewriter.emit("reshape", x, shape=node.attrs["shape"])


def _broadcast_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    if inner is None:
        return None
    axes = tuple(node.attrs["axes"][axis] for axis in inner.attrs["axes"])
    return rewriter.emit("broadcast", inner.inputs[0], shape=node.attrs["shape"], axes=axes)


def _broadcast_reshape(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "reshape")
    if inner is None:
        return None
    source, shape = inner.inputs[0], node.inputs[0].type.shape
    if source.type.shape != without_units(shape):
        return None
    axes = tuple(
        axis for axis, extent in zip(node.attrs["axes"], shape, strict=True) if extent != 1
    )
    return rewriter.emit("broadcast", source, shape=node.attrs["shape"], axes=axes)


# Slices and reversals


def _sliced(
    rewriter: Rewriter,
    x: Value,
    starts: Sequence[int],
    limits: Sequence[int],
    steps: Sequence[int],
) -> Value:
    return rewriter.emit("slice", x, starts=tuple(starts), limits=tuple(limits), steps=tuple(steps))


def _bounds(node: Node) -> list[tuple[int, int, int]]:
    return list(zip(node.attrs["starts"], node.attrs["limits"], node.attrs["steps"], strict=True))


def _tight(start: int, limit: int, step: int) -> tuple[int, int, int]:
    """The same positions with the lowest limit, and step 1 where the step does not matter."""
    (count,) = slice_shape([start], [limit], [step])
    if count <= 1:
        return (start, start + count, 1) if count else (0, 0, 1)
    return start, start + (count - 1) * step + 1, step


def _slice_tight(node: Node, rewriter: Rewriter) -> Value | None:
    bounds = _bounds(node)
    tight = [_tight(*bound) for bound in bounds]
    return None if tight == bounds else _sliced(rewriter, node.inputs[0], *zip(*tight, strict=True))


def _slice_slice(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "slice")
    if inner is None:
        return None
    composed = [
        (start + a * step, min(limit, start + b * step), step * c)
        for (start, limit, step), (a, b, c) in zip(_bounds(inner), _bounds(node), strict=True)
    ]
    tight = [_tight(min(start, limit), limit, step) for start, limit, step in composed]
    return _sliced(rewriter, inner.inputs[0], *zip(*tight, strict=True))


def _slice_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    if inner is None:
        return None
    bounds, x = _bounds(node), inner.inputs[0]
    kept = [bounds[axis] for axis in inner.attrs["axes"]]
    if kept:
        x = _sliced(rewriter, x, *zip(*kept, strict=True))
    shape, axes = node.output.type.shape, inner.attrs["axes"]
    return rewriter.emit("broadcast", x, shape=shape, axes=axes)


def _slice_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "transpose")
    if inner is None:
        return None
    axes, bounds = inner.attrs["axes"], _bounds(node)
    source = [bounds[axes.index(axis)] for axis in range(len(axes))]
    x = _sliced(rewriter, inner.inputs[0], *zip(*source, strict=True))
    return rewriter.emit("transpose", x, axes=axes)


def _slice_reshape(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "reshape")
    if inner is None:
        return None
    x, shape = inner.inputs[0], node.inputs[0].type.shape
    if without_units(x.type.shape) != without_units(shape):
        return None
    bounds = list(zip(shape, _bounds(node), strict=True))
    if any(extent == 1 and bound[:2] != (0, 1) for extent, bound in bounds):
        return None
    rest = iter([bound for extent, bound in bounds if extent != 1])
    source = [(0, 1, 1) if extent == 1 else next(rest) for extent in x.type.shape]
    if source:
        x = _sliced(rewriter, x, *zip(*source, strict=True))
    return rewriter.emit("reshape", x, shape=node.output.type.shape)


def _slice_reverse(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "reverse")
    if inner is None:
        return None
    (x,), flipped = inner.inputs, inner.attrs["axes"]
    source = []
    for axis, bound in enumerate(_bounds(node)):
        start, limit, step = _tight(*bound)
        if axis in flipped and limit > start:
            start, limit = x.type.shape[axis] - limit, x.type.shape[axis] - start
        source.append((start, limit, step))
    return rewriter.emit("reverse", _sliced(rewriter, x, *zip(*source, strict=True)), axes=flipped)


def _reverse_units(node: Node, rewriter: Rewriter) -> Value | None:
    (x,), axes = node.inputs, node.attrs["axes"]
    kept = tuple(sorted(axis for axis in axes if x.type.shape[axis] > 1))
    if kept == axes:
        return None if axes else x
    return rewriter.emit("reverse", x, axes=kept) if kept else x


def _reverse_reverse(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "reverse")
    if inner is None:
        return None
    axes = tuple(sorted(set(node.attrs["axes"]) ^ set(inner.attrs["axes"])))
    return rewriter.emit("reverse", inner.inputs[0], axes=axes)


def _reverse_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    if inner is None:
        return None
    axes = inner.attrs["axes"]
    flipped = tuple(i for i, axis in enumerate(axes) if axis in node.attrs["axes"])
    x = rewriter.emit("reverse", inner.inputs[0], axes=flipped)
    return rewriter.emit("broadcast", x, shape=inner.attrs["shape"], axes=axes)


RULES: tuple[Rule, ...] = (
    Rule("transpose[0, 1, …] x -> x", ("transpose",), _identity_transpose),
    Rule(
        "reshape, broadcast, slice[everything] x -> x",
        ("reshape", "broadcast", "slice"),
        _same_type,
    ),
    Rule("transpose transpose x -> transpose x", ("transpose",), _transpose_transpose),
    Rule("transpose[extents 1 move] x -> reshape x", ("transpose",), _transpose_units),
    Rule("transpose broadcast x -> broadcast transpose x", ("transpose",), _transpose_broadcast),
    Rule("reshape reshape x -> reshape x", ("reshape",), _reshape_reshape),
    Rule("reshape broadcast x -> broadcast reshape x", ("reshape",), _reshape_broadcast),
    Rule("broadcast[only extents 1] x -> reshape x", ("broadcast",), _broadcast_units),
    Rule("broadcast broadcast x -> broadcast x", ("broadcast",), _broadcast_broadcast),
    Rule("broadcast reshape[only extents 1] x -> broadcast x", ("broadcast",), _broadcast_reshape),
    Rule("slice[loose bounds] x -> slice[tight bounds] x", ("slice",), _slice_tight),
    Rule("slice slice x -> slice x", ("slice",), _slice_slice),
    Rule("slice broadcast x -> broadcast slice x", ("slice",), _slice_broadcast),
    Rule("slice transpose x -> transpose slice x", ("slice",), _slice_transpose),
    Rule("slice reshape[only extents 1] x -> reshape slice x", ("slice",), _slice_reshape),
    Rule("slice reverse x -> reverse slice x", ("slice",), _slice_reverse),
    Rule("reverse[extents 1] x -> x", ("reverse",), _reverse_units),
    Rule("reverse reverse x -> reverse x", ("reverse",), _reverse_reverse),
    Rule("reverse broadcast x -> broadcast reverse x", ("reverse",), _reverse_broadcast),
)
"""View of a view."""
