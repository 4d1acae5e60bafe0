"""What is recorded about an op."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .agreement import Agreement, exact

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sample:
    """Operands and attributes of one application of an op."""

    arrays: tuple[Array, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


Samples = Callable[[str], Iterator[Sample]]
"""The samples of an element type, by its IR name."""


@dataclass(frozen=True)
class Record:
    """All that the generated tests need to know about `op`.

    `samples(dtype)` gives operands of each element type in `dtypes`. `agreement` compares a result
    with the reference. `smooth` are float64 samples away from ties, kinks and poles, on which
    derivatives are compared with numerical ones (none: the op has no derivative, or
    `derivative` says why it is not the numerical one). `failing` are samples that raise.
    """

    op: str
    dtypes: tuple[str, ...]
    samples: Samples
    agreement: Agreement = exact
    smooth: tuple[Sample, ...] = ()
    derivative: str = ""
    failing: tuple[Sample, ...] = ()
