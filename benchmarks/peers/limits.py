"""What this machine can do at most, measured beside the peers: multiply-adds, and copied bytes.

The multiply-adds are those of a kernel that touches no memory: independent chains of vector fused
multiply-adds, enough of them to hide the latency. The copies are NumPy's, on arrays that together
take as much memory as the workload moves. Both run in as many threads as the peers have.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tapeless.compiler.target import Target, host_target

VERSION = "measured"
CHAINS = 12
"""Independent multiply-adds; two a cycle with a latency of four or five need ten."""

ROUNDS = 20_000
"""Loop trips of one call: about 30 µs."""

LEAST_BYTES = 1 << 20
"""Smaller copies measure NumPy's calls rather than memory."""

_LLVM_TYPES = {"float32": ("float", "f32", 4), "float64": ("double", "f64", 8)}


def kernel_text(target: Target, dtype: str) -> str:
    """LLVM text of `T fma(i64 trips, T a, T b)`: CHAINS accumulators x = x a + b per trip."""
    scalar, suffix, size = _LLVM_TYPES[dtype]
    lanes = target.lanes(size)
    vector = f"<{lanes} x {scalar}>"
    fma = f"@llvm.fma.v{lanes}{suffix}"
    lines = [
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        f"define {scalar} @fma(i64 %trips, {scalar} %a0, {scalar} %b0) {{",
        "entry:",
    ]
    for name in "ab":
        lines += [
            f"  %{name}1 = insertelement {vector} undef, {scalar} %{name}0, i32 0",
            f"  %{name} = shufflevector {vector} %{name}1, {vector} undef, "
            f"<{lanes} x i32> zeroinitializer",
        ]
    lines += ["  br label %loop", "loop:", "  %i = phi i64 [0, %entry], [%next, %loop]"]
    lines += [f"  %x{c} = phi {vector} [%b, %entry], [%y{c}, %loop]" for c in range(CHAINS)]
    lines += [_multiply_add(target, vector, fma, c) for c in range(CHAINS)]
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp ult i64 %next, %trips",
        "  br i1 %more, label %loop, label %done",
        "done:",
        f"  %s0 = fadd {vector} %y0, %y1",
    ]
    lines += [f"  %s{c - 1} = fadd {vector} %s{c - 2}, %y{c}" for c in range(2, CHAINS)]
    lines += [f"  %r = extractelement {vector} %s{CHAINS - 2}, i32 0", f"  ret {scalar} %r", "}"]
    return "\n".join(lines)


def _multiply_add(target: Target, vector: str, fma: str, c: int) -> str:
    if target.has_fma:
        return f"  %y{c} = call {vector} {fma}({vector} %x{c}, {vector} %a, {vector} %b)"
    return f"  %m{c} = fmul {vector} %x{c}, %a\n  %y{c} = fadd {vector} %m{c}, %b"


class FmaKernel:
    """The kernel, loaded: `run()` makes one call, `flops` says how many operations that is."""

    def __init__(self, dtype: str) -> None:
        target = host_target()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        scalar, _, size = _LLVM_TYPES[dtype]
        number = {"float": ctypes.c_float, "double": ctypes.c_double}[scalar]
        module = llvm.parse_assembly(kernel_text(target, dtype))
        # A machine of its own, which the engine takes over, for the whole instruction set.
        machine = llvm.Target.from_triple(target.triple).create_target_machine(
            target.cpu, target.features, opt=2, jit=True
        )
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(number, ctypes.c_int64, number, number)
        function = prototype(self._engine.get_function_address("fma"))
        self.run: Callable[[], Any] = partial(function, ROUNDS, 0.5, 0.5)
        self.flops = 2 * CHAINS * target.lanes(size) * ROUNDS


class Limits:
    """Measures both rates; `turn(seconds)` gives samples of each."""

    def __init__(self, dtype: str, size: int, threads: int) -> None:
        self._kernel = FmaKernel(dtype)
        self._threads = threads
        count = max(size, LEAST_BYTES) // 2 // threads
        self._pairs = [(np.ones(count, "u1"), np.zeros(count, "u1")) for _ in range(threads)]
        self._copied = 2 * count * threads

    def turn(self, seconds: float) -> dict[str, list[float]]:
        """Operations per second, and bytes read and written per second, by block."""
        arithmetic = [self._kernel.run] * self._threads
        copies = [partial(np.copyto, target, source) for source, target in self._pairs]
        flops = self._kernel.flops * self._threads
        return {
            "flops_per_s": [flops * rate for rate in _rates(arithmetic, seconds / 2)],
            "bytes_per_s": [self._copied * rate for rate in _rates(copies, seconds / 2)],
        }


def _rates(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """Calls per second with one thread for each of `calls`, in blocks of about 2 ms."""
    calls[0]()
    start = time.perf_counter()
    calls[0]()
    block = max(1, round(0.002 / (time.perf_counter() - start)))
    barrier = threading.Barrier(len(calls))
    rates: list[list[float]] = [[] for _ in calls]

    def work(index: int) -> None:
        call = calls[index]
        for _ in range(max(3, round(seconds / 0.002))):
            barrier.wait()
            start = time.perf_counter()
            for _ in range(block):
                call()
            rates[index].append(block / (time.perf_counter() - start))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sum(together) / len(together) for together in zip(*rates, strict=True)]
