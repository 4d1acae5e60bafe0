"""Scripts in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run_script(preamble: str, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script after a preamble, warnings being errors; fails if that fails or hangs."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done
