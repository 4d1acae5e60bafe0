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
from typing import TYPE_CHECKING

from ....ir.graph import Graph, Node
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

_ELEMENTS = 64
_BYTES = 512
"""What a value in registers has at most: eight of the widest registers."""

_SHOWN = 4096
"""Elements of an array in memory of which a view may show a few."""

_REGISTER = 64
"""Bytes of a vector, by which code is counted. Narrower ones need more of it."""

_LARGEST_PRODUCT = 32
"""Vectors of multiply-adds of a product; from here on its own kernel is faster."""

_LARGEST_REGION = 8000
"""Instructions of a region, about: the time that LLVM takes for a block of code grows a little
faster than the block."""

_CALL = 8
"""Instructions of an elementary function: where there are many, they are calls."""


def _vectors(type: TensorType) -> int:
    return -(-type.nbytes // _REGISTER)


def is_tiny(type: TensorType) -> bool:
    """Whether values of a type can be in registers as a whole."""
    return 0 < type.size <= _ELEMENTS and type.nbytes <= _BYTES


def _elementwise(node: Node) -> int:
    types = [value.type for value in (*node.inputs, *node.outputs)]
    return max(map(_vectors, types)) * max(1, min(node.op.cost, _CALL))


def _moving(node: Node) -> int:
    return 2 * _vectors(node.output.type)


def _folding(node: Node) -> int:
    """A step for each vector, and one for each time that the rest of it is halved."""
    type = node.inputs[0].type
    return 3 * (_vectors(type) + type.size.bit_length())


def _product_vectors(dot: Node) -> int:
    x = dot.inputs[0].type
    depth: int = math.prod(x.shape[axis] for axis in dot.attrs["contract"][0])
    return depth * _vectors(dot.output.type)


def _product(dot: Node) -> int:
    return 3 * _product_vectors(dot)


_CODE: Mapping[Family, Callable[[Node], int]] = {
    Family.ELEMENTWISE: _elementwise,
    Family.VIEW: _moving,
    Family.JOIN: _moving,
    Family.REDUCTION: _folding,
    Family.CONTRACTION: _product,
}
"""How many instructions a node becomes, about, by its family; the others are not for registers."""


def tiny_nodes(graph: Graph, is_copied: Callable[[Node], bool]) -> dict[Node, int]:
    """The nodes that can be computed in registers, and how many instructions they become."""
    small = {value: value.type.size <= _SHOWN for value in graph.inputs}
    found: dict[Node, int] = {}
    for node in graph.nodes:
        if _is_for_registers(node) and all(small[value] for value in node.inputs):
            found[node] = _CODE[node.op.family](node)
        shown = not is_copied(node) or all(small[value] for value in node.inputs)
        for value in node.outputs:
            small[value] = shown and value.type.size <= _SHOWN
    return found


def _is_for_registers(node: Node) -> bool:
    if node.op.family not in _CODE or not all(is_tiny(value.type) for value in node.outputs):
        return False
    if node.op.family is Family.VIEW:
        return True
    if node.op.family is Family.CONTRACTION and _product_vectors(node) > _LARGEST_PRODUCT:
        return False
    return all(is_tiny(value.type) for value in node.inputs)


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
                room = _LARGEST_REGION
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
        or any(value in fuser.groups.of and not is_tiny(value.type) for value in fuser.bases(node))
        for node in region.nodes
    )


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
