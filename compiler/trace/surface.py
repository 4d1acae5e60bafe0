"""The NumPy surface of traced arrays, as the functions that their protocols call.

`array` needs them, and they are built on `array`; so they are put here when
`tapeless.compiler.trace` is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from .array import TracedArray


@dataclass(slots=True)
class Surface:
    """The functions behind the protocols of `TracedArray`."""

    apply_ufunc: Callable[[np.ufunc, str, tuple[Any, ...], dict[str, Any]], Any]
    apply_function: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
    getitem: Callable[[TracedArray, Any], Any]
    setitem: Callable[[TracedArray, Any, Any], None]
    weak_operator: Callable[[np.ufunc, Any, Any], Any]
    weak_unary: Callable[[np.ufunc, TracedArray], Any]


def _not_installed(*args: Any) -> NoReturn:
    raise AssertionError("import tapeless.compiler.trace, which installs the NumPy surface")


SURFACE = Surface(*[_not_installed] * 6)
"""Filled once, when `tapeless.compiler.trace` is imported."""
