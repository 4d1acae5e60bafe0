"""What a traced array cannot tell, because only the running program knows it.

Each way of asking raises an error that says what to write instead.
"""

from __future__ import annotations

from typing import Any, NoReturn, SupportsIndex

from ...ir.errors import TraceError, UnsupportedError

_BUFFERS = "join values with np.stack, or fill an array made by np.zeros_like of a traced one"


def _without(name: str, hint: str) -> property:
    """An attribute of NumPy's arrays that traced ones do not have."""

    def refuse(self: Refusals) -> NoReturn:
        raise UnsupportedError(f"traced arrays have no .{name}", given=self.describe(), hint=hint)

    return property(refuse, doc=f"Refuses: {hint}.")


class Refusals:
    """Base of traced arrays: conversions to Python objects, and attributes about memory."""

    __slots__ = ()

    def describe(self) -> str:
        """What error messages call this array."""
        raise NotImplementedError

    flags = _without("flags", "contiguity is the compiler's business; copy with np.copy if unsure")
    strides = _without("strides", "use .shape; the memory layout is the compiler's business")
    data = _without("data", "use the array itself")
    ctypes = _without("ctypes", "return the array and use the result's memory")
    flat = _without("flat", "use x.ravel()")

    def __contains__(self, item: Any) -> NoReturn:
        raise self._unknown("`in`", "count matches instead: np.any(x == item)")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise self._unknown(
            "np.asarray, np.array or a function outside NumPy",
            f"use NumPy functions on traced arrays directly; {_BUFFERS}",
        )

    def __round__(self, ndigits: SupportsIndex | None = None) -> NoReturn:
        raise self._unknown("round()", "use np.round or np.rint, which give floats")

    def __format__(self, format_spec: str) -> str:
        if not format_spec:
            return str(self)  # says what it is, for whoever looks around while tracing
        raise self._unknown(
            "a format such as f'{x:.3f}'", "return it and print the result, or use f.dynamic"
        )

    def __reduce__(self) -> NoReturn:
        raise self._unknown("pickling", "return the array and pickle the result")

    def __bool__(self) -> bool:
        raise self._unknown(
            "`if`, `while`, `and`, `or`, `not` or bool()",
            "choose elementwise with np.where(condition, x, y), combine conditions with & and |, "
            "or declare the argument it depends on in tl.compile(static=...)",
        )

    def __float__(self) -> float:
        raise self._unknown(
            "float()", f"use the value as it is, or .astype(np.float64); {_BUFFERS}"
        )

    def __int__(self) -> int:
        raise self._unknown(
            "int()", f"use .astype(np.int64), or declare the argument static; {_BUFFERS}"
        )

    def __complex__(self) -> complex:
        raise self._unknown("complex()", "complex numbers are not supported")

    def __index__(self) -> int:
        raise self._unknown(
            "a Python index, range(), a shape or a slice bound",
            "declare the argument it depends on in tl.compile(static=...), or index with arrays",
        )

    def item(self, *args: Any) -> NoReturn:
        """Refuses: the number is known only when the program runs."""
        raise self._unknown(".item()", "use the value as it is, or index it")

    def tolist(self) -> NoReturn:
        """Refuses: the numbers are known only when the program runs."""
        raise self._unknown(".tolist()", "use the array as it is, or return it")

    def tobytes(self, order: Any = None) -> NoReturn:
        """Refuses: the bytes are known only when the program runs."""
        raise self._unknown(".tobytes()", "return the array and convert the result")

    def _unknown(self, what: str, hint: str) -> TraceError:
        return TraceError(
            f"{what} needs a value, and a traced one is known only when the program runs",
            given=self.describe(),
            hint=hint,
        )
