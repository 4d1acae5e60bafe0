"""`tl.draw`: the picture of a function, a graph, or whatever can draw itself."""

from __future__ import annotations

from typing import Any

from ..compiled import CompiledFunction
from ..ir.errors import ArgumentError
from ..ir.graph import Graph
from ..lowered import Lowered
from .drawing import Drawing
from .graph_scene import graph_scene
from .measure import DOWN, RIGHT
from .program import Stages, draw_program, input_arrays, stages_of


def draw(
    what: Any,
    /,
    *args: Any,
    stage: Stages = None,
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
    stages = stages_of(stage, values)
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
    arrays = input_arrays(made.traced, call.leaves) if values else None
    return draw_program(Lowered(made.compilation), stages, flow, made.traced, arrays)


def _refuse(args: Any, kwargs: Any, values: bool, requirement: str) -> None:
    if args or kwargs or values:
        raise ArgumentError(
            requirement,
            given="values=True" if values else f"{len(args) + len(kwargs)} further arguments",
            hint="draw the function itself: tl.draw(f, x, values=True)",
        )
