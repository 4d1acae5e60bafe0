"""A graph as one Python function that calls NumPy: how the derivative of a call is run.

`make_plan` writes the function's source, one NumPy call per node, and lets Python compile it. Most
ops are their reference (`ir.ops`) itself; what the table `_EXPRESSIONS` has is said shorter, with
everything that depends on shapes alone decided here. An operand that was only broadcast for an
elementwise op is left to NumPy to broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from keyword import iskeyword
from typing import Any, TypeAlias

import numpy as np

from ..ir.graph import Graph, Node, Value
from ..ir.ops import Family
from ..ir.ops.contraction import free_axes
from ..ir.types import Shape

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Plan:
    """`graph` as a function `run(*arrays)` that gives a tuple.

    `owned[i]` says that result `i` has memory of its own. `source` is the text of `run`.
    """

    graph: Graph
    run: Callable[..., tuple[Any, ...]]
    owned: tuple[bool, ...]
    source: str

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        return self.run(*arrays)


@dataclass(frozen=True, slots=True)
class _Line:
    """`target = text`, where `text` reads the names in `reads`."""

    target: str
    text: str
    reads: tuple[str, ...]
    owns: bool


def make_plan(graph: Graph, weak: Sequence[bool] = ()) -> Plan:
    """The plan of `graph`, which holds no transformations.

    Inputs marked in `weak` are given as Python numbers.
    """
    writer = _Writer(graph, weak)
    for node in graph.nodes:
        writer.add(node)
    return writer.finish()


class _Writer:
    """Writes the lines of one function; `namespace` holds what they refer to."""

    def __init__(self, graph: Graph, weak: Sequence[bool]) -> None:
        self.graph = graph
        self.namespace: dict[str, Any] = {"np": np}
        self.lines: list[_Line] = []
        self.names: dict[Value, str] = {v: f"x{i}" for i, v in enumerate(graph.inputs)}
        self.producers = graph.producers()
        self.constants: dict[Value, Array] = {}
        self.weak = {v for v, is_weak in zip(graph.inputs, weak, strict=False) if is_weak}

    def bind(self, stem: str, thing: Any) -> str:
        """A name for an object in the function's namespace."""
        stem += "_" * iskeyword(stem)  # ops such as `and` and `not`
        known = self.namespace.setdefault(stem, thing)
        if known is thing:
            return stem
        name = f"{stem}_{len(self.namespace)}"
        self.namespace[name] = thing
        return name

    def add(self, node: Node) -> None:
        """Append the lines of a node."""
        operands = [self.names[value] for value in node.inputs]
        if node.op.family is Family.ELEMENTWISE:
            operands = self._narrowed(node, operands)
        expression = _EXPRESSIONS.get(node.op.name, _reference)
        text = expression(self, node, operands)
        names = [f"t{len(self.names) + i}" for i in range(len(node.outputs))]
        self.names.update(zip(node.outputs, names, strict=True))
        owns = not _may_share(node) and text not in operands
        self.lines.append(_Line(", ".join(names), text, tuple(operands), owns))

    def _narrowed(self, node: Node, operands: list[str]) -> list[str]:
        """The operands of an elementwise op, unbroadcast where NumPy broadcasts them itself."""
        shape = node.output.type.shape
        forms = [self.narrow(value, shape) for value in node.inputs]
        shapes = [shape if form is None else form for form in forms]
        if all(form is None for form in forms) or np.broadcast_shapes(*shapes) != shape:
            return operands
        return [
            name if form is None else self._reshaped(self.producers[value].inputs[0], form)
            for value, form, name in zip(node.inputs, forms, operands, strict=True)
        ]

    def narrow(self, value: Value, shape: Shape) -> Shape | None:
        """The shape that broadcasts to what `value` was broadcast to; None if it was not."""
        producer = self.producers.get(value)
        if producer is None or producer.op.name != "broadcast":
            return None
        axes = producer.attrs["axes"]
        kept = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
        while len(kept) > len(axes) and kept[0] == 1:
            del kept[0]
        return tuple(kept)

    def _reshaped(self, value: Value, shape: Shape) -> str:
        name = self.names[value]
        if shape == value.type.shape:
            return name
        target = f"{name}_{'x'.join(map(str, shape))}"
        if all(line.target != target for line in self.lines):
            self.lines.append(_Line(target, f"{name}.reshape({shape})", (name,), False))
        return target

    def finish(self) -> Plan:
        """The function of the lines that its results need."""
        outputs = [self.names[value] for value in self.graph.outputs]
        needed, lines = set(outputs), []
        for line in reversed(self.lines):
            if not needed.isdisjoint(line.target.split(", ")):
                lines.append(line)
                needed.update(line.reads)
        parameters = ", ".join(f"x{i}" for i in range(len(self.graph.inputs)))
        body = [f"    {line.target} = {line.text}" for line in reversed(lines)]
        end = f"    return ({''.join(name + ', ' for name in outputs)})"
        source = "\n".join([f"def run({parameters}):", *body, end])
        exec(compile(source, f"<derivative {self.graph.name}>", "exec"), self.namespace)
        owners = {name for line in lines if line.owns for name in line.target.split(", ")}
        owned = tuple(name in owners and outputs.count(name) == 1 for name in outputs)
        return Plan(self.graph, self.namespace["run"], owned, source)


def _may_share(node: Node) -> bool:
    """Whether NumPy may give memory that belongs to an operand or to the plan."""
    at_position = node.op.name == "gather" and not any(x.type.rank for x in node.inputs[1:])
    return at_position or node.op.family in (Family.VIEW, Family.CREATION)


Expression: TypeAlias = Callable[[_Writer, Node, list[str]], str]


def _reference(writer: _Writer, node: Node, operands: list[str]) -> str:
    """A call of the op's reference."""
    function = node.op.reference
    assert function is not None, "transformations are expanded before"
    if node.attrs:
        function = partial(function, **node.attrs)
    return f"{writer.bind(node.op.name, function)}({', '.join(operands)})"


def _constant(writer: _Writer, node: Node, operands: list[str]) -> str:
    value = np.asarray(node.op.reference(**node.attrs))  # type: ignore[misc]
    writer.constants[node.output] = value
    return writer.bind(f"constant_{len(writer.namespace)}", value if value.ndim else value[()])


def _reduction(ufunc: np.ufunc) -> Expression:
    def expression(writer: _Writer, node: Node, operands: list[str]) -> str:
        (x,), axes = operands, node.attrs["axes"]
        function = writer.bind(f"{ufunc.__name__}_reduce", ufunc.reduce)
        axis = axes[0] if len(axes) == 1 else axes
        small = "" if node.inputs[0].type.dtype.kind == "f" else f", np.{node.inputs[0].type.dtype}"
        return f"{function}({x}, {axis}{small})"

    return expression


def _convert(writer: _Writer, node: Node, operands: list[str]) -> str:
    (x,), dtype = operands, node.attrs["dtype"]
    if not node.output.type.shape and dtype.kind == "f":
        return f"{writer.bind(dtype.name, dtype.type)}({x})"
    return f"{x}.astype({writer.bind(f'dtype_{dtype.name}', dtype)})"


def _broadcast(writer: _Writer, node: Node, operands: list[str]) -> str:
    (x,), (name,), type = node.inputs, operands, node.output.type
    if x in writer.constants:
        spread = node.op.reference(writer.constants[x], **node.attrs)  # type: ignore[misc]
        writer.constants[node.output] = spread
        return writer.bind(f"constant_{len(writer.namespace)}", spread)
    if not x.type.shape and x not in writer.weak:  # many times faster than np.broadcast_to
        array = writer.bind("ndarray", np.ndarray)
        dtype = writer.bind(f"dtype_{type.dtype.name}", type.dtype)
        return f"{array}({type.shape}, {dtype}, {name}, 0, {(0,) * type.rank})"
    narrow = writer.narrow(node.output, type.shape)
    if narrow is not None and narrow != x.type.shape:
        name = f"{name}.reshape({narrow})"
    return f"{writer.bind('broadcast_to', np.broadcast_to)}({name}, {type.shape})"


def _reshape(writer: _Writer, node: Node, operands: list[str]) -> str:
    return f"{operands[0]}.reshape({node.attrs['shape']})"


def _transpose(writer: _Writer, node: Node, operands: list[str]) -> str:
    return _permuted(operands[0], node.attrs["axes"])


def _permuted(x: str, axes: Sequence[int]) -> str:
    if list(axes) == sorted(axes):
        return x
    return f"{x}.T" if list(axes) == sorted(axes, reverse=True) else f"{x}.transpose({axes})"


def _slice(writer: _Writer, node: Node, operands: list[str]) -> str:
    attrs = node.attrs
    parts = [
        f"{start}:{limit}:{step}"
        for start, limit, step in zip(attrs["starts"], attrs["limits"], attrs["steps"], strict=True)
    ]
    return f"{operands[0]}[{', '.join(parts)}]" if parts else operands[0]


def _dot(writer: _Writer, node: Node, operands: list[str]) -> str:
    """The product as `np.matmul`, with the axes brought where that wants them."""
    (x, y), batch, contract = node.inputs, node.attrs["batch"], node.attrs["contract"]
    if not batch[0] and not contract[0]:
        outer = writer.bind("multiply_outer", np.multiply.outer)
        return f"{outer}({operands[0]}, {operands[1]})"
    free = [free_axes(v.type.rank, batch[i], contract[i]) for i, v in enumerate((x, y))]
    sizes = [math.prod(v.type.shape[a] for a in free[i]) for i, v in enumerate((x, y))]
    lead = tuple(x.type.shape[a] for a in batch[0])
    inner = math.prod(x.type.shape[a] for a in contract[0])
    keep = [bool(axes) or bool(lead) for axes in free]
    left = _laid_out(
        operands[0],
        x.type.shape,
        (*batch[0], *free[0], *contract[0]),
        (*lead, *([sizes[0]] if keep[0] else []), inner),
    )
    right = _laid_out(
        operands[1],
        y.type.shape,
        (*batch[1], *contract[1], *free[1]),
        (*lead, inner, *([sizes[1]] if keep[1] else [])),
    )
    product = f"{writer.bind('matmul', np.matmul)}({left}, {right})"
    given = (*lead, *(size for size, kept in zip(sizes, keep, strict=True) if kept))
    shape = node.output.type.shape
    return product if given == shape else f"{product}.reshape({shape})"


def _scatter_add(writer: _Writer, node: Node, operands: list[str]) -> str:
    if any(index.type.rank for index in node.inputs[2:]):
        return _reference(writer, node, operands)
    add = writer.bind("add_at_position", partial(_add_at_position, node.attrs["axes"]))
    return f"{add}({', '.join(operands)})"


def _add_at_position(axes: tuple[int, ...], x: Array, updates: Array, *indices: Any) -> Array:
    """`scatter_add` at one position, where nothing can be added twice."""
    out = np.array(x)
    key: list[Any] = [slice(None)] * out.ndim
    for axis, index in zip(axes, indices, strict=True):
        key[axis] = index
    out[tuple(key)] += updates
    return out


def _laid_out(x: str, shape: Shape, axes: Sequence[int], target: Shape) -> str:
    """`x` with its axes in another order, then under another shape."""
    x = _permuted(x, tuple(axes))
    permuted = tuple(shape[axis] for axis in axes)
    return x if permuted == target else f"{x}.reshape({target})"


_EXPRESSIONS: Mapping[str, Expression] = {
    "constant": _constant,
    "iota": _constant,
    "sum": _reduction(np.add),
    "prod": _reduction(np.multiply),
    "reduce_max": _reduction(np.maximum),
    "reduce_min": _reduction(np.minimum),
    "convert": _convert,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "dot": _dot,
    "scatter_add": _scatter_add,
    "stop_gradient": lambda writer, node, operands: operands[0],
}
"""Ops that are written otherwise than as a call of their reference."""
