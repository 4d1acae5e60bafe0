"""`tl.draw`: the picture of a function, a graph, or whatever can draw itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..compiled import CompiledFunction
from ..compiler.trace.function import TracedFunction
from ..compiler.trace.results import Computed, ViewOf
from ..ir.errors import ArgumentError
from ..ir.graph import Graph
from ..lowered import Lowered
from .drawing import Drawing
from .graph_scene import Labels, graph_scene
from .measure import DOWN, RIGHT
from .values import value_lines

DEFAULT_STAGE = "fused"
VALUES_STAGE = "differentiated"
"""What is drawn when no stage is named: the kernels; with values, the operations as written."""

PLACE = {"optimized": "before fusion", "fused": "after fusion", VALUES_STAGE: ""}
"""What the title calls stages, if not by their names."""


def draw(
    what: Any,
    /,
    *args: Any,
    stage: str | Sequence[str] | None = None,
    values: bool = False,
    direction: str | None = None,
    **kwargs: Any,
) -> Drawing:
    """Draw a function for these arguments, or a graph.

    `what` is a NumPy function, compiled or not (`args` and `kwargs` are arguments for it, which are
    traced and not run), a graph made by `build_graph`, a `Lowered` program or a `Tensor`. `stage`
    names one or several stages of the program, drawn side by side: `("optimized", "fused")` is
    before and after fusion; "fused" alone is the default. With `values`, every wire has its value
    for these arguments and, where the result is a scalar, its gradient. Values flow "down" or to
    the "right" (`direction`; with `values` to the right).

    The result shows itself in notebooks; `.save("graph.svg")` keeps it. Raises the errors of
    tracing, and `ArgumentError` for what cannot be drawn.
    """
    flow = direction or (RIGHT if values else DOWN)
    if isinstance(what, Graph):
        _refuse(args, kwargs, values, "a graph is drawn as it is")
        return Drawing(((what.name, graph_scene(what)),), flow)
    stages = (stage,) if isinstance(stage, str) else stage
    stages = stages or (VALUES_STAGE if values else DEFAULT_STAGE,)
    if isinstance(what, Lowered):
        _refuse(args, kwargs, values, "a program is drawn for the arguments that it was made for")
        return draw_program(what, stages, flow)
    if hasattr(what, "draw"):
        options = {"stage": stage, "values": values or None, "direction": direction}
        given = {name: option for name, option in options.items() if option is not None}
        drawing: Drawing = what.draw(*args, **given, **kwargs)
        return drawing
    if not callable(what):
        raise ArgumentError(
            "draw takes a function and arguments for it, a graph or a tensor",
            given=f"{type(what).__name__} {what!r:.60}",
            hint="write tl.draw(f, x), not tl.draw(f(x))",
        )
    function = what if isinstance(what, CompiledFunction) else CompiledFunction(what)
    call = function._arranged(args, kwargs)
    made = function._specialization(call)
    arrays = _input_arrays(made.traced, call.leaves) if values else None
    return draw_program(Lowered(made.compilation), stages, flow, made.traced, arrays)


def _refuse(args: Any, kwargs: Any, values: bool, requirement: str) -> None:
    if args or kwargs or values:
        raise ArgumentError(
            requirement,
            given="values=True" if values else f"{len(args) + len(kwargs)} further arguments",
            hint="draw the function itself: tl.draw(f, x, values=True)",
        )


def draw_program(
    lowered: Lowered,
    stages: Sequence[str],
    direction: str = DOWN,
    traced: TracedFunction | None = None,
    arrays: Sequence[np.ndarray[Any, Any]] | None = None,
) -> Drawing:
    """The stages of a program side by side, with the user's names if it is known how it was traced.

    With `arrays`, the inputs of the program, every wire has its value.
    """
    panels = []
    for stage in stages:
        graph = lowered.graph(stage)
        notes = {} if arrays is None else value_lines(graph, arrays)
        labels = Labels(notes=notes, scalars=arrays is None)
        if traced is not None:
            labels = replace(
                labels, parameters=frozenset(parameters_of(traced)), outputs=output_names(traced)
            )
        place = PLACE.get(stage, stage)
        title = f"{graph.name}: {place}" if place else graph.name
        panels.append((title, graph_scene(graph, labels)))
    return Drawing(tuple(panels), direction)


def parameters_of(traced: TracedFunction) -> set[int]:
    """Positions of the inputs that are learnt: updated, or what a gradient is taken of."""
    found = set(traced.updates.values())
    position = {value: i for i, value in enumerate(traced.graph.inputs)}
    for node in traced.graph.nodes:
        if node.op.name == "vjp":
            operands = (node.inputs[i] for i in node.attrs["wrt"])
            found.update(position[value] for value in operands if value in position)
    return found


def output_names(traced: TracedFunction) -> tuple[str, ...]:
    """What each output of the graph is to the user: part of the result, or an updated input."""
    names: dict[int, list[str]] = {}
    paths = traced.out_tree.paths("result")
    for path, leaf in zip(paths, traced.leaves, strict=True):
        result = traced.results[leaf]
        result = result.of if isinstance(result, ViewOf) else result
        if isinstance(result, Computed):
            names.setdefault(result.output, []).append(path)
    for output, source in traced.updates.items():
        names.setdefault(output, []).append(f"{traced.input_names[source]} updated")
    for write in traced.writes:
        result = traced.results[write.result]
        if isinstance(result, Computed):
            names.setdefault(result.output, []).append("written")
    count = len(traced.graph.outputs)
    return tuple(", ".join(names.get(i, ["output"])) for i in range(count))


def _input_arrays(traced: TracedFunction, leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The arguments of a call, and what the function captured, as the inputs of the graph."""
    given = [*leaves, *traced.captures]
    inputs = traced.graph.inputs
    return [np.asarray(x, value.type.dtype) for x, value in zip(given, inputs, strict=True)]
