"""Random number generators of NumPy's: which there are, and what has been drawn from them.

`numpy.random` is imported when a program first uses it, which takes longer than a small function
takes to compile; so it is asked about only once somebody else has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

_NEW = {"pos": 623, "key[0]": 0x80000000}
"""The global generator (MT19937) of which nothing was drawn: so it is left by the seeding from the
system's entropy (`numpy/random/_mt19937.pyx`), and the first draw changes one or the other."""


def generator_types() -> tuple[type, ...]:
    """The classes of generators, none while there cannot be any."""
    random = sys.modules.get("numpy.random")
    names = ("Generator", "RandomState")
    return tuple(getattr(random, name) for name in names if hasattr(random, name))


def random_states(generators: Sequence[Any]) -> list[Any]:
    """The states of NumPy's global generator and of `generators`; equal if nothing was drawn."""
    states = [_global_state()]
    for generator in generators:
        if hasattr(generator, "bit_generator"):
            states.append(generator.bit_generator.state)
        else:
            states.append(generator.get_state(legacy=False))
    return [_comparable(state) for state in states]


def _global_state() -> Any:
    """None if nothing was ever drawn."""
    get_state = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if get_state is None:
        return None
    state = get_state(legacy=False)
    inner = state["state"]
    if state["bit_generator"] == "MT19937":
        if {"pos": inner["pos"], "key[0]": inner["key"][0]} == _NEW:
            return None
    return state


def _comparable(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if hasattr(state, "tobytes") else state
