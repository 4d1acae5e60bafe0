"""`Program`: compiled code as plain data, the one thing that passes from compiler to runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .location import Location
from .types import TensorType

ARENA_ALIGNMENT = 64
"""Bytes to which the arena and every value in it are aligned: a cache line, a widest vector."""

POOL_SYMBOL = "tapeless_pool"
"""The three words that object code of a program with pieces expects from whoever loads it: the
addresses of the routines `PARALLEL`, `ENTER` and `LEAVE`. They are read by calls on more than one
thread only, and may be missing until there is such a call."""

PARALLEL = 0
"""Number of the routine with the C signature
`int64_t (int64_t (*task)(void *context, int64_t piece, int64_t slot), void *context,
int64_t pieces, int64_t threads)`: it calls `task` once for every piece below `pieces`, at most
`threads` of these calls at the same time, each with a `slot` below `threads` that no other call has
meanwhile, and returns the greatest of their results."""

MAX_PIECES = 4095
"""That `PARALLEL` takes."""

ENTER = 1
"""Called by the routine of a program with pieces before all else: `int64_t (void *site, int64_t
threads, int64_t call[2])`. `site` is 64 bytes of the program's, zero to begin with, `call` is for
`LEAVE`. The result, from 1 to `threads`, is how many threads this call shall use."""

LEAVE = 2
"""Called by such a routine after all else, unless it failed: `void (void *site, int64_t call[2])`,
so that the runtime can learn how many threads serve the program best."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason for which the program can stop: `kind` is `index` or `negative_power`."""

    kind: str
    loc: Location | None


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """What one kernel does, for `f.cost` and the tools; flops and bytes are static counts.

    `pieces` is how many parts of it may run at the same time.
    """

    name: str
    kind: str
    flops: int
    bytes_read: int
    bytes_written: int
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Program:
    """Native code and how to call it.

    The routine `symbol` in `object_code` has the C signature `int64_t (void **buffers, void
    *arena)`. `buffers` holds the addresses of the inputs, the outputs and the constants, in that
    order, all row-major and aligned to their element; then, in place of an address, the number of
    threads that may run it. The arena has `arena_bytes`, and `thread_bytes` more for every thread
    beyond the first. The result is 0, or k > 0 when `failures[k - 1]` happened. Output `i` in
    `in_place` is written where input `in_place[i]` lies: both entries of `buffers` are then the
    same address. A program of which some kernel has several pieces imports `POOL_SYMBOL`.
    """

    name: str
    symbol: str
    object_code: bytes
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    constants: tuple[np.ndarray[Any, Any], ...]
    in_place: Mapping[int, int]
    arena_bytes: int
    failures: tuple[Failure, ...]
    kernels: tuple[KernelInfo, ...]
    thread_bytes: int = 0

    @property
    def is_parallel(self) -> bool:
        """Whether several threads can run parts of it at the same time."""
        return any(kernel.pieces > 1 for kernel in self.kernels)
