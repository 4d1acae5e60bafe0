"""Scripts in a process of their own, with a function that threads can share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

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
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.strip()
