"""Runs the steps of one page as a reader would, in the current folder.

A program of its own: `python run_page.py < steps.json > results.json`. Each step is
`{"kind", "source", "file_name"}`; each result is `{"printed", "failure"}`, of which `failure` is
None when the step ended as its kind says. After a failure nothing more is run.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

Result = dict[str, str | None]


def run_python(step: dict[str, str], namespace: dict[str, Any]) -> Result:
    """Execute a block; what it printed, followed by its exception if it was to raise one."""
    source, name = step["source"], step["file_name"]
    Path(name).write_text(source, encoding="utf-8")
    printed = io.StringIO()
    failure = None
    raised: BaseException | None = None
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, str(Path(name).resolve()), "exec"), namespace)
    except Exception as error:
        raised = error
    if step["kind"] == "python raises":
        failure = "it raised nothing" if raised is None else None
        if raised is not None:
            printed.write(last_lines(raised))
    elif raised is not None:
        failure = "".join(traceback.format_exception(raised))
    return {"printed": printed.getvalue(), "failure": failure}


def last_lines(error: BaseException) -> str:
    """How a traceback ends, without the module of the exception's class."""
    return f"{type(error).__name__}: {error}\n"


def run_command(step: dict[str, str]) -> Result:
    """Run a line of a console in a shell."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", step["source"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    failure = f"exit code {done.returncode}\n{done.stdout}" if done.returncode else None
    return {"printed": done.stdout, "failure": failure}


def main() -> None:
    """Run the steps given on standard input."""
    sys.path.insert(0, "")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    results: list[Result] = []
    for step in json.load(sys.stdin):
        is_command = step["kind"].startswith("console")
        results.append(run_command(step) if is_command else run_python(step, namespace))
        if results[-1]["failure"] is not None:
            break
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
