"""What a contest found: timings, agreement, ratios to the peers and to the machine's limit."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from peers import LIMIT, TAPELESS
from targets import SECONDS, Bound
from workloads import Workload

TOLERANCE = {"float32": 5e-4, "float64": 1e-9}
"""Relative difference allowed between the figures of two peers, over the first steps."""


@dataclass(frozen=True)
class Timing:
    """Seconds per step over all blocks of all rounds: median, quartiles, and the fastest block."""

    median: float
    low: float
    high: float
    least: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Timing:
        """The quartiles of at least one sample."""
        least, low, median, high = (float(q) for q in np.quantile(samples, (0, 0.25, 0.5, 0.75)))
        return cls(median, low, high, least)


@dataclass(frozen=True)
class PeerResult:
    """What one peer did; `note` says why there is no timing."""

    timing: Timing | None = None
    first_call: float | None = None
    version: str = ""
    figures: tuple[float, ...] = ()
    note: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Limit:
    """The work, the rates measured in the same rounds (medians, or the best), the time allowed."""

    flops: float
    bytes: float
    flops_per_s: float
    bytes_per_s: float

    @property
    def seconds(self) -> float:
        """All arithmetic at the peak, or all compulsory bytes at copying speed: the longer."""
        return max(self.flops / self.flops_per_s, self.bytes / self.bytes_per_s)


@dataclass(frozen=True)
class Result:
    """One workload: results by peer, and the limit.

    Step times and rates are medians, or those of the fastest blocks if `fastest`.
    """

    workload: Workload
    threads: int
    peers: Mapping[str, PeerResult]
    limit: Limit
    fastest: bool = False
    disagreeing: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a peer failed or the figures differ."""
        return bool(self.disagreeing) or any(peer.failed for peer in self.peers.values())

    def seconds(self, name: str) -> float | None:
        """Step time of a peer, or of the limit; None where there is none."""
        if name == LIMIT:
            return self.limit.seconds
        timing = self.peers[name].timing if name in self.peers else None
        if timing is None:
            return None
        return timing.least if self.fastest else timing.median

    def best_peer(self) -> str | None:
        """The fastest of the others."""
        times = {n: self.seconds(n) for n in self.peers if n != TAPELESS and self.seconds(n)}
        return min(times, key=lambda name: times[name] or 0.0) if times else None

    def ratio(self, name: str, other: str | None) -> float | None:
        """Step time of `name` over that of `other`."""
        ours, theirs = self.seconds(name), self.seconds(other) if other else None
        return ours / theirs if ours and theirs else None

    def meets(self, bound: Bound) -> bool | None:
        """Whether a target is met; None where it cannot be said."""
        if bound.other == SECONDS:
            ours = self.seconds(TAPELESS)
            return None if ours is None else ours <= bound.factor
        ratio = self.ratio(TAPELESS, bound.other)
        return None if ratio is None else ratio <= bound.factor

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        best = self.best_peer()
        return {
            "workload": self.workload.name,
            "title": self.workload.title,
            "dtype": self.workload.dtype,
            "threads": self.threads,
            "ratios_of": "fastest blocks" if self.fastest else "medians",
            "limit": {**vars(self.limit), "seconds": self.limit.seconds},
            "best_peer": best,
            "disagreeing": dict(self.disagreeing),
            "peers": {name: self._peer_json(name, best) for name in self.peers},
        }

    def _peer_json(self, name: str, best: str | None) -> dict[str, Any]:
        peer = self.peers[name]
        ratios = {other: self.ratio(name, other) for other in ("jax", LIMIT)}
        return {
            **vars(peer),
            "timing": vars(peer.timing) if peer.timing else None,
            "ratios": {"best": self.ratio(name, best), **ratios},
        }


def disagreements(workload: Workload, peers: Mapping[str, PeerResult]) -> dict[str, float]:
    """Peers whose figures differ from the median of all by more than the tolerance, and by what."""
    figures = {name: np.array(peer.figures) for name, peer in peers.items() if peer.figures}
    if not figures:
        return {}
    middle = np.median(list(figures.values()), axis=0)
    difference = {name: _difference(found, middle) for name, found in figures.items()}
    # `not <=` so that NaN counts as different
    return {n: d for n, d in difference.items() if not d <= TOLERANCE[workload.dtype]}


def _difference(found: Any, expected: Any) -> float:
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1e-30)))


def measured_limit(
    workload: Workload, rates: Mapping[str, Sequence[float]], fastest: bool
) -> Limit:
    """The limit for `workload` from the samples of the `limit` process."""
    choose = max if fastest else statistics.median
    return Limit(
        flops=float(workload.flops),
        bytes=float(workload.bytes),
        flops_per_s=choose(rates["flops_per_s"]),
        bytes_per_s=choose(rates["bytes_per_s"]),
    )
