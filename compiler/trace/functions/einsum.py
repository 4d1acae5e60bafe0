"""`np.einsum`: parsed here, computed by diagonals, sums, one product per operand, a transpose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np

from ....ir.errors import ShapeError, UnsupportedError
from .. import contraction
from ..array import Handle, Kind, TracedArray
from ..context import require_trace
from ..lift import convert, emit
from ..promotion import check_cast, result_type
from ..reductions import into
from ..views import as_array, fresh, rearranged, reshaped
from .understood import Table

Labels = tuple[str, ...]
"""The subscript of each axis; those of an ellipsis are `.0`, `.1`, … counted from the last axis."""


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: Any = None,
    dtype: Any = None,
    casting: str = "safe",
    optimize: Any = False,
) -> Any:
    """`np.einsum(subscripts, *operands)`, contracted from left to right."""
    if not isinstance(subscripts, str):
        raise UnsupportedError(
            "np.einsum takes its subscripts as one string", given=type(subscripts).__name__
        )
    arrays = [as_array(x) for x in operands]
    target = result_type(*arrays) if dtype is None else np.dtype(dtype)
    for x in arrays:
        check_cast(x.dtype, target, casting, "an operand of np.einsum")
    inputs, output = _parse(subscripts, arrays)
    if len(arrays) == 1 and out is None and dtype is None and set(inputs[0]) == set(output):
        return _view(subscripts, arrays[0], inputs[0], output)
    factors = [
        _without_repeats(subscripts, convert(x, target), labels)
        for x, labels in zip(arrays, inputs, strict=True)
    ]
    factors = _with_full_extents(subscripts, factors)
    product, labels = _summed(*factors[0], _needed(factors[1:], output))
    for position, (x, names) in enumerate(factors[1:], start=1):
        needed = _needed(factors[position + 1 :], output)
        product, labels = _multiplied(product, labels, x, names, needed)
    order = tuple(labels.index(label) for label in output)
    if order != tuple(range(len(order))):
        product = emit("transpose", product, axes=order)
    # NumPy orders the axes of the result in memory by those of the operands.
    kind = Kind.ARRAY if product.shape else Kind.SCALAR
    result = fresh(product, kind, contiguous=product.ndim < 2)
    return result if out is None else into(out, result)


def _view(subscripts: str, x: TracedArray, labels: Labels, output: Labels) -> TracedArray:
    """One operand of which nothing is summed: NumPy gives a view of it."""
    recipe = partial(np.einsum, subscripts)
    if len(labels) == len(output):
        return rearranged(x, recipe)

    def reader(handle: Handle) -> Handle:
        part, names = _without_repeats(subscripts, TracedArray(require_trace(), handle), labels)
        return fresh(np.transpose(part, [names.index(name) for name in output])).value

    def writer(handle: Handle, new: Handle) -> NoReturn:
        raise UnsupportedError(
            "a diagonal made by np.einsum is read only here",
            given=f"an update through np.einsum({subscripts!r}, x)",
            hint="use np.fill_diagonal, or x[i, i] with i = np.arange(len(x))",
        )

    return x.make_view(reader, writer, recipe)


def _parse(subscripts: str, arrays: Sequence[TracedArray]) -> tuple[list[Labels], Labels]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ShapeError(
            "np.einsum takes one subscript term per operand",
            given=f"{subscripts!r} with {len(arrays)} operands",
        )
    inputs = [_labels(subscripts, term, x.ndim) for term, x in zip(terms, arrays, strict=True)]
    dots = max((tuple(n for n in labels if n[0] == ".") for labels in inputs), key=len)
    if arrow:
        output = _labels(subscripts, right, len(right.replace("...", "")) + len(dots))
    else:
        letters = [n for labels in inputs for n in labels if n[0] != "."]
        output = (*dots, *sorted(n for n in set(letters) if letters.count(n) == 1))
    known = {n for labels in inputs for n in labels}
    if len(set(output)) != len(output) or not set(output) <= known:
        raise ShapeError(
            "the output of np.einsum names axes of its operands, each once", given=subscripts
        )
    return inputs, output


def _labels(subscripts: str, term: str, rank: int) -> Labels:
    """One label per axis of an operand of `rank` axes."""
    before, dots, after = term.partition("...")
    count = rank - len(before) - len(after)
    letters = before + after
    if (
        count < 0
        or (count and not dots)
        or (letters and not (letters.isalpha() and letters.isascii()))
    ):
        raise ShapeError(
            "each term of np.einsum has one letter per axis, or ... for the rest",
            given=f"term {term!r} of {subscripts!r} for {rank} axes",
        )
    return (*before, *(f".{n}" for n in reversed(range(count))), *after)


def _without_repeats(subscripts: str, x: TracedArray, labels: Labels) -> tuple[TracedArray, Labels]:
    """The diagonal over axes that bear one label, which then stands last."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(
                    f"axes with one label have one extent (np.einsum {subscripts!r})",
                    given=f"{label!r} for extents {x.shape[first]} and {x.shape[second]}",
                )
            x = np.diagonal(x, 0, first, second)  # type: ignore
            labels = (*(n for i, n in enumerate(labels) if i not in (first, second)), label)
    return x, labels


def _with_full_extents(
    subscripts: str, factors: Sequence[tuple[TracedArray, Labels]]
) -> list[tuple[TracedArray, Labels]]:
    """Axes of extent one that meet longer ones are dropped: their factor is the same everywhere."""
    extents: dict[str, int] = {}
    for x, labels in factors:
        for label, extent in zip(labels, x.shape, strict=True):
            known = extents.setdefault(label, extent)
            if 1 not in (known, extent) and known != extent:
                raise ShapeError(
                    f"axes with one label have one extent (np.einsum {subscripts!r})",
                    given=f"{label!r} for extents {known} and {extent}",
                )
            extents[label] = extent if known == 1 else known
    result = []
    for x, labels in factors:
        kept = [n == extents[label] for n, label in zip(x.shape, labels, strict=True)]
        if not all(kept):
            x = reshaped(x, tuple(n for n, keep in zip(x.shape, kept, strict=True) if keep))
            labels = tuple(n for n, keep in zip(labels, kept, strict=True) if keep)
        result.append((x, labels))
    return result


def _needed(later: Sequence[tuple[TracedArray, Labels]], output: Labels) -> set[str]:
    return set(output).union(*(labels for _, labels in later))


def _summed(x: TracedArray, labels: Labels, needed: set[str]) -> tuple[TracedArray, Labels]:
    """Axes that nothing else needs, summed away."""
    axes = tuple(axis for axis, label in enumerate(labels) if label not in needed)
    if not axes:
        return x, labels
    dtype = x.dtype
    return np.sum(x, axis=axes, dtype=dtype), tuple(n for n in labels if n in needed)  # type: ignore


def _multiplied(
    x: TracedArray, left: Labels, y: TracedArray, right: Labels, needed: set[str]
) -> tuple[TracedArray, Labels]:
    """The product of two factors, summed over common labels that nothing else needs."""
    x, left = _summed(x, left, needed | set(right))
    y, right = _summed(y, right, needed | set(left))
    common = [label for label in left if label in right]
    batch = [label for label in common if label in needed]
    contract = [label for label in common if label not in needed]
    pairs = [
        (tuple(map(left.index, names)), tuple(map(right.index, names)))
        for names in (contract, batch)
    ]
    product = contraction.dot(x, y, *pairs)
    rest = [n for n in (*left, *right) if n not in common]
    return product, (*batch, *rest)


TABLE: Table = {np.einsum: einsum}
"""Einstein summation."""
