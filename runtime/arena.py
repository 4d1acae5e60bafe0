"""The memory of one call in flight.

A `Frame` holds what a program needs besides the caller's arrays: the arena for temporaries, the
table of buffer addresses, and a slot for every scalar that goes in or comes out. Frames are
pooled per executable; a call takes one and puts it back, so that concurrent and nested calls
never share.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.program import ARENA_ALIGNMENT, Program
from .pointers import Array, address
from .threads import get_threads, pool


def aligned_bytes(nbytes: int) -> tuple[Array, int]:
    """Uninitialized memory and the first address in it that is `ARENA_ALIGNMENT`-aligned."""
    memory = np.empty(nbytes + ARENA_ALIGNMENT, np.uint8)
    start = address(memory)
    return memory, start + -start % ARENA_ALIGNMENT


class Frame:
    """Buffer table, scalar slots and arena of one call.

    `table[i]` is the address of buffer i (inputs, outputs, constants). `slots[i]` is a 0-d array
    for every buffer i of rank 0, to which `table[i]` points to begin with. The last entry is the
    number of threads for which the arena has scratch memory.
    """

    __slots__ = ("_memory", "arena", "slots", "start", "table", "threads")

    def __init__(self, program: Program, threads: int = 1) -> None:
        buffers = (*program.inputs, *program.outputs)
        self.threads = threads
        extra = (threads - 1) * program.thread_bytes
        self._memory, self.arena = aligned_bytes(program.arena_bytes + extra)
        self.table: Any = (ctypes.c_size_t * (len(buffers) + len(program.constants) + 1))()
        self.table[-1] = threads
        self.start = ctypes.addressof(self.table)
        self.slots: dict[int, Array] = {}
        for i, type in enumerate(buffers):
            if type.shape == ():
                self.slots[i] = np.zeros((), type.dtype)
                self.table[i] = address(self.slots[i])
        for i, constant in enumerate(program.constants, len(buffers)):
            self.table[i] = address(constant)


class FramePool:
    """Frames of one program that no call is using. `take` and `give` are atomic operations.

    `threads` bounds the threads of one call, besides `get_threads()`.
    """

    def __init__(self, program: Program, threads: int | None = None) -> None:
        self._program = program
        self._bound = threads
        self._idle: list[Frame] = []
        self.give = self._idle.append
        self.take: Callable[[], Frame] = (
            self._take_for_threads if program.is_parallel else self._take_any
        )

    def _take_any(self) -> Frame:
        """An idle frame, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            return Frame(self._program)

    def new(self) -> Frame:
        """A frame that is never given to the pool."""
        threads = self._threads() if self._program.is_parallel else 1
        if threads > 1:
            pool()  # what runs on one thread never asks for it
        return Frame(self._program, threads)

    def _threads(self) -> int:
        threads = get_threads()
        return threads if self._bound is None else min(threads, self._bound)

    def _take_for_threads(self) -> Frame:
        """A frame with room for as many threads as there may be now."""
        threads = self._threads()
        try:
            frame = self._idle.pop()
            if frame.threads == threads:
                return frame
        except IndexError:
            pass
        return self.new()
