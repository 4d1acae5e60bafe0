"""The fusion pass: one walk over the nodes, each joining a producer's or a sibling's group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....ir.graph import Graph, GraphBuilder, Node, Value
from ....ir.ops import Family, structure
from ...space import Alignment, Space, identity, is_unit_reshape, reduced_axes
from ..recompute import remade
from .admission import (
    Refusal,
    admit,
    choosiness,
    is_fusible,
    is_inline,
    merged_space,
    own_space,
    reads_views,
)
from .groups import Group, Groups
from .parts import parts_of_joins
from .prologues import take_in_prologues
from .registers import KIND as REGISTERS
from .registers import WIDEST, Regions, Registers, tiny_nodes, unite_regions

_SIBLINGS_TRIED = 4
"""How many groups that read the same operand are asked, most recent first."""


@dataclass(frozen=True, slots=True)
class Body:
    """A group as a graph: values that it reads and makes, and what they are called inside."""

    graph: Graph
    inputs: list[Value]
    outputs: list[Value]
    inside: Mapping[Value, Value]


class Fuser:
    """Forms the groups of one graph; `run` gives the fused graph."""

    def __init__(self, graph: Graph, register_bytes: int = WIDEST) -> None:
        self.graph = graph
        self.producers = graph.producers()
        self.groups = Groups()
        self.readers: dict[Value, list[Group]] = {}
        self.position = {node: number for number, node in enumerate(graph.nodes)}
        self.users: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in dict.fromkeys(node.inputs):
                self.users.setdefault(value, []).append(node)
        self.parts = parts_of_joins(graph, self.producers, self.users)
        self.registers = Registers(register_bytes)
        self.tiny = tiny_nodes(graph, self.is_copied, self.registers) if register_bytes else {}
        self.regions = Regions(self.groups)
        self.kept = self._materialized()
        self.remade = set() if self._is_all_tiny() else remade(graph)

    def _materialized(self) -> set[Value]:
        """Values of inline nodes that someone needs in memory: not every reader is a kernel."""
        wanted = set(self.graph.outputs)
        for node in reversed(self.graph.nodes):
            shows_memory = is_unit_reshape(node) and node.output in wanted
            in_registers = node in self.tiny and node.op.name != "reshape"
            reads = is_fusible(node) or reads_views(node, self.producers) or in_registers
            if not reads or shows_memory:
                wanted.update(node.inputs)
        return wanted

    def _is_all_tiny(self) -> bool:
        """Whether no value is worth computing twice to save its memory."""
        return all(node in self.tiny or self.is_copied(node) for node in self.graph.nodes)

    def is_copied(self, node: Node) -> bool:
        """Whether a node is in no group, but copied into the kernels that read it."""
        return is_inline(node) or (bool(node.outputs) and node.outputs[0] in self.parts)

    def bases(self, node: Node) -> Iterable[Value]:
        """The values that `node` reads once inline views are looked through."""
        pending = list(node.inputs)
        seen: set[Value] = set()
        while pending:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            producer = self.producers.get(value)
            if producer is not None and self.is_copied(producer) and value not in self.groups.of:
                pending.extend(producer.inputs)
            else:
                yield value

    def place(self, node: Node) -> None:
        """Put `node` into the best group that admits it, or into a new one."""
        if node in self.tiny and not self.regions.kernels:
            # Nothing else could admit it.
            self._place_in_registers(node, self._needed(node))
            return
        bases = sorted(self.bases(node), key=self._age)
        needed = {g.number: g for v in bases if (g := self.groups.of.get(v)) is not None}
        candidates = [needed[number] for number in sorted(needed, reverse=True)]
        siblings = self._siblings(bases, needed)
        if node.outputs[0] in self.remade:
            # Not into the kernel that made its operands, where it would have to be stored, but
            # apart: it is merged into the kernel that reads it.
            siblings = []
            candidates = [g for g in candidates if self._is_apart(g)]
        homes = self._homes(node, candidates, siblings, needed.values())
        if homes:
            (group, alignment), *others = homes
            self._join(group, node, alignment, bases, needed.values())
            for other, _ in others:
                if other in candidates:
                    self._try_to_merge(group, other)
            if self._is_apart(group) and node.outputs[0] not in self.remade:
                self._reunite(group)
        elif node in self.tiny:
            self._place_in_registers(node, needed.values())
        else:
            kind, space, alignment = own_space(node)
            self._join(self._create(kind, space), node, alignment, bases, needed.values())

    def _needed(self, node: Node) -> list[Group]:
        """The groups that `node` reads from."""
        return [g for v in self.bases(node) if (g := self.groups.of.get(v)) is not None]

    def _place_in_registers(self, node: Node, needed: Iterable[Group]) -> None:
        region = self.regions.home(self.tiny[node], needed)
        self.groups.join(region, node, identity(node.output.type.shape), needed)

    def _create(self, kind: str, space: Space) -> Group:
        group = self.groups.create(kind, space)
        self.regions.note(group)
        return group

    def _homes(
        self, node: Node, producers: list[Group], siblings: list[Group], needed: Iterable[Group]
    ) -> list[tuple[Group, Alignment]]:
        """The groups that admit `node`: producers first, and of these the choosiest kind first."""
        if not is_fusible(node):
            return []
        ranked = sorted(producers, key=choosiness)
        found = []
        for group in [*ranked, *siblings]:
            verdict = admit(node, group, self.producers)
            if isinstance(verdict, Refusal):
                continue
            if self.groups.may_join(group, needed) and not self._waits(node, group, verdict):
                found.append((group, verdict))
        return found

    def _waits(self, node: Node, group: Group, alignment: Alignment) -> bool:
        """Whether all that reads `node` is a reduction along other axes than those of `group`.

        In the group its elements would have to be stored; with the reduction they never exist.
        """
        readers = self.users.get(node.outputs[0], ())
        if len(readers) != 1 or readers[0].op.family is not Family.REDUCTION:
            return False
        along = {alignment[axis] for axis in reduced_axes(readers[0])} - {None}
        return bool(group.space.reduced) and along != group.space.reduced

    def _is_apart(self, group: Group) -> bool:
        """Whether the group began with a value that is to be made again by its reader."""
        return group.nodes[0].outputs[0] in self.remade

    def _reunite(self, group: Group) -> None:
        """Merge a reader that has what it reads made again with the kernels that made the rest.

        Where that is possible nothing needs to be stored, which is better still.
        """
        makers = {
            maker.number: maker
            for node in group.nodes
            for value in self.bases(node)
            if (maker := self.groups.of.get(value)) is not None and maker is not group
        }
        for number in sorted(makers, reverse=True):
            host, guest = sorted((makers[number], group.current), key=choosiness)
            self._try_to_merge(host, guest)

    def _try_to_merge(self, group: Group, other: Group) -> None:
        if not self.groups.may_merge(group, other):
            return
        nodes = sorted(group.nodes + other.nodes, key=self.position.__getitem__)
        merged = merged_space(group, other, nodes, self.producers)
        if merged is not None:
            self.groups.merge(group, [other], *merged)

    def _age(self, value: Value) -> int:
        group = self.groups.of.get(value)
        return -1 if group is None else group.number

    def _siblings(self, bases: list[Value], needed: dict[int, Group]) -> list[Group]:
        found: dict[int, Group] = {}
        for value in bases:
            for reader in self.readers.get(value, ())[-_SIBLINGS_TRIED:]:
                group = reader.current
                if group.number not in needed and group.kind != "dot":
                    found[group.number] = group
        return [found[number] for number in sorted(found, reverse=True)]

    def _join(
        self,
        group: Group,
        node: Node,
        alignment: Alignment,
        bases: list[Value],
        needed: Iterable[Group],
    ) -> None:
        self.groups.join(group, node, alignment, needed)
        if node.op.family is Family.REDUCTION and group.kind == "map":
            group.kind = "rows"
            group.space.reduced = frozenset(range(len(group.space.extents))) - set(alignment)
        for value in bases:
            readers = self.readers.setdefault(value, [])
            if not readers or readers[-1] is not group:
                readers.append(group)

    def run(self) -> Graph:
        """The graph with a `fused` node for every group."""
        self.form_groups()
        return self._build()

    def form_groups(self) -> None:
        """Place every node that is not copied into its readers."""
        for node in self.graph.nodes:
            if node.op.name == "reshape" and not (
                is_unit_reshape(node) and node.output not in self.kept
            ):
                self._place_reshape(node)
            elif node.op.name == "constant" and (not is_inline(node) or node.output in self.kept):
                self._place_alias(node)
            elif not self.is_copied(node) or node.output in self.kept:
                self.place(node)
        take_in_prologues(self)
        unite_regions(self)

    def _place_reshape(self, node: Node) -> None:
        """Of what is made in registers in the same region, otherwise of memory."""
        needed = self._needed(node)
        if node in self.tiny and any(group.kind == REGISTERS for group in needed):
            self._place_in_registers(node, needed)
        else:
            self._place_alias(node)

    def _place_alias(self, node: Node) -> None:
        """Reshapes of memory and array constants stay nodes of their own: no kernel at all."""
        bases, needed = list(node.inputs), self._needed(node)
        _, space, alignment = own_space(node)
        self._join(self.groups.create("alias", space), node, alignment, bases, needed)

    def _build(self) -> Graph:
        builder = GraphBuilder(self.graph.name)
        builder.inputs = list(self.graph.inputs)
        env: dict[Value, Value] = {value: value for value in self.graph.inputs}
        order = self.groups.in_order()
        escaping = self.escaping(order)
        for group in order:
            if group.kind == "alias":
                (node,) = group.nodes
                copies = builder.copy_node(node, [env[value] for value in node.inputs])
                env.update(zip(node.outputs, copies, strict=True))
                continue
            body = self.body(group, escaping)
            first = min(group.nodes, key=self.position.__getitem__)
            results = builder.emit(
                structure.fused,
                [env[value] for value in body.inputs],
                {"graph": body.graph, "kind": group.kind},
                loc=first.loc,
                phase=first.phase,
            )
            env.update(zip(body.outputs, results, strict=True))
        return builder.build(env[value] for value in self.graph.outputs)

    def escaping(self, order: list[Group]) -> set[Value]:
        """Values that another group or the caller reads, or nobody: those can fail and are kept."""
        read = {value for node in self.graph.nodes for value in node.inputs}
        escaping = set(self.graph.outputs)
        escaping |= {v for node in self.graph.nodes for v in node.outputs if v not in read}
        for group in order:
            for node in group.nodes:
                for value in self.bases(node):
                    if self.groups.of.get(value) is not group:
                        escaping.add(value)
        return escaping

    def body(self, group: Group, escaping: set[Value]) -> Body:
        """The group as a graph, with the inline nodes it reads copied in."""
        body = GraphBuilder(group.kind)
        env: dict[Value, Value] = {}
        inputs: list[Value] = []

        def fetch(root: Value) -> Value:
            pending = [root]
            while pending:
                value = pending[-1]
                if value in env:
                    pending.pop()
                    continue
                producer = self.producers.get(value)
                inline = producer is not None and self.is_copied(producer)
                if producer is None or not inline or value in self.groups.of:
                    inputs.append(value)
                    env[value] = body.input(value.type, value.name)
                    continue
                missing = [operand for operand in producer.inputs if operand not in env]
                if missing:
                    pending.extend(missing)
                    continue
                copies = body.copy_node(producer, [env[v] for v in producer.inputs])
                env.update(zip(producer.outputs, copies, strict=True))
            return env[root]

        for node in sorted(group.nodes, key=self.position.__getitem__):
            copies = body.copy_node(node, [fetch(value) for value in node.inputs])
            env.update(zip(node.outputs, copies, strict=True))
        outputs = [v for v in env if v in escaping and self.groups.of.get(v) is group]
        return Body(body.build(env[value] for value in outputs), inputs, outputs, env)


def fuse_kernels(graph: Graph, *, register_bytes: int = WIDEST) -> Graph:
    """Requires: a flat graph without transformation nodes.

    Ensures: only `fused`, `reshape` and `constant` nodes remain; each fused body is one kernel.
    Tiny arrays stay in the target's vector registers, of so many bytes; with none (0) they go
    through loops and memory like others.
    """
    return Fuser(graph, register_bytes).run()
