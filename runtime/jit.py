"""The process's LLVM ORC JIT: object code and LLVM text become mapped libraries."""

from __future__ import annotations

import itertools
import threading
from functools import cache
from typing import Any

import llvmlite.binding as llvm

_COUNTER = itertools.count()
_LINKING = threading.Lock()


def _machine(level: int) -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(opt=level, reloc="pic")


@cache
def _jit() -> Any:
    return llvm.create_lljit_compiler(_machine(2))


def assemble(text: str) -> bytes:
    """Object code of LLVM text, for this machine's architecture alone.

    At LLVM's lowest level: 4 ms for the thread pool instead of 17, and jobs start as fast.
    """
    code: bytes = _machine(0).emit_object(llvm.parse_assembly(text))
    return code


def link(builder: llvm.JITLibraryBuilder, name: str) -> llvm.ResourceTracker:
    """The library that `builder` describes, mapped for as long as the result lives.

    It may use every symbol of this process. The result gives the addresses of what it exports.
    """
    builder.add_current_process()
    with _LINKING:
        return builder.link(_jit(), f"{name}.{next(_COUNTER)}")
