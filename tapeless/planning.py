"""From what the tracer found out about a function to what the runtime does on a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compiler.trace import results as traced_results
from .compiler.trace.array import Kind
from .compiler.trace.function import TracedFunction
from .ir.graph import Graph, Value
from .runtime.call import ContainerWrite, Plan, Result, ResultKind


def plan_of(traced: TracedFunction) -> Plan:
    """The call plan of a traced function."""
    return Plan(
        inputs=tuple((i, i) for i in _inputs_needed(traced)),
        updates=traced.updates,
        results=tuple(_RESULTS[type(result)](result) for result in traced.results),
        leaves=traced.leaves,
        structure=traced.out_tree,
        names=traced.input_names,
        captured=traced.captures,
        writes=tuple(ContainerWrite(write.path, write.result) for write in traced.writes),
        ranges=traced.ranges,
    )


def _inputs_needed(traced: TracedFunction) -> list[int]:
    """The graph inputs that the program reads or writes."""
    graph: Graph = traced.graph
    used: set[Value] = {value for node in graph.nodes for value in node.inputs}
    used.update(graph.outputs)
    written = set(traced.updates.values())
    return [i for i, value in enumerate(graph.inputs) if value in used or i in written]


_NUMBER = {
    Kind.ARRAY: ResultKind.ARRAY,
    Kind.SCALAR: ResultKind.SCALAR,
    Kind.BOOL: ResultKind.NUMBER,
    Kind.INT: ResultKind.NUMBER,
    Kind.FLOAT: ResultKind.NUMBER,
}


def _computed(result: traced_results.Computed) -> Result:
    return Result(_NUMBER[result.kind], result.output)


def _input(result: traced_results.Input) -> Result:
    return Result(ResultKind.ARGUMENT, result.input)


def _view(result: traced_results.ViewOf) -> Result:
    owner = _RESULTS[type(result.of)](result.of)
    return Result(owner.kind, owner.index, result.apply)


def _fixed(result: traced_results.Fixed) -> Result:
    return Result(ResultKind.OBJECT, value=result.value)


_RESULTS: dict[type, Callable[[Any], Result]] = {
    traced_results.Computed: _computed,
    traced_results.Input: _input,
    traced_results.ViewOf: _view,
    traced_results.Fixed: _fixed,
}
