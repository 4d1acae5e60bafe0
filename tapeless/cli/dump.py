"""`tapeless dump`: a function's program at any stage, as text, difference, picture or assembly."""

from __future__ import annotations

import difflib
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence

from ..compiled import Lowered
from ..compiler.trace.function import TracedFunction
from ..drawing import Drawing
from ..drawing.program import stage_scene
from ..ir.graph import Graph, Value
from ..ir.ops import Family
from .failure import CommandError
from .load import load
from .terminal import BOLD, paint, paint_difference, paint_program, wants_colour, write_result

BEFORE, AFTER = "optimized", "fused"
"""The stages on either side of fusion, shown unless others are asked for."""

FORMATS = ("text", "dot", "svg", "llvm", "asm")

STAGE_OF_FORMAT = {"llvm": "llvm", "asm": "asm"}
"""Formats that are a stage of their own."""

FORMAT_OF_SUFFIX = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".ll": "llvm", ".s": "asm"}
"""What `-o FILE` means when no format is asked for."""


def run_dump(options: Namespace) -> int:
    """Print what the options ask for; returns the exit code."""
    loaded = load(options.target)
    arguments = loaded.arguments()
    function = loaded.function
    made = loaded.attempt(lambda: function._specialization(function._arranged(arguments, {})))
    lowered = Lowered(made.compilation)
    form = _format(options)
    colour = options.output is None and wants_colour(sys.stdout)
    if options.list:
        text = _stage_list(lowered)
    elif options.why:
        text = _reasons(lowered)
    elif options.diff:
        text = _difference(lowered, options.stage)
        text = paint_difference(text) if colour else text
    elif form in ("dot", "svg"):
        drawing = _drawing(lowered, made.traced, _stages(lowered, options.stage))
        text = drawing.svg if form == "svg" else drawing.dot
    else:
        text = _programs(lowered, _text_stages(lowered, options, form), colour)
    write_result(text, options.output)
    return 0


def _format(options: Namespace) -> str:
    if options.format is None:
        suffix = os.path.splitext(options.output or "")[1]
        form = FORMAT_OF_SUFFIX.get(suffix, "text")
    else:
        form = options.format
    if form != "text" and (options.diff or options.list or options.why):
        only = "--diff, --list and --why are text"
        raise CommandError(f"{only}; they cannot be combined with {form}")
    return str(form)


def _text_stages(lowered: Lowered, options: Namespace, form: str) -> list[str]:
    own = STAGE_OF_FORMAT.get(form)
    if own is None:
        return _stages(lowered, options.stage)
    if options.stage not in (None, own):
        raise CommandError(f"--format {form} shows the stage {own}, not {options.stage}")
    return [own]


def _stages(lowered: Lowered, wanted: str | None) -> list[str]:
    if wanted is None:
        return [BEFORE, AFTER]
    if wanted not in lowered.stages:
        close = difflib.get_close_matches(wanted, list(lowered.stages), 1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise CommandError(f"no stage {wanted}{guess} There are: {', '.join(lowered.stages)}")
    return [wanted]


def graph_of(lowered: Lowered, stage: str) -> Graph | None:
    """The graph at a stage; None for the stages after the graph (loops, llvm, asm)."""
    return lowered.graph(stage) if stage in lowered.graph_stages else None


def _summary(lowered: Lowered, stage: str) -> str:
    """How much there is at a stage: operations or kernels and their traffic, or lines of text."""
    graph = graph_of(lowered, stage)
    if graph is None:
        return f"{lowered.stages[stage].count(chr(10)):,} lines"
    kernels = sum(node.op.name == "fused" for node in graph.nodes)
    count, unit = (kernels, "kernel") if kernels else (len(graph.nodes), "operation")
    moved = f"{traffic(graph) / 1024:,.1f} KiB read and written"
    return f"{count} {unit}{'' if count == 1 else 's'}, {moved}"


def traffic(graph: Graph) -> int:
    """Bytes that the nodes read and write if each runs by itself.

    Views and constants cost nothing: NumPy does not copy for them either. Reading a view costs
    what it shows of its origin at most.
    """
    origin: dict[Value, int] = {}
    total = 0
    for node in graph.nodes:
        reads = [min(origin.get(v, v.type.nbytes), v.type.nbytes) for v in node.inputs]
        if node.op.family in (Family.VIEW, Family.CREATION):
            origin[node.output] = sum(reads)
        else:
            total += sum(reads) + sum(value.type.nbytes for value in node.outputs)
    return total


def _heading(lowered: Lowered, stage: str) -> str:
    place = {BEFORE: "before fusion", AFTER: "after fusion"}.get(stage)
    title = f"{place} (stage {stage})" if place else f"stage {stage}"
    return f"{title}: {_summary(lowered, stage)}"


def _stage_list(lowered: Lowered) -> str:
    width = max(len(stage) for stage in lowered.stages)
    return "\n".join(f"{stage:{width}}  {_summary(lowered, stage)}" for stage in lowered.stages)


def _reasons(lowered: Lowered) -> str:
    """One line for every two kernels of which one reads the other's results."""
    reasons = [str(separation) for separation in lowered.explain()]
    return "\n".join(reasons) or "no kernel reads the results of another"


def _programs(lowered: Lowered, stages: Sequence[str], colour: bool) -> str:
    texts = {stage: lowered.stages[stage] for stage in stages}
    if colour:
        texts = {stage: paint_program(text) for stage, text in texts.items()}
    if len(stages) == 1:
        return texts[stages[0]]
    headings: Mapping[str, str] = {stage: f"# {_heading(lowered, stage)}" for stage in stages}
    parts = [
        f"{paint(headings[stage], BOLD) if colour else headings[stage]}\n{texts[stage].rstrip()}\n"
        for stage in stages
    ]
    return "\n".join(parts)


def _drawing(lowered: Lowered, traced: TracedFunction, stages: Sequence[str]) -> Drawing:
    panels = []
    for stage in stages:
        if stage not in lowered.graph_stages:
            raise CommandError(
                f"stage {stage} is text, not a graph; pictures exist of: "
                f"{', '.join(lowered.graph_stages)}"
            )
        panels.append((_heading(lowered, stage), stage_scene(lowered, stage, traced)))
    return Drawing(tuple(panels))


def _difference(lowered: Lowered, stage: str | None) -> str:
    """A unified diff from the stage before `stage` to it; across fusion when none is named."""
    (*_, after) = _stages(lowered, stage)
    names = list(lowered.stages)
    at = names.index(after)
    if at == 0:
        raise CommandError(f"{after} is the first stage; there is nothing before it")
    before = BEFORE if stage is None else names[at - 1]
    lines = difflib.unified_diff(
        lowered.stages[before].splitlines(),
        lowered.stages[after].splitlines(),
        before,
        after,
        lineterm="",
    )
    return "\n".join(lines) or f"# {before} and {after} are the same"
