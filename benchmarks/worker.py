"""One peer and one workload in a process of its own, which measures when it is told to.

Started by `contest.py`: `python worker.py PEER WORKLOAD THREADS`. Answers are lines of JSON on
standard output; the first comes unasked (first call, figures to check), each further one after a
line with the seconds to measure for. Whatever else prints goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from peers import LIMIT, PEERS
from peers.step import Step, Unavailable
from workloads import WORKLOADS, Workload

BLOCK_SECONDS = 0.002
"""Steps that take less are timed in blocks of about this long."""


def pin(threads: int) -> None:
    """Let this process use that many processors, where the system can say so."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, usable[:threads])


def seconds_per_step(step: Step, count: int) -> float:
    """The mean of `count` steps in a row."""
    start = time.perf_counter()
    step.run(count)
    return (time.perf_counter() - start) / count


def turn(step: Step, seconds: float) -> list[float]:
    """Seconds per step of blocks, for about `seconds`; the first steps only wake and warm."""
    step.reset()
    gc.collect()
    gc.disable()
    once = min(seconds_per_step(step, 1) for _ in range(2))
    block = max(1, round(BLOCK_SECONDS / once))
    samples = []
    end = time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        samples.append(seconds_per_step(step, block))
    gc.enable()
    return samples


def prepare(peer: str, workload: Workload) -> tuple[Step, dict[str, Any]]:
    """Import the peer, build the step, make the first call."""
    module = PEERS[peer].load()
    step = module.BUILDERS[type(workload)](workload)
    start = time.perf_counter()
    step.run(1)
    first_call = time.perf_counter() - start
    report = {"version": module.VERSION, "first_call": first_call, "figures": step.check()}
    return step, report


def location(error: BaseException) -> str:
    """The innermost line of the benchmarks that an error passed through, and where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    here = str(Path(__file__).parent)
    ours = [p for p, f in zip(places, frames, strict=True) if f.filename.startswith(here)]
    return ", ".join(dict.fromkeys((*ours[-1:], *places[-1:])))


def serve_peer(peer: str, workload: Workload, reply: Any) -> None:
    """Answer until standard input ends."""
    try:
        step, report = prepare(peer, workload)
    except Unavailable as missing:
        reply(unavailable=str(missing))
        return
    except Exception as error:
        traceback.print_exc()
        reply(error=f"{type(error).__name__} at {location(error)}: {error}")
        return
    reply(**report)
    for line in sys.stdin:
        reply(samples=turn(step, float(line)))


def serve_limits(workload: Workload, threads: int, reply: Any) -> None:
    """As `serve_peer`, for the machine's limits."""
    from peers.limits import Limits  # loads tapeless, which the other processes must not

    limits = Limits(workload.dtype, workload.bytes, threads)
    reply(version="")
    for line in sys.stdin:
        reply(**limits.turn(float(line)))


def main() -> None:
    """Serve one peer for one workload."""
    peer, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    pin(threads)

    def reply(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    if peer == LIMIT:
        serve_limits(WORKLOADS[name], threads, reply)
    else:
        serve_peer(peer, WORKLOADS[name], reply)


if __name__ == "__main__":
    main()
