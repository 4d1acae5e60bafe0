"""The whole of one traced function: `trace_function(fn, args, kwargs) -> TracedFunction`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import TapelessError
from ...ir.graph import Graph, GraphBuilder
from ...ir.pytree import TreeDef, flatten
from .arguments import ArgumentSpec, argument_path, leaf_names, spec_of
from .array import TracedArray
from .captures import Captures
from .context import activate
from .graph_trace import GraphTrace
from .reachable import Watched
from .results import ContainerWatch, ContainerWrite, Result, ResultCollector


@dataclass(frozen=True, slots=True)
class TracedFunction:
    """A function as a graph, and how calls of it relate to the graph.

    The graph's inputs are the argument leaves in flatten order of `(args, kwargs)`, described by
    `arguments`, then `captures` (arrays by reference; check their type and address at each call).
    `aliases[i]` is the first leaf that was the same array object as leaf `i` (usually `i`): the
    graph is right only for calls with the same pattern, and as long as no input in
    `updates.values()` overlaps another input's memory.

    The graph's outputs are computed results, then updates: `updates[output] = input` says that the
    memory of that input becomes the output. Result leaf `k` is `results[leaves[k]]`, in the
    structure `out_tree`; equal numbers mean the same object. `writes` bind entries of the caller's
    containers. `ranges[input]` is what a Python int passed there must lie in, else NumPy raises
    `OverflowError`. The function has to be traced again when any of `watched` ceases to hold.
    """

    name: str
    graph: Graph
    in_tree: TreeDef
    arguments: tuple[ArgumentSpec, ...]
    aliases: tuple[int, ...]
    captures: tuple[np.ndarray[Any, Any], ...]
    input_names: tuple[str, ...]
    out_tree: TreeDef
    results: tuple[Result, ...]
    leaves: tuple[int, ...]
    updates: Mapping[int, int]
    writes: tuple[ContainerWrite, ...]
    ranges: Mapping[int, tuple[int, int]]
    watched: tuple[Watched, ...]

    def is_current(self) -> bool:
        """Whether everything that the trace relied on is still bound as it was."""
        return all(watched.holds() for watched in self.watched)


def trace_function(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    name: str | None = None,
    aliases: Sequence[int] | None = None,
) -> TracedFunction:
    """Trace `fn(*args, **kwargs)`.

    The leaves of `args` and `kwargs` are arrays, numbers or `ArgumentSpec`s. The same array object
    in two places is one array inside the function; for specs, `aliases` says which are (see
    `TracedFunction.aliases`). Raises the errors of `tapeless.ir.errors`.
    """
    leaves, in_tree = flatten((tuple(args), dict(kwargs)))
    names = leaf_names(fn, in_tree)
    specs = tuple(spec_of(leaf, name) for leaf, name in zip(leaves, names, strict=True))
    groups = tuple(aliases) if aliases is not None else alias_groups(leaves)
    title = str(name or getattr(fn, "__name__", type(fn).__name__))
    # Not a child of an active trace: arrays of that one do not belong into this function.
    trace = GraphTrace(GraphBuilder(title), policy=_unset)
    captures = Captures(fn, trace)
    trace.policy = captures.capture
    inputs = [_argument(trace, spec, text) for spec, text in zip(specs, names, strict=True)]
    arguments = in_tree.unflatten([inputs[group] for group in groups])
    out = _run(fn, arguments, trace, captures)
    return TracedFunction(
        name=title,
        graph=trace.builder.build(out.outputs),
        in_tree=in_tree,
        arguments=specs,
        aliases=groups,
        captures=captures.arrays,
        input_names=tuple(value.name for value in trace.builder.inputs),
        out_tree=out.tree,
        results=out.results,
        leaves=out.leaves,
        updates=out.updates,
        writes=out.writes,
        ranges=dict(trace.ranges),
        watched=captures.watched(),
    )


def _argument(trace: GraphTrace, spec: ArgumentSpec, text: str) -> TracedArray:
    return trace.add_input(
        spec.type,
        kind=spec.kind,
        name=text,
        origin=f"the argument {text}",
        contiguous=spec.contiguous,
    )


def _run(fn: Callable[..., Any], arguments: Any, trace: GraphTrace, captures: Captures) -> _Outcome:
    """Run the function on traced `(args, kwargs)`; the trace is over afterwards."""
    watch = ContainerWatch(arguments, lambda path: argument_path(fn, path))
    args, kwargs = arguments
    try:
        with activate(trace):
            with captures.substituted():
                result = captures.substitute(fn)(*args, **kwargs)
            captures.check()
            return _Outcome.collect(trace, result, watch)
    except ValueError as error:
        if isinstance(error.__cause__, TapelessError):  # NumPy wraps what `array[i] = traced` met
            raise error.__cause__ from None
        raise
    finally:
        trace.finished = True


def _unset(array: np.ndarray[Any, Any]) -> TracedArray:
    raise AssertionError("the policy is set before the function runs")


def alias_groups(leaves: Sequence[Any]) -> tuple[int, ...]:
    """For each leaf the first one that is the same array object."""
    first: dict[int, int] = {}
    return tuple(
        first.setdefault(id(leaf), index) if isinstance(leaf, np.ndarray) else index
        for index, leaf in enumerate(leaves)
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the function returned and changed."""

    outputs: tuple[Any, ...]
    tree: TreeDef
    results: tuple[Result, ...]
    leaves: tuple[int, ...]
    updates: dict[int, int]
    writes: tuple[ContainerWrite, ...]

    @classmethod
    def collect(cls, trace: GraphTrace, result: Any, watch: ContainerWatch) -> _Outcome:
        leaves, tree = flatten(result)
        rebound = watch.rebound()
        collector = ResultCollector(trace)
        collector.share([*leaves, *(leaf for _, leaf in rebound)])
        paths = tree.paths("the result")
        numbers = tuple(collector.add(leaf, path) for leaf, path in zip(leaves, paths, strict=True))
        writes = tuple(
            ContainerWrite(path, collector.add(leaf, watch.describe(path)))
            for path, leaf in rebound
        )
        outputs = list(collector.outputs)
        updates: dict[int, int] = {}
        for position in trace.updated():
            updates[len(outputs)] = position
            outputs.append(trace.arrays[position].value)
        return cls(tuple(outputs), tree, tuple(collector.results), numbers, updates, writes)
