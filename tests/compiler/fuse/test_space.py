"""The space that lowering derives from a kernel's body is the one that its nodes were admitted to.

The axes may have other names. What nothing ties to the rest of a body may lie along them in any
way; so values are compared that the body's operations tie to one another.
"""

from __future__ import annotations

import pytest

from tapeless.compiler.differentiate.expand import expand
from tapeless.compiler.passes.fuse.fuse import Body, Fuser
from tapeless.compiler.passes.fuse.groups import Group
from tapeless.compiler.pipeline import SIMPLIFICATION
from tapeless.compiler.space import Space, derive
from tapeless.ir.graph import Graph, Value

from ...end_to_end.test_random_graphs import gradient_graph
from ...random_graphs import LARGE, TINY, VIEWS, RandomGraph


def bodies(graph: Graph) -> list[tuple[Group, Body]]:
    """Every group of loops that fusion forms, with its body."""
    fuser = Fuser(graph)
    fuser.form_groups()
    order = fuser.groups.in_order()
    escaping = fuser.escaping(order)
    groups = [group for group in order if group.kind in ("map", "rows")]
    return [(group, fuser.body(group, escaping)) for group in groups]


def tied(body: Graph, values: list[Value]) -> list[list[Value]]:
    """The values in sets of those that operations of the body connect."""
    leader = {value: value for node in body.nodes for value in (*node.inputs, *node.outputs)}

    def find(value: Value) -> Value:
        while leader[value] is not value:
            value = leader[value]
        return value

    outside = set(body.inputs)
    for node in body.nodes:
        for value in node.inputs:
            if value not in outside and value.type.size != 1 and node.output.type.size != 1:
                leader[find(value)] = find(node.output)
    sets: dict[Value, list[Value]] = {}
    for value in values:
        sets.setdefault(find(value), []).append(value)
    return list(sets.values())


def assert_same_space(group: Group, body: Body) -> None:
    admitted, derived = group.space, derive(body.graph)
    made = [value for node in group.nodes for value in node.outputs if value.type.size != 1]
    inside = {body.inside[value]: value for value in made}
    for values in tied(body.graph, list(inside)):
        names: dict[int | None, int | None] = {}
        for value in values:
            assert value in derived.alignment
            columns = zip(
                admitted.alignment[inside[value]],
                derived.alignment[value],
                value.type.shape,
                strict=True,
            )
            for there, here, extent in columns:
                if extent != 1:
                    assert names.setdefault(there, here) == here
        assert len(set(names.values())) == len(names)
        # What has an element for every point of the space is right along any of its axes.
        if not all(derived.is_full(derived.alignment[value]) for value in values):
            for there, here in names.items():
                assert is_folded(admitted, there) == is_folded(derived, here)


def is_folded(space: Space, axis: int | None) -> bool:
    return axis in space.reduced


def optimized(graph: Graph) -> Graph:
    graph = expand(graph)
    for step in SIMPLIFICATION:
        graph = step.run(graph)
    return graph


def check(seed: int) -> None:
    for graph in (
        RandomGraph(seed).build(),
        gradient_graph(RandomGraph(seed).build(steps=8)),
        RandomGraph(seed, sizes=LARGE).build(),
        RandomGraph(seed, sizes=TINY).build(steps=30),
        RandomGraph(seed, VIEWS, TINY, chaining=0.7).build(steps=30),
    ):
        for group, body in bodies(optimized(graph)):
            assert_same_space(group, body)


@pytest.mark.parametrize("block", range(10))
def test_lowering_derives_the_space_that_fusion_admitted(block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        check(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(100))
def test_lowering_derives_the_space_that_fusion_admitted_long_run(block: int) -> None:
    for seed in range(1_000 + 50 * block, 1_050 + 50 * block):
        check(seed)
