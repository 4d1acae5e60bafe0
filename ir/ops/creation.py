"""Ops without operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..types import DTYPE_NAMES, TensorType, type_of
from .registry import Family, declare, require


def _constant_rule(
    operands: Sequence[TensorType], attrs: Mapping[str, Any]
) -> tuple[TensorType, ...]:
    value = attrs["value"]
    # A foreign byte order is not among these: what is compiled in has to be native.
    require(
        value.dtype in DTYPE_NAMES.values(),
        f"a constant of a supported type, {value.dtype.str}",
        [],
    )
    return (type_of(value),)


constant = declare(
    "constant",
    Family.CREATION,
    0,
    _constant_rule,
    lambda value: np.asarray(value),
    "a literal array or scalar",
    attrs=("value",),
    cost=0,
)


def _iota_rule(operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> tuple[TensorType, ...]:
    require(attrs["size"] >= 0 and attrs["dtype"].kind in "iuf", "iota of numbers", operands)
    return (TensorType(attrs["dtype"], (attrs["size"],)),)


iota = declare(
    "iota",
    Family.CREATION,
    0,
    _iota_rule,
    lambda size, dtype: np.arange(size).astype(dtype),
    "0, 1, … size - 1",
    attrs=("size", "dtype"),
)
