"""A static graph that is built once and run by name.

    graph = tl.build_graph(step, params, x, y)     # traced and compiled for these types; not run
    print(graph)                                   # the program before and after fusion
    for x, y in batches:
        loss = tl.run_graph(graph, params=params, x=x, y=y)

A graph is a compiled function for one signature that tells what goes in and out by name, and says
which input is missing, unknown or of another type, where `tl.compile` would compile once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import chain, count
from typing import Any

import numpy as np

from .compiled import CompiledFunction, Specialization
from .compiler.trace.function import TracedFunction
from .compiler.trace.kinds import Kind
from .compiler.trace.results import Computed, Fixed, Input, Result, ViewOf
from .drawing import Drawing
from .drawing.functions import draw
from .drawing.measure import DOWN
from .drawing.program import DEFAULT_STAGE, draw_program
from .feeds import GraphSignature, description
from .ir.errors import ArgumentError
from .ir.types import TensorType
from .lowered import Cost, Lowered
from .parameters import function_name, location_of

__all__ = ["Port", "StaticGraph", "build_graph", "run_graph"]

BEFORE, AFTER = "optimized", "fused"
"""The stages that a graph prints: before and after fusion."""


@dataclass(frozen=True, slots=True)
class Port:
    """What enters or leaves a graph under one name.

    `kind` is "array", "scalar" (a NumPy scalar), "bool", "int" or "float" (a Python number), or
    "constant" (a result that is the same on every call; `dtype` is then None).
    """

    name: str
    kind: str
    dtype: np.dtype[Any] | None
    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        """The type as the IR writes it: `f64[3,4]`; the kind where that says more: `float`."""
        if self.dtype is None or self.kind in ("bool", "int", "float"):
            return self.kind
        return str(TensorType(self.dtype, self.shape))


class StaticGraph:
    """A function traced and compiled for one signature, run by the names of its parameters.

    Made by `build_graph`. `graph(x=…, y=…)` is `graph.run(x=…, y=…)`. `print(graph)` shows the
    program before and after fusion, `graph.lowered` every stage of it.

    `inputs`, `captured` (arrays of closures and globals, used by reference) and `outputs` map names
    to `Port`s, in order. Leaves of pytrees are named as in Python: `params['w1']`; the result of
    the function is `result`. `updated` names the inputs whose memory a run overwrites.
    """

    def __init__(self, function: _BuiltFunction, made: Specialization, fixed: Mapping[str, Any]):
        self.name = function.__name__
        self.lowered = Lowered(made.compilation)
        self._function = function
        self._fixed = dict(fixed)
        signature = GraphSignature.of(self.name, function.__wrapped__, made.traced, self._fixed)
        self._signature = function.signature = signature
        traced = self._traced = made.traced
        given = len(traced.arguments)
        names = _distinct(traced.input_names)
        entries = [_input_port(name, i, traced) for i, name in enumerate(names)]
        self.inputs: Mapping[str, Port] = {port.name: port for port in entries[:given]}
        self.captured: Mapping[str, Port] = {port.name: port for port in entries[given:]}
        self.outputs: Mapping[str, Port] = {port.name: port for port in _output_ports(traced)}
        self.updated: tuple[str, ...] = tuple(names[i] for i in _written(traced))

    def __call__(self, /, *args: Any, **inputs: Any) -> Any:
        """What the function returns for these inputs, as `run` does."""
        if args:
            raise ArgumentError(
                f"the inputs of graph {self.name} are given by name",
                given=f"{len(args)} without a name",
                hint=f"run it as {self._signature.call}",
            )
        return self.run(**inputs)

    def run(self, /, **inputs: Any) -> Any:
        """What the function returns for these inputs, one for each of its parameters.

        Raises `ArgumentError` for inputs that are missing, unknown, or of another type.
        """
        return self._function(**self._signature.in_order(inputs), **self._fixed)

    def draw(
        self,
        /,
        *,
        stage: str | Sequence[str] | None = None,
        values: bool = False,
        direction: str | None = None,
        **inputs: Any,
    ) -> Drawing:
        """The picture of the graph, as `tl.draw` makes it; with `values`, those for `inputs`."""
        if values:
            given = {**self._signature.in_order(inputs), **self._fixed}
            return draw(self._function, stage=stage, values=True, direction=direction, **given)
        if inputs:
            raise ArgumentError(
                f"a drawing of graph {self.name} needs inputs for their values alone",
                given=", ".join(inputs),
                hint="leave them out, or pass values=True",
            )
        stages = (stage,) if isinstance(stage, str) else stage or (DEFAULT_STAGE,)
        return draw_program(self.lowered, stages, direction or DOWN, self._traced)

    @property
    def cost(self) -> Cost:
        """Static counts of one run."""
        return self.lowered.cost()

    def __str__(self) -> str:
        before, after = (self.lowered.stages[stage].rstrip() for stage in (BEFORE, AFTER))
        return f"# before fusion\n{before}\n\n# after fusion\n{after}"

    def __repr__(self) -> str:
        groups = {"input": self.inputs, "captured": self.captured, "output": self.outputs}
        width = max((len(name) for ports in groups.values() for name in ports), default=0)
        lines = [f"<static graph {self.name}: {_count(self.cost.kernels, 'kernel')}"]
        for group, ports in groups.items():
            for name, port in ports.items():
                note = "  (updated in place)" if name in self.updated else ""
                lines.append(f"  {group:8}  {name:{width}}  {port}{note}")
        return "\n".join(lines) + ">"


class _BuiltFunction(CompiledFunction):
    """A compiled function that, once its graph is built, takes calls of one signature only."""

    signature: GraphSignature | None = None

    def _specialize(self, call: Any, groups: Any) -> Specialization:
        """Comes here for what is not known: another layout, aliases, or inputs that do not fit."""
        if self.signature is not None:
            self.signature.check_types(call.args, call.kwargs)
        return super()._specialize(call, groups)


def build_graph(fn: Callable[..., Any], /, *example: Any, **named: Any) -> StaticGraph:
    """Trace and compile `fn` for arguments like these; nothing is run and nothing is changed.

    `fn` is a NumPy function, compiled or not; its parameters can be passed by name. Static
    arguments of a compiled function, and parameters that are left at their defaults, become part
    of the graph. Raises the errors of tracing, and `ArgumentError` for what has no name.
    """
    if not callable(fn):
        raise ArgumentError("build_graph takes a function", given=description(fn))
    compiled = fn if isinstance(fn, CompiledFunction) else CompiledFunction(fn)
    plain = compiled.__wrapped__
    function = _BuiltFunction(plain, static=tuple(compiled.static), threads=compiled.threads)
    call = function._arranged(example, named)
    given = _given_by_name(plain, example, named)
    fixed = {name: value for name, value in given.items() if name in function.static}
    return StaticGraph(function, function._specialization(call), fixed)


def run_graph(graph: StaticGraph, /, **inputs: Any) -> Any:
    """What the function of `graph` returns for these inputs, given by name; see `StaticGraph`."""
    if not isinstance(graph, StaticGraph):
        raise ArgumentError(
            "run_graph takes a graph",
            given=description(graph),
            hint="make it with tl.build_graph(function, *example_arguments)",
        )
    return graph.run(**inputs)


def _given_by_name(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call that fits, by name; `ArgumentError` where one cannot have a name."""
    try:
        form = signature(fn)
        given = form.bind(*args, **kwargs).arguments
        nameless = any(form.parameters[name].kind in _NAMELESS for name in given)
    except (TypeError, ValueError):  # a builtin without a signature
        form, given, nameless = None, {}, True
    if nameless:
        raise ArgumentError(
            f"the arguments of {function_name(fn)} can be passed by name",
            given=f"a function of {form or 'unknown parameters'}",
            hint="wrap it in a function that names them: def f(x, y): …",
            loc=location_of(fn),
        )
    return dict(given)


_NAMELESS = (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL)


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, numbered where closures of several functions hold arrays of the same name."""
    distinct: list[str] = []
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        distinct.append(next(free for free in chain((name,), numbered) if free not in distinct))
    return distinct


def _input_port(name: str, i: int, traced: TracedFunction) -> Port:
    kind = traced.arguments[i].kind if i < len(traced.arguments) else Kind.ARRAY
    type_ = traced.graph.inputs[i].type
    return Port(name, kind.value, type_.dtype, type_.shape)


def _output_ports(traced: TracedFunction) -> list[Port]:
    names = traced.out_tree.paths("result")
    return [
        _output_port(name, traced.results[leaf], traced)
        for name, leaf in zip(names, traced.leaves, strict=True)
    ]


def _output_port(name: str, result: Result, traced: TracedFunction) -> Port:
    if isinstance(result, Fixed):
        return Port(name, "constant", None)
    if isinstance(result, ViewOf):
        whole = _output_port(name, result.of, traced)
        view = result.apply(np.empty(whole.shape, whole.dtype))
        return Port(name, whole.kind, view.dtype, view.shape)
    if isinstance(result, Input):
        return _input_port(name, result.input, traced)
    assert isinstance(result, Computed)
    type_ = traced.graph.outputs[result.output].type
    return Port(name, result.kind.value, type_.dtype, type_.shape)


def _written(traced: TracedFunction) -> list[int]:
    return sorted(set(traced.updates.values()))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
