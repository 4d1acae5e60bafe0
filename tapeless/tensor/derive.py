"""From a NumPy call to its derivative, by way of a graph: nothing here knows any rule.

The call is traced on operands of given types (`graph_of`); `pullback_of` differentiates the graph
with the compiler's table and simplifies it with the compiler's passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..compiler.differentiate.activity import contributing
from ..compiler.differentiate.expand import expand
from ..compiler.passes.algebra import simplify_algebra
from ..compiler.passes.rewriting import redirected
from ..compiler.passes.subexpressions import share_common_subexpressions
from ..compiler.trace.array import WEAK_DTYPES, Kind
from ..compiler.trace.context import activate
from ..compiler.trace.graph_trace import GraphTrace
from ..compiler.trace.lift import lift
from ..ir.errors import TapelessError
from ..ir.graph import Graph, GraphBuilder, Value
from ..ir.ops.structure import vjp as VJP
from ..ir.pytree import flatten
from ..ir.types import TensorType, is_float
from .layout import Position
from .plan import Plan, make_plan

OperandType: TypeAlias = TensorType | Kind
"""What a call depends on in an operand; a kind stands for Python numbers."""


def operand_type(x: Any) -> OperandType:
    """The type of an array or number."""
    kind = _NUMBERS.get(x.__class__)
    return TensorType(x.dtype, x.shape) if kind is None else kind


_NUMBERS = {int: Kind.FLOAT, bool: Kind.FLOAT, float: Kind.FLOAT, Position: Kind.INT}
"""Arithmetic with an integer is that with the float it stands for, where there are gradients."""


def graph_of(
    name: str,
    function: Callable[..., Any],
    types: Sequence[OperandType],
    *,
    row_major: bool = True,
) -> Graph:
    """The graph of `function(*operands)`.

    Its outputs are the leaves of the result. `row_major` says that the memory of the first operand
    is; that matters where it is written to through a reshape. Raises `UnsupportedError` and the
    other errors of tracing.
    """
    trace = GraphTrace(GraphBuilder(name))
    operands = [
        trace.add_input(TensorType(WEAK_DTYPES[type]), kind=type)
        if isinstance(type, Kind)
        else trace.add_input(type, contiguous=row_major or position > 0)
        for position, type in enumerate(types)
    ]
    try:
        with activate(trace):
            leaves, _ = flatten(function(*operands))
            outputs = [lift(leaf).value for leaf in leaves if not isinstance(leaf, _NO_ARRAYS)]
    except ValueError as error:
        if isinstance(error.__cause__, TapelessError):  # NumPy wraps what `array[i] = traced` met
            raise error.__cause__ from None
        raise
    finally:
        trace.finished = True
    return trace.builder.build(outputs)


_NO_ARRAYS = (str, bytes, np.dtype, type)


@dataclass(eq=False, slots=True)
class Pullback:
    """The derivative of a call in reverse mode, with respect to some operands.

    `plan` takes the cotangents of the floating-point results, then what it needs of the operands
    and results: those at the positions `reads` among operands and results together, `operands`
    and `results` apart. `weak` marks inputs that are Python numbers. `wrt` are the operands that
    are differentiated, `wants` the same as bits. `call` is the derivative as a call, made when it
    is differentiated.
    """

    plan: Plan
    reads: tuple[int, ...]
    operands: tuple[int, ...]
    results: tuple[int, ...]
    weak: tuple[bool, ...]
    wrt: tuple[int, ...]
    wants: int
    call: Any = None


def pullback_of(graph: Graph, wrt: Sequence[int], weak: Sequence[bool]) -> Pullback:
    """The derivative of `graph` with respect to the inputs `wrt`."""
    seeded = [i for i, type in enumerate(graph.output_types) if is_float(type.dtype)]
    builder = GraphBuilder(f"{graph.name} backward")
    operands = [builder.input(value.type) for value in graph.inputs]
    seeds = [builder.input(graph.outputs[i].type) for i in seeded]
    attrs = {"graph": graph, "wrt": tuple(wrt), "seeded": tuple(seeded)}
    both = expand(builder.build(builder.emit(VJP, (*operands, *seeds), attrs)))
    count = len(operands)
    backward = _simplified(_given_results(both, len(graph.outputs), wrt))
    seed_values, values = (
        backward.inputs[count : count + len(seeds)],
        [
            *backward.inputs[:count],
            *backward.inputs[count + len(seeds) :],
        ],
    )
    used = {value for node in backward.nodes for value in node.inputs} | set(backward.outputs)
    reads = tuple(i for i, value in enumerate(values) if value in used)
    inputs = (*seed_values, *(values[i] for i in reads))
    marks = [False] * len(seed_values) + [i < count and weak[i] for i in reads]
    plan = make_plan(Graph(backward.name, inputs, backward.nodes, backward.outputs), marks)
    return Pullback(
        plan=plan,
        reads=reads,
        operands=tuple(i for i in reads if i < count),
        results=tuple(i - count for i in reads if i >= count),
        weak=tuple(marks),
        wrt=tuple(wrt),
        wants=sum(1 << position for position in wrt),
    )


def _given_results(both: Graph, results: int, wrt: Sequence[int]) -> Graph:
    """Only the cotangents, with the results as further inputs instead of computed again."""
    given: dict[Value, Value] = {}
    inputs = list(both.inputs)
    for value in both.outputs[:results]:
        inputs.append(Value(value.type))
        if value not in both.inputs:
            given.setdefault(value, inputs[-1])
    nodes = tuple(redirected(node, given) for node in both.nodes)
    outputs = tuple(given.get(value, value) for value in both.outputs[results:])
    return Graph(both.name, tuple(inputs), nodes, outputs)


def _simplified(graph: Graph) -> Graph:
    for step in (_needed, simplify_algebra, share_common_subexpressions, simplify_algebra, _needed):
        graph = step(graph)
    return graph


def _needed(graph: Graph) -> Graph:
    """Without nodes that nothing reads, those that can fail included: the call went well."""
    live = contributing(graph.nodes, graph.outputs)
    nodes = tuple(node for node in graph.nodes if not live.isdisjoint(node.outputs))
    return Graph(graph.name, graph.inputs, nodes, graph.outputs)
