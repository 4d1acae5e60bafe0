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


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason for which the program can stop: `kind` is `index` or `negative_power`."""

    kind: str
    loc: Location | None


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """What one kernel does, for `f.cost` and the tools; flops and bytes are static counts."""

    name: str
    kind: str
    flops: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True, slots=True)
class Program:
    """Native code and how to call it.

    The routine `symbol` in `object_code` has the C signature `int64_t (void **buffers, void
    *arena)`. `buffers` holds the addresses of the inputs, the outputs and the constants, in that
    order, all row-major and aligned to their element. The result is 0, or k > 0 when
    `failures[k - 1]` happened. Output `i` in `in_place` is written where input `in_place[i]` lies:
    both entries of `buffers` are then the same address.
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
