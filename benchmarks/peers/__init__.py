"""Who takes part: a table of peers, how to tell that one is installed, and its environment.

Each module beside this file imports one peer and is itself imported by that peer's process alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

TAPELESS, LIMIT = "tapeless", "limit"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TAPELESS_THREADS",
)
"""Environment variables that say how many threads a library may use; JAX goes by affinity."""


@dataclass(frozen=True)
class Peer:
    """A way to run the workloads: `module` in this folder implements it with `distribution`."""

    name: str
    module: str
    distribution: str
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_compiler: bool = False

    def missing(self) -> str:
        """Why this peer cannot take part here; empty if it can."""
        if importlib.util.find_spec(self.distribution) is None:
            return f"{self.distribution} is not installed"
        if self.needs_compiler and not _cpp_compiler():
            return "needs a C++ compiler (g++, clang++ or $CXX)"
        return ""

    def load(self) -> ModuleType:
        """The implementation; imports the peer."""
        return importlib.import_module(f"peers.{self.module}")


def _cpp_compiler() -> str | None:
    wanted = (os.environ.get("CXX"), "g++", "clang++")
    return next((found for name in wanted if name and (found := shutil.which(name))), None)


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(TAPELESS, "tapeless_peer", "tapeless"),
        Peer("numpy", "numpy_peer", "numpy"),
        Peer("jax", "jax_peer", "jax", {"JAX_PLATFORMS": "cpu"}),
        Peer("torch", "torch_peer", "torch"),
        Peer(
            "torch.compile",
            "torch_compile_peer",
            "torch",
            {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},
            needs_compiler=True,
        ),
    )
}
"""In the order of the tables; what is compiled on disk from earlier runs is not used."""


def environment(peer: str, threads: int) -> dict[str, str]:
    """The environment of a peer's process."""
    extra = PEERS[peer].environment if peer in PEERS else {}
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **extra}
