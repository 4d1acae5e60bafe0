"""Functions with a derivative of the user's own, and stopped gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import ArgumentError, ShapeError, UnsupportedError
from ...ir.graph import Graph, GraphBuilder, Value
from ...ir.ops import OPS
from ...ir.ops.structure import custom_vjp as CUSTOM_VJP
from ...ir.pytree import TreeDef, flatten, map_leaves
from ...ir.types import TensorType, is_float
from .array import Handle, Kind, TracedArray
from .context import activate, require_trace
from .graph_trace import GraphTrace
from .lift import broadcast_to, constant, convert, emit
from .record import SubGraph, trace_subgraph

_STOP_GRADIENT = OPS["stop_gradient"]


def stop_gradient(tree: Any) -> Any:
    """`tree` with every floating-point leaf held constant under differentiation."""
    return map_leaves(_stopped, tree)


def _stopped(leaf: Any) -> Any:
    if not isinstance(leaf, TracedArray) or not is_float(leaf.dtype):
        return leaf
    return emit(_STOP_GRADIENT, leaf, kind=leaf.kind)


def custom_vjp(
    fn: Callable[..., Any],
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    args: Sequence[Any],
) -> Any:
    """`fn(*args)`, whose derivative is defined by `forward` and `backward`.

    `forward(*args)` gives `(out, residuals)` with `out` like that of `fn`; `backward(residuals,
    cotangent)` gives a tuple with one entry per argument, of the argument's structure (None: zero).
    Raises `ArgumentError` where these do not fit together, `ShapeError` for a cotangent of another
    shape than its argument, `UnsupportedError` for in-place updates of anything outside.
    """
    leaves, tree = flatten((tuple(args), {}))
    primal = trace_subgraph(_child(fn), fn, leaves, tree)
    outward = _trace_forward(forward, leaves, tree, primal)
    back = _trace_backward(backward, args, primal, outward)
    if primal.updates or outward.updates or back.updates:
        raise UnsupportedError(
            "a function with a custom derivative updates nothing outside in place",
            given=f"{fn_name(fn)} or its rule does",
            hint="return the new value instead",
        )
    handles = _emit_custom(primal, outward, back)
    return primal.out_tree.unflatten(_outer_results(primal, handles))


def fn_name(fn: Callable[..., Any]) -> str:
    """The name of a function, for graphs and messages."""
    return str(getattr(fn, "__name__", type(fn).__name__))


def _child(fn: Callable[..., Any]) -> GraphTrace:
    return GraphTrace(GraphBuilder(fn_name(fn)), require_trace())


def _trace_forward(
    forward: Callable[..., Any], leaves: Sequence[Any], tree: TreeDef, primal: SubGraph
) -> SubGraph:
    """The forward graph: the outputs of the primal one, then residuals."""
    sub = trace_subgraph(_child(forward), forward, leaves, tree)
    shape = sub.out_tree
    pair = shape.container is tuple and len(shape.children) == 2
    if not pair or shape.children[0] != primal.out_tree:
        raise ArgumentError(
            "the forward function of custom_vjp returns (out, residuals), with out structured as "
            "the function's own result",
            given=f"a result structured as {_sketch(shape)}",
        )
    count = primal.out_tree.num_leaves
    given = [getattr(leaf, "type", None) for leaf in sub.inner_leaves[:count]]
    wanted = [getattr(leaf, "type", None) for leaf in primal.inner_leaves]
    if given != wanted:
        raise ArgumentError(
            f"the forward function of custom_vjp gives the function's result: {_types(wanted)}",
            given=_types(given),
        )
    return sub


def _sketch(tree: TreeDef) -> str:
    return str(tree.unflatten(["·"] * tree.num_leaves))


def _types(types: Sequence[TensorType | None]) -> str:
    return ", ".join(str(type or "an object") for type in types)


@dataclass(frozen=True, slots=True)
class _Backward:
    """The graph of a backward function; its inputs are residuals, cotangents, `captured`."""

    graph: Graph
    residuals: int
    captured: tuple[TracedArray, ...]
    updates: bool


def _trace_backward(
    backward: Callable[..., Any], args: Sequence[Any], primal: SubGraph, outward: SubGraph
) -> _Backward:
    """Run `backward`; the graph gives one cotangent per input of the primal's arguments."""
    child = _child(backward)
    count = primal.out_tree.num_leaves
    residuals = [_input_like(child, leaf) for leaf in outward.inner_leaves[count:]]
    saved = len(child.arrays)
    cotangents = [_input_like(child, leaf) for leaf in primal.inner_leaves]
    own = len(child.arrays)
    residual_tree = outward.out_tree.children[1]
    try:
        with activate(child):
            result = backward(
                residual_tree.unflatten(residuals), primal.out_tree.unflatten(cotangents)
            )
            outputs = [array.value for array in _argument_cotangents(result, args, primal)]
            updates = any(position >= own for position in child.updated())
            graph = child.builder.build(outputs)
    finally:
        child.finished = True
    return _Backward(graph, saved, tuple(child.sources[own:]), updates)


def _input_like(child: GraphTrace, leaf: Any) -> Any:
    if not isinstance(leaf, TracedArray):
        return leaf
    kind = Kind.SCALAR if leaf.kind.weak else leaf.kind
    return child.add_input(leaf.type, kind=kind, origin=leaf.origin)


def leaf_cotangents(result: Any, args: Sequence[Any]) -> list[Any]:
    """A cotangent per leaf of the arguments, from what the backward function returned.

    Raises `ArgumentError` where that is not structured like the arguments.
    """
    if not isinstance(result, tuple) or len(result) != len(args):
        raise ArgumentError(
            f"the backward function of custom_vjp returns a tuple of {len(args)} cotangents, one "
            "per argument",
            given=f"{type(result).__name__} {result!r:.60}",
        )
    cotangents: list[Any] = []
    for index, (entry, argument) in enumerate(zip(result, args, strict=True)):
        leaves, tree = flatten(argument)
        given, structure = flatten(entry)
        if entry is None:
            given = [None] * len(leaves)
        elif structure != tree:
            raise ArgumentError(
                f"the cotangent of argument {index} is structured like the argument",
                given=f"{_sketch(structure)} for {_sketch(tree)}",
            )
        cotangents.extend(given)
    return cotangents


def _argument_cotangents(
    result: Any, args: Sequence[Any], primal: SubGraph
) -> Iterator[TracedArray]:
    """A cotangent per argument leaf that is an input, from what the backward function returned."""
    cotangents = leaf_cotangents(result, args)
    for position, cotangent in zip(primal.leaf_inputs, cotangents, strict=True):
        if position is not None:
            yield _cotangent(cotangent, primal.graph.inputs[position].type, position)


def _cotangent(given: Any, type: TensorType, position: int) -> TracedArray:
    if given is None or not is_float(type.dtype):
        return _zeros(type)
    array = convert(given, type.dtype)
    if array.shape != type.shape:
        raise ShapeError(
            f"the cotangent of operand {position} has the operand's shape {type.shape}",
            given=str(array.shape),
            hint="sum over the axes along which the operand was broadcast",
        )
    return array


def _zeros(type: TensorType) -> TracedArray:
    return broadcast_to(constant(np.zeros((), type.dtype)[()]), type.shape)


def _emit_custom(primal: SubGraph, outward: SubGraph, back: _Backward) -> tuple[Handle, ...]:
    """One node whose three graphs take the same inputs: the arguments, then every outer array
    that any of them captured; `outward` hands those that `back` needs on to it.
    """
    arguments = sum(position is not None for position in primal.leaf_inputs)
    captured: dict[int, TracedArray] = {}
    for array in (*primal.operands[arguments:], *outward.operands[arguments:], *back.captured):
        captured.setdefault(id(array), array)
    union = list(captured.values())
    graph = _with_inputs(primal.graph, primal.operands[arguments:], arguments, union)
    forward = _with_inputs(outward.graph, outward.operands[arguments:], arguments, union)
    handed_on = [forward.inputs[arguments + _index(union, array)] for array in back.captured]
    forward = Graph(forward.name, forward.inputs, forward.nodes, (*forward.outputs, *handed_on))
    operands = (*primal.handles[:arguments], *(array.value for array in union))
    trace = require_trace()
    return trace.emitter.emit(
        CUSTOM_VJP,
        operands,
        {"graph": graph, "forward": forward, "backward": _backward_graph(back, union)},
        loc=trace.location(),
        phase=trace.phase,
    )


def _index(arrays: Sequence[TracedArray], array: TracedArray) -> int:
    return next(index for index, other in enumerate(arrays) if other is array)


def _with_inputs(
    graph: Graph, captured: Sequence[TracedArray], arguments: int, union: Sequence[TracedArray]
) -> Graph:
    """`graph` with an input for each array of `union` after those of its arguments."""
    own = dict(zip(map(id, captured), graph.inputs[arguments:], strict=True))
    further = (own.get(id(array)) or Value(array.type) for array in union)
    return Graph(graph.name, (*graph.inputs[:arguments], *further), graph.nodes, graph.outputs)


def _backward_graph(back: _Backward, union: Sequence[TracedArray]) -> Graph:
    """Inputs: residuals, handed on arrays, cotangents; outputs: also zeros for all of `union`."""
    builder = GraphBuilder(back.graph.name)
    inputs = back.graph.inputs
    last = len(inputs) - len(back.captured)
    order = (*inputs[: back.residuals], *inputs[last:], *inputs[back.residuals : last])
    env = {value: builder.input(value.type, value.name) for value in order}
    outputs = builder.inline(back.graph, [env[value] for value in inputs])
    trace = GraphTrace(builder, require_trace())
    with activate(trace):
        zeros = [_zeros(array.type).value for array in union]
    return builder.build((*outputs, *zeros))


def _outer_results(primal: SubGraph, handles: Sequence[Handle]) -> list[Any]:
    """The result leaves in the current trace."""
    trace = require_trace()
    return [
        leaf
        if position is None
        else TracedArray(trace, handles[position], leaf.kind, origin=leaf.origin)
        for leaf, position in zip(primal.inner_leaves, primal.leaf_outputs, strict=True)
    ]
