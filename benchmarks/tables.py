"""Results as text: a block per workload for the terminal, one Markdown table for the README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from peers import LIMIT, PEERS, TAPELESS
from results import PeerResult, Result
from targets import TARGETS

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_HEADINGS = (
    *("", "step", "quartiles", "fastest"),
    *("× best peer", "× jax", "× limit", "first call"),
)
_WIDTHS = (14, 9, 19, 9, 11, 7, 8, 10)


def duration(seconds: float | None) -> str:
    """Three significant digits in the unit that fits."""
    if seconds is None:
        return "–"
    scale, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    value = seconds / scale
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{digits}f} {unit}"


def ratio(value: float | None) -> str:
    """Two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    padded = [f"{cell:>{width}}" for cell, width in zip(others, _WIDTHS[1:], strict=False)]
    return "  " + "  ".join([f"{first:{_WIDTHS[0]}}", *padded]).rstrip()


def _peer_row(result: Result, name: str, peer: PeerResult) -> str:
    if peer.timing is None:
        return f"  {name:{_WIDTHS[0]}}  {peer.note}"
    timing = peer.timing
    cells = [
        name,
        duration(timing.median),
        f"{duration(timing.low)} … {duration(timing.high)}",
        duration(timing.least),
        ratio(result.ratio(name, result.best_peer())),
        ratio(result.ratio(name, "jax")),
        ratio(result.ratio(name, LIMIT)),
        duration(peer.first_call),
    ]
    difference = result.disagreeing.get(name)
    return _row(cells) + (f"  DISAGREES by {difference:.1e}" if difference is not None else "")


def verdicts(result: Result) -> list[str]:
    """Each target of the workload, and whether it is met."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    bounds = TARGETS.get(result.workload.name, ())
    return [f"{bound} {words[result.meets(bound)]}" for bound in bounds]


def block(result: Result) -> str:
    """All about one workload."""
    workload, limit = result.workload, result.limit
    threads = "1 thread" if result.threads == 1 else f"{result.threads} threads"
    lines = [f"{workload.title} ({workload.dtype}, {threads}) [{workload.name}]", _row(_HEADINGS)]
    lines += [_peer_row(result, name, peer) for name, peer in result.peers.items()]
    lines.append(
        f"  limit {duration(limit.seconds)}: {limit.flops / 1e6:.4g} Mflop at"
        f" {limit.flops_per_s / 1e9:.0f} Gflop/s, {limit.bytes / 1e6:.4g} MB at"
        f" {limit.bytes_per_s / 1e9:.0f} GB/s"
    )
    if verdicts(result):
        lines.append("  target: " + "; ".join(verdicts(result)))
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    """One row per workload: step times, ratios of tapeless, target."""
    heads = ["workload", *PEERS, "× best peer", "× JAX", "× limit", "first call", "JAX's", "target"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for result in results:
        best = result.best_peer()
        times = [duration(result.seconds(name)) for name in PEERS]
        ratios = [ratio(result.ratio(TAPELESS, other)) for other in (best, "jax", LIMIT)]
        calls = [_first_call(result, name) for name in (TAPELESS, "jax")]
        target = "; ".join(verdicts(result))
        cells = [result.workload.title, *times, *ratios, *calls, target]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _first_call(result: Result, name: str) -> str:
    return duration(result.peers[name].first_call) if name in result.peers else "–"
