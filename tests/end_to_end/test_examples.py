"""The examples do what they say, run as a user runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WARNINGS = ("-W", "error::UserWarning", "-W", "error::RuntimeWarning")
"""Ours and NumPy's are failures; deprecations inside other packages are not our affair."""


def run(folder: Path, *command: str, **environment: str) -> str:
    """Standard output of a Python command run in `folder`, which must succeed without a warning."""
    done = subprocess.run(
        [sys.executable, *WARNINGS, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figure(pattern: str, text: str) -> float:
    """The number that `pattern` captures in `text`."""
    match = re.search(pattern, text)
    assert match, text
    return float(match.group(1))


def test_first_gradient_finds_the_line(tmp_path) -> None:
    out = run(tmp_path, str(EXAMPLES / "first_gradient.py"))
    assert out.startswith("slope 3.000, intercept 1.000, loss ")


def test_digits_reach_97_percent_and_the_compiled_step_is_the_fastest(tmp_path) -> None:
    pytest.importorskip("sklearn")
    out = run(tmp_path, str(EXAMPLES / "digits.py"))
    assert "1437 training images, 360 held out" in out
    assert figure(r"held-out accuracy ([\d.]+) %", out) >= 97
    assert figure(r"epoch +40/40 .* loss ([\d.]+)", out) < 0.1
    assert figure(r"the compiled step is ([\d.]+)× as fast", out) > 1
    assert "first call, compilation included:" in out


def test_digits_save_their_loss_curve(tmp_path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    out = run(tmp_path, str(EXAMPLES / "digits.py"), "--quick")
    assert "loss curve written to digits_loss.png" in out
    assert (tmp_path / "digits_loss.png").read_bytes().startswith(b"\x89PNG")


def test_digits_do_without_matplotlib(tmp_path) -> None:
    pytest.importorskip("sklearn")
    (tmp_path / "matplotlib.py").write_text("raise ImportError('hidden')\n", encoding="utf-8")
    out = run(tmp_path, str(EXAMPLES / "digits.py"), "--quick", PYTHONPATH=str(tmp_path))
    assert "no loss curve: it needs matplotlib" in out
    assert "held-out accuracy" in out


@pytest.mark.parametrize("name", ["digits.py", "first_gradient.py"])
def test_examples_can_be_dumped_and_timed(tmp_path, name: str) -> None:
    path = str(EXAMPLES / name)
    assert "# after fusion" in run(tmp_path, "-m", "tapeless", "dump", path)
    assert "speed-up" in run(tmp_path, "-m", "tapeless", "time", path, "--seconds", "0.2")


@pytest.fixture(scope="module")
def digits():
    """The module examples/digits.py."""
    namespace: dict[str, object] = {"__name__": "digits_example"}
    source = (EXAMPLES / "digits.py").read_text(encoding="utf-8")
    exec(compile(source, str(EXAMPLES / "digits.py"), "exec"), namespace)
    return namespace


@pytest.mark.parametrize("way", ["static", "dynamic"])
def test_digits_step_equals_the_one_written_by_hand(digits, way: str) -> None:
    step = digits["train_step"]
    step = step if way == "static" else step.dynamic
    ours, theirs = digits["example"](), digits["example"]()
    for _ in range(5):
        np.testing.assert_allclose(step(*ours), digits["numpy_step"](*theirs), rtol=1e-10)
    for name in ours[0]:
        np.testing.assert_allclose(ours[0][name], theirs[0][name], rtol=1e-8, atol=1e-12)
    assert ours[1].step == 5
