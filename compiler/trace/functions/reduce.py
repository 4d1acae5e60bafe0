"""Functions that fold axes away, and running folds. Element types follow NumPy's accumulators."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ....ir.errors import ShapeError
from ....ir.types import BOOL, FLOAT64, INT64
from ..array import Kind, TracedArray, with_kind
from ..lift import broadcast_to, convert, emit, lift
from ..reductions import FOLDS, Axis, finish, fold, into, normalized_axes, normalized_axis
from ..ufunc_methods import accumulate
from ..views import as_array, reshaped
from .understood import Handler, Table


def _arithmetic(ufunc: np.ufunc) -> Handler:
    def handler(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> TracedArray:
        return fold(ufunc, a, axis, dtype, out, keepdims, initial, where)

    return handler


def _extreme(ufunc: np.ufunc) -> Handler:
    def handler(
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> TracedArray:
        return fold(ufunc, a, axis, None, out, keepdims, initial, where)

    return handler


def _logical(ufunc: np.ufunc) -> Handler:
    def handler(
        a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, *, where: Any = True
    ) -> TracedArray:
        return fold(ufunc, a, axis, None, out, keepdims, None, where)

    return handler


def _arg(op: str) -> Handler:
    def handler(
        a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False
    ) -> TracedArray:
        x = as_array(a)
        along = 0 if axis is None else normalized_axis(axis, x.ndim)
        flat = reshaped(x, -1) if axis is None else x
        if flat.shape[along] == 0:
            raise ShapeError(
                f"np.{op} needs at least one element", given=f"shape {x.shape} along {axis}"
            )
        axes = normalized_axes(axis, x.ndim)
        return finish(emit(op, flat, axis=along), x.shape, axes, keepdims, out)

    return handler


def _count(x: TracedArray, axes: tuple[int, ...], where: Any, keepdims: bool) -> Any:
    """How many elements are folded into each result: an int, or an array when `where` selects."""
    if where is True:
        count = 1
        for axis in axes:
            count *= x.shape[axis]
        return count
    return fold(np.add, broadcast_to(lift(where), x.shape), axes, INT64, keepdims=keepdims)


def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> TracedArray:
    """`np.mean`: of integers and booleans in float64, of others in their own type."""
    x = as_array(a)
    axes = normalized_axes(axis, x.ndim)
    if dtype is None and x.dtype.kind != "f":
        dtype = FLOAT64
    average = _mean(x, axes, dtype, where, keepdims=False)
    return finish(average, x.shape, axes, keepdims, out)


def _mean(
    x: TracedArray, axes: tuple[int, ...], dtype: Any, where: Any, keepdims: bool
) -> TracedArray:
    total = fold(np.add, x, axes, dtype, None, keepdims, None, where)
    return convert(np.true_divide(total, _count(x, axes, where, keepdims)), total.dtype)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> TracedArray:
    """`np.var`: the mean squared distance from the mean, the count lessened by `ddof`."""
    x = as_array(a)
    axes = normalized_axes(axis, x.ndim)
    if dtype is None and x.dtype.kind != "f":
        dtype = FLOAT64
    centre = _mean(x, axes, dtype, where, keepdims=True) if mean is None else mean
    squares = np.square(np.subtract(x, centre))
    total = fold(np.add, squares, axes, dtype, None, False, None, where)
    lost = ddof if correction is None else correction
    freedom = _count(x, axes, where, keepdims=False) - lost
    freedom = max(freedom, 0) if where is True else np.maximum(freedom, 0)
    variance = convert(np.true_divide(total, freedom), total.dtype)
    return finish(variance, x.shape, axes, keepdims, out)


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> TracedArray:
    """`np.std`: the square root of `np.var`."""
    variance = var(
        a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction
    )
    root: Any = np.sqrt(variance)
    return root if out is None else into(out, root)


def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """`np.ptp`: the largest less the smallest."""
    spread: Any = np.subtract(
        fold(np.maximum, a, axis, keepdims=keepdims), fold(np.minimum, a, axis, keepdims=keepdims)
    )
    return spread if out is None else into(out, spread)


def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> TracedArray:
    """`np.count_nonzero`."""
    return fold(np.add, convert(as_array(a), BOOL), axis, INT64, None, keepdims)


def _running(ufunc: np.ufunc) -> Handler:
    def handler(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> TracedArray:
        x = as_array(a)
        if axis is None or x.ndim == 0:
            x, axis = reshaped(x, -1), 0
        return accumulate(ufunc, x, axis, dtype, out)

    return handler


def _cumulative(ufunc: np.ufunc) -> Handler:
    def handler(
        x: Any,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        array = as_array(x)
        if axis is None and array.ndim != 1:
            raise ShapeError("a running fold of several axes needs axis=", given=f"{array.shape}")
        along = normalized_axis(0 if axis is None else axis, array.ndim)
        running: Any = accumulate(ufunc, array, along, dtype)
        if include_initial:
            start = running[(slice(None),) * along + (slice(0, 1),)]
            running = np.concatenate([np.full_like(start, FOLDS[ufunc].identity), running], along)
        return running if out is None else into(out, running)

    return handler


def _running_over_numbers(function: Handler, neutral: float) -> Handler:
    def handler(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        x = as_array(a)
        kept = np.where(np.isnan(x), neutral, x) if x.dtype.kind == "f" else x
        return function(kept, axis, dtype, out)

    return handler


def _ignoring_nan(function: Callable[..., Any], neutral: float) -> Handler:
    """A fold that takes NaNs for elements without effect; all NaN gives NaN for extremes."""

    def handler(
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        x = as_array(a)
        options: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": where}
        if initial is not None:
            options["initial"] = initial
        if x.dtype.kind != "f":
            return function(x, out=out, **options)
        nan = np.isnan(x)
        folded = function(np.where(nan, neutral, x), **options)
        nothing = np.all(nan, axis=axis, keepdims=keepdims, where=where)
        folded = _as_scalar(np.where(nothing, np.nan, folded))
        return folded if out is None else into(out, folded)

    return handler


def _as_scalar(x: Any) -> TracedArray:
    return x if x.shape else with_kind(x, Kind.SCALAR)


def _nan_arithmetic(function: Callable[..., Any], neutral: float) -> Handler:
    def handler(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        x = as_array(a)
        kept = np.where(np.isnan(x), neutral, x) if x.dtype.kind == "f" else x
        return function(kept, axis, dtype, out, keepdims, initial, where)

    return handler


def _over_numbers(function: Handler) -> Handler:
    """A statistic of the elements that are no NaN."""

    def handler(
        a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, **options: Any
    ) -> Any:
        x = as_array(a)
        if x.dtype.kind != "f":
            return function(x, axis, dtype, out, **options)
        number = ~np.isnan(x)
        where = options.pop("where", True)
        if where is not True:
            number = number & lift(where)
        return function(np.where(number, x, 0), axis, dtype, out, where=number, **options)

    handler.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return handler


_cumsum, _cumprod = _running(np.add), _running(np.multiply)
_sum, _prod = _arithmetic(np.add), _arithmetic(np.multiply)
_max, _min = _extreme(np.maximum), _extreme(np.minimum)

TABLE: Table = {
    np.sum: _sum,
    np.prod: _prod,
    np.max: _max,
    np.min: _min,
    np.amax: _max,
    np.amin: _min,
    np.all: _logical(np.logical_and),
    np.any: _logical(np.logical_or),
    np.argmax: _arg("argmax"),
    np.argmin: _arg("argmin"),
    np.mean: mean,
    np.var: var,
    np.std: std,
    np.ptp: ptp,
    np.count_nonzero: count_nonzero,
    np.cumsum: _cumsum,
    np.cumprod: _cumprod,
    np.cumulative_sum: _cumulative(np.add),
    np.cumulative_prod: _cumulative(np.multiply),
    np.nancumsum: _running_over_numbers(_cumsum, 0),
    np.nancumprod: _running_over_numbers(_cumprod, 1),
    np.nansum: _nan_arithmetic(_sum, 0),
    np.nanprod: _nan_arithmetic(_prod, 1),
    np.nanmax: _ignoring_nan(np.max, -np.inf),
    np.nanmin: _ignoring_nan(np.min, np.inf),
    np.nanmean: _over_numbers(mean),
    np.nanvar: _over_numbers(var),
    np.nanstd: _over_numbers(std),
}
"""Folding functions."""
