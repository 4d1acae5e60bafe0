"""When does a computed array agree with what an op's NumPy reference says?

Every check first asks for the exact type, then compares elements: NaN agrees with NaN whatever its
payload. Rounding is judged against a wider evaluation of the same reference (float64 for float32,
long double for float64), because NumPy's own float32 functions are up to 4 ulp off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tapeless.ir.ops import Op

Array = np.ndarray[Any, Any]
Agreement = Callable[[Op, Sequence[Array], Mapping[str, Any], Array], None]
"""`check(op, operands, attributes, result)`; raises AssertionError."""

WIDER = {np.dtype(np.float32): np.dtype(np.float64), np.dtype(np.float64): np.dtype(np.longdouble)}


def reference(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any]) -> Array:
    """What NumPy gives for the op."""
    assert op.reference is not None
    with np.errstate(all="ignore"):
        return np.asarray(op.reference(*arrays, **attrs))


def wide_reference(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any]) -> Array:
    """What NumPy gives for the op when floats are taken to the next wider type."""
    return reference(op, [widened(array) for array in arrays], attrs)


def widened(array: Array) -> Array:
    """Floats in the next wider type; anything else as it is."""
    if array.dtype not in WIDER:
        return array
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return array.astype(WIDER[array.dtype])


def _same_type(op: Op, expected: Array, got: Array) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), (
        f"{op.name} gives {expected.dtype}{expected.shape}, not {got.dtype}{got.shape}"
    )


def _report(op: Op, arrays: Sequence[Array], bad: Array, expected: Array, got: Array) -> None:
    """Fail with the first few elements that are wrong."""
    if not bad.any():
        return
    rows = [f"{op.name}: {int(bad.sum())} of {bad.size} elements are wrong"]
    for index in list(zip(*np.nonzero(np.atleast_1d(bad)), strict=True))[:5]:
        at = index if bad.ndim else ()
        operands = [array[at] if array.shape == bad.shape else "…" for array in arrays]
        rows.append(f"  at {at}: {operands} -> {got[at]!r}, should be {expected[at]!r}")
    raise AssertionError("\n".join(rows))


def exact(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any], got: Array) -> None:
    """The same elements bit by bit, but for the payload of NaNs."""
    expected = reference(op, arrays, attrs)
    _same_type(op, expected, got)
    if got.dtype.kind != "f":
        return _report(op, arrays, got != expected, expected, got)
    nan = np.isnan(expected)
    same = np.where(nan, np.isnan(got), got == expected)
    same &= nan | (np.signbit(got) == np.signbit(expected))
    return _report(op, arrays, ~same, expected, got)


def any_zero(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any], got: Array) -> None:
    """The same elements; 0.0 agrees with -0.0, where NumPy's own choice varies by machine."""
    expected = reference(op, arrays, attrs)
    _same_type(op, expected, got)
    nan = expected != expected
    _report(op, arrays, ~np.where(nan, got != got, got == expected), expected, got)


def within_ulps(limit: float) -> Agreement:
    """Floats within `limit` units in the last place of the wide result; all else exact."""

    def check(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any], got: Array) -> None:
        if got.dtype.kind != "f":
            return exact(op, arrays, attrs, got)
        _same_type(op, reference(op, arrays, attrs), got)
        wide = wide_reference(op, arrays, attrs)
        return _report(op, arrays, ~(ulps_off(got, wide) <= limit), wide, got)

    return check


def ulps_off(got: Array, wide: Array) -> Array:
    """The distance of `got` from `wide` in units in the last place of `got`'s type.

    An infinity counts as the power of two after the largest number; a wrong NaN or a zero of the
    wrong sign is infinitely far.
    """
    with np.errstate(all="ignore"):
        limits = np.finfo(got.dtype)
        beyond = wide.dtype.type(2.0) ** limits.maxexp
        exact_value = np.clip(wide, -beyond, beyond)
        unit = np.spacing(np.abs(np.clip(wide, limits.min, limits.max)).astype(got.dtype))
        distance = np.abs(np.clip(got.astype(wide.dtype), -beyond, beyond) - exact_value) / unit
        signs_differ = (np.signbit(got) != np.signbit(wide)) & (got == 0)
        wrong = (np.isnan(got) != np.isnan(wide)) | (signs_differ & ~np.isnan(wide))
        distance = np.where(np.isnan(wide), 0.0, distance)
        return np.asarray(np.where(wrong, np.inf, distance))


def within_rounding(factor: float) -> Agreement:
    """Sums of products: the error is at most `factor` roundings of the sum of magnitudes."""

    def check(op: Op, arrays: Sequence[Array], attrs: Mapping[str, Any], got: Array) -> None:
        if got.dtype.kind != "f":
            return exact(op, arrays, attrs, got)
        _same_type(op, reference(op, arrays, attrs), got)
        wide = wide_reference(op, arrays, attrs)
        magnitudes = wide_reference(op, [_magnitude(array) for array in arrays], attrs)
        with np.errstate(all="ignore"):
            allowed = factor * np.finfo(got.dtype).eps * magnitudes
            close = np.isfinite(wide) & (np.abs(got - wide) <= allowed)
        same = np.where(np.isnan(wide), np.isnan(got), (got == wide) | close)
        return _report(op, arrays, ~same, wide, got)

    return check


def _magnitude(array: Array) -> Array:
    return np.abs(array) if array.dtype.kind == "f" else array
