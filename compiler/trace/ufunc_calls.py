"""Calls of ufuncs on traced arrays: what `__array_ufunc__` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...ir.errors import DTypeError, ShapeError, UnsupportedError
from ...ir.types import BOOL, INT64, DType, Shape
from .array import Kind, TracedArray, with_kind
from .contraction import broadcast_shapes
from .lift import broadcast_to, convert, emit, lift
from .promotion import OperandType, loop_types, operand_type
from .reductions import as_target, store
from .ufunc_methods import METHODS
from .ufuncs import ALTERNATIVES, COMPARISONS, UFUNCS, Rule, shortcut
from .views import rearranged


def apply_ufunc(
    ufunc: np.ufunc, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """What NumPy gives for `ufunc(*inputs, **options)`, or for `ufunc.method(...)`.

    Understood options are `out`, `where` (with `out`), `dtype`, `signature` and `casting`.
    """
    if ufunc not in UFUNCS:
        raise UnsupportedError(
            "the ufunc is one that tapeless understands",
            given=f"np.{ufunc.__name__}",
            hint=f"closest: {ALTERNATIVES[ufunc]}" if ufunc in ALTERNATIVES else "",
        )
    if method == "__call__":
        inputs, options = _axis_last(ufunc, inputs, options)
        return _call(ufunc, inputs, **_understood(ufunc, options))
    if method not in METHODS:
        raise UnsupportedError(
            f"methods of ufuncs are called among {', '.join(sorted(METHODS))}",
            given=f"np.{ufunc.__name__}.{method}",
        )
    return METHODS[method](ufunc, *inputs, **options)


def _axis_last(
    ufunc: np.ufunc, inputs: Sequence[Any], options: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """`np.vecdot(axis=)` as the same product of the operands with that axis put last."""
    if ufunc is not np.vecdot or "axis" not in options:
        return inputs, options
    axis = options["axis"]
    moved = [rearranged(x, lambda source: np.moveaxis(source, axis, -1)) for x in inputs]
    return moved, {name: value for name, value in options.items() if name != "axis"}


_OPTIONS = {"out", "where", "dtype", "signature", "sig", "casting"}
_WITHOUT_EFFECT = {"subok", "order"}
"""Options that change neither values nor types of results here."""


def _understood(ufunc: np.ufunc, options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = options.keys() - _OPTIONS - _WITHOUT_EFFECT
    if unknown:
        raise UnsupportedError(
            f"np.{ufunc.__name__} is understood with the options {', '.join(sorted(_OPTIONS))}",
            given=", ".join(sorted(unknown)),
        )
    return {name: value for name, value in options.items() if name in _OPTIONS}


def _call(
    ufunc: np.ufunc,
    inputs: Sequence[Any],
    *,
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    signature: Any = None,
    sig: Any = None,
    casting: str = "same_kind",
) -> Any:
    operands = [lift(x) for x in inputs]
    outs = _outputs(ufunc, out)
    types = _loop(ufunc, operands, outs, _signature(ufunc, dtype, signature or sig), casting)
    if ufunc is np.power and dtype is None:
        cheaper = shortcut(ufunc, *operands)
        if cheaper is not None:
            ufunc, operands, types = cheaper, operands[:1], (types[0], types[-1])
    shape, arguments = _arguments(ufunc, operands, types, outs)
    rule = _rule(ufunc, types[0])
    results = rule(*arguments)
    if not isinstance(results, tuple):
        results = (results,)
    results = tuple(
        _detached(convert(x, t), arguments)
        for x, t in zip(results, types[ufunc.nin :], strict=True)
    )
    delivered = tuple(
        _deliver(ufunc, x, target, where, shape) for x, target in zip(results, outs, strict=True)
    )
    return delivered[0] if len(delivered) == 1 else delivered


def _rule(ufunc: np.ufunc, dtype: DType) -> Rule:
    row = UFUNCS[ufunc]
    if dtype.kind not in row:
        raise DTypeError(f"np.{ufunc.__name__} takes numbers of another type", given=str(dtype))
    return row[dtype.kind]


def _outputs(ufunc: np.ufunc, out: Any) -> tuple[TracedArray | None, ...]:
    if out is None:
        return (None,) * ufunc.nout
    outs = out if isinstance(out, tuple) else (out,)
    return tuple(None if target is None else as_target(target) for target in outs)


def _signature(ufunc: np.ufunc, dtype: Any, signature: Any) -> tuple[DType | None, ...] | None:
    if dtype is not None:
        return (*[None] * ufunc.nin, *[np.dtype(dtype)] * ufunc.nout)
    if signature is None:
        return None
    if not isinstance(signature, tuple):
        raise UnsupportedError(
            "signature= is a tuple of element types", given=repr(signature), hint="use dtype="
        )
    return tuple(None if t is None else np.dtype(t) for t in signature)


def _loop(
    ufunc: np.ufunc,
    operands: Sequence[TracedArray],
    outs: Sequence[TracedArray | None],
    signature: tuple[DType | None, ...] | None,
    casting: str,
) -> tuple[DType, ...]:
    given = [operand_type(x) for x in operands]
    if ufunc in COMPARISONS:
        given = [
            _compared_type(t, x, other)
            for t, x, other in zip(given, operands, reversed(operands), strict=True)
        ]
    given += [None if out is None else out.dtype for out in outs]
    return loop_types(ufunc, tuple(given), signature, casting)


def _compared_type(given: OperandType, x: TracedArray, other: TracedArray) -> OperandType:
    """Python integers that may lie outside the other operand's range compare as int64."""
    if given is not int or other.dtype.kind not in "iu" or other.kind is Kind.INT:
        return given
    if x.literal is not None:
        info = np.iinfo(other.dtype)
        return int if info.min <= x.literal <= info.max else np.min_scalar_type(x.literal)
    return INT64


def _arguments(
    ufunc: np.ufunc,
    operands: Sequence[TracedArray],
    types: Sequence[DType],
    outs: Sequence[TracedArray | None],
) -> tuple[Shape, list[TracedArray]]:
    """The shape of the results (elementwise ufuncs), and operands converted and broadcast."""
    converted = [
        convert(x, dtype) for x, dtype in zip(operands, types[: len(operands)], strict=True)
    ]
    if ufunc.signature is not None:
        return (), converted
    name = f"np.{ufunc.__name__}"
    shape = broadcast_shapes(name, *(x.shape for x in converted))
    for out in outs:
        if out is not None:
            shape = broadcast_shapes(f"{name} with out=", shape, out.shape)
    return shape, [broadcast_to(x, shape) for x in converted]


def _detached(x: TracedArray, operands: Sequence[TracedArray]) -> TracedArray:
    """`x` as an array of its own when the rule handed an operand back, and of the right kind."""
    kind = Kind.ARRAY if x.shape else Kind.SCALAR
    if x.kind is kind and x.lens is None and not any(x is operand for operand in operands):
        return x
    return with_kind(x, kind)


def _deliver(
    ufunc: np.ufunc, result: TracedArray, out: TracedArray | None, where: Any, shape: Shape
) -> TracedArray:
    if out is None:
        if where is not True:
            raise UnsupportedError(
                f"np.{ufunc.__name__}(where=) needs out=, whose elements stay where it is False",
                hint="use np.where(condition, result, otherwise)",
            )
        return result
    if result.shape != out.shape:
        raise ShapeError(
            f"out= of np.{ufunc.__name__} has the shape of the result",
            given=f"out of shape {out.shape}, result of shape {result.shape}",
        )
    if where is not True:
        mask = broadcast_to(convert(_boolean(where), BOOL), shape)
        converted = convert(result, out.dtype)
        store(out, emit("select", mask, converted, out, kind=Kind.ARRAY))
    else:
        store(out, result)
    return out


def _boolean(mask: Any) -> TracedArray:
    array = lift(mask)
    if array.dtype != BOOL:
        raise DTypeError("where= is a boolean array", given=str(array.dtype))
    return array
