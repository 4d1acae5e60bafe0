"""Rules for windows that lie side by side, which are a reshape, and for views of windows."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Node, Value
from ...ir.ops.convolution import window_axes
from ...ir.types import Shape
from .rewriting import Rewriter, Rule


def _side_by_side(node: Node, sizes: Shape) -> bool:
    attrs = node.attrs
    return attrs["strides"] == sizes and all(
        dilation == 1 or size == 1 for dilation, size in zip(attrs["dilations"], sizes, strict=True)
    )


def _windows_side_by_side(node: Node, rewriter: Rewriter) -> Value | None:
    (x,), shape = node.inputs, node.output.type.shape
    rank = x.type.rank
    if not _side_by_side(node, node.attrs["sizes"]):
        return None
    covered = _covered(node, rank, shape)
    if covered != x.type.shape:
        steps = (1,) * rank
        x = rewriter.emit("slice", x, starts=(0,) * rank, limits=covered, steps=steps)
    return rewriter.emit("reshape", x, shape=shape)


def _covered(node: Node, rank: int, windows: Shape) -> Shape:
    """The extents that windows of the given shape, side by side, cover."""
    positions, elements = window_axes(rank, node.attrs["axes"])
    covered = [windows[axis] for axis in positions]
    for axis, element in zip(node.attrs["axes"], elements, strict=True):
        covered[axis] *= windows[element]
    return tuple(covered)


def _unwindow_side_by_side(node: Node, rewriter: Rewriter) -> Value | None:
    (y,), shape = node.inputs, node.output.type.shape
    rank = len(shape)
    _, elements = window_axes(rank, node.attrs["axes"])
    if not _side_by_side(node, tuple(y.type.shape[axis] for axis in elements)):
        return None
    # Every sum starts from 0.0, which is how one of -0.0 becomes 0.0.
    zero = rewriter.filled(np.zeros((), y.type.dtype), y.type)
    y = rewriter.emit("add", y, zero)
    covered = _covered(node, rank, y.type.shape)
    y = rewriter.emit("reshape", y, shape=covered)
    none = (0,) * rank
    high = tuple(extent - n for extent, n in zip(shape, covered, strict=True))
    return rewriter.emit("pad", y, low=none, high=high, interior=none, fill=0.0)


def _windows_of_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    """The windows are looked up in memory order; products read the transpose off their axes."""
    inner = rewriter.definition(node.inputs[0], "transpose")
    if inner is None:
        return None
    permutation, axes = inner.attrs["axes"], node.attrs["axes"]
    rank = len(permutation)
    along = [permutation[axis] for axis in axes]
    order = sorted(range(len(axes)), key=along.__getitem__)
    attrs = {
        name: tuple(node.attrs[name][i] for i in order)
        for name in ("sizes", "strides", "dilations")
    }
    shown = rewriter.emit("windows", inner.inputs[0], axes=tuple(along[i] for i in order), **attrs)
    positions, elements = window_axes(rank, sorted(along))
    behind = {axis: elements[order.index(i)] for i, axis in enumerate(axes)}
    places: list[int] = []
    for axis, source in enumerate(permutation):
        places += [positions[source], *([behind[axis]] if axis in behind else [])]
    return rewriter.emit("transpose", shown, axes=tuple(places))


def _slice_windows(node: Node, rewriter: Rewriter) -> Value | None:
    """Every how many positions, and every how many elements, are strides and dilations."""
    inner = rewriter.definition(node.inputs[0], "windows")
    if inner is None or 0 in node.output.type.shape:
        return None
    (x,), shape = inner.inputs, node.output.type.shape
    positions, elements = window_axes(x.type.rank, inner.attrs["axes"])
    starts, limits, steps = (
        [node.attrs[name][place] for place in positions] for name in ("starts", "limits", "steps")
    )
    strides, dilations = [], []
    for i, (axis, element) in enumerate(zip(inner.attrs["axes"], elements, strict=True)):
        stride, dilation = inner.attrs["strides"][i], inner.attrs["dilations"][i]
        strides.append(stride * steps[axis])
        dilations.append(dilation * node.attrs["steps"][element])
        starts[axis] = starts[axis] * stride + node.attrs["starts"][element] * dilation
        last = (shape[positions[axis]] - 1) * strides[i] + (shape[element] - 1) * dilations[i]
        limits[axis], steps[axis] = starts[axis] + last + 1, 1
    part = rewriter.emit("slice", x, starts=tuple(starts), limits=tuple(limits), steps=tuple(steps))
    return rewriter.emit(
        "windows",
        part,
        axes=inner.attrs["axes"],
        sizes=tuple(shape[element] for element in elements),
        strides=tuple(strides),
        dilations=tuple(dilations),
    )


RULES: tuple[Rule, ...] = (
    Rule("windows[side by side] x -> reshape slice x", ("windows",), _windows_side_by_side),
    Rule(
        "unwindow[side by side] y -> pad reshape add(y, 0)",
        ("unwindow",),
        _unwindow_side_by_side,
    ),
    Rule("windows transpose x -> transpose windows x", ("windows",), _windows_of_transpose),
    Rule("slice windows x -> windows slice x", ("slice",), _slice_windows),
)
"""Views of windows, and windows that are views of another kind."""
