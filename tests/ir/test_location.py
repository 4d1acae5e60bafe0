"""Whose line an error names: the user's, in a checkout and in an installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ShapeError

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import numpy as np
import tapeless as tl

try:
    tl.nn.Dense(3).output_shape(())
except tl.errors.ShapeError as error:
    print(tl.__file__, error.loc, sep="|")
"""


def test_in_a_checkout_tests_are_users() -> None:
    with pytest.raises(ShapeError, match=r"^test_location\.py:\d+: ") as caught:
        tl.nn.linear(np.ones(3), np.ones(3))
    assert caught.value.loc is not None
    assert caught.value.loc.function == "test_in_a_checkout_tests_are_users"


def test_installed_the_whole_package_is_ours(tmp_path: Path) -> None:
    package = tmp_path / "site" / "tapeless"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tapeless", package, ignore=ignored)
    for folder in ("ir", "compiler", "runtime"):
        shutil.copytree(ROOT / folder, package / folder, ignore=ignored)
    (tmp_path / "program.py").write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout.strip() == f"{package / '__init__.py'}|program.py:6", run.stderr
