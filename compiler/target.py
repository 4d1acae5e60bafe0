"""The machine that code is generated for, as one value passed down; nothing asks the host itself.

`TAPELESS_TARGET` narrows the features (`avx2`, `sse2`), so that every path can be run on one
machine. Vector widths and register counts follow from the features by the table below.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache

import llvmlite.binding as llvm

from ..ir.errors import ArgumentError

_LEVELS: dict[str, tuple[str, int, int]] = {
    # name: (the feature that gives it, vector bytes, vector registers)
    "avx512": ("avx512f", 64, 32),
    "avx2": ("avx2", 32, 16),
    "sse2": ("sse2", 16, 16),
    "neon": ("neon", 16, 32),
}
"""Instruction-set levels, widest first."""

_BASE = "x86-64"
"""The CPU that all others of this architecture go beyond: code uses what the features name, and no
more. LLVM takes half a millisecond for features to leave out."""

_NARROWER: dict[str, tuple[str, ...]] = {
    "avx512": (),
    "avx2": ("avx512", "evex512", "avx10"),
    "sse2": ("avx", "fma", "f16c", "vaes", "vpclmulqdq", "evex512", "xop", "gfni"),
}
"""Prefixes of the features that each level gives up."""


_CACHES: dict[str, tuple[int, int]] = {
    # LLVM's name of the CPU: (first data cache, second cache of a core) in KiB
    "znver1": (32, 512),
    "znver2": (32, 512),
    "znver3": (32, 512),
    "znver4": (32, 1024),
    "znver5": (48, 1024),
    "haswell": (32, 256),
    "broadwell": (32, 256),
    "skylake": (32, 256),
    "skylake-avx512": (32, 1024),
    "cascadelake": (32, 1024),
    "icelake-client": (48, 512),
    "icelake-server": (48, 1280),
    "tigerlake": (48, 1280),
    "alderlake": (48, 1280),
    "raptorlake": (48, 2048),
    "sapphirerapids": (48, 2048),
    "emeraldrapids": (48, 2048),
    "graniterapids": (48, 2048),
}
"""Caches by CPU, from the manufacturers' optimization guides; others have `Target`'s defaults."""


@dataclass(frozen=True, slots=True)
class Target:
    """Triple, CPU to tune for and features for LLVM, and what the lowering's choices depend on.

    `vector_bytes` is the width of a vector register, `vector_registers` their number;
    `l1_bytes`, `l2_bytes` and `l3_bytes` are what one core has, of the last cache what it may
    count on; they only steer blocking, never results' correctness.
    """

    triple: str
    cpu: str
    features: str
    level: str
    vector_bytes: int
    vector_registers: int
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20
    l3_bytes: int = 8 << 20

    def lanes(self, itemsize: int) -> int:
        """How many elements of `itemsize` bytes fill a vector register."""
        return max(1, self.vector_bytes // max(1, itemsize))

    @property
    def has_fma(self) -> bool:
        """Whether a fused multiply-add is one instruction."""
        return self.level in ("avx512", "neon") or "+fma" in self.features.split(",")

    def machine(self, level: int = 2) -> llvm.TargetMachine:
        """The LLVM target machine that emits object code for this target, at one of LLVM's levels
        of optimization: 0 takes least time."""
        if self.triple.startswith("x86_64"):
            return _machine(self.triple, _BASE, "", level)  # every function has its own features
        return _machine(self.triple, self.cpu, self.features, level)

    def quick_object(self, text: str) -> bytes:
        """Object code for LLVM text, made in little time rather than made fast."""
        code: bytes = self.machine(level=0).emit_object(llvm.parse_assembly(text))
        return code

    def assembly(self, text: str) -> str:
        """The assembly that LLVM text becomes on this target."""
        return str(self.machine().emit_assembly(llvm.parse_assembly(text)))


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@cache
def _machine(triple: str, cpu: str, features: str, opt: int) -> llvm.TargetMachine:
    _initialize()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=opt, reloc="pic", codemodel="small"
    )


def _level(features: str) -> tuple[str, int, int]:
    enabled = set(features.split(","))
    for name, (feature, width, registers) in _LEVELS.items():
        if f"+{feature}" in enabled:
            return name, width, registers
    return "scalar", 16, 16


@cache
def host_target() -> Target:
    """This process's machine, narrowed by `TAPELESS_TARGET` if that is set."""
    found = llvm.get_host_cpu_features().flatten().split(",")
    features = ",".join(name for name in found if name.startswith("+"))
    cpu = llvm.get_host_cpu_name()
    target = Target(llvm.get_process_triple(), cpu, features, *_level(features))
    if cpu in _CACHES:
        l1, l2 = _CACHES[cpu]
        target = replace(target, l1_bytes=l1 << 10, l2_bytes=l2 << 10)
    wanted = os.environ.get("TAPELESS_TARGET", "")
    return narrowed(target, wanted) if wanted else target


def narrowed(target: Target, level: str) -> Target:
    """`target` restricted to the instructions of `level`: avx512, avx2 or sse2."""
    if level not in _NARROWER:
        raise ArgumentError(f"TAPELESS_TARGET is one of {', '.join(_NARROWER)}", given=repr(level))
    names = target.features.split(",")
    features = ",".join(name for name in names if not name[1:].startswith(_NARROWER[level]))
    name, width, registers = _level(features)
    return replace(
        target, features=features, level=name, vector_bytes=width, vector_registers=registers
    )
