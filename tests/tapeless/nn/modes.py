"""One function in every mode: bare arrays, compiled, define-by-run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapeless as tl


def everywhere(f: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """The value by mode."""
    compiled = tl.compile(f)
    return {"bare": f(*args), "compiled": compiled(*args), "dynamic": compiled.dynamic(*args)}


def gradients(f: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """The gradient of the sum of `f` in its first argument, by mode."""
    compiled = tl.compile(tl.grad(lambda *args: np.sum(f(*args))))
    return {"compiled": compiled(*args), "dynamic": compiled.dynamic(*args)}
