"""The memory plan: where every value of a program lies while it runs."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...ir.graph import Graph, Node, Value
from ...ir.types import TensorType
from .failing import failing
from .packing import Block, pack
from .storage import STATIC, Storage, storage_of

ReadsOnlyAtIndex = Callable[[Node, int], bool]
"""`f(node, k)`: to write any element, the node's code reads operand k at most at that element's
own index, so that it may write over the operand."""


class Space(enum.Enum):
    """The kinds of memory that a program is given."""

    INPUT = "input"
    OUTPUT = "output"
    CONSTANT = "constant"
    ARENA = "arena"


@dataclass(frozen=True, slots=True)
class Placement:
    """`position` counts inputs, outputs or constants; in the arena it is an offset in bytes."""

    space: Space
    position: int

    def __str__(self) -> str:
        return f"{self.space.value} {self.position}"


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy `value`, which lies at `source`, into an output's buffer."""

    value: Value
    source: Placement
    output: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where the values of a graph lie, when its nodes run in order.

    `placements` has every value; names of the same memory have equal placements. `constants`
    are the values of the constant nodes, in order. `copies_before` are made before the first
    node, while all inputs are untouched; `copies_after` after the last. `in_place[output] =
    input`: the output's buffer is the input's own memory. `arena_bytes` is the size of the
    arena; `intermediate_bytes` what all computed values together would take.
    """

    placements: Mapping[Value, Placement]
    constants: tuple[Value, ...]
    copies_before: tuple[Copy, ...]
    copies_after: tuple[Copy, ...]
    in_place: Mapping[int, int]
    arena_bytes: int
    intermediate_bytes: int


def plan_memory(
    graph: Graph, updates: Mapping[int, int], reads_only_at_index: ReadsOnlyAtIndex
) -> MemoryPlan:
    """Place every value of a scheduled graph.

    `updates[output] = input` asks for an output to be written where an argument lies; it is
    granted (`in_place`) unless the old value is needed longer or a later node may still fail.
    """
    storage = storage_of(graph)
    constants = tuple(
        value for node in graph.nodes if node.op.name in STATIC for value in node.outputs
    )
    in_place = _grant_updates(graph, storage, updates, reads_only_at_index)
    owners = _output_owners(graph, storage, in_place)
    places = {value: Placement(Space.INPUT, i) for i, value in enumerate(graph.inputs)}
    places |= {value: Placement(Space.CONSTANT, i) for i, value in enumerate(constants)}
    places |= {root: Placement(Space.OUTPUT, i) for root, i in owners.items()}
    offsets, arena_bytes = _arena(graph, storage, owners, reads_only_at_index)
    places |= {root: Placement(Space.ARENA, offset) for root, offset in offsets.items()}
    placements = {value: places[root] for value, root in storage.roots.items()}
    before, after = _copies(graph, placements, in_place)
    return MemoryPlan(
        MappingProxyType(placements),
        constants,
        before,
        after,
        MappingProxyType(in_place),
        arena_bytes,
        sum(root.type.nbytes for root in storage.owned),
    )


# Updates in place


def _grant_updates(
    graph: Graph,
    storage: Storage,
    updates: Mapping[int, int],
    reads_only_at_index: ReadsOnlyAtIndex,
) -> dict[int, int]:
    """The updates that can be written straight into the argument."""
    # An argument must not be half updated when an error is raised.
    last_failure = max(failing(graph), default=-1)
    granted: dict[int, int] = {}
    taken: set[Value] = set()
    for output, argument in sorted(updates.items()):
        root, old = storage.roots[graph.outputs[output]], graph.inputs[argument]
        if root in taken or old in taken or graph.outputs[output].type != old.type:
            continue
        if root is old:
            # The argument keeps its value; nothing is written.
            granted[output] = argument
            taken.add(old)
            continue
        born = storage.owned.get(root)
        if born is None or born <= last_failure:
            continue
        read = storage.last_read.get(old, -1)
        if read < born or (
            read == born and _may_overwrite(graph.nodes[born], old, storage, reads_only_at_index)
        ):
            granted[output] = argument
            taken |= {root, old}
    return granted


def _may_overwrite(
    node: Node, old: Value, storage: Storage, reads_only_at_index: ReadsOnlyAtIndex
) -> bool:
    """Every operand of `node` that lies in the memory of `old` is read only at the index."""
    return all(
        reads_only_at_index(node, position)
        for position, value in enumerate(node.inputs)
        if storage.roots[value] is old
    )


# Outputs


def _output_owners(graph: Graph, storage: Storage, in_place: Mapping[int, int]) -> dict[Value, int]:
    """The output in whose buffer a computed root lies: one written in place, else the first."""
    owners: dict[Value, int] = {}
    for output in [*in_place, *range(len(graph.outputs))]:
        root = storage.roots[graph.outputs[output]]
        if root in storage.owned:
            owners.setdefault(root, output)
    return owners


def _copies(
    graph: Graph, placements: Mapping[Value, Placement], in_place: Mapping[int, int]
) -> tuple[tuple[Copy, ...], tuple[Copy, ...]]:
    """Copies for outputs that are inputs, constants, or computed into another's buffer."""
    before: list[Copy] = []
    after: list[Copy] = []
    for output, value in enumerate(graph.outputs):
        source = placements[value]
        if source == Placement(Space.OUTPUT, output) or value.type.size == 0:
            continue
        if source.space is Space.INPUT and in_place.get(output) == source.position:
            continue
        when = after if source.space is Space.OUTPUT else before
        when.append(Copy(value, source, output))
    return tuple(before), tuple(after)


# The arena


def _arena(
    graph: Graph,
    storage: Storage,
    owners: Mapping[Value, int],
    reads_only_at_index: ReadsOnlyAtIndex,
) -> tuple[dict[Value, int], int]:
    """The offset of every root in the arena, and the size of the arena."""
    block_of: dict[Value, int] = {}
    blocks: list[Block] = []
    for position, node in enumerate(graph.nodes):
        dying = _dying(node, position, storage, block_of, reads_only_at_index)
        for root in node.outputs:
            if root not in storage.owned or root in owners:
                continue
            end = storage.death(root)
            heir = next((old for old, types in dying.items() if root.type in types), None)
            if heir is None:
                block_of[root] = len(blocks)
                blocks.append(Block(root.type.nbytes, position, end))
            else:
                del dying[heir]
                index = block_of[root] = block_of[heir]
                blocks[index] = Block(blocks[index].size, blocks[index].start, end)
    offsets, size = pack(blocks)
    return {root: offsets[index] for root, index in block_of.items()}, size


def _dying(
    node: Node,
    position: int,
    storage: Storage,
    block_of: Mapping[Value, int],
    reads_only_at_index: ReadsOnlyAtIndex,
) -> dict[Value, set[TensorType]]:
    """The roots in the arena that `node` is the last to read and may write over, and as what
    types it reads them."""
    return {
        root: {value.type for value in node.inputs if storage.roots[value] is root}
        for root in storage.reads(node)
        if root in block_of
        and storage.death(root) == position
        and _may_overwrite(node, root, storage, reads_only_at_index)
    }
