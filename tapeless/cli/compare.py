"""`tapeless time`: define-by-run against compiled, as a table, JSON or a plot."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from typing import Any

from ..report import CALL_COUNTS, Comparison, Timing, compare, comparison_table
from .failure import CommandError
from .load import Loaded, load
from .plot import plot_totals
from .terminal import write_result


def run_time(options: Namespace) -> int:
    """Time one function both ways and print the figures; returns the exit code."""
    if options.output and not options.plot and not options.json:
        raise CommandError("-o names the file for --plot or --json; neither was asked for")
    loaded = load(options.target)
    comparison = loaded.attempt(
        lambda: compare(loaded.function, loaded.arguments, seconds=options.seconds)
    )
    title = f"{os.path.basename(loaded.file)}:{loaded.name}"
    if options.plot:
        stem = os.path.splitext(os.path.basename(loaded.file))[0]
        path = options.output or f"{stem}_{loaded.name}_time.png"
        plot_totals(comparison, title, path)
    if options.json:
        output = None if options.plot else options.output
        write_result(json.dumps(as_json(comparison, loaded), indent=2), output)
        return 0
    write_result(f"{title}\n\n{comparison_table(comparison)}", None)
    if options.plot:
        write_result(f"\nplot written to {path}", None)
    return 0


def as_json(comparison: Comparison, loaded: Loaded) -> dict[str, Any]:
    """All figures, in seconds."""
    totals = [(calls, *comparison.totals(calls)) for calls in CALL_COUNTS]
    return {
        "file": loaded.file,
        "function": loaded.name,
        "startup_s": comparison.startup,
        "compile_s": comparison.compiling,
        "dynamic": _timing_json(comparison.dynamic),
        "static": _timing_json(comparison.static),
        "speed_up": comparison.speed_up,
        "break_even_calls": comparison.break_even,
        "totals": [
            {"calls": calls, "dynamic_s": dynamic, "static_s": static}
            for calls, dynamic, static in totals
        ],
    }


def _timing_json(timing: Timing) -> dict[str, float]:
    return {
        "median_s": timing.median,
        "lower_quartile_s": timing.low,
        "upper_quartile_s": timing.high,
        "timed_calls": timing.calls,
    }
