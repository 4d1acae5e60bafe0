"""Batching rules: one row per op.

`BATCHING[op](batch, operands)` gives the result of `batch.node` for all examples at once. An
`Operand` is a value and whether it is mapped; the batch is always axis 0 of a mapped value, and
of the result. A rule is only asked when at least one operand is mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...ir.graph import FORWARD, GraphBuilder, Node, Value
from ...ir.ops import OPS, Family
from ...ir.ops.contraction import AxisPair, free_axes
from ...ir.types import INT64

Axes = Sequence[int]


@dataclass(frozen=True, slots=True)
class Operand:
    """A value, with the batch as its axis 0 if `mapped`."""

    value: Value
    mapped: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Where rules put their nodes: like `node`, for `size` examples."""

    builder: GraphBuilder
    node: Node
    size: int

    def emit(self, op: str, *inputs: Value, **attrs: Any) -> Value:
        """Append `op`, which has one result, with the location and phase of the node."""
        (output,) = self.builder.emit(
            OPS[op], inputs, attrs, loc=self.node.loc, phase=self.node.phase
        )
        return output

    def mapped(self, operand: Operand) -> Value:
        """The operand with a batch axis, repeated along it if it had none."""
        return spread(self.builder, self.size, operand, self.node)

    def to_front(self, value: Value, axis: int) -> Value:
        """Move `axis` to the front."""
        if axis == 0:
            return value
        rest = (other for other in range(value.type.rank) if other != axis)
        return self.emit("transpose", value, axes=(axis, *rest))


def spread(builder: GraphBuilder, size: int, operand: Operand, like: Node | None = None) -> Value:
    """The operand with a batch axis; the node that repeats it is marked as `like`."""
    value = operand.value
    if operand.mapped:
        return value
    attrs = {"shape": (size, *value.type.shape), "axes": shift(range(value.type.rank))}
    loc, phase = (like.loc, like.phase) if like else (None, FORWARD)
    (output,) = builder.emit(OPS["broadcast"], [value], attrs, loc=loc, phase=phase)
    return output


BatchingRule: TypeAlias = Callable[[Batch, Sequence[Operand]], Value]


def shift(axes: Iterable[int]) -> tuple[int, ...]:
    """Axes of an example as axes of the batch."""
    return tuple(axis + 1 for axis in axes)


def elementwise(batch: Batch, operands: Sequence[Operand]) -> Value:
    """The same op on the whole batch."""
    values = map(batch.mapped, operands)
    return batch.emit(batch.node.op.name, *values, **batch.node.attrs)


def adjusting(**adjust: Callable[[Batch, Any], Any]) -> BatchingRule:
    """The same op on the whole batch, with the named attributes adjusted to the new axis 0."""

    def rule(batch: Batch, operands: Sequence[Operand]) -> Value:
        attrs = dict(batch.node.attrs)
        for name, function in adjust.items():
            attrs[name] = function(batch, attrs[name])
        return batch.emit(batch.node.op.name, *map(batch.mapped, operands), **attrs)

    return rule


def _prepend(extent: int) -> Callable[[Batch, Axes], tuple[int, ...]]:
    return lambda batch, extents: (extent, *extents)


def _prepend_size(batch: Batch, extents: Axes) -> tuple[int, ...]:
    return (batch.size, *extents)


def _shift_all(batch: Batch, axes: Axes) -> tuple[int, ...]:
    return shift(axes)


def _shift_one(batch: Batch, axis: int) -> int:
    return axis + 1


def _keep_and_shift(batch: Batch, axes: Axes) -> tuple[int, ...]:
    return (0, *shift(axes))


def dot(batch: Batch, operands: Sequence[Operand]) -> Value:
    """A batch axis of the product if both operands are mapped, else a free axis of one of them.

    The latter turns a batch of small products with one matrix into a single large product.
    """
    x, y = operands
    pairs: list[AxisPair] = [batch.node.attrs["batch"], batch.node.attrs["contract"]]
    batched, contract = (
        tuple(
            shift(axes) if operand.mapped else tuple(axes)
            for axes, operand in zip(pair, operands, strict=True)
        )
        for pair in pairs
    )
    if x.mapped and y.mapped:
        batched = ((0, *batched[0]), (0, *batched[1]))
    product = batch.emit("dot", x.value, y.value, batch=batched, contract=contract)
    if x.mapped and y.mapped:
        return product
    lead = len(batched[0])
    if y.mapped:
        lead += len(free_axes(x.value.type.rank, batched[0], contract[0]))
    return batch.to_front(product, lead)


def gather(batch: Batch, operands: Sequence[Operand]) -> Value:
    """With mapped indices the batch leads them; if x is mapped too, it is indexed by an iota."""
    x, *indices = operands
    axes: Axes = batch.node.attrs["axes"]
    if not any(index.mapped for index in indices):
        plain = [index.value for index in indices]
        result = batch.emit("gather", x.value, *plain, axes=shift(axes))
        return batch.to_front(result, plain[0].type.rank)
    stacked = [batch.mapped(index) for index in indices]
    if not x.mapped:
        return batch.emit("gather", x.value, *stacked, axes=tuple(axes))
    serial = _serial(batch, stacked[0])
    return batch.emit("gather", x.value, serial, *stacked, axes=(0, *shift(axes)))


def scatter(batch: Batch, operands: Sequence[Operand]) -> Value:
    """Every example writes to an array of its own: by an iota, or along a free axis."""
    x, updates, *indices = operands
    name, axes = batch.node.op.name, batch.node.attrs["axes"]
    target, new = batch.mapped(x), batch.mapped(updates)
    if any(index.mapped for index in indices):
        stacked = [batch.mapped(index) for index in indices]
        serial = _serial(batch, stacked[0])
        return batch.emit(name, target, new, serial, *stacked, axes=(0, *shift(axes)))
    plain = [index.value for index in indices]
    rank = plain[0].type.rank
    rest = range(rank + 1, new.type.rank)
    if rank:
        new = batch.emit("transpose", new, axes=(*range(1, rank + 1), 0, *rest))
    return batch.emit(name, target, new, *plain, axes=shift(axes))


def _serial(batch: Batch, index: Value) -> Value:
    """The number of the example, in the shape of a mapped index."""
    serial = batch.emit("iota", size=batch.size, dtype=INT64)
    return batch.emit("broadcast", serial, shape=index.type.shape, axes=(0,))


_BOUNDS = adjusting(starts=_prepend(0), limits=_prepend_size, steps=_prepend(1))
_ALONG_AXES = adjusting(axes=_shift_all)
_ALONG_AXIS = adjusting(axis=_shift_one)

BATCHING: dict[str, BatchingRule] = {
    **{name: elementwise for name, op in OPS.items() if op.family is Family.ELEMENTWISE},
    "broadcast": adjusting(shape=_prepend_size, axes=_keep_and_shift),
    "reshape": adjusting(shape=_prepend_size),
    "transpose": adjusting(axes=_keep_and_shift),
    "reverse": _ALONG_AXES,
    "slice": _BOUNDS,
    "update": _BOUNDS,
    "pad": adjusting(low=_prepend(0), high=_prepend(0), interior=_prepend(0)),
    "concatenate": _ALONG_AXIS,
    "windows": _ALONG_AXES,
    "unwindow": _ALONG_AXES,
    "sum": _ALONG_AXES,
    "prod": _ALONG_AXES,
    "reduce_max": _ALONG_AXES,
    "reduce_min": _ALONG_AXES,
    "argmax": _ALONG_AXIS,
    "argmin": _ALONG_AXIS,
    "cumsum": _ALONG_AXIS,
    "dot": dot,
    "gather": gather,
    "scatter": scatter,
    "scatter_add": scatter,
}
"""The rules of every op that has operands and no sub-graphs."""

NEVER_MAPPED = frozenset({"constant", "iota"})
"""Ops without operands: the same for every example."""
