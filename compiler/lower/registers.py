"""Regions of tiny arrays: straight-line code, every value in vector registers, no loops.

A value is its elements in row-major order, packed into vectors: as wide as the target's, the last
as wide as the rest needs. What moves elements only moves numbers at compile time: a value is known
by an array of *element codes*, and views and joins are their own NumPy references, applied to the
codes. Arithmetic asks for its operands packed. If an operand does not lie in registers as it is
asked for, it is shuffled there, however many views lie between. Everything is loaded before
anything is stored.

Lanes beyond the last element hold some element of an operand, or 0: never anything undefined, on
which an integer division could trap. Checks and stores leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Value
from ...ir.ops import Family
from ...ir.ops.contraction import free_axes
from ...ir.types import BOOL, INT64, DType, TensorType
from ..space import reduced_axes
from ..target import Target
from .builder import LoopBuilder
from .folds import Fold
from .language import LANE, Access, Affine, Check, Kernel, Phase, Var, index
from .widths import MOST_LANES

Codes = np.ndarray[Any, np.dtype[np.int64]]
"""For every element of a value where it is to be found: a place in memory, a lane, a literal."""

Picks = tuple[int, ...]
Lanewise = Callable[..., list[Var]]
"""Results from one vector of each operand."""


def widths(size: int, lanes: int) -> Iterator[int]:
    """The vectors of a value of `size` elements: whole ones, then the least that holds the rest."""
    for start in range(0, size, lanes):
        yield min(lanes, 1 << (size - start - 1).bit_length())


class RegisterLowering:
    """Lowers one fused body, in which every value that is computed is tiny."""

    def __init__(self, body: Graph, target: Target) -> None:
        self.body = body
        self.lanes = _lanes(body, target)
        self.builder = LoopBuilder(self.lanes)
        self.codes: dict[Value, Codes] = {}
        self.vars: list[Var] = []
        self.literals: list[tuple[DType, Any]] = []
        self._literal_codes: dict[tuple[DType, bytes], int] = {}
        self._vectors: dict[tuple[Picks, DType], Var] = {}
        self._numbers: dict[Var, int] = {}
        self.starts: list[int] = []
        self.memory = 0
        for value in body.inputs:
            self.starts.append(self.memory)
            size = value.type.size
            here = np.arange(self.memory, self.memory + size, dtype=np.int64)
            self.codes[value] = here.reshape(value.type.shape)
            self.memory += size

    def lower(self) -> Kernel:
        """The kernel."""
        for node in self.body.nodes:
            rule = _RULES.get(node.op.name) or _FAMILIES[node.op.family]
            self.codes[node.output] = rule(self, node)
        results = [self.packed(self.codes[v], v.type.dtype) for v in self.body.outputs]
        for number, (value, vectors) in enumerate(zip(self.body.outputs, results, strict=True)):
            self._store(len(self.body.inputs) + number, value.type, vectors)
        values = (*self.body.inputs, *self.body.outputs)
        sites, phase = self.builder.sites, self.builder.finish_phase()
        # Of several failures that with the greatest number is reported: the first one shall be.
        body = tuple(
            replace(s, site=len(sites) - 1 - s.site) if isinstance(s, Check) else s
            for s in phase.body
        )
        return Kernel(
            "registers",
            tuple(value.type for value in values),
            len(self.body.inputs),
            (),
            (Phase(body),),
            tuple(reversed(sites)),
        )

    def _store(self, buffer: int, type: TensorType, vectors: Sequence[Var]) -> None:
        start = 0
        for var in vectors:
            self._in_vector(var.lanes, type.size - start)
            self.builder.store(self._access(buffer, start, var.lanes), var)
            start += var.lanes
        self.builder.active = None

    def _in_vector(self, lanes: int, elements: int) -> None:
        """What follows is about vectors of so many lanes, of which the first are elements."""
        self.builder.lanes = lanes
        self.builder.active = elements if elements < lanes else None

    def _access(self, buffer: int, start: int, lanes: int) -> Access:
        return Access(buffer, (index(LANE) if lanes > 1 else Affine()) + start)

    # Elements

    def codes_of(self, vectors: Sequence[Var], size: int) -> Codes:
        """The codes of elements that lie packed in `vectors`."""
        found: list[int] = []
        for var in vectors:
            number = self._numbers.setdefault(var, len(self.vars))
            if number == len(self.vars):
                self.vars.append(var)
            first = self.memory + number * MOST_LANES
            found += range(first, first + var.lanes)
        return np.array(found[:size], np.int64)

    def literal_codes(self, array: np.ndarray[Any, Any]) -> Codes:
        """The codes of constants."""
        codes = []
        for item in array.ravel():
            key = (array.dtype, item.tobytes())
            if key not in self._literal_codes:
                self.literals.append((array.dtype, item))
                self._literal_codes[key] = -len(self.literals)
            codes.append(self._literal_codes[key])
        return np.array(codes, np.int64).reshape(array.shape)

    def packed(self, codes: Codes, dtype: DType) -> list[Var]:
        """Vectors with these elements, in row-major order."""
        picks: list[int] = codes.ravel().tolist()
        starts = range(0, len(picks), self.lanes)
        return [self._vector(tuple(picks[at : at + self.lanes]), dtype) for at in starts]

    def _vector(self, picks: Picks, dtype: DType) -> Var:
        """One vector with these elements, in a register as wide as they need."""
        found = self._vectors.get((picks, dtype))
        if found is None:
            found = self._vectors[picks, dtype] = self._make_vector(picks, dtype)
        return found

    def _make_vector(self, picks: Picks, dtype: DType) -> Var:
        (lanes,) = widths(len(picks), self.lanes)
        if all(0 <= pick < self.memory for pick in picks):
            if self._is_run(picks):
                return self._load(picks, lanes, dtype)
            if len(set(picks)) == 1:
                return self._shuffle([(self._vector(picks[:1], dtype), 0)], lanes)
        if all(pick < 0 for pick in picks):
            values = [self.literals[-pick - 1][1] for pick in _repeated(picks, lanes)]
            return self.builder.vector_literal(values, dtype)
        return self._shuffle(self._places(picks, lanes, dtype), lanes)

    def _is_run(self, picks: Picks) -> bool:
        """Whether elements lie one behind the other in one buffer."""
        first, last = self._place(picks[0]), self._place(picks[-1])
        return picks == tuple(range(picks[0], picks[0] + len(picks))) and first[0] == last[0]

    def _place(self, pick: int) -> tuple[int, int]:
        """Which buffer an element in memory is in, and where."""
        buffer = int(np.searchsorted(self.starts, pick, "right")) - 1
        return buffer, pick - self.starts[buffer]

    def _load(self, picks: Picks, lanes: int, dtype: DType) -> Var:
        """A contiguous vector; if it fits, what lies behind it in the buffer is read along."""
        buffer, start = self._place(picks[0])
        behind = self.body.inputs[buffer].type.size - start
        self._in_vector(lanes, lanes if behind >= lanes else len(picks))
        var = self.builder.load(self._access(buffer, start, lanes), dtype)
        self.builder.active = None
        return var

    def _places(self, picks: Picks, lanes: int, dtype: DType) -> list[tuple[Var, int]]:
        """The register and lane of every element; constants come from a vector of their own, in
        which they are where they are wanted."""
        literals: Var | None = None
        if any(pick < 0 for pick in picks):
            at = next(pick for pick in picks if pick < 0)
            own = [pick if pick < 0 else at for pick in _repeated(picks, lanes)]
            literals = self._vector(tuple(own), dtype)
        places: list[tuple[Var, int]] = []
        for lane, pick in enumerate(picks):
            if pick < 0:
                assert literals is not None
                places.append((literals, lane))
            elif pick < self.memory:
                places.append(self._loaded(pick, dtype))
            else:
                number, source = divmod(pick - self.memory, MOST_LANES)
                places.append((self.vars[number], source))
        return places

    def _loaded(self, pick: int, dtype: DType) -> tuple[Var, int]:
        """The vector of memory, as its value would be packed, that holds an element."""
        buffer, at = self._place(pick)
        lane = at % self.lanes
        size = self.body.inputs[buffer].type.size
        count = min(self.lanes, size - (at - lane))
        first = self.starts[buffer] + at - lane
        return self._vector(tuple(range(first, first + count)), dtype), lane

    def _shuffle(self, places: list[tuple[Var, int]], lanes: int) -> Var:
        first, count = places[0][0], len(places)
        if all(place == (first, lane) for lane, place in enumerate(places)):
            # What lies behind the last element is as good as anything.
            if first.lanes == lanes:
                return first
            if first.lanes > lanes:
                return self.builder.shuffle([(first, lane) for lane in range(lanes)])
        return self.builder.shuffle([*places, *[places[-1]] * (lanes - count)])

    # Operations

    def lanewise(self, compute: Lanewise, *operands: tuple[Codes, DType]) -> list[Codes]:
        """The codes of what `compute` makes of operands of one shape, vector by vector."""
        shape = operands[0][0].shape
        size = math.prod(shape)
        made: list[list[Var]] = []
        columns = zip(*(self.packed(codes, dtype) for codes, dtype in operands), strict=True)
        for number, vectors in enumerate(columns):
            self._in_vector(vectors[0].lanes, size - number * self.lanes)
            made.append(compute(*vectors))
        self.builder.active = None
        results = zip(*made, strict=True)
        return [self.codes_of(vectors, size).reshape(shape) for vectors in results]

    def compute(self, op: str, dtype: DType) -> Lanewise:
        """The elementwise op on vectors."""
        return lambda *args: [self.builder.compute(op, args, dtype)]


def _repeated(picks: Picks, lanes: int) -> Picks:
    """As many picks as there are lanes: the last one again where there are too few."""
    return picks + picks[-1:] * (lanes - len(picks))


def _lanes(body: Graph, target: Target) -> int:
    """Elements in a vector: as many as the widest element type of an array allows."""
    made = [value for node in body.nodes for value in node.outputs]
    sizes = [v.type.dtype.itemsize for v in (*body.inputs, *made) if v.type.size > 1]
    if any(node.op.name in ("argmax", "argmin") for node in body.nodes):
        sizes.append(INT64.itemsize)
    return min(target.lanes(max(sizes, default=INT64.itemsize)), MOST_LANES)


def _elementwise(work: RegisterLowering, node: Node) -> Codes:
    b, op = work.builder, node.op.name

    def compute(*args: Var) -> list[Var]:
        if op == "pow" and args[1].dtype.kind == "i":
            zero = b.literal(0, args[1].dtype)
            b.check(b.compute("lt", [args[1], zero], BOOL), "negative_power", node.loc)
        return [b.compute(op, args, node.output.type.dtype)]

    (result,) = work.lanewise(compute, *((work.codes[v], v.type.dtype) for v in node.inputs))
    return result


def _moved(work: RegisterLowering, node: Node) -> Codes:
    """A view or a join: the reference of the op itself, on codes."""
    assert node.op.reference is not None
    attrs = dict(node.attrs)
    if node.op.name == "pad":
        fill = np.asarray(attrs["fill"]).astype(node.output.type.dtype)
        attrs["fill"] = int(work.literal_codes(fill)[()])
    return np.asarray(node.op.reference(*(work.codes[v] for v in node.inputs), **attrs))


def _created(work: RegisterLowering, node: Node) -> Codes:
    assert node.op.reference is not None
    return work.literal_codes(np.asarray(node.op.reference(**node.attrs)))


def _reduction(work: RegisterLowering, node: Node) -> Codes:
    (x,) = node.inputs
    fold, axes = Fold(node), reduced_axes(node)
    kept = [axis for axis in range(x.type.rank) if axis not in axes]
    count = math.prod(x.type.shape[axis] for axis in axes)
    state = [(work.codes[x].transpose(*axes, *kept).reshape(count, -1), x.type.dtype)]
    if fold.has_position:
        places = work.literal_codes(np.arange(count))
        state.append((np.broadcast_to(places[:, None], state[0][0].shape), INT64))

    def combine(*args: Var) -> list[Var]:
        half = len(args) // 2
        return fold.combine(work.builder, list(args[:half]), list(args[half:]))

    codes, dtype = _folded(work, combine, state)[-1]
    if fold.op == "add" and dtype.kind == "f":
        codes = _from_zero(work, codes, dtype)
    return codes.reshape(node.output.type.shape)


State = list[tuple[Codes, DType]]
"""What is folded: of each of its parts a row of elements for each term."""


def _folded(work: RegisterLowering, combine: Lanewise, state: State) -> State:
    """All terms in one, by a balanced tree.

    The first step leaves a power of two of them, so that all others fold one half of what lies in
    the registers onto the other.
    """
    while (count := len(state[0][0])) > 1:
        left = 1 << ((count - 1).bit_length() - 1)
        pairs = count - left
        first = [(codes[:pairs], dtype) for codes, dtype in state]
        second = [(codes[left:], dtype) for codes, dtype in state]
        made = work.lanewise(combine, *first, *second)
        state = [
            (np.concatenate([new, codes[pairs:left]]), dtype)
            for new, (codes, dtype) in zip(made, state, strict=True)
        ]
    return state


def _from_zero(work: RegisterLowering, codes: Codes, dtype: DType) -> Codes:
    """A sum that starts at 0, as NumPy's do: of nothing but -0 it is 0."""
    zeros = np.broadcast_to(work.literal_codes(np.zeros((), dtype)), codes.shape)
    (result,) = work.lanewise(work.compute("add", dtype), (codes, dtype), (zeros, dtype))
    return result


def _dot(work: RegisterLowering, node: Node) -> Codes:
    """One multiply-add for each term of the sums, or all products at once and their sum by a tree:
    whichever takes fewer vectors."""
    dtype, (left, right) = node.output.type.dtype, _factors(work, node)
    depth, *shape = np.broadcast_shapes(left.shape, right.shape)
    size = math.prod(shape)
    at_once, in_turn = -(-depth * size // work.lanes), depth * -(-size // work.lanes)
    if at_once * _OF_PRODUCTS < in_turn * _OF_STEPS:
        both = (np.broadcast_to(codes, (depth, *shape)) for codes in (left, right))
        (terms,) = work.lanewise(work.compute("mul", dtype), *((codes, dtype) for codes in both))
        state = [(terms.reshape(depth, size), dtype)]
        ((total, _),) = _folded(work, work.compute("add", dtype), state)
        if dtype.kind == "f":
            total = _from_zero(work, total, dtype)
        return total.reshape(node.output.type.shape)
    total = np.broadcast_to(work.literal_codes(np.zeros((), dtype)), shape)
    step = work.compute("multiply_add", dtype)
    for x, y in zip(left, right, strict=True):
        terms_of = (np.broadcast_to(x, shape), np.broadcast_to(y, shape), total)
        (total,) = work.lanewise(step, *((codes, dtype) for codes in terms_of))
    return total.reshape(node.output.type.shape)


_OF_PRODUCTS, _OF_STEPS = 5, 3
"""Instructions for a vector of products (two shuffles, the product, its part of the sum) and for
one of a step (two shuffles and a multiply-add)."""


def _factors(work: RegisterLowering, dot: Node) -> tuple[Codes, Codes]:
    """The operands of a product as arrays over (contracted, batch, rows, columns), with an extent
    of 1 where they do not vary."""
    x, y = (work.codes[value] for value in dot.inputs)
    batch, contract = dot.attrs["batch"], dot.attrs["contract"]
    depth = math.prod(x.shape[axis] for axis in contract[0])
    many = math.prod(x.shape[axis] for axis in batch[0])
    left = x.transpose(*contract[0], *batch[0], *free_axes(x.ndim, batch[0], contract[0]))
    right = y.transpose(*contract[1], *batch[1], *free_axes(y.ndim, batch[1], contract[1]))
    return left.reshape(depth, many, -1, 1), right.reshape(depth, many, 1, -1)


Rule = Callable[[RegisterLowering, Node], Codes]

_FAMILIES: dict[Family, Rule] = {
    Family.ELEMENTWISE: _elementwise,
    Family.VIEW: _moved,
    Family.JOIN: _moved,
    Family.REDUCTION: _reduction,
    Family.CONTRACTION: _dot,
    Family.CREATION: _created,
}
"""How the nodes of a region are lowered, by family."""

_RULES: dict[str, Rule] = {"stop_gradient": _moved}
"""The exceptions."""
