"""Element types of results, decided by NumPy itself.

`ufunc.resolve_dtypes` gives the loop of a ufunc for the dtypes of its operands, with the Python
types `int` and `float` standing for weak numbers (NEP 50).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from ...ir.errors import DTypeError
from ...ir.types import DTYPE_NAMES, DType, dtype_name
from .array import Kind, TracedArray

OperandType: TypeAlias = DType | type[int] | type[float] | None
_SUPPORTED = frozenset(DTYPE_NAMES.values())


def operand_type(x: TracedArray) -> OperandType:
    """What `x` is to NumPy's promotion: a dtype, or `int` or `float` for a Python number."""
    if x.kind is Kind.INT:
        return int
    return float if x.kind is Kind.FLOAT else x.dtype


@lru_cache(maxsize=4096)
def loop_types(
    ufunc: np.ufunc,
    operands: tuple[OperandType, ...],
    signature: tuple[DType | None, ...] | None = None,
    casting: Any = "same_kind",
) -> tuple[DType, ...]:
    """The dtypes of the loop that NumPy runs: inputs, then outputs.

    `operands` are inputs and (None where not given) outputs. Raises `DTypeError` where NumPy
    has no loop, the casting rule forbids it, or the loop's type cannot be held.
    """
    try:
        types = ufunc.resolve_dtypes(
            operands, signature=signature or (None,) * len(operands), casting=casting
        )
    except TypeError as error:
        raise DTypeError(
            f"np.{ufunc.__name__} is defined for its operands' element types",
            given=f"{_names(operands)}: {error}",
        ) from None
    results = types[ufunc.nin :]
    _check_supported(ufunc.__name__, results, operands)
    # Small integers that NumPy looks at as float16 (np.signbit) are the same numbers in float32.
    inputs = [np.dtype(np.float32) if t == np.float16 else t for t in types[: ufunc.nin]]
    _check_supported(ufunc.__name__, inputs, operands)
    return (*inputs, *results)


def reduction_type(ufunc: np.ufunc, operand: DType, dtype: DType | None = None) -> DType:
    """The dtype in which NumPy accumulates `ufunc` along axes of `operand`.

    Sums and products of integers narrower than the machine's are made in int64 or uint64.
    """
    try:
        types = ufunc.resolve_dtypes(
            (None, operand, None),
            signature=(dtype, None, None),
            reduction=True,
            casting="unsafe",
        )
    except TypeError as error:
        raise DTypeError(
            f"np.{ufunc.__name__}.reduce is defined for the element type",
            given=f"{operand}: {error}",
        ) from None
    _check_supported(ufunc.__name__, types, (operand,))
    return types[0]


def result_type(*operands: TracedArray) -> DType:
    """The dtype that operands are brought to where NumPy joins them (`np.result_type`)."""
    weak = {int: 0, float: 0.0}
    dtype = np.result_type(*(weak.get(t, t) for t in map(operand_type, operands)))  # type: ignore
    _check_supported("result_type", (dtype,), [x.dtype for x in operands])
    return dtype


def _check_supported(name: str, types: Sequence[DType], operands: Sequence[OperandType]) -> None:
    for dtype in types:
        if dtype not in _SUPPORTED:
            raise DTypeError(
                "element types are booleans, integers, float32 and float64",
                given=f"np.{name} on {_names(operands)}, which NumPy computes in {dtype}",
                hint="convert an operand first, for example with .astype(np.float32)",
            )


def _names(operands: Sequence[OperandType]) -> str:
    return ", ".join(
        f"Python {t.__name__}" if isinstance(t, type) else str(t) for t in operands if t is not None
    )


def check_cast(source: DType, target: DType, casting: Any, what: str) -> None:
    """Raise `DTypeError` unless NumPy's rule `casting` allows the conversion."""
    if not np.can_cast(source, target, casting):
        raise DTypeError(
            f"{what} may be converted under the casting rule {casting!r}",
            given=f"{source} to {target}",
            hint="convert explicitly with .astype(...)",
        )
    dtype_name(target)
