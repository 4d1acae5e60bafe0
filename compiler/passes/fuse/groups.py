"""The groups being formed, and which group depends on which.

Ancestors are kept as bit sets (Python integers), so that the question "would this join close a
cycle?" is one shift, and ten thousand nodes take well under a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ....ir.graph import Node, Value
from ...space import Alignment, Space


@dataclass(slots=True)
class Group:
    """Nodes that will be one kernel; `kind` is `map`, `rows`, `dot`, `registers` or the name of a
    lone op."""

    number: int
    kind: str
    space: Space
    nodes: list[Node] = field(default_factory=list)
    merged_into: Group | None = None

    @property
    def current(self) -> Group:
        """This group, or the one that it has become part of."""
        group = self
        while group.merged_into is not None:
            group = group.merged_into
        return group


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Groups:
    """All groups in order of creation; `of` finds the group that computes a value."""

    def __init__(self) -> None:
        self.all: list[Group] = []
        self.of: dict[Value, Group] = {}
        self._ancestors: list[int] = []
        self._needed = 0  # the groups that others depend on

    def create(self, kind: str, space: Space) -> Group:
        """A new, empty group."""
        group = Group(len(self.all), kind, space)
        self.all.append(group)
        self._ancestors.append(0)
        return group

    def ancestors(self, group: Group) -> int:
        """The groups that `group` depends on, a bit for each."""
        return self._ancestors[group.number]

    def above(self, groups: Iterable[Group]) -> int:
        """`groups` and all that they depend on, a bit for each."""
        above = 0
        for group in groups:
            above |= self._ancestors[group.number] | 1 << group.number
        return above

    def may_join(self, group: Group, dependencies: Iterable[Group]) -> bool:
        """Whether a node that needs `dependencies` can join `group` without closing a cycle."""
        bit = 1 << group.number
        return not any(
            self._ancestors[other.number] & bit for other in dependencies if other is not group
        )

    def join(
        self, group: Group, node: Node, alignment: Alignment, dependencies: Iterable[Group]
    ) -> None:
        """Add `node` to `group` and record the new dependences, transitively."""
        group.nodes.append(node)
        for value in node.outputs:
            group.space.alignment[value] = alignment
            self.of[value] = group
        above = 0
        for other in dependencies:
            if other is not group:
                above |= self._ancestors[other.number] | 1 << other.number
        above &= ~self._ancestors[group.number]
        if not above:
            return
        for number in (group.number, *self._below(1 << group.number)):
            self._ancestors[number] |= above
        self._needed |= above

    def _below(self, bits: int) -> list[int]:
        """The groups that depend on one of `bits`. Rarely asked for, so they are looked for."""
        if not self._needed & bits:
            return []
        return [number for number, above in enumerate(self._ancestors) if above & bits]

    def may_merge(self, one: Group, other: Group) -> bool:
        """Whether nothing lies between the two groups that would have to run in their midst."""
        return not (self._is_between(one, other) or self._is_between(other, one))

    def _is_between(self, first: Group, last: Group) -> bool:
        """Whether some group depends on `first`, and `last` on it."""
        bit = 1 << first.number
        if not self._ancestors[last.number] & bit:
            return False
        others = self._ancestors[last.number] & ~(self._ancestors[first.number] | bit)
        return any(self._ancestors[number] & bit for number in _bits(others))

    def merge(self, into: Group, others: Iterable[Group], kind: str, space: Space) -> None:
        """Move the nodes of `others` to `into`, which becomes of `kind`, over `space`."""
        into.kind, into.space = kind, space
        bit, gone, above = 1 << into.number, 0, self._ancestors[into.number]
        for other in others:
            into.nodes += other.nodes
            for node in other.nodes:
                for value in node.outputs:
                    self.of[value] = into
            other.nodes, other.merged_into = [], into
            gone |= 1 << other.number
            above |= self._ancestors[other.number]
        above &= ~(bit | gone)
        for number in self._below(bit | gone):
            self._ancestors[number] |= above | bit
        self._ancestors[into.number] = above
        self._needed |= above | (bit if self._needed & gone else 0)

    def in_order(self) -> list[Group]:
        """The groups, each after all that it depends on; ties by order of creation."""
        # A group has strictly more ancestors than any of its ancestors.
        live = [group for group in self.all if group.nodes]
        return sorted(live, key=lambda g: (self._ancestors[g.number].bit_count(), g.number))
