"""The memory plan is replayed in real memory: no value may be damaged before its last read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tapeless.compiler.passes.dead_nodes import eliminate_dead_nodes
from tapeless.compiler.passes.fuse import fuse_kernels, reads_only_at_index
from tapeless.compiler.passes.memory import MemoryPlan, Placement, Space, plan_memory
from tapeless.compiler.passes.packing import Block, peak
from tapeless.compiler.passes.schedule import schedule
from tapeless.compiler.passes.storage import ALIASES, STATIC, storage_of
from tapeless.ir.graph import Graph, GraphBuilder, Node, Value
from tapeless.ir.interpreter import interpret, run_node
from tapeless.ir.ops import OPS, Family
from tapeless.ir.parser import parse_graph
from tapeless.ir.program import ARENA_ALIGNMENT

from ...random_graphs import NEUTRAL, TINY, RandomGraph
from .equivalence import Array, bits, random_array

Predicate = Callable[[Node, int], bool]


def elementwise_reads(node: Node, position: int) -> bool:
    """What the code generator promises for an elementwise loop."""
    same_shape = node.inputs[position].type.shape == node.outputs[0].type.shape
    return node.op.family is Family.ELEMENTWISE and same_shape


class Replay:
    """Runs a graph by a plan, in buffers of bytes, beside an undisturbed run by value."""

    def __init__(
        self, graph: Graph, plan: MemoryPlan, arrays: list[Array], overwrites: Predicate
    ) -> None:
        self.graph, self.plan, self.overwrites = graph, plan, overwrites
        self.truth: dict[Value, Array] = dict(zip(graph.inputs, arrays, strict=True))
        self.buffers = {
            Placement(Space.INPUT, i): bytearray(bits(array)) for i, array in enumerate(arrays)
        }
        for i, value in enumerate(graph.outputs):
            own = bytearray(b"\xa5" * value.type.nbytes)
            if i in plan.in_place:
                own = self.buffers[Placement(Space.INPUT, plan.in_place[i])]
            self.buffers[Placement(Space.OUTPUT, i)] = own
        constants = [node for node in graph.nodes if node.op.name in STATIC]
        for i, node in enumerate(constants):
            (self.truth[node.output],) = run_node(node, [])
            self.buffers[Placement(Space.CONSTANT, i)] = bytearray(bits(self.truth[node.output]))
        self.arena = bytearray(b"\xa5" * plan.arena_bytes)

    def memory(self, placement: Placement, size: int) -> memoryview:
        if placement.space is Space.ARENA:
            assert placement.position % ARENA_ALIGNMENT == 0
            assert placement.position + size <= len(self.arena)
            return memoryview(self.arena)[placement.position : placement.position + size]
        return memoryview(self.buffers[placement])[:size]

    def region(self, value: Value) -> tuple[object, int, int]:
        """Which buffer, and the bytes of it, that a value occupies."""
        placement, size = self.plan.placements[value], value.type.nbytes
        if placement.space is Space.ARENA:
            return "arena", placement.position, placement.position + size
        return id(self.buffers[placement]), 0, size

    def check(self, value: Value) -> None:
        held = bytes(self.memory(self.plan.placements[value], value.type.nbytes))
        assert held == bits(self.truth[value]), f"damaged: {value}"

    def run(self) -> tuple[Array, ...]:
        for copy in self.plan.copies_before:
            self.copy(copy)
        for node in self.graph.nodes:
            if node.op.name not in ALIASES:
                for value in node.inputs:
                    self.check(value)
            with np.errstate(all="ignore"):
                results = run_node(node, [self.truth[value] for value in node.inputs])
            self.truth.update(zip(node.outputs, results, strict=True))
            if node.op.name not in ALIASES | STATIC:
                self.check_overlap(node)
                for value in node.outputs:
                    self.memory(self.plan.placements[value], value.type.nbytes)[:] = bits(
                        self.truth[value]
                    )
        for copy in self.plan.copies_after:
            self.copy(copy)
        return tuple(self.output(i, value) for i, value in enumerate(self.graph.outputs))

    def check_overlap(self, node: Node) -> None:
        """A node writes beside its operands, or exactly over one that it reads at the index."""
        for position, operand in enumerate(node.inputs):
            for result in node.outputs:
                left, right = self.region(operand), self.region(result)
                disjoint = left[0] != right[0] or left[2] <= right[1] or right[2] <= left[1]
                allowed = left == right and self.overwrites(node, position)
                assert disjoint or allowed, f"{node.op.name} overwrites operand {position}"

    def copy(self, copy) -> None:
        size = copy.value.type.nbytes
        assert copy.source == self.plan.placements[copy.value]
        target = self.memory(Placement(Space.OUTPUT, copy.output), size)
        target[:] = bytes(self.memory(copy.source, size))

    def output(self, index: int, value: Value) -> Array:
        held = bytes(self.buffers[Placement(Space.OUTPUT, index)])
        return np.frombuffer(held, value.type.dtype).reshape(value.type.shape)


def replay(
    graph: Graph,
    updates: Mapping[int, int],
    arrays: list[Array],
    overwrites: Predicate = elementwise_reads,
) -> MemoryPlan:
    """Plan, run in memory, compare every output; arguments not updated in place stay."""
    plan = plan_memory(graph, updates, overwrites)
    run = Replay(graph, plan, arrays, overwrites)
    for got, expected in zip(run.run(), interpret(graph, arrays), strict=True):
        assert bits(got) == bits(expected)
    for i, array in enumerate(arrays):
        if i not in plan.in_place.values():
            assert bytes(run.buffers[Placement(Space.INPUT, i)]) == bits(array)
    for output, argument in plan.in_place.items():
        assert updates[output] == argument
    return plan


def random_updates(graph: Graph, rng: np.random.Generator) -> dict[int, int]:
    """Some outputs, each to overwrite an input of its type."""
    updates: dict[int, int] = {}
    for output, value in enumerate(graph.outputs):
        fitting = [
            i
            for i, argument in enumerate(graph.inputs)
            if argument.type == value.type and i not in updates.values()
        ]
        if fitting and rng.random() < 0.7:
            updates[output] = int(rng.choice(fitting))
    return updates


def with_updates(seed: int) -> tuple[Graph, dict[int, int]]:
    """A random graph in which some outputs have the type of an input."""
    random = RandomGraph(seed, sizes=TINY, constants=NEUTRAL)
    for _ in range(5 + seed % 25):
        random.step()
    new = [random.like("", value.type) for value in random.builder.inputs]
    chosen = [random.pick(random.values) for _ in range(3)]
    graph = random.builder.build([*new, *chosen])
    return graph, random_updates(graph, random.rng)


@pytest.mark.parametrize("seed", range(60))
def test_plans_of_random_graphs_damage_nothing(seed: int) -> None:
    graph, updates = with_updates(seed)
    rng = np.random.default_rng(seed)
    arrays = [random_array(value.type, rng) for value in graph.inputs]
    plan = replay(graph, updates, arrays)
    assert plan.arena_bytes <= sum(-(-v.type.nbytes // 64) * 64 for v in graph.producers())
    replay(schedule(graph, updates), updates, arrays)


@pytest.mark.parametrize("seed", range(60, 90))
def test_plans_of_kernels_damage_nothing(seed: int) -> None:
    graph, updates = with_updates(seed)
    fused = schedule(fuse_kernels(eliminate_dead_nodes(graph)), updates)
    rng = np.random.default_rng(seed)
    arrays = [random_array(value.type, rng) for value in graph.inputs]
    replay(fused, updates, arrays, reads_only_at_index)


def plan_of(text: str, updates: Mapping[int, int] | None = None) -> tuple[Graph, MemoryPlan]:
    """Parse, plan, and replay on random arrays."""
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = [random_array(value.type, rng, special=0.0) for value in graph.inputs]
    return graph, replay(graph, updates or {}, arrays)


def test_a_chain_of_elementwise_ops_needs_one_buffer() -> None:
    _, plan = plan_of("""graph chain(x: f64[100]) {
      a: f64[100] = exp x
      b: f64[100] = neg a
      c: f64[100] = sin b
      d: f64[] = sum[axes=(0,)] c
      return d
    }""")
    assert plan.arena_bytes == 832
    assert plan.intermediate_bytes == 2408


def test_a_matrix_product_never_writes_over_its_operand() -> None:
    graph, plan = plan_of("""graph product(x: f64[8,8]) {
      a: f64[8,8] = neg x
      b: f64[8,8] = dot[batch=((),()), contract=((1,),(0,))] a x
      c: f64[] = sum[axes=(0,1)] b
      return c
    }""")
    a, b, _ = (node.output for node in graph.nodes)
    assert plan.placements[a] != plan.placements[b]


def test_a_reshape_is_another_name_for_its_operand() -> None:
    graph, plan = plan_of("""graph names(x: f64[2,3]) {
      a: f64[6] = reshape[shape=(6,)] x
      b: f64[6] = neg a
      c: f64[3,2] = reshape[shape=(3,2)] b
      return c
    }""")
    a, b, c = (node.output for node in graph.nodes)
    assert plan.placements[a] == Placement(Space.INPUT, 0)
    assert plan.placements[b] == plan.placements[c] == Placement(Space.OUTPUT, 0)
    assert not plan.copies_before
    assert not plan.copies_after
    assert plan.arena_bytes == 0


def test_outputs_that_are_inputs_constants_or_repeated_are_copied() -> None:
    _, plan = plan_of("""graph copies(x: f64[2]) {
      k: f64[2] = constant[value=f64[2](1.0, 2.0)]
      a: f64[2] = neg x
      b: f64[1,2] = reshape[shape=(1,2)] a
      return x, k, a, a, b
    }""")
    assert [copy.output for copy in plan.copies_before] == [0, 1]
    assert [(copy.output, copy.source) for copy in plan.copies_after] == [
        (3, Placement(Space.OUTPUT, 2)),
        (4, Placement(Space.OUTPUT, 2)),
    ]


STEP = """graph step(w: f64[3,3], g: f64[3,3]) {
  a: f64[3,3] = sub w g
  s: f64[] = sum[axes=(0,1)] g
  return s, a
}"""


def test_an_update_is_written_where_the_argument_lies() -> None:
    _, plan = plan_of(STEP, {1: 0})
    assert plan.in_place == {1: 0}
    assert plan.arena_bytes == 0


@pytest.mark.parametrize(
    "late",
    [
        "s: f64[3,3] = neg w",
        "s: f64[3,3] = dot[batch=((),()), contract=((1,),(0,))] w w",
    ],
)
def test_an_update_waits_for_later_readers_of_the_old_value(late: str) -> None:
    text = STEP.replace("s: f64[] = sum[axes=(0,1)] g", late)
    _, plan = plan_of(text, {1: 0})
    assert plan.in_place == {}
    ordered = schedule(parse_graph(text), {1: 0})
    assert plan_memory(ordered, {1: 0}, elementwise_reads).in_place == {1: 0}


def test_an_update_is_not_written_over_an_operand_that_is_read_elsewhere() -> None:
    _, plan = plan_of(
        """graph mix(w: f64[3,3], g: f64[3,3]) {
      a: f64[3,3] = dot[batch=((),()), contract=((1,),(0,))] w g
      return a
    }""",
        {0: 0},
    )
    assert plan.in_place == {}


def test_arguments_that_change_places_are_copied() -> None:
    _, plan = plan_of("graph swap(x: f64[2], y: f64[2]) {\n return y, x\n}", {0: 0, 1: 1})
    assert plan.in_place == {}
    assert [copy.output for copy in plan.copies_before] == [0, 1]


def test_the_old_value_of_an_updated_argument_can_be_returned() -> None:
    _, plan = plan_of(
        "graph old(x: f64[2]) {\n y: f64[2] = neg x\n return x, y\n}",
        {1: 0},
    )
    assert plan.in_place == {1: 0}
    assert [copy.output for copy in plan.copies_before] == [0]


def test_an_argument_that_keeps_its_value_is_not_copied() -> None:
    _, plan = plan_of("graph keep(x: f64[2]) {\n return x\n}", {0: 0})
    assert plan.in_place == {0: 0}
    assert not plan.copies_before


FAILING = """graph fails(w: f64[3], i: i64[2]) {{
  {first}
  {second}
  return a, b
}}"""
UPDATE = "a: f64[3] = neg w"
GATHER = "b: f64[2] = gather[axes=(0,)] {0} i"


def test_nothing_is_overwritten_before_the_last_check() -> None:
    early = FAILING.format(first=GATHER.format("w"), second=UPDATE)
    late = FAILING.format(first=UPDATE, second=GATHER.format("a"))
    assert plan_memory(parse_graph(early), {0: 0}, elementwise_reads).in_place == {0: 0}
    assert plan_memory(parse_graph(late), {0: 0}, elementwise_reads).in_place == {}


def test_a_schedule_overwrites_nothing_before_the_last_check() -> None:
    graph = parse_graph("""graph late(w: f64[100], x: f64[100], i: i64[]) {
      a: f64[100] = exp x
      b: f64[100] = sub w a
      s: f64[] = sum[axes=(0,)] a
      c: f64[] = gather[axes=(0,)] a i
      d: f64[] = add c s
      return b, d
    }""")
    names = [node.op.name for node in schedule(graph, {0: 0}).nodes]
    assert names.index("sub") > names.index("gather")


def test_a_check_that_was_made_before_cannot_fail_again() -> None:
    text = FAILING.format(first=GATHER.format("w"), second=UPDATE).replace(
        "return a, b", "c: f64[2] = gather[axes=(0,)] a i\n return a, b, c"
    )
    assert plan_memory(parse_graph(text), {0: 0}, elementwise_reads).in_place == {0: 0}


def test_long_chains_and_wide_fans_are_planned_quickly() -> None:
    builder = GraphBuilder("fan")
    x = builder.input(parse_graph(STEP).inputs[0].type)
    leaves = [builder.emit(OPS["sin"], [x])[0] for _ in range(1000)]
    total = leaves[0]
    for leaf in leaves[1:]:
        (total,) = builder.emit(OPS["add"], [total, leaf])
    for _ in range(20000):
        (total,) = builder.emit(OPS["neg"], [total])
    graph = builder.build([total])
    ordered = schedule(graph)
    plan = plan_memory(ordered, {}, elementwise_reads)
    assert plan.arena_bytes <= 3 * 128


@pytest.mark.parametrize("seed", range(40))
def test_a_schedule_keeps_dependence_values_and_memory(seed: int) -> None:
    graph = RandomGraph(seed, sizes=TINY, constants=NEUTRAL).build(steps=30)
    ordered = schedule(graph)
    assert sorted(map(id, ordered.nodes)) == sorted(map(id, graph.nodes))
    arrays = [random_array(v.type, np.random.default_rng(seed)) for v in graph.inputs]
    for old, new in zip(interpret(graph, arrays), interpret(ordered, arrays), strict=True):
        assert bits(old) == bits(new)


def cost_of(graph: Graph) -> int:
    """The peak of a plan's arena with every value in memory of its own."""
    storage = storage_of(graph)
    kept = {storage.roots[value] for value in graph.outputs}
    return peak(
        [
            Block(root.type.nbytes, born, storage.death(root))
            for root, born in storage.owned.items()
            if root not in kept
        ]
    )


@pytest.mark.parametrize("seed", range(40))
def test_a_schedule_needs_no_more_memory(seed: int) -> None:
    graph = RandomGraph(seed, sizes=TINY, constants=NEUTRAL).build(steps=40)
    assert cost_of(schedule(graph)) <= cost_of(graph)


def test_a_schedule_frees_what_it_can_first() -> None:
    graph = parse_graph("""graph wide(x: f64[100]) {
      a: f64[100] = exp x
      b: f64[100] = sin x
      c: f64[100] = cos x
      d: f64[] = sum[axes=(0,)] a
      e: f64[] = sum[axes=(0,)] b
      f: f64[] = sum[axes=(0,)] c
      return d, e, f
    }""")
    assert cost_of(graph) == 3 * 832
    assert cost_of(schedule(graph)) == 832
