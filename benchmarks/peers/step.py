"""What every peer makes of a workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CHECKED_STEPS = 5


class Unavailable(Exception):
    """The peer has no such thing (yet); the message says what is missing."""


@dataclass(frozen=True)
class Step:
    """A workload, ready to run.

    `reset()` puts everything back to the start (so that a long run does not train on until the
    numbers become denormal); `run(count)` makes that many steps and waits until they are done;
    `figures()` gives what peers must agree on for the last step: its loss, or more.
    """

    reset: Callable[[], None]
    run: Callable[[int], Any]
    figures: Callable[[], list[float]]

    def check(self) -> list[float]:
        """The figures of the first steps from the start."""
        self.reset()
        found: list[float] = []
        for _ in range(CHECKED_STEPS):
            self.run(1)
            found += self.figures()
        return found
