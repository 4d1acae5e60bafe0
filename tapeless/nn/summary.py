"""What a model is made of, as a table: layers, output shapes, parameters, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..ir.errors import ArgumentError
from .layers import Layer, Sequential
from .layers.base import Shape, checked_shape

_HEADINGS = ("layer", "output shape", "parameters", "bytes")
_LEFT = (True, True, False, False)
"""Which columns are aligned on the left."""


class Row(NamedTuple):
    """One layer: how deep it lies, what it is called, its output shape, how many parameters."""

    depth: int
    layer: str
    output_shape: Shape
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model for examples of `input_shape`; prints as a table, also in notebooks.

    `parameters` counts the numbers in all parameters, `bytes` their size as `dtype`.
    """

    input_shape: Shape
    rows: tuple[Row, ...]
    dtype: np.dtype[Any]

    @property
    def parameters(self) -> int:
        """How many numbers all layers learn."""
        return sum(row.parameters for row in self.rows)

    @property
    def bytes(self) -> int:
        """The memory of all parameters."""
        return self.parameters * self.dtype.itemsize

    def _cells(self) -> list[tuple[str, ...]]:
        size = self.dtype.itemsize
        rows = [
            ("  " * depth + name, str(shape), *_counts(count, size))
            for depth, name, shape, count in self.rows
        ]
        total = _counts(self.parameters, size)
        return [("input", str(self.input_shape), "", ""), *rows, ("total", str(self.dtype), *total)]

    def __str__(self) -> str:
        cells = [_HEADINGS, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [_line(row, widths) for row in cells]
        rule = "─" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = _html_row(_HEADINGS, "th")
        body = "".join(_html_row(row, "td") for row in self._cells())
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def summary(model: Layer, input_shape: Any, dtype: Any = np.float64) -> Summary:
    """The layers of `model` for examples of `input_shape`, with parameters of `dtype`.

    Nothing is allocated. Raises as `model.output_shape` does, and `ArgumentError` for what is no
    layer.
    """
    if not isinstance(model, Layer):
        raise ArgumentError("summary takes a layer", given=f"{type(model).__name__} {model!r:.60}")
    model.output_shape(input_shape)
    shape = checked_shape(input_shape)
    return Summary(shape, tuple(_rows(model, shape, 0)), np.dtype(dtype))


def _rows(layer: Layer, shape: Shape, depth: int) -> Iterator[Row]:
    result = layer.output_shape(shape)
    if not isinstance(layer, Sequential):
        count = sum(math.prod(each.shape) for each in layer.parameters(shape).values())
        yield Row(depth, layer.title, result, count)
        return
    yield Row(depth, layer.title, result, 0)
    for inner, given, _ in layer.steps(shape):
        yield from _rows(inner, given, depth + 1)


def _counts(count: int, itemsize: int) -> tuple[str, str]:
    return f"{count:,}", f"{count * itemsize:,}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if left else cell.rjust(width)
        for cell, width, left in zip(row, widths, _LEFT, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _html_row(row: Sequence[str], tag: str) -> str:
    # Figure spaces keep the depth of a layer, which HTML would drop.
    cells = [escape(cell).replace("  ", "\u2007\u2007") for cell in row]
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"
