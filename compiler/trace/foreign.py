"""Arrays of other machinery that a trace may be able to take in."""

from __future__ import annotations


class ForeignArray:
    """Base of array types that are neither NumPy's nor traced: `tapeless.Tensor`.

    `Trace.foreign` says what an operation of a trace does with one.
    """

    __slots__ = ()
