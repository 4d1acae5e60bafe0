"""Which NumPy functions are understood: one table, merged from one module per subject.

`FUNCTIONS` maps a NumPy function to the handler that computes it from traced arrays; a handler's
parameters are the options it honours. `HINTS` names the closest alternative for functions that
are not understood. Ufuncs are in `..ufuncs`. Only `compiler.trace` imports from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....ir.errors import UnsupportedError
from . import (
    create,
    einsum,
    index,
    join,
    linalg,
    queries,
    reduce,
    search,
    select,
    shape,
    statistics,
    windows,
)
from .hints import HINTS
from .understood import Table, call, name_of

FUNCTIONS: Table = {
    **shape.TABLE,
    **reduce.TABLE,
    **statistics.TABLE,
    **join.TABLE,
    **select.TABLE,
    **index.TABLE,
    **search.TABLE,
    **linalg.TABLE,
    **einsum.TABLE,
    **create.TABLE,
    **windows.TABLE,
    **queries.TABLE,
}
"""Every NumPy function that traced arrays understand."""


def apply_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What NumPy gives for `function(*args, **kwargs)`: the answer of `__array_function__`.

    Raises `UnsupportedError` for a function or an option that is not understood.
    """
    name = name_of(function)
    handler = FUNCTIONS.get(function)
    if handler is None:
        raise UnsupportedError(
            "NumPy functions of traced arrays are among those that tapeless understands",
            given=name,
            hint=HINTS.get(name, "compute it outside the compiled function and pass it in"),
        )
    return call(name, handler, args, kwargs)


__all__ = ["FUNCTIONS", "HINTS", "apply_function"]
