"""`tapeless info`: what is installed, and the machine that code is generated for."""

from __future__ import annotations

import platform
from argparse import Namespace
from importlib.metadata import version

import llvmlite.binding

from ..compiler.target import host_target
from ..runtime.threads import get_threads, usable_cores
from .terminal import write_result

PACKAGES = ("tapeless", "numpy", "llvmlite", "networkx")


def run_info(options: Namespace) -> int:
    """Print the facts that a bug report needs; returns the exit code."""
    width = max(len(name) for name, _ in facts())
    write_result("\n".join(f"{name:{width}}  {fact}" for name, fact in facts()), None)
    return 0


def facts() -> list[tuple[str, str]]:
    """Versions, target, features and threads, by name."""
    target = host_target()
    features = [name[1:] for name in target.features.split(",") if name.startswith("+")]
    return [
        *((name, version(name)) for name in PACKAGES),
        ("LLVM", ".".join(map(str, llvmlite.binding.llvm_version_info))),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("target", target.triple),
        ("CPU", target.cpu),
        ("vectors", f"{target.level}: {target.vector_registers} of {target.vector_bytes} bytes"),
        ("caches", f"L1 {target.l1_bytes >> 10} KiB, L2 {target.l2_bytes >> 10} KiB (assumed)"),
        ("features", " ".join(sorted(features))),
        ("threads", f"{get_threads()} ({usable_cores()} usable cores)"),
    ]
