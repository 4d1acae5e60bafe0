"""Kernels whose rows are shorter than a vector: pooling windows, pairs, quadruples.

Where the last axis has 2, 4 or 8 elements, several rows lie side by side in one vector, each in a
segment of its lanes. All that one such vector of rows needs is kept in registers: the few other
reduced axes are unrolled. A value with one element per row is a narrow vector, as many lanes as
there are segments; a reduction adds up the first lanes of all segments, the second ones, …, and a
broadcast along the row repeats every lane for its segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from ...ir.graph import Graph, Node, Value
from ...ir.ops import Family
from ..space import Space, derive, is_consistent
from ..target import Target
from .builder import LoopBuilder
from .collapse import can_collapse, collapse_axes
from .division import divide, pieces_wanted
from .folds import Fold, combine_pairwise
from .language import LANE, Affine, Kernel, Share, Var, index
from .pull import Index, Position, buffer_access, row_major_strides

_LENGTHS = (2, 4, 8)
_MOST_POINTS = 8
"""Vectors of one row that are kept in registers."""

Point = tuple[int, ...]
"""Positions along the reduced axes other than the last axis of the space."""


def segment_lowering(kind: str, body: Graph, target: Target) -> SegmentLowering | None:
    """The lowering of a fused body of kind `map` or `rows` if its rows are short; else None."""
    body = collapse_axes(body)
    space = derive(body)
    extents = space.extents
    if len(extents) < 2 or 0 in extents or extents[-1] not in _LENGTHS:
        return None
    last, along = len(extents) - 1, len(extents) - 2
    itemsize = max(
        value.type.dtype.itemsize
        for value in (*body.inputs, *(v for node in body.nodes for v in node.outputs))
    )
    lanes = min(target.lanes(itemsize), 16)
    while lanes > 2 * extents[last] and lanes // 2 >= extents[along] * extents[last]:
        lanes //= 2
    points = math.prod(extents[axis] for axis in space.inner if axis != last)
    if (
        along in space.reduced
        or lanes < 2 * extents[last]
        or points > _MOST_POINTS
        or any(node.op.fails for node in body.nodes)
        or not can_collapse(body, space)
        or not is_consistent(body, space)
        or not _lie_in_segments(body, space)
    ):
        return None
    return SegmentLowering(kind, body, space, lanes, target)


def _lie_in_segments(body: Graph, space: Space) -> bool:
    """Whether what has elements along the rows has them side by side in memory, row by row."""
    last, along = len(space.extents) - 1, len(space.extents) - 2
    for value in (*body.inputs, *body.outputs):
        alignment = space.alignment.get(value, ())
        if last in alignment:
            strides = dict(zip(alignment, row_major_strides(value.type.shape), strict=True))
            if strides[last] != 1 or strides.get(along) != space.extents[last]:
                return False
    return all(along in alignment for alignment in space.alignment.values() if last in alignment)


class SegmentLowering:
    """Lowers a body over `space`, `lanes` elements of rows side by side at a time."""

    def __init__(self, kind: str, body: Graph, space: Space, lanes: int, target: Target) -> None:
        self.kind, self.body, self.space, self.lanes = kind, body, space, lanes
        self.builder = LoopBuilder(lanes)
        self.producers = body.producers()
        self.last, self.along = len(space.extents) - 1, len(space.extents) - 2
        self.length = space.extents[self.last]
        self.folded = tuple(axis for axis in space.inner if axis != self.last)
        self.loops = [axis for axis in space.outer if axis not in (self.last, self.along)]
        extents = [space.extents[axis] for axis in self.loops]
        self.grid = divide(extents, pieces_wanted(body, target))
        self.position: dict[int, Affine] = {}
        self.rows: int | None = None  # rows of a partial vector
        self.known: dict[tuple[Value, Point], Var] = {}

    def lower(self) -> Kernel:
        """The kernel."""
        self._walk(0)
        return Kernel(
            self.kind,
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            (),
            (self.builder.finish_phase(self.grid),),
        )

    # Walking the space

    def _walk(self, depth: int) -> None:
        if depth == len(self.loops):
            self._vectors()
            return
        axis, share = self.loops[depth], Share(depth) if self.grid[depth].pieces > 1 else None
        symbol = f"i{depth}"
        with self.builder.loop(symbol, 0, self.space.extents[axis], share=share):
            self.position[axis] = index(symbol)
            self._walk(depth + 1)

    def _vectors(self) -> None:
        """All rows along the axis before the last: whole vectors of them, then the rest."""
        extent, step = self.space.extents[self.along], self.lanes // self.length
        whole = extent - extent % step
        if whole == step:
            self._vector(Affine())
        elif whole:
            with self.builder.loop("j", 0, whole, step):
                self._vector(index("j"))
        if extent > whole:
            self.rows = extent - whole
            self._vector(Affine((), whole))
            self.rows = None

    def _vector(self, first: Affine) -> None:
        """One vector of rows. All is read before anything is stored: a store may be over an
        operand of another."""
        self.position[self.along] = first
        self.known.clear()
        values: dict[tuple[int, Point], Var] = {}
        for number, output in enumerate(self.body.outputs):
            varies = any(axis in self.folded for axis in self._alignment(output))
            for point in self._points() if varies else [(0,) * len(self.folded)]:
                values[number, point] = self._read(output, point)
        for (number, point), var in values.items():
            output = self.body.outputs[number]
            access = buffer_access(
                len(self.body.inputs) + number, output.type, self._index(output, point)
            )
            with self._width(output):
                self.builder.store(access, var)

    def _points(self) -> Iterator[Point]:
        return product(*(range(self.space.extents[axis]) for axis in self.folded))

    # Values

    def _alignment(self, value: Value) -> tuple[int | None, ...]:
        return self.space.alignment.get(value, (None,) * value.type.rank)

    def _is_wide(self, value: Value) -> bool:
        return self.last in self._alignment(value)

    @contextmanager
    def _width(self, value: Value) -> Iterator[None]:
        """Vectors have the lanes of `value`: all, or one for each segment."""
        b = self.builder
        scale = 1 if self._is_wide(value) else self.length
        b.lanes = self.lanes // scale
        b.active = None if self.rows is None else self.rows * self.length // scale
        yield
        b.lanes, b.active = self.lanes, None

    def _index(self, value: Value, point: Point) -> Index:
        """The position of the first lane, plus the lane along the last axis that `value` has: what
        goes beyond a row is in the next one."""
        alignment, at = self._alignment(value), dict(zip(self.folded, point, strict=True))
        place = []
        for axis in alignment:
            if axis is None or self.space.extents[axis] == 1:
                place.append(Position())
            elif axis in at:
                place.append(Position(Affine((), at[axis])))
            elif axis == self.last:
                place.append(Position(index(LANE)))
            elif axis == self.along and self.last not in alignment:
                place.append(Position(self.position[axis] + index(LANE)))
            else:
                place.append(Position(self.position[axis]))
        return tuple(place)

    def _read(self, value: Value, point: Point) -> Var:
        """`value` for all rows of the vector, at a point of the other reduced axes."""
        alignment = self._alignment(value)
        pairs = zip(self.folded, point, strict=True)
        key = value, tuple(at if axis in alignment else 0 for axis, at in pairs)
        if key not in self.known:
            self.known[key] = self._compute(value, key[1])
        return self.known[key]

    def _compute(self, value: Value, point: Point) -> Var:
        node = self.producers.get(value)
        if node is None:
            number = self.body.inputs.index(value)
            access = buffer_access(number, value.type, self._index(value, point))
            with self._width(value):
                return self.builder.load(access, value.type.dtype)
        if node.op.name == "constant":
            return self.builder.literal(node.attrs["value"].reshape(())[()], value.type.dtype)
        if node.op.family is Family.REDUCTION:
            return self._reduce(node, point)
        if node.op.family is Family.VIEW:
            return self._show(node, point)
        args = [self._read(operand, point) for operand in node.inputs]
        with self._width(value):
            return self.builder.compute(node.op.name, args, value.type.dtype)

    def _show(self, node: Node, point: Point) -> Var:
        """A view inside the space: the same element, repeated along the row where it is new."""
        (source,) = node.inputs
        var = self._read(source, point)
        if var.lanes == 1 or self._is_wide(source) == self._is_wide(node.output):
            return var
        return self.builder.shuffle([(var, lane // self.length) for lane in range(self.lanes)])

    def _reduce(self, node: Node, point: Point) -> Var:
        """All points of the other reduced axes pairwise, then the lanes of every segment."""
        b, fold, (source,) = self.builder, Fold(node), node.inputs
        parts = [[self._read(source, at)] for at in self._points()]
        with self._width(source):
            (total,) = combine_pairwise(b, fold, parts)
        if self.last not in self.space.reduced:
            return total
        if total.lanes > 1:
            segments = [
                [b.shuffle([(total, pick) for pick in range(lane, self.lanes, self.length)])]
                for lane in range(self.length)
            ]
        else:
            segments = [[total]] * self.length
        with self._width(node.output):
            return combine_pairwise(b, fold, segments)[0]
