"""One function in every mode: bare arrays, compiled, define-by-run, on a Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapeless as tl


def everywhere(f: Callable[..., Any], x: Any, *args: Any) -> dict[str, Any]:
    """The value by mode; on a Tensor for an array `x`."""
    compiled = tl.compile(f)
    values = {
        "bare": f(x, *args),
        "compiled": compiled(x, *args),
        "dynamic": compiled.dynamic(x, *args),
    }
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        values["tensor"] = _plain(f(tl.Tensor(x), *args))
    return values


def gradients(f: Callable[..., Any], x: Any, *args: Any) -> dict[str, Any]:
    """The gradient of the sum of `f` in `x`, by mode."""
    compiled = tl.compile(tl.grad(lambda *args: np.sum(f(*args))))
    tensor = tl.Tensor(x, requires_grad=True)
    np.sum(f(tensor, *args)).backward()
    return {
        "compiled": compiled(x, *args),
        "dynamic": compiled.dynamic(x, *args),
        "tensor": tensor.grad.numpy(),
    }


def _plain(out: Any) -> Any:
    """Arrays for Tensors."""
    if isinstance(out, dict):
        return {name: _plain(value) for name, value in out.items()}
    assert isinstance(out, tl.Tensor), "what is computed from a Tensor is one"
    return out.numpy()
