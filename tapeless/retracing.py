"""A function that is traced again and again: what changed each time, said once.

Numbers and other objects that a function reaches by name are part of its compiled code. Where such
a name is bound anew before every call, every call compiles, and only the clock would tell.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .compiler.trace.reachable import Watched
from .ir.errors import TraceWarning
from .ir.location import Location

PATIENCE = 8
"""Traces because of one name until a warning."""


@dataclass(frozen=True, slots=True)
class Retraces:
    """How often each name made a function be traced anew."""

    counts: Counter[str] = field(default_factory=Counter)

    def note(self, function: str, watched: Sequence[Watched], loc: Location | None) -> None:
        """Count what no longer holds; a `TraceWarning` at `loc` when one name did it too often."""
        changed = next((w.text for w in watched if not w.holds()), None)
        if changed is None:
            return
        self.counts[changed] += 1
        if self.counts[changed] == PATIENCE and loc is not None:
            warnings.warn_explicit(
                f"{function} was traced and compiled {PATIENCE} times anew because {changed} was "
                f"another object each time; pass what changes as an argument",
                TraceWarning,
                loc.file,
                loc.line,
            )
