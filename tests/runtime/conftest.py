"""Programs written by hand in LLVM IR, so that the runtime is tested without the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import pytest

from tapeless.ir.program import Program
from tapeless.ir.types import TensorType

HEAD = "define i64 @program(ptr %buffers, ptr %arena) {\n"
"""The start of every program's routine."""


def assemble(text: str) -> bytes:
    """Object code for this machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
    code: bytes = machine.emit_object(llvm.parse_assembly(text))
    return code


MakeProgram = Callable[..., Program]


@pytest.fixture
def make_program() -> MakeProgram:
    """`make_program(body, inputs, outputs, before, **fields)`: `before`, `HEAD`, then `body`."""

    def make(
        body: str,
        inputs: tuple[TensorType, ...],
        outputs: tuple[TensorType, ...],
        before: str = "",
        **fields: Any,
    ) -> Program:
        defaults: dict[str, Any] = {
            "constants": (),
            "in_place": {},
            "arena_bytes": 0,
            "failures": (),
            "kernels": (),
        }
        code = assemble(before + HEAD + body + "}\n")
        return Program("p", "program", code, inputs, outputs, **(defaults | fields))

    return make
