"""Fails (exit status 1) when tapeless has become slow: a short contest against floors.

    python benchmarks/check.py                  the workloads with floors, about a minute
    python benchmarks/check.py --workload neuron

A floor is a speed relative to a peer or to the machine's limit (1 = as fast), about a fifth below
what is measured on a quiet machine. The fastest blocks are compared, which neighbours on a shared
machine disturb least, and a workload below a floor is measured again, longer, before it counts.
Peers that are not installed are named and left out; losses that differ fail at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contest import Rules, hold
from peers import LIMIT, PEERS, TAPELESS
from results import Result
from tables import block
from workloads import WORKLOADS

FLOORS: Mapping[str, Mapping[str, float]] = {
    "two_layer_net": {"numpy": 1.9, "jax": 1.6},
    "dense_net": {"numpy": 1.3, "jax": 1.2},
    "neuron": {"numpy": 38, "jax": 27},
    "classifier": {"numpy": 2.0, "jax": 1.4},
    "transformer": {"numpy": 2.3, "jax": 1.5},
    "pointwise": {"numpy": 2.3, "jax": 5},
    "lenet": {"jax": 4},
    "small_net_1x128x128x10": {"numpy": 15, "jax": 3.8},
    "small_net_8x16x32x4": {"numpy": 16, "jax": 9},
    "small_net_64x128x128x10": {"numpy": 2.2, "jax": 1.3},
    "product_128x128x128": {"numpy": 1.7, LIMIT: 0.8},
    "product_512x512x512": {"numpy": 1.5, LIMIT: 0.8},
    "product_64x100x1000": {"numpy": 1.6, LIMIT: 0.8},
    "product_1000x64x100": {"numpy": 1.5, LIMIT: 0.7},
    "product_2048x2048x2048": {"numpy": 1.5, LIMIT: 0.75},
}
"""By workload and other side: the least speed of tapeless, other's step time over ours."""

ATTEMPTS = ((5, 0.05), (15, 0.1), (25, 0.1))
"""Rounds, and seconds of a turn: the first look, and the second and third before failing."""


@dataclass(frozen=True)
class Finding:
    """A speed and its floor; the speed is None where the other side did not take part."""

    other: str
    floor: float
    speed: float | None

    @property
    def below(self) -> bool:
        """Whether the floor is undercut."""
        return self.speed is not None and self.speed < self.floor

    def __str__(self) -> str:
        if self.speed is None:
            return f"{self.other}: not measured"
        return f"{self.speed:.2f} × {self.other}'s speed (floor {self.floor:g})"


def findings(result: Result, floors: Mapping[str, float]) -> list[Finding]:
    """Each floor of a workload with the speed measured."""
    return [Finding(other, floor, result.ratio(other, TAPELESS)) for other, floor in floors.items()]


def check(name: str, floors: Mapping[str, float], threads: int) -> bool:
    """Whether a workload holds its floors; prints what was found."""
    peers = [peer for peer in PEERS if peer == TAPELESS or peer in floors]
    for rounds, seconds in ATTEMPTS:
        result = hold(WORKLOADS[name], peers, Rules(threads, rounds, seconds, fastest=True))
        found = findings(result, floors)
        wrong = result.failed or result.seconds(TAPELESS) is None
        if wrong or not any(finding.below for finding in found):
            break
    held = not wrong and not any(finding.below for finding in found)
    words = "; ".join(str(finding) for finding in found)
    print(f"{'ok  ' if held else 'FAIL'} {name}: {words}", flush=True)
    if not held:
        print(block(result), flush=True)
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the workloads asked for, all by default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", nargs="+", choices=FLOORS, default=list(FLOORS))
    parser.add_argument("--threads", type=int, default=2, help="of each peer (default: 2)")
    options = parser.parse_args(arguments)
    assert all(o in PEERS or o == LIMIT for floors in FLOORS.values() for o in floors)
    held = [check(name, FLOORS[name], options.threads) for name in options.workload]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
