"""The process's LLVM ORC JIT: object code and LLVM text become mapped libraries."""

from __future__ import annotations

import itertools
import threading
from functools import cache
from typing import Any

import llvmlite.binding as llvm

_COUNTER = itertools.count()
_LINKING = threading.Lock()


@cache
def _jit() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_lljit_compiler(machine)


def link(builder: llvm.JITLibraryBuilder, name: str) -> llvm.ResourceTracker:
    """The library that `builder` describes, mapped for as long as the result lives.

    It may use every symbol of this process. The result gives the addresses of what it exports.
    """
    builder.add_current_process()
    with _LINKING:
        return builder.link(_jit(), f"{name}.{next(_COUNTER)}")
