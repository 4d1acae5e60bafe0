"""Functions about types and shapes, answered while tracing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....ir.errors import UnsupportedError
from ..array import TracedArray, with_kind
from ..lift import lift
from ..promotion import operand_type
from ..views import as_array, by_numpy, reshaped
from .understood import Handler, Table


def shape(a: Any) -> tuple[int, ...]:
    """`np.shape`."""
    return lift(a).shape


def ndim(a: Any) -> int:
    """`np.ndim`."""
    return lift(a).ndim


def size(a: Any, axis: Any = None) -> int:
    """`np.size`, of all elements or along axes."""
    return int(by_numpy(np.size, np.empty(lift(a).shape, np.int8), axis))


def _typed(x: Any) -> Any:
    """What stands for `x` in NumPy's promotion."""
    if not isinstance(x, TracedArray):
        return x
    return {int: 0, float: 0.0}.get(operand_type(x), x.dtype)  # type: ignore[arg-type]


def result_type(*arrays_and_dtypes: Any) -> Any:
    """`np.result_type`."""
    return np.result_type(*map(_typed, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """`np.can_cast`."""
    return np.can_cast(_typed(from_), to, casting)


def common_type(*arrays: Any) -> Any:
    """`np.common_type`: the floating type that holds all."""
    return np.common_type(*(np.empty(0, as_array(x).dtype) for x in arrays))


def _always(answer: bool) -> Handler:
    def handler(x: Any) -> bool:
        return answer

    return handler


def _real(val: Any) -> TracedArray:
    return lift(val)


def _imag(val: Any) -> TracedArray:
    x = lift(val)
    return with_kind(np.zeros_like(as_array(x)), x.kind)  # type: ignore[arg-type]


def _everywhere(function: Callable[..., Any]) -> Handler:
    def handler(x: Any) -> Any:
        return function(as_array(x), dtype=bool)

    return handler


def _of_shape(function: Callable[..., Any]) -> Handler:
    """A function that looks at the shape of its array only."""

    def handler(arr: Any, *args: Any, **kwargs: Any) -> Any:
        return by_numpy(function, np.empty(lift(arr).shape, np.int8), *args, **kwargs)

    return handler


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """`np.may_share_memory`: whether an update of one may be seen in the other."""
    return lift(a).base is lift(b).base


def min_scalar_type(a: Any) -> Any:
    """`np.min_scalar_type` of an array; that of a number depends on its value."""
    array = lift(a)
    if not array.shape:
        raise UnsupportedError("np.min_scalar_type needs a known number", given="a traced one")
    return array.dtype


def ix_(*args: Any) -> tuple[Any, ...]:
    """`np.ix_`: index arrays for the outer product of positions."""
    arrays = [as_array(x) for x in args]
    if any(x.ndim != 1 or x.dtype.kind not in "iu" for x in arrays):
        raise UnsupportedError(
            "np.ix_ takes vectors of integers", given=", ".join(str(x.type) for x in arrays)
        )
    rank = len(arrays)
    return tuple(
        reshaped(x, (1,) * axis + (x.size,) + (1,) * (rank - axis - 1))
        for axis, x in enumerate(arrays)
    )


TABLE: Table = {
    np.shape: shape,
    np.ndim: ndim,
    np.size: size,
    np.result_type: result_type,
    np.can_cast: can_cast,
    np.min_scalar_type: min_scalar_type,
    np.ix_: ix_,
    np.real_if_close: lambda a, tol=100: as_array(a),
    np.common_type: common_type,
    np.may_share_memory: shares_memory,
    np.iscomplexobj: _always(False),
    np.isrealobj: _always(True),
    np.real: _real,
    np.imag: _imag,
    np.isreal: _everywhere(np.ones_like),
    np.iscomplex: _everywhere(np.zeros_like),
    np.tril_indices_from: _of_shape(np.tril_indices_from),
    np.triu_indices_from: _of_shape(np.triu_indices_from),
    np.diag_indices_from: _of_shape(np.diag_indices_from),
}
"""Functions whose answer depends on types and shapes only."""
