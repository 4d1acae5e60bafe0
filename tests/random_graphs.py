"""Random well-typed graphs: 1 to 60 nodes over every op that computes, deterministic by seed.

A graph draws on a palette of a few extents and element types, so that values meet and kernels
fuse. Ops that jump (comparisons, floor, conversions to integers, …) are given operands that every
correct implementation computes to the last bit, so that rounding elsewhere cannot change a
result altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tapeless.ir.graph import BACKWARD, FORWARD, Graph, GraphBuilder, Value
from tapeless.ir.location import Location
from tapeless.ir.ops import OPS, Family
from tapeless.ir.types import BOOL, DTYPE_NAMES, FLOAT64, INT64, DType, Shape, TensorType

from .op_records import ROUNDED
from .op_values import random_values, specials

Array = np.ndarray[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """The extents that palettes are drawn from, and the elements of the largest value."""

    extents: tuple[int, ...]
    largest: int


TINY = Sizes((1, 2, 3, 3, 4), 300)
"""For rewriting: shapes on which views meet."""
FEW = Sizes((1, 2, 3, 3, 4, 5, 8), 40)
"""For code without loops: everything fits into a few registers."""
SMALL = Sizes((0, 1, 2, 3, 3, 4, 5, 7, 8, 16, 17, 17, 33, 33, 64, 130), 2_000)
LARGE = Sizes((1, 3, 17, 40, 64, 65, 130, 257, 512, 1000, 1027), 150_000)
"""For blocks of loops, tiles of products and pieces of threads."""

DTYPES = tuple(DTYPE_NAMES[name] for name in ("f32", "f64", "f32", "f64", *DTYPE_NAMES))
"""What palettes are drawn from: floats often, everything sometimes."""

JUMPS = frozenset(
    "floor ceil trunc rint sign isnan isinf isfinite eq ne lt le gt ge floor_divide remainder "
    "argmax argmin convert select not and or xor shift_left shift_right".split()
)
"""Ops that give another result altogether when an operand changes in its last bit."""

OFTEN = frozenset("add sub mul div max exp tanh sum reduce_max dot broadcast select".split())
"""Ops that programs are mostly made of; they are drawn four times as often."""

FREE = frozenset(name for name, op in OPS.items() if op.family is not Family.STRUCTURE)
"""The ops that graphs are made of."""

BITWISE = frozenset(
    op.name
    for op in OPS.values()
    if op.family in (Family.ELEMENTWISE, Family.VIEW, Family.JOIN) and op.cost < 8
)
"""Ops that move or compute single elements."""

VIEWS = frozenset(
    "broadcast reshape transpose slice reverse pad concatenate neg add sub select reduce_max sum "
    "dot".split()
)
"""Ops among which, with much chaining, views often meet views."""

PRODUCTS = frozenset("dot add tanh sum reduce_max".split())
"""Ops of which, with some chaining, programs of products and reductions of them are made."""

NEUTRAL = (0.0, -0.0, 1.0, 2.0, -1.0, 0.5, 3.0)
"""Constants that identities are about."""


class RandomGraph:
    """Grows one graph from a seed: `RandomGraph(3).build()`.

    `ops` restricts the ops that are asked for; what those need (constants, broadcasts,
    conversions) appears in any case. `chaining` is how often an op reads the value before it, and
    `constants` what the elements of constants are drawn from, if not from all numbers.
    """

    def __init__(
        self,
        seed: int,
        ops: frozenset[str] = FREE,
        sizes: Sizes = SMALL,
        chaining: float = 0.0,
        constants: Sequence[float] = (),
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder(f"random{seed}")
        self.makers = [
            (name, MAKERS[name]) for name in sorted(ops) for _ in range(4 if name in OFTEN else 1)
        ]
        self.largest = sizes.largest
        self.chaining, self.constants = chaining, constants
        self.extents = [self.pick(sizes.extents) for _ in range(3)] + [1]
        self.dtypes = [self.pick(DTYPES) for _ in range(self.pick((1, 2, 2, 3)))]
        self.values: list[Value] = []
        self.rounded: set[Value] = set()
        for _ in range(self.pick((1, 2, 3, 4))):
            self.values.append(self.builder.input(self.random_type()))

    def build(self, steps: int | None = None) -> Graph:
        """Append `steps` ops (1 to 60 if None) and close the graph with some of its values."""
        for _ in range(self.pick(range(1, 40)) if steps is None else steps):
            self.step()
            if len(self.builder.nodes) >= 60:
                break
        recent = self.values[-6:]
        outputs = [self.pick(recent if self.chance(0.8) else self.values) for _ in range(3)]
        return self.builder.build([self.values[-1], *outputs[: self.pick(range(4))]])

    def step(self) -> None:
        """Append one op with what it needs."""
        name, make = self.pick(self.makers)
        make(self, name)

    # Choices

    def pick(self, choices: Sequence[T]) -> T:
        """One of a sequence."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def random_type(self, dtype: DType | None = None) -> TensorType:
        """A type of the palette."""
        shape: Shape = tuple(self.pick(self.extents) for _ in range(self.pick((0, 1, 2, 2, 2, 3))))
        while TensorType(FLOAT64, shape).size > self.largest:
            shape = shape[1:]
        return TensorType(dtype or self.pick(self.dtypes), shape)

    # Values

    def emit(self, op: str, *inputs: Value, **attrs: Any) -> Value:
        """Append a node; one in three is marked backward."""
        phase = BACKWARD if self.chance(0.3) else FORWARD
        loc = Location("model.py", len(self.builder.nodes) + 1)
        (value,) = self.builder.emit(OPS[op], inputs, attrs, loc=loc, phase=phase)
        self.values.append(value)
        if op in ROUNDED or any(operand in self.rounded for operand in inputs):
            self.rounded |= {value} if value.type.dtype.kind == "f" else set()
        return value

    def fits(self, shape: Shape) -> bool:
        """Whether a value of this shape is small enough."""
        return TensorType(FLOAT64, shape).size <= self.largest

    def value(self, op: str, kinds: str = "biuf", least_rank: int = 0) -> Value:
        """An operand for `op`: of such a dtype kind, recent ones preferred, else a constant."""
        found = [
            value
            for value in self.values
            if value.type.dtype.kind in kinds
            and value.type.rank >= least_rank
            and not (op in JUMPS and value in self.rounded)
        ]
        if self.chaining and found and self.chance(self.chaining):
            return found[-1]
        if found and self.chance(0.95):
            return self.pick(found[-5:] if self.chance(0.7) else found)
        dtypes = [dtype for dtype in (*self.dtypes, *DTYPES) if dtype.kind in kinds]
        shape = tuple(self.pick(self.extents) for _ in range(least_rank))
        return self.constant(TensorType(dtypes[0], shape))

    def like(self, op: str, type: TensorType) -> Value:
        """Another operand for `op` of exactly this type, converted or broadcast if need be."""
        usable = [v for v in self.values if not (op in JUMPS and v in self.rounded)]
        same = [value for value in usable if value.type == type]
        if same and self.chance(0.8):
            return self.pick(same[-5:])
        shaped = [value for value in usable if value.type.shape == type.shape]
        if shaped and self.chance(0.5):
            return self.converted(self.pick(shaped), type.dtype)
        smaller = [value for value in usable if self.axes_in(value, type) is not None]
        if smaller and self.chance(0.7):
            value = self.pick(smaller)
            axes = self.axes_in(value, type)
            return self.emit("broadcast", value, shape=type.shape, axes=axes)
        return self.constant(type)

    def axes_in(self, value: Value, type: TensorType) -> tuple[int, ...] | None:
        """The first axes of `type` along which `value` broadcasts, None if there are none."""
        if value.type.dtype != type.dtype or value.type.rank >= type.rank:
            return None
        axes: list[int] = []
        for extent in value.type.shape:
            start = axes[-1] + 1 if axes else 0
            found = [i for i in range(start, type.rank) if type.shape[i] == extent]
            if not found:
                return None
            axes.append(found[0])
        return tuple(axes)

    def constant(self, type: TensorType) -> Value:
        """A constant of this type: the broadcast of a scalar, or an array."""
        name = next(name for name, dtype in DTYPE_NAMES.items() if dtype == type.dtype)
        if self.constants:
            with np.errstate(invalid="ignore"):
                shape = type.shape if type.size <= 40 and self.chance(0.3) else ()
                value = self.rng.choice(self.constants, shape)
                scalar = self.emit("constant", value=np.asarray(value).astype(type.dtype))
            if shape == type.shape:
                return scalar
            return self.emit("broadcast", scalar, shape=type.shape, axes=())
        if self.chance(0.6) or type.size > 40:
            scalar = self.emit("constant", value=random_values(self.rng, name, (), (0, 3)))
            return self.emit("broadcast", scalar, shape=type.shape, axes=())
        return self.emit("constant", value=random_values(self.rng, name, type.shape, (-3, 3)))

    def scalar(self, type: TensorType, number: float) -> Value:
        """`number` broadcast to this type."""
        scalar = self.emit("constant", value=np.asarray(number, type.dtype))
        return self.emit("broadcast", scalar, shape=type.shape, axes=())

    def converted(self, value: Value, dtype: DType) -> Value:
        """`value` in another dtype; floats are clipped to what integers hold."""
        if value.type.dtype == dtype:
            return value
        if value.type.dtype.kind == "f" and dtype.kind in "iu":
            low, high = (0 if dtype.kind == "u" else -100), 100
            zero = self.scalar(value.type, 0)
            value = self.emit("select", self.emit("isfinite", value), value, zero)
            value = self.emit("max", value, self.scalar(value.type, low))
            value = self.emit("min", value, self.scalar(value.type, high))
        return self.emit("convert", value, dtype=dtype)

    def index(self, shape: Shape, extent: int) -> Value:
        """Indices within an axis of this extent: constant, or computed from integers."""
        found = [
            v for v in self.values if v.type.dtype.kind in "iu" and self.fits((*v.type.shape, 8))
        ]
        if found and self.chance(0.6):
            value = self.converted(self.pick(found[-5:]), INT64)
            return self.emit("remainder", value, self.scalar(value.type, extent))
        indices = self.rng.integers(-extent, extent, shape)
        return self.emit("constant", value=np.asarray(indices, np.int64))


def _elementwise(graph: RandomGraph, name: str) -> None:
    op = OPS[name]
    kinds = [k for k in "fiub" if _accepts(name, k)]
    x = graph.value(name, "".join(kinds))
    operands = [x, *(graph.like(name, x.type) for _ in range((op.arity or 1) - 1))]
    graph.emit(name, *operands)


def _accepts(name: str, kind: str) -> bool:
    type = TensorType(next(d for d in DTYPE_NAMES.values() if d.kind == kind))
    try:
        OPS[name].infer([type] * (OPS[name].arity or 1), {})
    except ValueError:
        return False
    return True


def _pow(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, "iuf")
    y = graph.like(name, x.type)
    if x.type.dtype.kind == "i":  # a negative power raises
        y = graph.emit("remainder", y, graph.scalar(y.type, 4))
    graph.emit(name, x, y)


def _select(graph: RandomGraph, name: str) -> None:
    x = graph.value("add")  # the operands may be rounded, the condition may not
    graph.emit(name, graph.like(name, x.type.with_dtype(BOOL)), x, graph.like("add", x.type))


def _convert(graph: RandomGraph, name: str) -> None:
    graph.converted(graph.value(name), graph.pick(DTYPES))


def _broadcast(graph: RandomGraph, name: str) -> None:
    x = graph.value(name)
    shape, axes = list(x.type.shape), list(range(x.type.rank))
    if len(shape) < 4:
        place = graph.pick(range(len(shape) + 1))
        shape.insert(place, graph.pick(graph.extents))
        axes = [axis + (axis >= place) for axis in axes]
    if graph.fits(tuple(shape)):
        graph.emit(name, x, shape=tuple(shape), axes=tuple(axes))


def _reshape(graph: RandomGraph, name: str) -> None:
    x = graph.value(name)
    shape = list(x.type.shape)
    kind = graph.pick(("flat", "unit", "squeeze", "split"))
    even = [place for place, extent in enumerate(shape) if extent % 2 == 0]
    if kind == "flat":
        shape = [x.type.size]
    elif kind == "unit" and len(shape) < 4:
        shape.insert(graph.pick(range(len(shape) + 1)), 1)
    elif kind == "squeeze":
        shape = [extent for extent in shape if extent != 1]
    elif even and len(shape) < 4:
        place = graph.pick(even)
        shape[place : place + 1] = [shape[place] // 2, 2]
    graph.emit(name, x, shape=tuple(shape))


def _transpose(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    graph.emit(name, x, axes=tuple(map(int, graph.rng.permutation(x.type.rank))))


def _bounds(graph: RandomGraph, shape: Shape) -> dict[str, tuple[int, ...]]:
    pairs = [
        (0, extent)
        if graph.chance(0.5)
        else sorted((graph.pick(range(extent + 1)), graph.pick(range(extent + 1))))
        for extent in shape
    ]
    starts, limits = (tuple(int(pair[side]) for pair in pairs) for side in (0, 1))
    steps = tuple(graph.pick((1, 1, 2, 3)) for _ in shape)
    return {"starts": starts, "limits": limits, "steps": steps}


def _slice(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    graph.emit(name, x, **_bounds(graph, x.type.shape))


def _update(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    bounds = _bounds(graph, x.type.shape)
    (type,) = OPS["slice"].infer([x.type], bounds)
    graph.emit(name, x, graph.like(name, type), **bounds)


def _reverse(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    graph.emit(name, x, axes=tuple(a for a in range(x.type.rank) if graph.chance(0.6)))


def _window_attrs(graph: RandomGraph, shape: Shape) -> dict[str, tuple[int, ...]]:
    """Windows along some axes, of any size that fits, side by side rather often."""
    axes = tuple(a for a, extent in enumerate(shape) if extent and graph.chance(0.5))
    dilations = tuple(graph.pick((1, 1, 2)) for _ in axes)
    sizes = tuple(
        graph.pick(range(1, min(4, (shape[axis] - 1) // dilation + 1) + 1))
        for axis, dilation in zip(axes, dilations, strict=True)
    )
    strides = tuple(graph.pick((1, size, size, 3)) for size in sizes)
    return {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}


def _windows(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    attrs = _window_attrs(graph, x.type.shape)
    (type,) = OPS[name].infer([x.type], attrs)
    if graph.fits(type.shape):
        graph.emit(name, x, **attrs)


def _unwindow(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, "iuf", least_rank=1)
    attrs = _window_attrs(graph, x.type.shape)
    (type,) = OPS["windows"].infer([x.type], attrs)
    del attrs["sizes"]
    if graph.fits(type.shape):
        extents = tuple(x.type.shape[axis] for axis in attrs["axes"])
        graph.emit(name, graph.like(name, type), extents=extents, **attrs)


def _pad(graph: RandomGraph, name: str) -> None:
    x = graph.value(name)
    low, high, interior = (tuple(graph.pick((0, 0, 1, 3)) for _ in x.type.shape) for _ in range(3))
    attrs = {"low": low, "high": high, "interior": interior, "fill": graph.pick((0, 1))}
    if graph.fits(OPS["pad"].infer([x.type], attrs)[0].shape):
        graph.emit(name, x, **attrs)


def _concatenate(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, least_rank=1)
    axis = graph.pick(range(x.type.rank))
    others = [graph.like(name, x.type) for _ in range(graph.pick((0, 1, 1, 2)))]
    if graph.fits((x.type.size, len(others) + 1)):
        graph.emit(name, x, *others, axis=axis)


def _reduction(graph: RandomGraph, name: str) -> None:
    kinds = "iuf" if name in ("sum", "prod") else "biuf"
    x = graph.value(name, kinds, least_rank=1)
    axes = tuple(a for a in range(x.type.rank) if graph.chance(0.6))
    if name in ("sum", "prod") or all(x.type.shape[axis] for axis in axes):
        graph.emit(name, x, axes=axes)


def _along_axis(graph: RandomGraph, name: str) -> None:
    x = graph.value(name, "iuf", least_rank=1)
    axis = graph.pick(range(x.type.rank))
    if name == "cumsum":
        graph.emit(name, x, axis=axis, reverse=graph.chance(0.5))
    elif x.type.shape[axis]:
        graph.emit(name, x, axis=axis)


def _dot(graph: RandomGraph, name: str) -> None:
    """A product over some axes of x and a value with the same axes turned and resized."""
    x = graph.value(name, "iuf", least_rank=1)
    turned = list(map(int, graph.rng.permutation(x.type.rank)))
    roles = [graph.pick(("batch", "contract", "contract", "free")) for _ in range(x.type.rank)]
    shape = tuple(
        graph.pick(graph.extents) if roles[axis] == "free" else x.type.shape[axis]
        for axis in turned
    )
    y = graph.like(name, TensorType(x.type.dtype, shape))
    pairs = {
        role: [(axis, turned.index(axis)) for axis in range(x.type.rank) if roles[axis] == role]
        for role in ("batch", "contract")
    }
    attrs = {
        role: (tuple(a for a, _ in pairs[role]), tuple(b for _, b in pairs[role])) for role in pairs
    }
    if graph.fits(OPS["dot"].infer([x.type, y.type], attrs)[0].shape):
        graph.emit(name, x, y, **attrs)


def _iota(graph: RandomGraph, name: str) -> None:
    dtypes = [dtype for dtype in (*graph.dtypes, INT64) if dtype != BOOL]
    graph.emit(name, size=graph.pick(graph.extents), dtype=graph.pick(dtypes))


def _constant(graph: RandomGraph, name: str) -> None:
    graph.constant(graph.random_type())


def _indexed(graph: RandomGraph, name: str) -> None:
    kinds = "iuf" if name == "scatter_add" else "biuf"
    x = graph.value(name, kinds, least_rank=1)
    axis = graph.pick(range(x.type.rank))
    extent = x.type.shape[axis]
    if extent == 0:
        return
    index = graph.index(graph.pick(((), (2,), (2, 3))), extent)
    rest = tuple(n for other, n in enumerate(x.type.shape) if other != axis)
    if not graph.fits((*index.type.shape, *rest)):
        return
    if name == "gather":
        graph.emit(name, x, index, axes=(axis,))
    else:
        updates = graph.like(name, x.type.with_shape(index.type.shape + rest))
        graph.emit(name, x, updates, index, axes=(axis,))


Maker = Callable[[RandomGraph, str], None]

MAKERS: dict[str, Maker] = {
    **{op.name: _elementwise for op in OPS.values() if op.family is Family.ELEMENTWISE},
    "pow": _pow,
    "select": _select,
    "convert": _convert,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "reverse": _reverse,
    "windows": _windows,
    "unwindow": _unwindow,
    "pad": _pad,
    "concatenate": _concatenate,
    "update": _update,
    **dict.fromkeys(("sum", "prod", "reduce_max", "reduce_min"), _reduction),
    **dict.fromkeys(("argmax", "argmin", "cumsum"), _along_axis),
    "dot": _dot,
    "iota": _iota,
    "constant": _constant,
    **dict.fromkeys(("gather", "scatter", "scatter_add"), _indexed),
}
"""How to append each op."""


def random_arguments(graph: Graph, seed: int, special: float = 0.0) -> list[Array]:
    """Arrays for the inputs of `graph`; a fraction `special` of the elements are special values."""
    rng = np.random.default_rng([seed, 1])
    names = {dtype: name for name, dtype in DTYPE_NAMES.items()}
    arrays = []
    for value in graph.inputs:
        name = names[value.type.dtype]
        plain = random_values(rng, name, value.type.shape, (-3, 3))
        extreme = rng.choice(specials(name), value.type.shape)
        chosen = rng.random(value.type.shape) < special
        arrays.append(np.asarray(np.where(chosen, extreme, plain)))
    return arrays
