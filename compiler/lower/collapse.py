"""Merges adjacent axes of a kernel that are always walked together.

A chain over (8, 64) and one over (512,) are then the same kernel, and inner loops are long. Two
neighbouring axes merge when every aligned value has both (adjacent and in order) or neither, and
both are reduced or both are not; axes of extent 1 disappear.
"""

from __future__ import annotations

from itertools import pairwise

from ...ir.graph import Graph, GraphBuilder, Node, Value
from ...ir.ops import Family, creation
from ...ir.types import TensorType
from ..space import Alignment, Space, derive, is_consistent, reduced_axes


def _pairs(alignment: Alignment, space: Space) -> tuple[set[tuple[int, int]], set[int]]:
    """Neighbours in order along a value, and all axes it has; unit axes are looked through."""
    axes = [a for a in alignment if a is not None and space.extents[a] != 1]
    return set(pairwise(axes)), set(axes)


def _mergeable(space: Space) -> list[tuple[int, ...]]:
    """The axes of the space in runs that can be walked as one; unit axes are left out."""
    wide = [a for a, extent in enumerate(space.extents) if extent != 1]
    joined = {(a, b) for a, b in pairwise(wide) if (a in space.reduced) == (b in space.reduced)}
    for alignment in set(space.alignment.values()):
        pairs, axes = _pairs(alignment, space)
        joined = {(a, b) for a, b in joined if (a, b) in pairs or not {a, b} & axes}
    runs: list[tuple[int, ...]] = []
    for axis in wide:
        if runs and (runs[-1][-1], axis) in joined:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return runs


def can_collapse(body: Graph, space: Space) -> bool:
    """Only bodies in which every value of rank > 0 is aligned, and no op depends on positions."""
    plain = {"broadcast", "transpose", "reshape", "constant", "sum", "prod"}
    plain |= {"reduce_max", "reduce_min"}
    return all(
        node.op.family is Family.ELEMENTWISE or node.op.name in plain for node in body.nodes
    ) and all(
        value in space.alignment or value.type.size == 1
        for value in (*body.inputs, *(v for node in body.nodes for v in node.outputs))
    )


class _Collapser:
    def __init__(self, body: Graph, space: Space) -> None:
        self.space = space
        self.runs = _mergeable(space)
        self.run_of = {axis: number for number, run in enumerate(self.runs) for axis in run}
        self.body = body

    def type(self, value: Value) -> TensorType:
        shape = []
        for run in self._runs_of(value):
            extent = 1
            for axis in self.runs[run]:
                extent *= self.space.extents[axis]
            shape.append(extent)
        return value.type.with_shape(tuple(shape))

    def _runs_of(self, value: Value) -> list[int]:
        alignment = self.space.alignment.get(value, ())
        axes = (a for a in alignment if a is not None and a in self.run_of)
        return list(dict.fromkeys(self.run_of[a] for a in axes))

    def _copy(self, builder: GraphBuilder, node: Node, env: dict[Value, Value]) -> Value:
        operands = [env[value] for value in node.inputs]
        result = self._runs_of(node.output)
        attrs = dict(node.attrs)
        source = self._runs_of(node.inputs[0]) if node.inputs else []
        match node.op.name:
            case "constant":
                value = node.attrs["value"].reshape(())
                return builder.emit(creation.constant, (), {"value": value}, loc=node.loc)[0]
            case "broadcast":
                if result == source:
                    return operands[0]
                attrs = {
                    "shape": self.type(node.output).shape,
                    "axes": tuple(result.index(run) for run in source),
                }
            case "transpose":
                if result == source:
                    return operands[0]
                attrs = {"axes": tuple(source.index(run) for run in result)}
            case "reshape":
                return operands[0]
            case _ if node.op.family is Family.REDUCTION:
                alignment = self.space.alignment[node.inputs[0]]
                along = (alignment[axis] for axis in reduced_axes(node))
                folded = {self.run_of[a] for a in along if a is not None and a in self.run_of}
                attrs = {"axes": tuple(i for i, run in enumerate(source) if run in folded)}
        return builder.emit(node.op, operands, attrs, loc=node.loc, phase=node.phase)[0]

    def run(self) -> Graph:
        builder = GraphBuilder(self.body.name)
        env = {v: builder.input(self.type(v), v.name) for v in self.body.inputs}
        for node in self.body.nodes:
            env[node.output] = self._copy(builder, node, env)
        return builder.build(env[value] for value in self.body.outputs)


def collapse_axes(body: Graph) -> Graph:
    """Requires: a fused body of kind `map` or `rows`.

    Ensures: the same elements in memory order, over as few and as long axes as possible.
    """
    space = derive(body)
    if 0 in space.extents or not can_collapse(body, space) or not is_consistent(body, space):
        return body
    return _Collapser(body, space).run()
