"""Scripts in a process of their own, with a function that threads can share."""

from __future__ import annotations

from ..processes import run_script

PREAMBLE = """
import os, signal, subprocess, sys, threading, time
import numpy as np
import tapeless as tl
from tapeless.runtime.threads import pool
x = np.linspace(0.0, 1.0, 300_000)
f = tl.compile(lambda x: np.sum(np.exp(x) * np.tanh(x)))
tl.set_threads(int(os.environ.get("N", "2")))
"""


def script(text: str, **environment: str) -> str:
    """What a script prints in a process of its own; fails if that fails or hangs."""
    done = run_script(PREAMBLE, text, **environment)
    assert not done.stderr, done.stderr
    return done.stdout.strip()
