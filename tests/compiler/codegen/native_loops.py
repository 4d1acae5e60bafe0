"""Compile an emitter into a native loop over arrays, and measure errors in ulps."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Callable
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from tapeless.compiler.codegen.assembly import Function, Module, vector_type
from tapeless.compiler.codegen.operand import Operand
from tapeless.compiler.target import Target, host_target, narrowed

ELEMENTS = {
    np.dtype(kind): element
    for kind, element in (
        ("f4", "float"),
        ("f8", "double"),
        ("i1", "i8"),
        ("i2", "i16"),
        ("i4", "i32"),
        ("i8", "i64"),
        ("u1", "i8"),
        ("u2", "i16"),
        ("u4", "i32"),
        ("u8", "i64"),
    )
}
Emitter = Callable[..., Operand]


@cache
def target_named(level: str) -> Target:
    """The host narrowed to a level.

    "host" is all of it, "avx2" and "sse2" as TAPELESS_TARGET has them, "no_fma" is AVX without
    fused multiply-add, "baseline" the first x86-64 (SSE2: no rounding instruction either), "neon"
    an AArch64 that code can be generated for, though not run.
    """
    host = host_target()
    if level == "neon":
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        triple = "aarch64-unknown-linux-gnu"
        return Target(triple, "generic", "+neon", "neon", vector_bytes=16, vector_registers=32)
    if level == "host" or not host.triple.startswith("x86_64"):
        return host
    if level == "no_fma":
        return dataclasses.replace(host, cpu="x86-64", features="+sse4.1,+avx")
    if level == "baseline":
        return dataclasses.replace(host, cpu="x86-64", features="+sse2")
    return narrowed(host, level)


def own_machine(target: Target) -> llvm.TargetMachine:
    """A target machine of one's own: MCJIT frees the one it is given."""
    target.machine()  # initializes LLVM
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, jit=True
    )


def loop_text(
    emit: Emitter, inputs: list[np.dtype], output: np.dtype, lanes: int, level: str
) -> str:
    """The module of ``void kernel(out, in..., n)``; n counts elements, a multiple of lanes."""
    target = target_named(level)
    machine = target.machine()
    module = Module("kernel", target.triple, str(machine.target_data), target.cpu, target.features)
    pointers = [("ptr", f"p{i}", "noalias") for i in range(len(inputs) + 1)]
    b = module.function("kernel", "void", [*pointers, ("i64", "n", "")])
    *arrays, count = b.params
    loop, done = b.block("loop"), b.block("done")
    b.br(loop)
    b.place(loop)
    index = b.phi("i64", [(b.const("i64", 0), "entry")])
    values = [
        _load(b, array, kind, index.value, lanes)
        for array, kind in zip(arrays[1:], inputs, strict=True)
    ]
    result = emit(b, *values)
    element = ELEMENTS[output]
    if result.element == "i1":
        result = b.cast("zext", result, element)
    assert result.type == vector_type(element, lanes), result
    b.store(result, b.gep(arrays[0], element, index.value), output.itemsize)
    after = b.add(index.value, b.const("i64", lanes))
    index.add(after, b.current)
    b.cond_br(b.icmp("slt", after, count), loop, done)
    b.place(done)
    b.ret()
    return module.text()


def _load(b: Function, array: Operand, kind: np.dtype, index: Operand, lanes: int) -> Operand:
    element = ELEMENTS[kind]
    return b.load(vector_type(element, lanes), b.gep(array, element, index), kind.itemsize)


class Kernel:
    """A compiled elementwise function of arrays."""

    def __init__(
        self,
        emit: Emitter,
        inputs: list[np.dtype],
        output: np.dtype,
        lanes: int,
        level: str = "host",
    ) -> None:
        self.output, self.lanes, self.inputs = output, lanes, inputs
        self.text = loop_text(emit, inputs, output, lanes, level)
        machine = own_machine(target_named(level))
        parsed = llvm.parse_assembly(self.text)
        parsed.verify()
        self.engine = llvm.create_mcjit_compiler(parsed, machine)
        self.engine.finalize_object()
        address = self.engine.get_function_address("kernel")
        arguments = [ctypes.c_void_p] * (len(inputs) + 1) + [ctypes.c_int64]
        self.entry = ctypes.CFUNCTYPE(None, *arguments)(address)

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        size = arrays[0].size
        padded = -(-size // self.lanes) * self.lanes
        if padded != size:
            arrays = tuple(np.concatenate([a, a[:1].repeat(padded - size)]) for a in arrays)
        arrays = tuple(np.ascontiguousarray(a, d) for a, d in zip(arrays, self.inputs, strict=True))
        out = np.empty(padded, self.output)
        if padded:
            self.entry(out.ctypes.data, *(a.ctypes.data for a in arrays), padded)
        return out[:size]


@cache
def kernel(
    emit: Emitter, inputs: tuple[str, ...], output: str, lanes: int, level: str = "host"
) -> Kernel:
    """A compiled loop, made once."""
    kinds = [np.dtype(kind) for kind in inputs]
    return Kernel(emit, kinds, np.dtype(output), lanes, level)


def ulp_error(result: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """|result - exact| in units of the last place of the exact value, given in a wider format.

    0 where both are NaN or the same infinity, infinite where only one is NaN. Values beyond the
    largest float count as 2**maxexp, the next float there would be.
    """
    info, wide = np.finfo(result.dtype), exact.dtype.type
    with np.errstate(all="ignore"):
        limit = np.ldexp(wide(1), int(info.maxexp))
        clipped = np.clip(exact, -limit, limit)
        _, exponent = np.frexp(clipped)
        exponent = np.maximum(exponent, info.minexp + 1)
        value = np.clip(result.astype(wide), -limit, limit)
        error = np.abs(value - clipped) * np.ldexp(wide(1), info.nmant + 1 - exponent)
    nan = np.isnan(result), np.isnan(exact)
    error = np.where(nan[0] & nan[1], 0, np.where(nan[0] ^ nan[1], np.inf, error))
    return np.asarray(error, np.float64)
