"""Random well-typed graphs over all ops that cannot fail, with shapes on which views meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tapeless.ir.graph import BACKWARD, FORWARD, Graph, GraphBuilder, Value
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS, Family
from tapeless.ir.types import BOOL, DTYPE_NAMES, DType, TensorType

EXTENTS = (1, 2, 3, 3, 4)
DTYPES = tuple(DTYPE_NAMES[name] for name in ("bool", "i32", "u8", "i64", "f32", "f64", "f64"))
CONSTANTS = (0.0, -0.0, 1.0, 2.0, -1.0, 0.5, 3.0)

BITWISE_OPS = frozenset(
    op.name
    for op in OPS.values()
    if op.family in (Family.ELEMENTWISE, Family.VIEW, Family.JOIN) and op.cost < 8
)
"""Ops that move or compute single elements."""

VIEW_OPS = frozenset(
    "broadcast reshape transpose slice reverse pad concatenate neg add sub select reduce_max sum "
    "dot broadcast reshape transpose slice reverse".split()
)
"""Ops among which, with much chaining, views often meet views."""


class RandomGraph:
    """Grows one graph; `build` closes it. `chaining`: how often an op reads the last value."""

    def __init__(
        self, seed: int, *, ops: frozenset[str] | None = None, chaining: float = 0.3
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder(f"random{seed}")
        self.allowed = ops
        self.chaining = chaining
        self.values: list[Value] = []
        for _ in range(self.pick(range(1, 4))):
            self.values.append(self.builder.input(self.random_type()))

    def pick(self, choices: Any) -> Any:
        """One of a sequence."""
        return choices[int(self.rng.integers(len(choices)))]

    def random_type(self) -> TensorType:
        """A small tensor type."""
        rank = self.pick((0, 1, 2, 2, 3))
        return TensorType(self.pick(DTYPES), tuple(self.pick(EXTENTS) for _ in range(rank)))

    def emit(self, op: str, *inputs: Value, **attrs: Any) -> Value:
        """Append a node; one in three is marked backward."""
        phase = BACKWARD if self.rng.random() < 0.3 else FORWARD
        loc = Location("model.py", len(self.builder.nodes) + 1)
        (value,) = self.builder.emit(OPS[op], inputs, attrs, loc=loc, phase=phase)
        self.values.append(value)
        return value

    def value(self, kinds: str = "biuf", minimum_rank: int = 0) -> Value:
        """A value of such a dtype kind, recent ones preferred; a constant if there is none."""
        found = [
            value
            for value in self.values
            if value.type.dtype.kind in kinds and value.type.rank >= minimum_rank
        ]
        if found and self.rng.random() < self.chaining:
            return found[-1]
        if not found or self.rng.random() < 0.1:
            dtype = self.pick([dtype for dtype in DTYPES if dtype.kind in kinds])
            shape = tuple(self.pick(EXTENTS) for _ in range(minimum_rank))
            return self.constant(TensorType(dtype, shape))
        return self.pick(found[-6:] if self.rng.random() < 0.7 else found)

    def constant(self, type: TensorType) -> Value:
        """A constant of this type: the broadcast of a scalar, or an array."""
        with np.errstate(invalid="ignore"):
            if self.rng.random() < 0.7:
                scalar = self.emit(
                    "constant", value=np.asarray(self.pick(CONSTANTS)).astype(type.dtype)
                )
                return self.emit("broadcast", scalar, shape=type.shape, axes=())
            values = self.rng.choice(CONSTANTS, type.shape)
            return self.emit("constant", value=np.asarray(values).astype(type.dtype))

    def like(self, type: TensorType) -> Value:
        """A value of exactly this type, converted or broadcast to it if need be."""
        same = [value for value in self.values if value.type == type]
        if same and self.rng.random() < 0.7:
            return self.pick(same[-3:])
        shaped = [value for value in self.values if value.type.shape == type.shape]
        if shaped and self.rng.random() < 0.7:
            return self.converted(self.pick(shaped), type.dtype)
        return self.constant(type)

    def converted(self, value: Value, dtype: DType) -> Value:
        """`value` in another dtype; floats become integers by way of comparison."""
        if value.type.dtype == dtype:
            return value
        if value.type.dtype.kind == "f" and dtype.kind in "iu":
            value = self.emit("isnan", value)
        return self.emit("convert", value, dtype=dtype)

    def step(self) -> None:
        """Append one random op with what it needs."""
        makers = {
            name: make
            for name, make in MAKERS.items()
            if self.allowed is None or name in self.allowed
        }
        name = self.pick(sorted(makers))
        makers[name](self, name)

    def build(self, steps: int) -> Graph:
        """Grow the graph and close it with some of its values, repeats and inputs included."""
        for _ in range(steps):
            self.step()
        count = self.pick(range(1, 6))
        recent = self.values[-8:]
        outputs = [
            self.pick(recent if self.rng.random() < 0.8 else self.values) for _ in range(count)
        ]
        return self.builder.build([*outputs, self.values[-1]])


def _elementwise(graph: RandomGraph, name: str) -> None:
    op = OPS[name]
    for kinds in graph.rng.permutation(["f", "i", "u", "b"]):
        x = graph.value(str(kinds))
        try:
            op.infer([x.type] * (op.arity or 1), {})
        except ValueError:
            continue
        graph.emit(name, x, *(graph.like(x.type) for _ in range((op.arity or 1) - 1)))
        return


def _select(graph: RandomGraph, name: str) -> None:
    x = graph.value()
    condition = graph.like(x.type.with_dtype(BOOL))
    graph.emit(name, condition, x, graph.like(x.type))


def _convert(graph: RandomGraph, name: str) -> None:
    graph.converted(graph.value(), graph.pick(DTYPES))


def _broadcast(graph: RandomGraph, name: str) -> None:
    x = graph.value()
    shape, axes = list(x.type.shape), list(range(x.type.rank))
    for _ in range(graph.pick((1, 1, 2))):
        if len(shape) < 4:
            place = graph.pick(range(len(shape) + 1))
            shape.insert(place, graph.pick(EXTENTS))
            axes = [axis + (axis >= place) for axis in axes]
    graph.emit(name, x, shape=tuple(shape), axes=tuple(axes))


def _reshape(graph: RandomGraph, name: str) -> None:
    x = graph.value()
    shape = list(x.type.shape)
    kind = graph.pick(("flat", "unit", "squeeze", "split"))
    if kind == "flat":
        shape = [x.type.size]
    elif kind == "unit" and len(shape) < 4:
        shape.insert(graph.pick(range(len(shape) + 1)), 1)
    elif kind == "squeeze":
        shape = [extent for extent in shape if extent != 1]
    elif 4 in shape:
        place = shape.index(4)
        shape[place : place + 1] = [2, 2]
    graph.emit(name, x, shape=tuple(shape))


def _transpose(graph: RandomGraph, name: str) -> None:
    x = graph.value(minimum_rank=1)
    graph.emit(name, x, axes=tuple(int(i) for i in graph.rng.permutation(x.type.rank)))


def _bounds(graph: RandomGraph, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
    starts, limits = [], []
    for extent in shape:
        start, limit = sorted(graph.pick(range(extent + 1)) for _ in range(2))
        start, limit = (0, extent) if graph.rng.random() < 0.5 else (start, limit)
        starts.append(start)
        limits.append(limit)
    steps = tuple(graph.pick((1, 1, 2, 3)) for _ in shape)
    return {"starts": tuple(starts), "limits": tuple(limits), "steps": steps}


def _slice(graph: RandomGraph, name: str) -> None:
    x = graph.value(minimum_rank=1)
    graph.emit(name, x, **_bounds(graph, x.type.shape))


def _reverse(graph: RandomGraph, name: str) -> None:
    x = graph.value(minimum_rank=1)
    axes = [axis for axis in range(x.type.rank) if graph.rng.random() < 0.6]
    graph.emit(name, x, axes=tuple(axes))


def _pad(graph: RandomGraph, name: str) -> None:
    x = graph.value()
    counts = [tuple(graph.pick((0, 0, 1, 2)) for _ in x.type.shape) for _ in range(3)]
    low, high, interior = counts
    graph.emit(name, x, low=low, high=high, interior=interior, fill=graph.pick((0, 1)))


def _concatenate(graph: RandomGraph, name: str) -> None:
    x = graph.value(minimum_rank=1)
    axis = graph.pick(range(x.type.rank))
    others = [graph.like(x.type) for _ in range(graph.pick((0, 1, 2)))]
    graph.emit(name, x, *others, axis=axis)


def _update(graph: RandomGraph, name: str) -> None:
    x = graph.value(minimum_rank=1)
    bounds = _bounds(graph, x.type.shape)
    (type,) = OPS["slice"].infer([x.type], bounds)
    graph.emit(name, x, graph.like(type), **bounds)


def _reduction(graph: RandomGraph, name: str) -> None:
    x = graph.value("iuf" if name in ("sum", "prod") else "biuf", minimum_rank=1)
    axes = [axis for axis in range(x.type.rank) if graph.rng.random() < 0.6]
    if all(x.type.shape[axis] > 0 for axis in axes):
        graph.emit(name, x, axes=tuple(axes))


def _along_axis(graph: RandomGraph, name: str) -> None:
    x = graph.value("iuf", minimum_rank=1)
    attrs = {"reverse": bool(graph.rng.random() < 0.5)} if name == "cumsum" else {}
    axis = graph.pick(range(x.type.rank))
    if x.type.shape[axis] > 0:
        graph.emit(name, x, axis=axis, **attrs)


def _dot(graph: RandomGraph, name: str) -> None:
    x = graph.value("iuf", minimum_rank=1)
    y = graph.like(x.type)
    permutation = tuple(int(i) for i in graph.rng.permutation(x.type.rank))
    y = graph.emit("transpose", y, axes=permutation)
    batch, contract = [], []
    for axis in range(x.type.rank):
        pair = (axis, permutation.index(axis))
        graph.pick((batch, contract, contract, [])).append(pair)
    kept = x.type.rank - len(batch) - len(contract)
    if kept <= 1:
        graph.emit(
            name,
            x,
            y,
            batch=(tuple(a for a, _ in batch), tuple(b for _, b in batch)),
            contract=(tuple(a for a, _ in contract), tuple(b for _, b in contract)),
        )


def _iota(graph: RandomGraph, name: str) -> None:
    graph.emit(name, size=graph.pick((0, 1, 3, 4)), dtype=graph.pick(DTYPES[1:]))


def _constant(graph: RandomGraph, name: str) -> None:
    graph.constant(graph.random_type())


def _indexed(graph: RandomGraph, name: str) -> None:
    x = graph.value("iuf", minimum_rank=1)
    axis = graph.pick(range(x.type.rank))
    extent = x.type.shape[axis]
    if extent == 0:
        return
    indices = graph.rng.integers(-extent, extent, graph.pick(((), (2,), (2, 3))))
    index = graph.emit("constant", value=np.asarray(indices, np.int64))
    if name == "gather":
        graph.emit(name, x, index, axes=(axis,))
    else:
        rest = tuple(n for other, n in enumerate(x.type.shape) if other != axis)
        updates = graph.like(x.type.with_shape(index.type.shape + rest))
        graph.emit(name, x, updates, index, axes=(axis,))


MAKERS: dict[str, Callable[[RandomGraph, str], None]] = {
    **{
        op.name: _elementwise
        for op in OPS.values()
        if op.family is Family.ELEMENTWISE and not op.fails
    },
    "select": _select,
    "convert": _convert,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "reverse": _reverse,
    "pad": _pad,
    "concatenate": _concatenate,
    "update": _update,
    "sum": _reduction,
    "prod": _reduction,
    "reduce_max": _reduction,
    "reduce_min": _reduction,
    "argmax": _along_axis,
    "argmin": _along_axis,
    "cumsum": _along_axis,
    "dot": _dot,
    "iota": _iota,
    "constant": _constant,
    "gather": _indexed,
    "scatter": _indexed,
    "scatter_add": _indexed,
}
"""How to append each op."""
