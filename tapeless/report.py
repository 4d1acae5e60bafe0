"""Fair timings of several ways to do the same thing, and when compiling has paid for itself.

The candidates take turns in short blocks, so that a slow moment of the machine hits all of them;
medians and quartiles are over the blocks. Times are in seconds, printed in whatever unit reads
best.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiled import CompiledFunction, compile

ROUNDS = 21
"""Blocks that each candidate's time is split into."""

CALL_COUNTS = (10, 100, 1_000, 10_000)
"""Numbers of calls for which totals are shown."""


@dataclass(frozen=True)
class Timing:
    """Seconds per call over blocks: median and quartiles; `calls` counts all timed calls."""

    median: float
    low: float
    high: float
    calls: int

    @property
    def is_noisy(self) -> bool:
        """Whether the blocks disagree so much that the median says little."""
        return self.high - self.low > 0.5 * self.median


@dataclass(frozen=True)
class Comparison:
    """Define-by-run against compiled: `startup` is what the first compilation of a process costs
    once (loading LLVM and networkx), `compiling` what this function costs on top of it.
    """

    dynamic: Timing
    static: Timing
    startup: float
    compiling: float

    @property
    def speed_up(self) -> float:
        """How many times faster a compiled call is."""
        return self.dynamic.median / self.static.median

    @property
    def break_even(self) -> int | None:
        """The number of calls after which compiling has paid; None if it never does."""
        saved = self.dynamic.median - self.static.median
        return math.ceil(self.compiling / saved) if saved > 0 else None

    def totals(self, calls: int) -> tuple[float, float]:
        """Seconds for `calls` calls, define-by-run and compiled (compilation included)."""
        return calls * self.dynamic.median, self.compiling + calls * self.static.median


def compare(
    function: CompiledFunction,
    make_arguments: Callable[[], tuple[Any, ...]],
    *,
    seconds: float = 2.0,
) -> Comparison:
    """Compile `function` afresh and time it both ways within about `seconds`.

    Each way has arguments of its own from `make_arguments`, which it may update.
    """
    startup = _first_call(compile(_nothing), (np.zeros(1),))
    function = function.fresh()
    arguments, others = make_arguments(), make_arguments()
    compiling = _first_call(function, arguments)
    timings = interleave(
        {
            "dynamic": lambda: function.dynamic(*others),
            "static": lambda: function(*arguments),
        },
        seconds,
    )
    compiling = max(0.0, compiling - timings["static"].median)
    return Comparison(timings["dynamic"], timings["static"], startup, compiling)


def _nothing(x: Any) -> Any:
    """The smallest program: compiling it loads all that compiling anything needs."""
    return x + 1.0


def _first_call(function: CompiledFunction, arguments: tuple[Any, ...]) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def interleave(
    candidates: Mapping[str, Callable[[], object]], seconds: float = 2.0
) -> dict[str, Timing]:
    """Time all candidates within about `seconds` in all; each is called at least once per round.

    Every candidate is called twice beforehand, to warm it up and to see how long it takes.
    """
    share = seconds / (ROUNDS * len(candidates))
    blocks = {name: _block_size(call, share) for name, call in candidates.items()}
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for name, call in candidates.items():
                samples[name].append(_seconds_per_call(call, blocks[name]))
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(values, blocks[name]) for name, values in samples.items()}


def _block_size(call: Callable[[], object], share: float) -> int:
    call()
    once = _seconds_per_call(call, 1)
    return max(1, round(share / max(once, 1e-9)))


def _seconds_per_call(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def _timing(samples: Sequence[float], block: int) -> Timing:
    low, median, high = map(float, np.quantile(samples, (0.25, 0.5, 0.75)))
    return Timing(median, low, high, block * len(samples))


_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Three significant digits in the unit that fits: `1.25 ms`."""
    scale, unit = next((u for u in _UNITS if seconds >= u[0]), _UNITS[-1])
    value = seconds / scale
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{digits}f} {unit}"


def timing_table(timings: Mapping[str, Timing]) -> str:
    """One line per candidate: median and quartiles per call, in microseconds."""
    width = max(len(name) for name in timings)
    rows = [f"{'':{width}}   µs per call   quartiles"]
    rows += [
        f"{name:{width}}   {1e6 * t.median:11,.1f}   {1e6 * t.low:,.1f} … {1e6 * t.high:,.1f}"
        for name, t in timings.items()
    ]
    noisy = [name for name, t in timings.items() if t.is_noisy]
    if noisy:
        rows.append(f"unsteady: {', '.join(noisy)}; is another program using the processor?")
    return "\n".join(rows)


def comparison_table(comparison: Comparison) -> str:
    """All figures of a comparison as text."""
    count = comparison.break_even
    paid = f"after {count:,} calls" if count is not None else "never"
    return "\n".join(
        [
            timing_table({"dynamic": comparison.dynamic, "static": comparison.static}),
            "",
            f"speed-up        {comparison.speed_up:.1f}×",
            f"compile time    {duration(comparison.compiling)}, once per signature"
            f" (and {duration(comparison.startup)} once per process)",
            f"paid back       {paid}",
            "",
            *_total_rows(comparison),
        ]
    )


def _total_rows(comparison: Comparison) -> list[str]:
    rows = [f"{'calls':>8}   {'dynamic':>10}   {'static':>10}   (compile time included)"]
    for calls in CALL_COUNTS:
        dynamic, static = comparison.totals(calls)
        faster = "static" if static < dynamic else "dynamic"
        ratio = max(dynamic, static) / min(dynamic, static)
        rows.append(
            f"{calls:>8,}   {duration(dynamic):>10}   {duration(static):>10}"
            f"   {faster} is {ratio:.1f}× faster"
        )
    return rows
