"""One signature's whole call: from the leaves of the arguments to the result.

A `Plan` is plain data, made once per signature by whoever traced and compiled the function; an
`Entry` is the plan ready to run. What depends on layout is decided when the entry is made (layout
is part of the signature), so that the common call checks nothing but overlaps of what it updates.
Native entries (`native`) do the same from machine code, and leave to it what is unusual.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ..ir.errors import ArgumentError
from ..ir.pytree import LEAF, Path, TreeDef, follow
from .arena import Frame
from .executable import Executable
from .flatten import LAYOUT
from .layout import dense_copy, first_overlap, require_updatable
from .pointers import HEADER, MEMORY, WORD, Array, is_dense

_SHIFT = WORD.bit_length() - 1


class ResultKind(enum.Enum):
    """What a result is to the caller."""

    ARRAY = "array"  # a new array: output `index` of the program
    SCALAR = "scalar"  # a NumPy scalar: output `index`
    NUMBER = "number"  # a Python bool, int or float: output `index`
    ARGUMENT = "argument"  # leaf `index` of the call itself
    OBJECT = "object"  # `value`, whatever the arguments are


@dataclass(frozen=True, slots=True)
class Result:
    """One result; `view`, if given, is applied to the array that it is."""

    kind: ResultKind
    index: int = -1
    view: Callable[[Array], Array] | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class ContainerWrite:
    """After the call, the place `path` in `(args, kwargs)` is bound to result number `result`."""

    path: Path
    result: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A traced and compiled signature.

    Leaves are those of the arguments, in flatten order, then `captured` arrays (of closures and
    globals); `names` says what the user calls each. `inputs` pairs the positions of the program's
    inputs with leaves (those that the program never reads are left out); `updates[i]` is the leaf
    that program output i is written to. Leaf k of the result, of the given `structure`, is
    `results[leaves[k]]`. `ranges[leaf]` bounds a Python integer that meets narrower integers.
    """

    inputs: tuple[tuple[int, int], ...]
    updates: Mapping[int, int]
    results: tuple[Result, ...]
    leaves: tuple[int, ...]
    structure: TreeDef
    names: tuple[str, ...]
    captured: tuple[Array, ...] = ()
    writes: tuple[ContainerWrite, ...] = ()
    ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict)


class Overlap(Exception):
    """Arrays of this call share memory with one that it updates: the plan does not hold."""


class Stale(Exception):
    """A captured array has another shape, dtype or layout than when it was compiled for."""


@dataclass(slots=True)
class Counts:
    """What happened so far: calls of known and new signatures, arrays copied to be dense."""

    hits: int = 0
    misses: int = 0
    copies: int = 0


Outputs: TypeAlias = dict[int, Array]
Fetch: TypeAlias = Callable[[Frame, Outputs, Sequence[Any]], Any]


class Entry:
    """`plan` on `executable`, for arguments laid out like `leaves`. Thread-safe and re-entrant.

    Raises `ArgumentError` when made for arguments that cannot be updated as the function wants.
    """

    def __init__(
        self, plan: Plan, executable: Executable, leaves: Sequence[Any], counts: Counts
    ) -> None:
        self.plan = plan
        self.executable = executable
        self._counts = counts
        self._run_program = executable.run
        self._take, self._give = executable.frames.take, executable.frames.give
        everything = [*leaves, *plan.captured]
        self._plan_inputs(everything)
        self._plan_outputs()
        self._fetches = tuple(self._fetch(result) for result in plan.results)
        self._build = _builder(plan)

    def _plan_inputs(self, everything: Sequence[Any]) -> None:
        """Which program inputs are arrays, passed where they lie, and which fill a slot."""
        plan = self.plan
        arrays = [pair for pair in plan.inputs if isinstance(everything[pair[1]], np.ndarray)]
        self._positions = tuple(i for i, _ in arrays)
        self._leaves = tuple(leaf for _, leaf in arrays)
        self._spans = _spans(self._positions)
        self._sizes = tuple(self.executable.program.inputs[i].nbytes for i in self._positions)
        self._scalars = tuple(pair for pair in plan.inputs if pair not in arrays)
        self._written = frozenset(plan.updates.values())
        for leaf in sorted(self._written):
            require_updatable(everything[leaf], plan.names[leaf])
        self._moved = tuple(leaf for leaf in self._leaves if not is_dense(everything[leaf]))
        self._expected = tuple(map(_signature, plan.captured))
        self._disjoint: list[int] = []

    def _plan_outputs(self) -> None:
        """Where each output goes: to an input's memory, a frame's slot, or a new array."""
        program = self.executable.program
        first = len(program.inputs)
        arrays = {r.index for r in self.plan.results if r.kind is ResultKind.ARRAY}
        self._in_place = tuple((first + out, source) for out, source in program.in_place.items())
        self._new = tuple(
            (first + out, type.shape, type.dtype)
            for out, type in enumerate(program.outputs)
            if out not in program.in_place and (type.shape != () or out in arrays)
        )
        self._copied_out = tuple(
            (first + out, leaf)
            for out, leaf in self.plan.updates.items()
            if out not in program.in_place
        )

    def _fetch(self, result: Result) -> Fetch:
        position = len(self.executable.program.inputs) + result.index
        return _FETCHES[result.kind](result, position)

    def __call__(self, leaves: list[Any], arguments: Any) -> Any:
        """The result for `leaves`, which have the signature that this entry was made for.

        `arguments` is the `(args, kwargs)` that they are the leaves of. Raises `Overlap` when
        arrays that are updated share memory with others, and whatever the program reports.
        """
        if self._expected:
            leaves = leaves + self._captures()
        if self.plan.ranges:
            self._check_ranges(leaves)
        if self._moved:
            results = self._run_on_copies(leaves)
        else:
            results = self._run(leaves, leaves)
        for write in self.plan.writes:
            _bind(arguments, write.path, results[write.result])
        return self._build(results)

    def _run(self, leaves: Sequence[Any], originals: Sequence[Any]) -> list[Any]:
        """Run on `leaves`, all dense; results that are arguments come from `originals`."""
        addresses = [MEMORY[id(leaves[leaf]) + HEADER >> _SHIFT] for leaf in self._leaves]
        if self._written and addresses != self._disjoint:
            self._require_disjoint(addresses)
        frame = self._take()
        try:
            table, slots = frame.table, frame.slots
            for span, part in self._spans:
                table[span] = addresses[part]
            for position, source in self._in_place:
                table[position] = table[source]
            for position, leaf in self._scalars:
                slots[position][()] = leaves[leaf]
            outputs = {}
            for position, shape, dtype in self._new:
                outputs[position] = array = np.empty(shape, dtype)
                table[position] = MEMORY[id(array) + HEADER >> _SHIFT]
            self._run_program(frame)
            for position, leaf in self._copied_out:
                np.copyto(
                    leaves[leaf], outputs[position] if position in outputs else slots[position]
                )
            return [fetch(frame, outputs, originals) for fetch in self._fetches]
        except OverflowError:
            raise self._integer_error(leaves) from None
        finally:
            self._give(frame)

    def _integer_error(self, leaves: Sequence[Any]) -> ArgumentError:
        """The error for a Python integer argument beyond 64 bits."""
        names = [
            self.plan.names[leaf]
            for _, leaf in self._scalars
            if type(leaves[leaf]) is int and not -(2**63) <= leaves[leaf] < 2**63
        ]
        return ArgumentError(
            f"the integer {', '.join(names)} fits into 64 bits",
            given="a larger one",
            hint="pass a float",
        )

    def _run_on_copies(self, leaves: Sequence[Any]) -> list[Any]:
        """Run on dense copies of the arrays that are not, and copy back what was updated."""
        arrays = [leaves[leaf] for leaf in self._leaves]
        written = [self._leaves.index(leaf) for leaf in self._written]
        if first_overlap(arrays, written) is not None:
            raise Overlap
        for leaf in self._written.intersection(self._moved):
            require_updatable(leaves[leaf], self.plan.names[leaf])
        dense = list(leaves)
        for leaf in self._moved:
            dense[leaf] = dense_copy(leaves[leaf])
            self._counts.copies += 1
        result = self._run(dense, leaves)
        for leaf in self._written.intersection(self._moved):
            np.copyto(leaves[leaf], dense[leaf])
        return result

    def overlap_error(self, leaves: Sequence[Any]) -> ArgumentError:
        """The error for arguments on which this entry raised `Overlap`."""
        leaves = [*leaves, *self.plan.captured]
        arrays = [leaves[leaf] for leaf in self._leaves]
        names = [self.plan.names[leaf] for leaf in self._leaves]
        written = [self._leaves.index(leaf) for leaf in self._written]
        updated, other = first_overlap(arrays, written) or (written[0], written[0])
        return ArgumentError(
            f"{names[updated]} is updated in place and must not overlap {names[other]}",
            given="two arrays that share part of their memory",
            hint="pass a copy of one of them",
        )

    def _captures(self) -> list[Array]:
        """The captured arrays, which must still be what was compiled for."""
        for array, known in zip(self.plan.captured, self._expected, strict=True):
            if _signature(array) != known:
                raise Stale
        return list(self.plan.captured)

    def _check_ranges(self, leaves: Sequence[Any]) -> None:
        for leaf, (low, high) in self.plan.ranges.items():
            if not low <= leaves[leaf] <= high:
                raise ArgumentError(
                    f"{self.plan.names[leaf]} meets integers of a narrower dtype and must be from "
                    f"{low} to {high}",
                    given=str(leaves[leaf]),
                    hint="convert the array that it meets to a wider dtype",
                )

    def _require_disjoint(self, addresses: list[int]) -> None:
        """Raise `Overlap` if an updated array shares memory with another program input."""
        extents = sorted(zip(addresses, self._sizes, self._leaves, strict=True))
        end, owner = 0, -1
        for address, size, leaf in extents:
            if address < end and size and (leaf in self._written or owner in self._written):
                raise Overlap
            if address + size > end:
                end, owner = address + size, leaf
        self._disjoint = addresses


def _signature(array: Array) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.flags.num & LAYOUT


def _spans(positions: Sequence[int]) -> list[tuple[slice, slice]]:
    """Runs of consecutive positions, and where they lie among `positions`: each is one store."""
    spans: list[tuple[slice, slice]] = []
    start = 0
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            spans.append((slice(positions[start], positions[i - 1] + 1), slice(start, i)))
            start = i
    return spans


def _array_fetch(result: Result, position: int) -> Fetch:
    view = result.view
    if view is None:
        return lambda frame, outputs, leaves: outputs[position]
    return lambda frame, outputs, leaves: view(outputs[position])


def _scalar_fetch(result: Result, position: int) -> Fetch:
    return lambda frame, outputs, leaves: frame.slots[position][()]


def _number_fetch(result: Result, position: int) -> Fetch:
    return lambda frame, outputs, leaves: frame.slots[position].item()


def _argument_fetch(result: Result, position: int) -> Fetch:
    index, view = result.index, result.view
    if view is None:
        return lambda frame, outputs, leaves: leaves[index]
    return lambda frame, outputs, leaves: view(leaves[index])


def _object_fetch(result: Result, position: int) -> Fetch:
    return lambda frame, outputs, leaves: result.value


_FETCHES: dict[ResultKind, Callable[[Result, int], Fetch]] = {
    ResultKind.ARRAY: _array_fetch,
    ResultKind.SCALAR: _scalar_fetch,
    ResultKind.NUMBER: _number_fetch,
    ResultKind.ARGUMENT: _argument_fetch,
    ResultKind.OBJECT: _object_fetch,
}


def _builder(plan: Plan) -> Callable[[list[Any]], Any]:
    """From results to what the function returns, with short cuts for the commonest structures."""
    structure, order = plan.structure, plan.leaves
    if structure == LEAF:
        (only,) = order
        return lambda results: results[only]
    if order != tuple(range(len(plan.results))):
        return lambda results: structure.unflatten([results[i] for i in order])
    if structure.container is tuple and all(child == LEAF for child in structure.children):
        return tuple
    return structure.unflatten


def _bind(arguments: Any, path: Path, value: Any) -> None:
    """Store `value` where `path` leads, as the function did to the containers it was passed."""
    container = follow(arguments, path[:-1])
    how, key = path[-1]
    if how == "attr":
        setattr(container, key, value)
    else:
        container[key] = value
