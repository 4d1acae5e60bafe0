"""Why neighbours did not become one kernel: what `Lowered.explain()` and `dump --why` say."""

from __future__ import annotations

from dataclasses import dataclass

from ....ir.graph import Graph, Node
from .admission import Refusal, admit
from .fuse import Fuser
from .groups import Group
from .prologues import BETWEEN, why_not_prologue
from .registers import KIND as REGISTERS
from .registers import WIDEST, why_not_in_registers


@dataclass(frozen=True, slots=True)
class Separation:
    """`consumer` reads a result of `producer` through memory, for `reason`."""

    producer: Node
    consumer: Node
    reason: str

    def __str__(self) -> str:
        return f"{_name(self.producer)} -> {_name(self.consumer)}: {self.reason}"


def _name(node: Node) -> str:
    return f"{node.op.name} ({node.loc})" if node.loc else node.op.name


def explain_fusion(graph: Graph, *, register_bytes: int = WIDEST) -> tuple[Separation, ...]:
    """Requires: the graph that fusion is given, and `register_bytes` as `fuse_kernels` is.

    Ensures: one entry for each pair of kernels of which one reads the other's results, in order.
    """
    fuser = Fuser(graph, register_bytes)
    fuser.form_groups()
    seen: set[tuple[int, int]] = set()
    found = []
    for node in graph.nodes:
        home = fuser.groups.of.get(node.outputs[0])
        if home is None or home.kind == "alias":
            continue
        for value in fuser.bases(node):
            other = fuser.groups.of.get(value)
            if other is None or other is home or (other.number, home.number) in seen:
                continue
            seen.add((other.number, home.number))
            producer = fuser.producers[value]
            found.append(Separation(producer, node, _reason(fuser, node, other, home)))
    return tuple(found)


def _reason(fuser: Fuser, node: Node, other: Group, home: Group) -> str:
    """What keeps `node`, now in `home`, out of the group that it reads from."""
    if other.kind == "alias":
        return "its operand is memory under another shape, or a constant array"
    if other.kind == REGISTERS:
        return why_not_in_registers(fuser, other, home).reason
    if node.op.name == "dot" and other.kind == "map":
        refusal = why_not_prologue(fuser, other, home, node)
        assert refusal is not None, "what may be a prologue is one"
        return refusal.reason
    verdict = admit(node, other, fuser.producers)
    if isinstance(verdict, Refusal):
        return verdict.reason
    if not fuser.groups.may_merge(home, other):
        return BETWEEN.reason
    if home.kind == REGISTERS:
        return "it is computed in registers with other tiny arrays"
    return "the kernel that it belongs to runs over other loops"
