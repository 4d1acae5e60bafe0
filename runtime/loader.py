"""Object code becomes callable.

One LLVM ORC JIT per process links every program into a library of its own: one read-only and one
read-execute mapping, never writable and executable at once, unmapped when the `Routine` dies.
Linking takes about 0.1 ms.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import llvmlite.binding as llvm

from ..ir.program import POOL_SYMBOL, Program
from .jit import link
from .threads import pool_table

RELEASE_GIL_ABOVE = 200_000
"""Floating-point operations plus bytes moved from which the interpreter lock is released for the
run: about 10 µs of work, some hundred times what releasing costs."""

_HOLDING = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
_RELEASING = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


def estimated_work(program: Program) -> int:
    """Operations plus bytes of all kernels, from their static counts."""
    return sum(k.flops + k.bytes_read + k.bytes_written for k in program.kernels)


class Routine:
    """The machine code of a program, loaded. `call(buffers, arena)` takes two addresses.

    The code stays mapped as long as this object lives: whoever keeps `call` keeps the routine.
    """

    def __init__(self, program: Program) -> None:
        builder = llvm.JITLibraryBuilder().add_object_img(program.object_code)
        builder.export_symbol(program.symbol)
        if program.is_parallel:
            builder.import_symbol(POOL_SYMBOL, pool_table())
        self._library = link(builder, program.name)
        self.address: int = self._library[program.symbol]
        self.releases_gil = estimated_work(program) > RELEASE_GIL_ABOVE
        prototype = _RELEASING if self.releases_gil else _HOLDING
        self.call: Callable[[int, int], int] = prototype(self.address)
