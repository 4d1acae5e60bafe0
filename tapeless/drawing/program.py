"""The picture of a compiled program: stages side by side, with the user's names in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..compiler.trace.function import TracedFunction
from ..compiler.trace.results import Computed, ViewOf
from ..lowered import Lowered
from .drawing import Drawing
from .graph_scene import Labels, graph_scene
from .measure import DOWN
from .scene import Scene
from .values import value_lines

DEFAULT_STAGE = "fused"
VALUES_STAGE = "differentiated"
"""What is drawn when no stage is named: the kernels; with values, the operations as written."""

PLACE = {"optimized": "before fusion", "fused": "after fusion", VALUES_STAGE: ""}
"""What the title calls stages, if not by their names."""

Stages = str | Sequence[str] | None


def stages_of(stage: Stages, values: bool = False) -> Sequence[str]:
    """The stages that `stage` asks for."""
    default = VALUES_STAGE if values else DEFAULT_STAGE
    return (stage,) if isinstance(stage, str) else stage or (default,)


def draw_program(
    lowered: Lowered,
    stages: Sequence[str],
    direction: str = DOWN,
    traced: TracedFunction | None = None,
    arrays: Sequence[np.ndarray[Any, Any]] | None = None,
) -> Drawing:
    """The stages of a program side by side; see `stage_scene`."""
    panels = []
    for stage in stages:
        scene = stage_scene(lowered, stage, traced, arrays)
        name, place = lowered.graph(stage).name, PLACE.get(stage, stage)
        panels.append((f"{name}: {place}" if place else name, scene))
    return Drawing(tuple(panels), direction)


def stage_scene(
    lowered: Lowered,
    stage: str,
    traced: TracedFunction | None = None,
    arrays: Sequence[np.ndarray[Any, Any]] | None = None,
) -> Scene:
    """One stage of a program, with the user's names if it is known how it was traced.

    With `arrays`, the inputs of the program, every wire has its value.
    """
    graph = lowered.graph(stage)
    notes = {} if arrays is None else value_lines(graph, arrays)
    labels = Labels(notes=notes, scalars=arrays is None)
    if traced is not None:
        parameters, outputs = frozenset(parameters_of(traced)), output_names(traced)
        labels = replace(labels, parameters=parameters, outputs=outputs)
    return graph_scene(graph, labels)


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


def input_arrays(traced: TracedFunction, leaves: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """The arguments of a call, and what the function captured, as the inputs of the graph."""
    given = [*leaves, *traced.captures]
    inputs = traced.graph.inputs
    return [np.asarray(x, value.type.dtype) for x, value in zip(given, inputs, strict=True)]
