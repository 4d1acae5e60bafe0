"""Every NumPy call that tracing understands, as machine code, several to a compiled function."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tapeless as tl

from ..compiler.trace.comparing import same
from ..compiler.trace.test_numpy_functions import ARGUMENTS, CALLS

TOGETHER = 16
"""Calls per function: neighbours share operands, so that their kernels meet in fusion."""


@pytest.mark.parametrize("start", range(0, len(CALLS), TOGETHER))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_agree_with_numpy_when_compiled(start: int) -> None:
    codes = [compile(call, "a call", "eval") for call in CALLS[start : start + TOGETHER]]

    def calls(names: dict[str, Any]) -> list[Any]:
        results = [eval(code, {"np": np, **names}) for code in codes]
        return [str(r) if isinstance(r, np.dtype) else r for r in results]

    plain, ours = copy.deepcopy(ARGUMENTS), copy.deepcopy(ARGUMENTS)
    with np.errstate(all="ignore"):
        expected = calls(plain)
    same(tl.compile(calls)(ours), expected, ulps=400)
    same(ours, plain, ulps=400)
