"""Recording a function inside a trace, for the transformations: `Recorded` and its graph form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...ir.errors import TraceError, UnsupportedError
from ...ir.graph import Graph
from ...ir.ops.structure import jvp, tangent_outputs, vjp
from ...ir.pytree import TreeDef, flatten
from .array import Handle, Kind, TracedArray
from .context import activate
from .foreign import ForeignArray
from .lift import broadcast_to, convert, lift

if TYPE_CHECKING:
    from .graph_trace import GraphTrace


class Recorded(Protocol):
    """One call of a function, ready to be differentiated.

    `in_leaves` are the leaves of `(args, kwargs)`, `out_leaves` those of the result: traced arrays
    of the recording trace, or the objects themselves for leaves that are not arrays or numbers.
    In-place updates that the function makes take effect when `out`, `vjp` or `jvp` is first used;
    use one of them before anything else happens in the trace.
    """

    in_leaves: Sequence[Any]

    @property
    def out(self) -> Any:
        """The result of the function, in the recording trace."""

    @property
    def out_leaves(self) -> Sequence[Any]:
        """The leaves of `out`."""

    def vjp(
        self, cotangents: Sequence[TracedArray | None], wrt: Sequence[int]
    ) -> list[TracedArray]:
        """Cotangents of the input leaves `wrt`, from one cotangent per output leaf (None: 0)."""

    def jvp(self, tangents: Mapping[int, TracedArray]) -> list[TracedArray | None]:
        """A tangent per output leaf (None for those not of floating type)."""


@dataclass(frozen=True, slots=True)
class SubGraph:
    """A function traced into a graph of its own inside another trace.

    `operands[i]` is the outer array that graph input `i` stands for and `handles[i]` its value at
    the time. `leaf_inputs` gives the graph input of each argument leaf (None: passed as it is);
    the outputs are the result leaves that are arrays (`leaf_outputs`), then for each
    `(input, output)` of `updates` what an operand holds afterwards.
    """

    graph: Graph
    operands: tuple[TracedArray, ...]
    handles: tuple[Handle, ...]
    in_leaves: tuple[Any, ...]
    leaf_inputs: tuple[int | None, ...]
    out_tree: TreeDef
    inner_leaves: tuple[Any, ...]
    leaf_outputs: tuple[int | None, ...]
    updates: tuple[tuple[int, int], ...]
    trace: GraphTrace


def trace_subgraph(
    child: GraphTrace,
    fn: Callable[..., Any],
    leaves: Sequence[Any],
    tree: TreeDef,
    *,
    batched: Sequence[bool] | None = None,
) -> SubGraph:
    """Run `fn(*args, **kwargs)` in the new trace `child`; `tree` and `leaves` are those of
    `(args, kwargs)` in the trace around it.

    Leaves that are arrays, NumPy scalars, traced, or Python floats become inputs; Python integers
    and other objects are passed as they are. With `batched`, the inputs of the leaves so marked
    lack the leading axis that the operands have.
    """
    marks = batched if batched is not None else [False] * len(leaves)
    in_leaves = [lift(leaf) if _is_operand(leaf) else leaf for leaf in leaves]
    inner: list[Any] = []
    positions: list[int | None] = []
    for outer, mapped in zip(in_leaves, marks, strict=True):
        traced = isinstance(outer, TracedArray)
        positions.append(len(child.arrays) if traced else None)
        inner.append(_inner_input(child, outer, mapped) if traced else outer)
    args, kwargs = tree.unflatten(inner)
    try:
        with activate(child):
            result = fn(*args, **kwargs)
            return _close(child, result, tuple(in_leaves), tuple(positions))
    finally:
        child.finished = True


def _inner_input(child: GraphTrace, outer: TracedArray, mapped: bool) -> TracedArray:
    type, kind = outer.type, outer.kind
    if mapped:
        type = type.with_shape(type.shape[1:])
        kind = Kind.ARRAY if type.shape else Kind.SCALAR
    return child.add_input(type, outer, kind=kind, origin=outer.origin, contiguous=outer.contiguous)


def _is_operand(leaf: Any) -> bool:
    return isinstance(leaf, TracedArray | np.ndarray | np.generic | float | ForeignArray)


def _close(
    child: GraphTrace,
    result: Any,
    in_leaves: tuple[Any, ...],
    positions: tuple[int | None, ...],
) -> SubGraph:
    out, out_tree = flatten(result)
    inner_leaves = tuple(lift(leaf) if _is_number_or_array(leaf) else leaf for leaf in out)
    outputs: list[Handle] = []
    leaf_outputs: list[int | None] = []
    for leaf in inner_leaves:
        traced = isinstance(leaf, TracedArray)
        leaf_outputs.append(len(outputs) if traced else None)
        if traced:
            outputs.append(leaf.value)
    updates: list[tuple[int, int]] = []
    for position in child.updated():
        _check_update(child, position)
        updates.append((position, len(outputs)))
        outputs.append(child.arrays[position].value)
    operands = tuple(child.sources)
    handles = tuple(operand.value for operand in operands)
    return SubGraph(
        child.builder.build(outputs),
        operands,
        handles,
        in_leaves,
        positions,
        out_tree,
        inner_leaves,
        tuple(leaf_outputs),
        tuple(updates),
        child,
    )


def _is_number_or_array(leaf: Any) -> bool:
    return isinstance(leaf, TracedArray | np.ndarray | np.generic | float | int | ForeignArray)


def _check_update(child: GraphTrace, position: int) -> None:
    """An updated operand must not be seen under a second name, which would miss the update."""
    base = child.sources[position].base
    for other, source in enumerate(child.sources):
        if other != position and source.base is base:
            raise UnsupportedError(
                "an array that a transformed function updates in place reaches it only once",
                given=f"{base.origin or 'an array'}, passed or captured twice",
                hint="pass a copy of one of them",
            )


class GraphRecorded:
    """`Recorded` on a graph: `vjp` and `jvp` emit one node that gives results and derivatives.

    The results are taken from the first node emitted; if `out` is asked for before any, the
    sub-graph is inlined.
    """

    def __init__(self, parent: GraphTrace, sub: SubGraph) -> None:
        self._parent = parent
        self._sub = sub
        self._out_leaves: list[Any] | None = None
        self.in_leaves: Sequence[Any] = sub.in_leaves

    @property
    def out_leaves(self) -> Sequence[Any]:
        """The leaves of `out`."""
        if self._out_leaves is None:
            self._settle(self._parent.builder.inline(self._sub.graph, self._sub.handles))
        assert self._out_leaves is not None
        return self._out_leaves

    @property
    def out_types(self) -> tuple[Any, ...]:
        """The type of each output leaf (None for one that is no array), without emitting."""
        return tuple(getattr(leaf, "type", None) for leaf in self._sub.inner_leaves)

    @property
    def out(self) -> Any:
        """The result of the function, in the recording trace."""
        return self._sub.out_tree.unflatten(self.out_leaves)

    def vjp(
        self, cotangents: Sequence[TracedArray | None], wrt: Sequence[int]
    ) -> list[TracedArray]:
        """Cotangents of the input leaves `wrt`, from one cotangent per output leaf (None: 0)."""
        sub = self._sub
        seeded: list[int] = []
        seeds: list[Handle] = []
        for position, cotangent in zip(sub.leaf_outputs, cotangents, strict=True):
            if cotangent is not None:
                assert position is not None, "cotangents belong to arrays"
                seeded.append(position)
                seeds.append(fit(cotangent, sub.graph.outputs[position].type).value)
        inputs = [self._input(leaf) for leaf in wrt]
        results = self._emit(vjp, seeds, graph=sub.graph, wrt=tuple(inputs), seeded=tuple(seeded))
        return [
            self._derivative(handle, self.in_leaves[leaf])
            for handle, leaf in zip(results, wrt, strict=True)
        ]

    def jvp(self, tangents: Mapping[int, TracedArray]) -> list[TracedArray | None]:
        """A tangent per output leaf (None for those not of floating type)."""
        sub = self._sub
        inputs = {self._input(leaf): tangent for leaf, tangent in tangents.items()}
        wrt = sorted(inputs)
        seeds = [fit(inputs[i], sub.graph.inputs[i].type).value for i in wrt]
        results = self._emit(jvp, seeds, graph=sub.graph, wrt=tuple(wrt))
        tangent_of = dict(zip(tangent_outputs(sub.graph), results, strict=True))
        return [
            None
            if position is None or position not in tangent_of
            else self._derivative(tangent_of[position], leaf)
            for position, leaf in zip(sub.leaf_outputs, self.out_leaves, strict=True)
        ]

    def _input(self, leaf: int) -> int:
        position = self._sub.leaf_inputs[leaf]
        if position is None:
            raise TraceError(
                "derivatives are taken with respect to arrays and floating-point numbers",
                given=f"{self.in_leaves[leaf]!r:.60}",
            )
        return position

    def _emit(self, op: Any, seeds: list[Handle], **attrs: Any) -> tuple[Handle, ...]:
        """Emit a derivative node; take the results from it if there are none yet."""
        parent = self._parent
        handles = parent.emitter.emit(
            op, (*self._sub.handles, *seeds), attrs, loc=parent.location(), phase=parent.phase
        )
        count = len(self._sub.graph.outputs)
        if self._out_leaves is None:
            self._settle(handles[:count])
        return handles[count:]

    def _derivative(self, handle: Handle, like: TracedArray) -> TracedArray:
        kind = Kind.ARRAY if like.kind is Kind.ARRAY else Kind.SCALAR
        return TracedArray(self._parent, handle, kind, origin="a derivative")

    def _settle(self, outputs: Sequence[Handle]) -> None:
        """Make the outer result leaves and carry in-place updates out to the operands."""
        sub = self._sub
        for position, output in sub.updates:
            sub.operands[position].write(outputs[output])
        made: dict[int, TracedArray] = {}
        self._out_leaves = [
            leaf if position is None else self._outward(leaf, outputs[position], made)
            for leaf, position in zip(sub.inner_leaves, sub.leaf_outputs, strict=True)
        ]

    def _outward(
        self, inner: TracedArray, handle: Handle, made: dict[int, TracedArray]
    ) -> TracedArray:
        """The outer array for a result: the operand itself or a view of it where the function
        returned that, the same object for the same result, else a new array.
        """
        known = made.get(id(inner))
        if known is not None:
            return known
        operand = self._operand(inner)
        if operand is None:
            operand = TracedArray(
                self._parent, handle, inner.kind, origin=inner.origin, contiguous=inner.contiguous
            )
        made[id(inner)] = operand
        return operand

    def _operand(self, inner: TracedArray) -> TracedArray | None:
        if inner.lens is None:
            position = self._sub.trace.position(inner)
            return None if position is None else self._sub.operands[position]
        parent = self._operand(inner.lens.parent)
        return None if parent is None else parent.view_like(inner.lens)


def fit(seed: Any, type: Any) -> TracedArray:
    """A cotangent or tangent converted and broadcast to the type that it belongs to."""
    return broadcast_to(convert(seed, type.dtype), type.shape)


def record(
    parent: GraphTrace, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> GraphRecorded:
    """Trace `fn(*args, **kwargs)` into a sub-graph of `parent`."""
    leaves, tree = flatten((tuple(args), dict(kwargs)))
    child = parent.child(getattr(fn, "__name__", type(fn).__name__))
    return GraphRecorded(parent, trace_subgraph(child, fn, leaves, tree))
