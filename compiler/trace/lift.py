"""From anything an operation may meet to traced arrays, and from traced arrays to nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir.errors import DTypeError, ShapeError, TraceError, UnsupportedError
from ...ir.ops import OPS, Family, Op
from ...ir.types import Shape, dtype_name
from .array import Handle, Kind, TracedArray, with_kind
from .context import Trace, require_trace
from .foreign import ForeignArray

_NUMBER_KINDS: dict[type, Kind] = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT}
_BROADCAST, _CONVERT, _RESHAPE = OPS["broadcast"], OPS["convert"], OPS["reshape"]
_TRANSPOSE = OPS["transpose"]
_ROW_MAJOR_RESULTS = (Family.CONTRACTION, Family.CREATION)


def lift(x: Any) -> TracedArray:
    """`x` as an array of the current trace.

    Traced arrays of this trace come back as they are, those of an enclosing one through
    `Trace.adopt`; NumPy arrays become captured inputs or constants (`Trace.capture`), NumPy
    scalars constants, Python numbers weak literals, lists and tuples of numbers constant arrays.
    Raises `DTypeError` for elements that programs cannot hold, `TraceError` for other objects.
    """
    trace = require_trace()
    if isinstance(x, TracedArray):
        return x if x.home is trace and not trace.finished else trace.adopt(x)
    kind = _NUMBER_KINDS.get(type(x))
    if kind is not None:
        return TracedArray.of_literal(trace, x, kind)
    if isinstance(x, np.ndarray):
        return _lift_array(trace, x)
    if isinstance(x, np.generic):
        return constant(x)
    if isinstance(x, list | tuple):
        return constant(_array_of(x))
    if isinstance(x, bool | int | float):
        return TracedArray.of_literal(trace, x, Kind.FLOAT if isinstance(x, float) else Kind.INT)
    if isinstance(x, ForeignArray):
        return trace.foreign(x)
    raise _not_liftable(x)


def _lift_array(trace: Trace, array: np.ndarray[Any, Any]) -> TracedArray:
    dtype_name(array.dtype.newbyteorder("="))
    if type(array) is not np.ndarray:
        raise UnsupportedError(
            "arrays are plain numpy.ndarray",
            given=type(array).__name__,
            hint="convert with np.asarray(x) if its extra behaviour is not needed",
        )
    return trace.capture(array)


def _array_of(items: list[Any] | tuple[Any, ...]) -> np.ndarray[Any, Any]:
    if _holds_traced(items):
        raise UnsupportedError(
            "a list given to NumPy holds known numbers only",
            given="a list with traced values in it",
            hint="join them with np.stack([...])",
        )
    return np.asarray(items)


def _holds_traced(items: list[Any] | tuple[Any, ...]) -> bool:
    return any(
        isinstance(item, TracedArray) or (isinstance(item, list | tuple) and _holds_traced(item))
        for item in items
    )


def _not_liftable(x: Any) -> TraceError | DTypeError:
    if isinstance(x, complex):
        return DTypeError("numbers are real", given=repr(x))
    return TraceError(
        "operands of NumPy functions are arrays and numbers",
        given=f"{type(x).__name__} {x!r:.60}",
    )


def constant(value: Any, kind: Kind | None = None) -> TracedArray:
    """A literal array (copied, kind `ARRAY`) or NumPy scalar (kind `SCALAR`)."""
    if kind is None:
        kind = Kind.SCALAR if isinstance(value, np.generic) else Kind.ARRAY
    dtype = np.asarray(value).dtype.newbyteorder("=")
    dtype_name(dtype)
    literal = np.array(value, dtype, order="C")
    literal.flags.writeable = False
    trace = require_trace()
    return TracedArray(trace, trace.constant(literal), kind, origin="a constant", contiguous=True)


def emit(op: Op | str, *operands: Any, kind: Kind | None = None, **attrs: Any) -> Any:
    """Apply an op to operands (lifted if need be) whose types already fit its rule.

    Returns a fresh base array, or a tuple of them for an op with another number of results. The
    kind is that of NumPy's functions unless given: a scalar when the result has no axes.
    """
    op = op if isinstance(op, Op) else OPS[op]
    trace = require_trace()
    arrays = [lift(operand) for operand in operands]
    handles = trace.emitter.emit(
        op, [array.value for array in arrays], attrs, loc=trace.location(), phase=trace.phase
    )
    row_major = op.family in _ROW_MAJOR_RESULTS or (
        op is not _TRANSPOSE and all(array.lens is None and array.contiguous for array in arrays)
    )
    results = tuple(_result(trace, handle, kind, op, row_major) for handle in handles)
    return results[0] if len(results) == 1 else results


def _result(
    trace: Trace, handle: Handle, kind: Kind | None, op: Op, row_major: bool
) -> TracedArray:
    shape = handle.type.shape
    if kind is None:
        kind = Kind.ARRAY if shape else Kind.SCALAR
    # A fresh NumPy result follows the axis order of its operands, hence row-major ones matter.
    contiguous = row_major or len(shape) < 2
    return TracedArray(
        trace, handle, kind, origin=f"the result of {op.name}", contiguous=contiguous
    )


def emit_handles(op: Op | str, *handles: Handle, **attrs: Any) -> Handle:
    """Apply an op with one result to handles of the current trace: for readers and writers."""
    op = op if isinstance(op, Op) else OPS[op]
    trace = require_trace()
    (handle,) = trace.emitter.emit(op, handles, attrs, loc=trace.location(), phase=trace.phase)
    return handle


def convert(x: Any, dtype: Any) -> TracedArray:
    """`x` with another element type, as an array or NumPy scalar (weak numbers become strong).

    Raises `OverflowError`, as NumPy does, for a Python integer that `dtype` cannot hold; an
    integer known only at run time puts its range on the argument it comes from.
    """
    array, dtype = lift(x), np.dtype(dtype)
    strong = Kind.SCALAR if array.kind.weak else array.kind
    if array.literal is not None:
        with np.errstate(over="ignore"):
            return constant(np.array(array.literal, dtype)[()], strong)
    if array.kind is Kind.INT and dtype.kind in "iu" and dtype != array.dtype:
        array.home.restrict(array, dtype)
    if dtype == array.dtype:
        return array if array.kind is strong else with_kind(array, strong)
    dtype_name(dtype)
    result: TracedArray = emit(_CONVERT, array, kind=strong, dtype=dtype)
    return result


def broadcast_to(x: Any, shape: Shape) -> TracedArray:
    """`x` repeated to `shape` by NumPy's rules; `ShapeError` where it cannot be."""
    array, shape = lift(x), tuple(shape)
    if array.shape == shape:
        return array
    offset = len(shape) - array.ndim
    if offset < 0 or any(
        extent not in (1, wanted)
        for extent, wanted in zip(array.shape, shape[max(offset, 0) :], strict=offset >= 0)
    ):
        raise ShapeError(f"shapes broadcast to {shape}", given=str(array.shape))
    axes = tuple(
        offset + axis for axis, extent in enumerate(array.shape) if extent == shape[offset + axis]
    )
    kept = tuple(shape[axis] for axis in axes)
    if kept != array.shape:
        array = emit(_RESHAPE, array, kind=Kind.ARRAY, shape=kept)
    if kept == shape:
        return array
    result: TracedArray = emit(_BROADCAST, array, kind=Kind.ARRAY, shape=shape, axes=axes)
    return result
