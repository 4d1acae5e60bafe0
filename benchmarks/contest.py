"""Runs a workload: a process for each peer, which take turns, so that noise hits all alike."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import LIMIT, PEERS, TAPELESS, environment
from results import PeerResult, Result, Timing, disagreements, measured_limit
from workloads import Workload

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 600.0
"""Seconds after which a silent process is given up."""

SETTLE = 0.01
"""Seconds between turns, in which threads that spin for more work go to sleep."""

LIMIT_TURN = 0.02
"""Seconds of a turn of the limits; they vary less than steps do."""


class Contestant:
    """A peer's process."""

    def __init__(self, peer: str, workload: Workload, threads: int) -> None:
        self.name = peer
        self.samples: dict[str, list[float]] = {}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), peer, workload.name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment(peer, threads),
        )
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.report = self._answer()

    def take_turn(self, seconds: float) -> None:
        """Measure once more; a process that dies is left out from then on."""
        if not self.alive:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # then there is no answer either
        answer = self._answer()
        if "error" in answer:
            self.report = answer
        for name, samples in answer.items():
            if isinstance(samples, list):
                self.samples.setdefault(name, []).extend(samples)

    @property
    def alive(self) -> bool:
        """Whether it can be timed."""
        return not {"error", "unavailable"} & self.report.keys()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._reader.join()

    def result(self) -> PeerResult:
        """What it did, once all turns are taken."""
        if not self.alive:
            note = self.report.get("unavailable") or f"failed: {self.report['error']}"
            return PeerResult(note=note, failed="error" in self.report)
        return PeerResult(
            timing=Timing.of(self.samples["samples"]),
            first_call=self.report["first_call"],
            version=self.report["version"],
            figures=tuple(self.report["figures"]),
        )

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.wait()
        self._reader.join()
        last = next((text for text in reversed(self._errors) if text.strip()), "").strip()
        return {"error": f"exit status {self._process.returncode}: {last}"}

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self._errors.extend(stream)


def contestants(workload: Workload, chosen: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Names of the peers that take part in a workload, and why others do not."""
    wanted = [name for name in chosen if name == TAPELESS or name in workload.peers]
    missing = {name: PEERS[name].missing() for name in wanted}
    return [n for n in wanted if not missing[n]], {n: why for n, why in missing.items() if why}


@dataclass(frozen=True)
class Rules:
    """`rounds` turns of `seconds` for each peer, in `threads`; ratios of medians or `fastest`."""

    threads: int = 2
    rounds: int = 15
    seconds: float = 0.1
    fastest: bool = False


def hold(workload: Workload, chosen: Sequence[str], rules: Rules) -> Result:
    """Run `workload` on the chosen peers."""
    threads = 1 if workload.single_thread else rules.threads
    names, missing = contestants(workload, chosen)
    running: list[Contestant] = []
    try:
        for name in (LIMIT, *names):  # first calls one after the other, with nothing else going on
            running.append(Contestant(name, workload, threads))
        for turn in range(rules.rounds):
            for contestant in running[turn % len(running) :] + running[: turn % len(running)]:
                contestant.take_turn(LIMIT_TURN if contestant.name == LIMIT else rules.seconds)
                time.sleep(SETTLE)
    finally:
        for contestant in running:
            contestant.close()
    limit, *others = running
    if not limit.alive:
        raise RuntimeError(f"the limits cannot be measured: {limit.report['error']}")
    peers = {other.name: other.result() for other in others}
    peers |= {name: PeerResult(note=f"skipped: {why}") for name, why in missing.items()}
    ordered = {name: peers[name] for name in PEERS if name in peers}
    return Result(
        workload,
        threads,
        ordered,
        measured_limit(workload, limit.samples, rules.fastest),
        rules.fastest,
        disagreements(workload, ordered),
    )
