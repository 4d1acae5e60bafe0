"""Compiled functions whose calls are done by native entries, for the tests of these."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import tapeless as tl
from tapeless.runtime.abi import obstacle

needs_native = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))
"""For tests that say that a call is native: this interpreter may have no native entries."""

WARM_UP = 3
"""Calls after which the next one is native: traced, entry made, entry used."""


def warm(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> tl.CompiledFunction:
    """`fn` compiled and called with copies of these arguments until its entry has been used."""
    compiled = fn if isinstance(fn, tl.CompiledFunction) else tl.compile(fn)
    for _ in range(WARM_UP):
        given, named = copy.deepcopy((args, kwargs))
        compiled(*given, **named)
    return compiled


def is_native(compiled: tl.CompiledFunction, *args: Any, **kwargs: Any) -> bool:
    """Call once more; whether that call was done by a native entry."""
    before = compiled.cache_info().native
    compiled(*args, **kwargs)
    return compiled.cache_info().native == before + 1
