"""A compiled program as a callable on arrays that already have the right type and layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from ..ir.errors import ArgumentError, DomainError, OutOfBoundsError, TapelessError
from ..ir.program import Program
from ..ir.types import TensorType
from .arena import Frame, FramePool
from .loader import Routine
from .pointers import DENSE, WRITEABLE, Array, address

_FAILURES: dict[str, tuple[type[TapelessError], str, str]] = {
    "index": (
        OutOfBoundsError,
        "an index must lie within its axis",
        "negative indices count from the end; np.clip keeps indices in range",
    ),
    "negative_power": (
        DomainError,
        "an integer cannot be raised to a negative integer power",
        "raise a float instead, for example x.astype(np.float64) ** n",
    ),
}
"""`Failure.kind` to the exception that it becomes: class, requirement, hint."""


class Executable:
    """`program`, loaded. Calling it is thread-safe and re-entrant: each call has its own frame.

    `threads` bounds the threads of one call.
    """

    def __init__(self, program: Program, threads: int | None = None) -> None:
        self.program = program
        self.frames = FramePool(program, threads)
        self._routine = Routine(program)
        self._call = self._routine.call
        self.address: int = self._routine.address
        self.releases_lock: bool = self._routine.releases_gil
        self._sources = [program.in_place.get(i) for i in range(len(program.outputs))]

    def __call__(
        self, arrays: Sequence[Array], *, out: Sequence[Array | None] | None = None
    ) -> tuple[Array, ...]:
        """The outputs of the program for `arrays`, one per program input.

        Outputs that the program computes in place are the input array itself; others are written
        to the entry of `out`, where given, or to new arrays. Raises `ArgumentError` for arrays of
        another type, shape or layout than the program was compiled for; there is no conversion.
        """
        program = self.program
        if len(arrays) != len(program.inputs):
            raise ArgumentError(f"{len(program.inputs)} arrays", given=str(len(arrays)))
        for i, (array, type) in enumerate(zip(arrays, program.inputs, strict=True)):
            _require_fit(array, type, f"input {i}", writes=i in self._sources)
        results = self._results(arrays, out)
        frame = self.frames.take()
        try:
            for i, array in enumerate((*arrays, *results)):
                frame.table[i] = address(array)
            self.run(frame)
        finally:
            self.frames.give(frame)
        return tuple(results)

    def run(self, frame: Frame) -> None:
        """Run on the addresses in `frame.table`; raises what the program reports."""
        code = self._call(frame.start, frame.arena)
        if code:
            self.fail(code)

    def _results(self, arrays: Sequence[Array], out: Sequence[Array | None] | None) -> list[Array]:
        types = self.program.outputs
        given = [None] * len(types) if out is None else list(out)
        if len(given) != len(types):
            raise ArgumentError(f"out with {len(types)} entries", given=str(len(given)))
        results: list[Array] = []
        for i, (type, source, array) in enumerate(zip(types, self._sources, given, strict=True)):
            if source is not None:
                results.append(arrays[source])
            elif array is not None:
                _require_fit(array, type, f"out[{i}]", writes=True)
                results.append(array)
            else:
                results.append(np.empty(type.shape, type.dtype))
        return results

    def fail(self, code: int) -> NoReturn:
        """Raise what the status of a program stands for."""
        failure = self.program.failures[code - 1]
        error, requirement, hint = _FAILURES[failure.kind]
        raise error(requirement, hint=hint, loc=failure.loc)


def _require_fit(array: Array, type: TensorType, name: str, *, writes: bool) -> None:
    needed = DENSE | WRITEABLE if writes else DENSE
    if (
        array.__class__ is not np.ndarray
        or array.dtype != type.dtype
        or array.shape != type.shape
        or array.flags.num & needed != needed
    ):
        raise ArgumentError(
            f"{name} must be a {'writable ' if writes else ''}row-major array of type {type}",
            given=_describe(array),
        )


def _describe(array: object) -> str:
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}"
    return f"a {type(array).__name__} of dtype {array.dtype} and shape {array.shape}, strides " + (
        f"{array.strides}{'' if array.flags.writeable else ', read-only'}"
    )
