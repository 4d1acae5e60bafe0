"""Ops that hold sub-graphs: transformations before they are expanded, and fused kernels.

`vjp`, `jvp` and `vmap` record what the user asked for; the differentiate stage replaces them by
the graphs that they stand for. `custom_vjp` survives until the same stage. `fused` is made by
fusion and is what code generation turns into one kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Graph
from ..types import TensorType, is_float
from .registry import Family, declare, require

Types = tuple[TensorType, ...]
Attrs = Mapping[str, Any]


def _takes(graph: Graph, operands: Sequence[TensorType], extra: Types, name: str) -> None:
    expected = tuple(value.type for value in graph.inputs) + extra
    require(
        tuple(operands) == expected,
        f"{name} takes operands of types {', '.join(map(str, expected))}",
        operands,
    )


def _positions(positions: Sequence[int], count: int, what: str) -> None:
    require(
        len(set(positions)) == len(positions) and all(0 <= i < count for i in positions),
        f"distinct positions of {count} {what}: {positions}",
        [],
    )


def _vjp_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    graph: Graph = attrs["graph"]
    _positions(attrs["wrt"], len(graph.inputs), "inputs")
    _positions(attrs["seeded"], len(graph.outputs), "outputs")
    _takes(graph, operands, tuple(graph.outputs[i].type for i in attrs["seeded"]), "vjp")
    gradients = tuple(graph.inputs[i].type for i in attrs["wrt"])
    require(all(is_float(t.dtype) for t in gradients), "vjp with respect to floats", operands)
    return graph.output_types + gradients


vjp = declare(
    "vjp",
    Family.STRUCTURE,
    None,
    _vjp_rule,
    None,
    "operands: the inputs of `graph`, then a cotangent for each output in `seeded`; results: the "
    "outputs of `graph`, then the cotangent of each input in `wrt`",
    attrs=("graph", "wrt", "seeded"),
)


def tangent_outputs(graph: Graph) -> tuple[int, ...]:
    """Positions of the outputs that have a tangent: those of floating type."""
    return tuple(i for i, type in enumerate(graph.output_types) if is_float(type.dtype))


def _jvp_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    graph: Graph = attrs["graph"]
    _positions(attrs["wrt"], len(graph.inputs), "inputs")
    _takes(graph, operands, tuple(graph.inputs[i].type for i in attrs["wrt"]), "jvp")
    return graph.output_types + tuple(graph.output_types[i] for i in tangent_outputs(graph))


jvp = declare(
    "jvp",
    Family.STRUCTURE,
    None,
    _jvp_rule,
    None,
    "operands: the inputs of `graph`, then a tangent for each input in `wrt`; results: the "
    "outputs of `graph`, then a tangent for each output of floating type",
    attrs=("graph", "wrt"),
)


def _vmap_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    graph: Graph = attrs["graph"]
    size, batched = attrs["size"], attrs["batched"]
    require(
        size >= 0 and len(batched) == len(graph.inputs),
        "vmap takes a size and one mark per input of its graph",
        operands,
    )
    expected = tuple(
        value.type.with_shape((size, *value.type.shape)) if mapped else value.type
        for value, mapped in zip(graph.inputs, batched, strict=True)
    )
    require(
        tuple(operands) == expected,
        f"vmap takes operands of types {', '.join(map(str, expected))}",
        operands,
    )
    return tuple(type.with_shape((size, *type.shape)) for type in graph.output_types)


vmap = declare(
    "vmap",
    Family.STRUCTURE,
    None,
    _vmap_rule,
    None,
    "`graph` applied to each of `size` slices along axis 0 of the operands marked in `batched`; "
    "every result has the batch as its axis 0",
    attrs=("graph", "size", "batched"),
)


def _custom_vjp_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    graph: Graph = attrs["graph"]
    forward, backward = attrs["forward"], attrs["backward"]
    _takes(graph, operands, (), "custom_vjp")
    count = len(graph.outputs)
    residuals = forward.output_types[count:]
    require(
        forward.output_types[:count] == graph.output_types
        and tuple(v.type for v in forward.inputs) == tuple(v.type for v in graph.inputs)
        and tuple(v.type for v in backward.inputs) == residuals + graph.output_types
        and backward.output_types == tuple(v.type for v in graph.inputs),
        "custom_vjp: forward gives the outputs and residuals, backward takes the residuals and "
        "a cotangent per output and gives a cotangent per input",
        operands,
    )
    return graph.output_types


custom_vjp = declare(
    "custom_vjp",
    Family.STRUCTURE,
    None,
    _custom_vjp_rule,
    None,
    "`graph` with a derivative of the user's own: `forward` gives outputs and residuals, "
    "`backward` turns residuals and cotangents into the cotangents of the inputs",
    attrs=("graph", "forward", "backward"),
)


def _fused_rule(operands: Sequence[TensorType], attrs: Attrs) -> Types:
    _takes(attrs["graph"], operands, (), "fused")
    graph: Graph = attrs["graph"]
    return graph.output_types


fused = declare(
    "fused",
    Family.STRUCTURE,
    None,
    _fused_rule,
    None,
    "`graph` computed by one kernel of the given `kind`",
    attrs=("graph", "kind"),
)
