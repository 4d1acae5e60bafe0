"""Turns a value of a kernel body, wanted at an index, into statements.

`BodyReader.read(value, index)` walks from the value towards the kernel's buffers: elementwise ops
compute at the same index, views and joins change the index, and leaves (buffers, finished
reductions, accumulators of a matrix product) end the walk. No view is ever materialized.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Value
from ...ir.ops import Family
from ...ir.ops.convolution import window_axes
from ...ir.types import BOOL, INT64, TensorType
from .builder import LoopBuilder
from .language import ORIGIN, Access, Affine, Var


@dataclass(frozen=True, slots=True)
class Position:
    """An index along one axis: affine in the loops, plus `factor × variable` found at run time."""

    at: Affine = ORIGIN
    dynamic: tuple[tuple[Var, int], ...] = ()

    def __add__(self, other: Position | int) -> Position:
        if isinstance(other, int):
            return Position(self.at + other, self.dynamic)
        return Position(self.at + other.at, self.dynamic + other.dynamic)

    def __mul__(self, factor: int) -> Position:
        scaled = tuple((var, stride * factor) for var, stride in self.dynamic if factor)
        return Position(self.at * factor, scaled)


Index = tuple[Position, ...]
Leaf = Callable[[Index, Var | None], Var]


@cache
def row_major_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from one index to the next along each axis of a contiguous array."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def buffer_access(buffer: int, type: TensorType, index: Index) -> Access:
    """The place of an element of a contiguous buffer."""
    terms: dict[str, int] = {}
    dynamic: list[tuple[Var, int]] = []
    const = 0
    for position, extent, stride in zip(
        index, type.shape, row_major_strides(type.shape), strict=True
    ):
        if extent > 1:
            const += position.at.const * stride
            for symbol, step in position.at.terms:
                terms[symbol] = terms.get(symbol, 0) + step * stride
            dynamic.extend((var, factor * stride) for var, factor in position.dynamic)
    kept = tuple(sorted((symbol, step) for symbol, step in terms.items() if step))
    return Access(buffer, Affine(kept, const), tuple(dynamic))


class BodyReader:
    """Reads values of `body`; `leaves` end the walk before its producers do."""

    def __init__(self, body: Graph, builder: LoopBuilder) -> None:
        self.builder = builder
        self.producers = body.producers()
        self.leaves: dict[Value, Leaf] = {}
        self._memo: dict[object, Var] = {}
        for number, value in enumerate(body.inputs):
            self.leaves[value] = self._buffer_leaf(number, value.type)

    def _buffer_leaf(self, number: int, type: TensorType) -> Leaf:
        def leaf(index: Index, guard: Var | None) -> Var:
            return self.builder.load(buffer_access(number, type, index), type.dtype, guard)

        return leaf

    def read(self, value: Value, index: Index, guard: Var | None = None) -> Var:
        """The element of `value` at `index`; where `guard` is false it may be anything."""
        key = (value, index, guard, self.builder.active)
        found = self._memo.get(key)
        if found is not None and self.builder.is_live(found):
            return found
        leaf = self.leaves.get(value)
        if leaf is not None:
            result = leaf(index, guard)
        else:
            node = self.producers[value]
            rule = _READERS.get(node.op.name, _read_elementwise)
            result = rule(self, node, index, guard)
        self._memo[key] = result
        return result

    def forget(self) -> None:
        """Drop what was read: the leaves are about to mean something else."""
        self._memo.clear()

    # Arithmetic on positions

    def integer(self, position: Position) -> Var:
        """The i64 value of a position."""
        b = self.builder
        total = b.index_value(position.at)
        for var, factor in position.dynamic:
            scaled = var if factor == 1 else b.compute("mul", [var, self.int64(factor)], INT64)
            total = b.compute("add", [total, scaled], INT64)
        return total

    def int64(self, value: int) -> Var:
        """An i64 constant."""
        return self.builder.literal(value, INT64)

    def compare(self, op: str, x: Var, y: Var) -> Var:
        """A boolean from two operands of one type."""
        return self.builder.compute(op, [x, y], BOOL)

    def both(self, x: Var | None, y: Var | None) -> Var | None:
        """The conjunction of two guards, None standing for true."""
        if x is None or y is None:
            return y if x is None else x
        return self.compare("and", x, y)

    def inside(self, position: Var, low: int, high: int, extent: int) -> Var | None:
        """low <= position < high for a position known to lie in [0, extent); None: always."""
        guard = None
        if low > 0:
            guard = self.compare("ge", position, self.int64(low))
        if high < extent:
            guard = self.both(guard, self.compare("lt", position, self.int64(high)))
        return guard

    def choose(self, guard: Var | None, then: Var, otherwise: Callable[[], Var]) -> Var:
        """`then` where `guard`, else the other; the other is not even read for a true guard."""
        if guard is None:
            return then
        return self.builder.compute("select", [guard, then, otherwise()], then.dtype)


def _read_elementwise(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    assert node.op.family is Family.ELEMENTWISE, node.op
    args = [reader.read(value, index, guard) for value in node.inputs]
    if node.op.name == "stop_gradient":
        return args[0]
    if node.op.name == "pow" and args[1].dtype.kind == "i":
        negative = reader.compare("lt", args[1], reader.builder.literal(0, args[1].dtype))
        bad = reader.both(guard, negative)
        assert bad is not None
        reader.builder.check(bad, "negative_power", node.loc)
    return reader.builder.compute(node.op.name, args, node.output.type.dtype)


def _read_broadcast(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    return reader.read(node.inputs[0], tuple(index[a] for a in node.attrs["axes"]), guard)


def _read_transpose(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    axes = node.attrs["axes"]
    source = tuple(index[axes.index(axis)] for axis in range(len(axes)))
    return reader.read(node.inputs[0], source, guard)


def _read_reshape(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    """Unit axes come and go; nothing else is ever put into a kernel body."""
    source = node.inputs[0].type.shape
    wide = iter([p for p, n in zip(index, node.output.type.shape, strict=True) if n != 1])
    inner = tuple(next(wide) if extent != 1 else Position() for extent in source)
    return reader.read(node.inputs[0], inner, guard)


def _read_slice(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    starts, steps = node.attrs["starts"], node.attrs["steps"]
    source = tuple(p * step + start for p, step, start in zip(index, steps, starts, strict=True))
    return reader.read(node.inputs[0], source, guard)


def _read_reverse(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    shape, axes = node.inputs[0].type.shape, node.attrs["axes"]
    source = tuple(
        p * -1 + (shape[axis] - 1) if axis in axes else p for axis, p in enumerate(index)
    )
    return reader.read(node.inputs[0], source, guard)


def _read_windows(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    axes, strides = node.attrs["axes"], node.attrs["strides"]
    positions, elements = window_axes(node.inputs[0].type.rank, axes)
    source = [index[axis] for axis in positions]
    columns = zip(axes, elements, strides, node.attrs["dilations"], strict=True)
    for axis, inner, stride, dilation in columns:
        source[axis] = source[axis] * stride + index[inner] * dilation
    return reader.read(node.inputs[0], tuple(source), guard)


def _strided(
    reader: BodyReader, position: Position, low: int, step: int, count: int, extent: int
) -> tuple[Position, Var | None]:
    """The element number that `position` is of low, low + step, …; and whether it is one."""
    if low == 0 and step == 1 and count == extent:
        return position, None
    moved = position + -low
    value = reader.integer(position)
    guard = reader.inside(value, low, low + (count - 1) * step + 1 if count else low, extent)
    if step == 1:
        return moved, guard
    offset = reader.integer(moved)
    by = reader.int64(step)
    b = reader.builder
    aligned = reader.compare("eq", b.compute("remainder", [offset, by], INT64), reader.int64(0))
    number = b.compute("floor_divide", [offset, by], INT64)
    return Position(dynamic=((number, 1),)), reader.both(guard, aligned)


def _place(
    reader: BodyReader,
    index: Index,
    lows: Sequence[int],
    steps: Sequence[int],
    counts: Sequence[int],
    extents: Sequence[int],
) -> tuple[Index, Var | None]:
    """`_strided` along every axis; the guards joined."""
    inner, inside = [], None
    for position, *rest in zip(index, lows, steps, counts, extents, strict=True):
        place, guard = _strided(reader, position, *rest)
        inner.append(place)
        inside = reader.both(inside, guard)
    return tuple(inner), inside


def _read_pad(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    (x,) = node.inputs
    steps = [count + 1 for count in node.attrs["interior"]]
    inner, inside = _place(
        reader, index, node.attrs["low"], steps, x.type.shape, node.output.type.shape
    )
    fill = reader.builder.literal(node.attrs["fill"], x.type.dtype)
    if 0 in x.type.shape:
        return fill
    then = reader.read(x, inner, reader.both(guard, inside))
    return reader.choose(inside, then, lambda: fill)


def _read_update(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    x, new = node.inputs
    if 0 in new.type.shape:
        return reader.read(x, index, guard)
    inner, inside = _place(
        reader, index, node.attrs["starts"], node.attrs["steps"], new.type.shape, x.type.shape
    )
    then = reader.read(new, inner, reader.both(guard, inside))
    return reader.choose(inside, then, lambda: reader.read(x, index, guard))


def _read_concatenate(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    axis = node.attrs["axis"]
    extent = node.output.type.shape[axis]
    pieces = [piece for piece in node.inputs if piece.type.shape[axis]]
    position = reader.integer(index[axis]) if len(pieces) > 1 else None
    result: Var | None = None
    stop = extent
    for piece in reversed(pieces):
        start = stop - piece.type.shape[axis]
        inner = (*index[:axis], index[axis] + -start, *index[axis + 1 :])
        own = None
        if position is not None:
            own = reader.inside(position, start, stop, extent)
        value = reader.read(piece, inner, reader.both(guard, own))
        if result is None:
            result = value
        else:
            before = reader.compare("lt", _known(position), reader.int64(stop))
            result = reader.builder.compute("select", [before, value, result], value.dtype)
        stop = start
    assert result is not None
    return result


def _known(var: Var | None) -> Var:
    assert var is not None
    return var


def _read_gather(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    x, *indices = node.inputs
    axes = node.attrs["axes"]
    lead = indices[0].type.rank
    rest = iter(index[lead:])
    found = {
        axis: checked_index(reader, node, reader.read(value, index[:lead], guard), axis, guard)
        for axis, value in zip(axes, indices, strict=True)
    }
    inner = tuple(
        Position(dynamic=((found[axis], 1),)) if axis in found else next(rest)
        for axis in range(x.type.rank)
    )
    return reader.read(x, inner, guard)


def checked_index(
    reader: BodyReader, node: Node, position: Var, axis: int, guard: Var | None
) -> Var:
    """`position` counted from the front; out of bounds is recorded and replaced by 0."""
    b = reader.builder
    extent = reader.int64(node.inputs[0].type.shape[axis])
    zero = reader.int64(0)
    from_end = b.compute("add", [position, extent], INT64)
    front = b.compute("select", [reader.compare("lt", position, zero), from_end, position], INT64)
    outside = reader.compare(
        "or", reader.compare("lt", front, zero), reader.compare("ge", front, extent)
    )
    bad = reader.both(guard, outside)
    assert bad is not None
    b.check(bad, "index", node.loc)
    return b.compute("select", [outside, zero, front], INT64)


def _read_iota(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    value = reader.integer(index[0])
    dtype = node.attrs["dtype"]
    return value if dtype == INT64 else reader.builder.compute("convert", [value], dtype)


def _read_constant(reader: BodyReader, node: Node, index: Index, guard: Var | None) -> Var:
    value: Any = np.asarray(node.attrs["value"])
    assert value.size == 1, "array constants are buffers, not part of a body"
    return reader.builder.literal(value.reshape(())[()], node.output.type.dtype)


_READERS: dict[str, Callable[[BodyReader, Node, Index, Var | None], Var]] = {
    "broadcast": _read_broadcast,
    "transpose": _read_transpose,
    "reshape": _read_reshape,
    "slice": _read_slice,
    "reverse": _read_reverse,
    "windows": _read_windows,
    "pad": _read_pad,
    "update": _read_update,
    "concatenate": _read_concatenate,
    "gather": _read_gather,
    "iota": _read_iota,
    "constant": _read_constant,
}
"""How a wanted index of the result becomes an index of the operands; the rest is elementwise."""

READABLE = frozenset(_READERS)
"""Names of the ops, besides elementwise ones, that a kernel body may contain anywhere."""
