"""Regions in registers: tiny arrays and what is done with them, however their elements move.

A loop over a handful of elements costs more than its work, and so does the memory between two
kernels. What fits into a few registers is therefore computed by straight-line code, whose values
need not be aligned at all (`lower/registers.py`).

Nodes share a region if they wait for the same other kernels. Then nothing lies between them, and
no kernel that reads a value of the region waits for more than it did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....ir.graph import Graph, Node, Value
from ....ir.ops import Family
from ....ir.types import TensorType
from ...space import Space
from ..failing import checks
from .admission import Refusal
from .groups import Group, Groups
from .prologues import BETWEEN

if TYPE_CHECKING:
    from .fuse import Fuser

KIND = "registers"
"""The kind of such kernels."""

WIDEST = 64
"""Bytes of the widest registers of any target."""

_ELEMENTS = 64
_REGISTERS = (8, 4, 2, 1)
"""How many registers a value in a region has at most: the more, the less there is to compute."""

_SHOWN = 4096
"""Elements of an array in memory of which a view may show a few."""

_LARGEST_PRODUCT = 32
"""Vectors of multiply-adds of a product; from here on its own kernel is faster."""

_LARGEST_REGION = 8000
"""Instructions of a region, about: the time that LLVM takes for a block of code grows a little
faster than the block."""

_LARGEST_UNION = 64
"""Instructions of regions that have nothing to do with one another and are united all the same, to
save the calls. Apart, equal ones are one kernel: the updates of many biases, for instance."""

_CALL = 8
"""Instructions of an elementary function: where there are many, they are calls."""


@dataclass(frozen=True, slots=True)
class Registers:
    """The vector registers of a target, `bytes` wide, and what fits into them."""

    bytes: int

    def count(self, type: TensorType) -> int:
        """How many a value takes."""
        return -(-type.nbytes // self.bytes)

    def hold(self, type: TensorType) -> bool:
        """Whether a value can be in registers as a whole."""
        return 0 < type.size <= _ELEMENTS and self.count(type) <= _REGISTERS[0]

    def most(self, node: Node) -> int:
        """How many the largest of a node's operands and results takes."""
        shown = () if node.op.family is Family.VIEW else node.inputs
        return max(self.count(value.type) for value in (*shown, *node.outputs))


def _elementwise(node: Node, registers: Registers) -> int:
    return registers.most(node) * max(1, min(node.op.cost, _CALL))


def _moving(node: Node, registers: Registers) -> int:
    return 2 * registers.count(node.output.type)


def _folding(node: Node, registers: Registers) -> int:
    """A step for each vector, and one for each time that the rest of it is halved."""
    type = node.inputs[0].type
    return 3 * (registers.count(type) + type.size.bit_length())


def _steps(dot: Node, registers: Registers) -> int:
    """The vectors of multiply-adds of a product."""
    x = dot.inputs[0].type
    depth: int = math.prod(x.shape[axis] for axis in dot.attrs["contract"][0])
    return depth * registers.count(dot.output.type)


def _product(dot: Node, registers: Registers) -> int:
    return 3 * _steps(dot, registers)


_CODE: Mapping[Family, Callable[[Node, Registers], int]] = {
    Family.ELEMENTWISE: _elementwise,
    Family.VIEW: _moving,
    Family.JOIN: _moving,
    Family.REDUCTION: _folding,
    Family.CONTRACTION: _product,
}
"""How many instructions a node becomes, about, by its family; the others are not for registers."""


def tiny_nodes(
    graph: Graph, is_copied: Callable[[Node], bool], registers: Registers
) -> dict[Node, int]:
    """The nodes that can be computed in registers, and how many instructions they become.

    Loops over arrays of several registers are shared by equal kernels; straight-line code is not.
    So the bound is lowered for programs of which there would be more code than LLVM compiles in the
    time that a first call may take.
    """
    small = {value: value.type.size <= _SHOWN for value in graph.inputs}
    found: dict[Node, int] = {}
    for node in graph.nodes:
        if _is_for(registers, node) and all(small[value] for value in node.inputs):
            found[node] = _CODE[node.op.family](node, registers)
        shown = not is_copied(node) or all(small[value] for value in node.inputs)
        for value in node.outputs:
            small[value] = shown and value.type.size <= _SHOWN
    for bound in _REGISTERS:
        if bound < _REGISTERS[0]:
            found = {node: size for node, size in found.items() if registers.most(node) <= bound}
        if sum(found.values()) <= _LARGEST_REGION:
            break
    return found


def _is_for(registers: Registers, node: Node) -> bool:
    if node.op.family not in _CODE or not all(registers.hold(v.type) for v in node.outputs):
        return False
    if node.op.family is Family.VIEW:
        return True
    if node.op.family is Family.CONTRACTION and _steps(node, registers) > _LARGEST_PRODUCT:
        return False
    return all(registers.hold(value.type) for value in node.inputs)


class Regions:
    """The groups of a `Fuser` that are regions in registers."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._sizes: dict[int, int] = {}
        self._latest: dict[int, Group] = {}
        self.kernels = 0
        """The groups that are other kernels, a bit for each."""

    def note(self, group: Group) -> None:
        """Tell of a new group that is another kernel."""
        self.kernels |= 1 << group.number

    def home(self, size: int, needed: Iterable[Group]) -> Group:
        """The region for a node of `size` instructions that needs these groups."""
        needed = list(needed)
        waits = self._groups.above(needed) & self.kernels
        region = self._latest.get(waits)
        if (
            region is None
            or self._sizes[region.number] + size > _LARGEST_REGION
            or self._groups.ancestors(region) & self.kernels != waits
            or not self._groups.may_join(region, needed)
        ):
            region = self._groups.create(KIND, Space((), frozenset()))
            self._latest[waits] = region
            self._sizes[region.number] = 0
        self._sizes[region.number] += size
        return region

    def unite(self, regions: Iterable[Group]) -> None:
        """Merge regions, given in order and with nothing in between, to as few as their sizes
        allow."""
        runs: list[list[Group]] = []
        room = 0
        for region in regions:
            size = self._sizes[region.number]
            if size > room:
                runs.append([])
                room = _LARGEST_UNION
            runs[-1].append(region)
            room -= size
        for first, *others in runs:
            self._sizes[first.number] += sum(self._sizes.pop(other.number) for other in others)
            self._groups.merge(first, others, KIND, first.space)

    def fits(self, one: Group, other: Group) -> bool:
        """Whether both together are not too large for one region."""
        return self._sizes[one.number] + self._sizes[other.number] <= _LARGEST_REGION


def unite_regions(fuser: Fuser) -> None:
    """Requires: all groups are formed.

    Ensures: the regions at the end, which only each other wait for, are as few as possible.
    """
    ends, awaited = [], 0
    for group in fuser.groups.in_order():
        if group.kind == KIND and not _has_its_place(fuser, group):
            ends.append(group)
        else:
            awaited |= fuser.groups.ancestors(group)
    fuser.regions.unite(region for region in ends if not awaited >> region.number & 1)


def _has_its_place(fuser: Fuser, region: Group) -> bool:
    """Whether a region is not to run later: it can fail, or reads a part of a larger result, which
    would be kept for longer."""
    return any(
        bool(checks(node, fuser.producers))
        or any(_is_large(fuser, value) for value in fuser.bases(node))
        for node in region.nodes
    )


def _is_large(fuser: Fuser, value: Value) -> bool:
    return value in fuser.groups.of and not fuser.registers.hold(value.type)


_LOOPS = Refusal("its operand is computed in registers, it is computed in loops")
_LONG = Refusal("the code of both together would be too long for one kernel without loops")
_WAITS = Refusal("one of the two would wait for kernels that it does not need")


def why_not_in_registers(fuser: Fuser, region: Group, home: Group) -> Refusal:
    """What keeps the group `home` apart from a region that it reads from."""
    if home.kind != KIND:
        return _LOOPS
    if not fuser.regions.fits(region, home):
        return _LONG
    return _WAITS if fuser.groups.may_merge(region, home) else BETWEEN
