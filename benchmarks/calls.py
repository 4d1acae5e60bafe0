"""What a call costs above an empty Python call: four arrays, and a dict of twelve.

    python benchmarks/calls.py

The compiled function adds up one number of each array, so nearly all of its time is the call. The
empty function takes the same arguments; the two take turns in the same process, each peer in one of
its own.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from peers import PEERS, environment

TARGETS = {"four arrays": 100e-9, "dict of twelve arrays": 300e-9}
COMPILERS = {
    "tapeless": ("tapeless", "compile", "numpy", "array"),
    "jax": ("jax", "jit", "jax.numpy", "array"),
}
"""By peer: the module and the name of its compiler, the module and name that makes its arrays."""

BLOCKS, BLOCK_SECONDS = 31, 0.004


def four(a, b, c, d):
    """One number of each argument, added up."""
    return a[0] + b[0] + c[0] + d[0]


def many(params):
    """One number of each array in a dict, added up."""
    return reduce(add, (p[0] for p in params.values()))


def nothing_of_four(a, b, c, d):
    """The empty call with four arguments."""


def nothing_of_dict(params):
    """The empty call with one argument."""


def block(call: Callable[..., Any], args: tuple[Any, ...], count: int) -> float:
    """Seconds per call of `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        call(*args)
    return (time.perf_counter() - start) / count


def measure(peer: str) -> dict[str, list[float]]:
    """For each case: median seconds of a call, and of an empty one."""
    module, compiler, arrays, array = COMPILERS[peer]
    compile_ = getattr(importlib.import_module(module), compiler)
    make = getattr(importlib.import_module(arrays), array)
    some = [make(np.full(4, number, "float32")) for number in range(12)]
    cases = {
        "four arrays": (four, nothing_of_four, tuple(some[:4])),
        "dict of twelve arrays": (
            many,
            nothing_of_dict,
            ({f"p{i}": a for i, a in enumerate(some)},),
        ),
    }
    return {name: compare(compile_(f), empty, args) for name, (f, empty, args) in cases.items()}


def compare(call: Any, empty: Any, args: tuple[Any, ...]) -> list[float]:
    """Medians over blocks that alternate."""
    calls = (call, empty)
    for _ in range(100):
        call(*args)
    counts = [max(1, round(BLOCK_SECONDS / block(f, args, 100))) for f in calls]
    gc.disable()
    pairs = list(zip(calls, counts, strict=True))
    samples = [[block(f, args, count) for f, count in pairs] for _ in range(BLOCKS)]
    gc.enable()
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def in_own_process(peer: str) -> dict[str, list[float]]:
    """`measure` there."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", peer],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment(peer, 1),
    )
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Print one line per peer and case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--measure", choices=COMPILERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return 0
    found = {p: in_own_process(p) for p in COMPILERS if not PEERS[p].missing()}
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"{'':24}{'':10}{'call':>10}{'empty call':>12}{'above it':>10}   target")
    for case, target in TARGETS.items():
        for peer, cases in found.items():
            call, empty = (1e9 * value for value in cases[case])
            goal = f"≤ {1e9 * target:.0f} ns" if peer == "tapeless" else ""
            print(f"{case:24}{peer:10}{call:7.0f} ns{empty:9.0f} ns{call - empty:7.0f} ns   {goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
