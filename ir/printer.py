"""Graphs as text.

    graph step(w: f32[64,32], x: f32[128,64]) {
      h: f32[128,32] = dot[batch=((),()), contract=((1,),(0,))] x w   # model.py:7
      return h
    }

The text is a format: `parse_graph(print_graph(g)) == g`, and equal graphs with equal names have
equal text. Names are the values' own where they are free, else short letters. Sub-graphs are
printed where their attribute stands. Long arrays come after the graph, as `data 0 = "base64"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import BACKWARD, Attribute, Graph, Node, Value
from .literals import encode, float_text, readable_texts
from .types import DTYPE_NAMES, DType, TensorType, dtype_name, type_of

INDENT = "  "
COMMENT_COLUMN = 56
"""Comments start here, or two spaces after a longer line."""

LINE_WIDTH = 100
"""A header longer than this has one input per line."""

RESERVED = frozenset(["graph", "return", "data", "nan", "inf", "True", "False"])
"""Words of the format that cannot name a value."""


@dataclass
class DataSection:
    """The long arrays of a graph and its sub-graphs, each once, in order of appearance."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number under which this base64 text is listed."""
        return self.numbers.setdefault(text, len(self.numbers))

    def lines(self) -> list[str]:
        """The section as text."""
        return [f'data {number} = "{text}"' for text, number in self.numbers.items()]


def print_graph(graph: Graph) -> str:
    """The whole graph as text that `parse_graph` reads back."""
    data = DataSection()
    lines = [line for line, _ in graph_lines(graph, data)]
    return "\n".join([*lines, *data.lines()]) + "\n"


def graph_lines(
    graph: Graph, data: DataSection, indent: str = ""
) -> Iterator[tuple[str, Node | None]]:
    """The lines of a graph, each with the node that it belongs to, if any.

    Does not fail on ill-formed graphs, so that the verifier can show them: a value without
    definition, or an element type that the IR does not have, prints with a `?`. The lines of a
    sub-graph are part of its node's one string.
    """
    names = value_names(graph)
    yield _header(graph, names, indent), None
    for node in graph.nodes:
        yield _node_line(node, names, data, indent + INDENT), node
    results = ", ".join(_use(value, names) for value in graph.outputs)
    yield f"{indent}{INDENT}return {results}".rstrip(), None
    yield indent + "}", None


def _header(graph: Graph, names: Mapping[Value, str], indent: str) -> str:
    inputs = [f"{names[value]}: {type_text(value.type)}" for value in graph.inputs]
    start = f"{indent}graph {clean_name(graph.name) or 'graph_'}("
    line = f"{start}{', '.join(inputs)}) {{"
    if len(line) <= LINE_WIDTH:
        return line
    separator = f",\n{indent}{INDENT * 2}"
    return f"{start}\n{indent}{INDENT * 2}{separator.join(inputs)}\n{indent}) {{"


def _node_line(node: Node, names: Mapping[Value, str], data: DataSection, indent: str) -> str:
    binders = ", ".join(f"{names[value]}: {type_text(value.type)}" for value in node.outputs)
    attributes = ", ".join(
        f"{name}={attribute_text(node.attrs[name], data, indent)}"
        for name in _attribute_order(node)
    )
    operands = "".join(f" {_use(value, names)}" for value in node.inputs)
    brackets = f"[{attributes}]" if attributes else ""
    line = f"{indent}{binders} = {node.op.name}{brackets}{operands}"
    phase = BACKWARD if node.phase == BACKWARD else ""
    comment = f"{phase} {node.loc or ''}".strip()
    if not comment:
        return line
    column = len(line.rpartition("\n")[2])
    return f"{line}{' ' * max(2, COMMENT_COLUMN - column)}# {comment}"


def _attribute_order(node: Node) -> list[str]:
    """The declared order; attributes that the op does not have come last."""
    declared = [name for name in node.op.attrs if name in node.attrs]
    return declared + sorted(node.attrs.keys() - set(declared))


def _use(value: Value, names: Mapping[Value, str]) -> str:
    return names.get(value) or f"?{clean_name(value.name)}"


def attribute_text(value: Attribute, data: DataSection, indent: str = "") -> str:
    """An attribute as the parser reads it."""
    if isinstance(value, Graph):
        return "\n".join(line for line, _ in graph_lines(value, data, indent)).lstrip()
    if isinstance(value, np.ndarray | np.generic):
        return _array_text(np.asarray(value), data)
    if isinstance(value, tuple):
        items = ",".join(attribute_text(item, data, indent) for item in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, np.dtype):
        return dtype_text(value)
    if isinstance(value, str):
        return _string_text(value)
    return float_text(value) if isinstance(value, float) else repr(value)


def dtype_text(dtype: DType) -> str:
    """The IR's name of an element type, or NumPy's behind a `?` where the IR has none."""
    return dtype_name(dtype) if dtype in DTYPE_NAMES.values() else f"?{dtype}"


def type_text(type: TensorType) -> str:
    """A type, well formed or not, as text."""
    return f"{dtype_text(type.dtype)}[{','.join(map(str, type.shape))}]"


def _string_text(value: str) -> str:
    escaped = value.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


def _array_text(array: np.ndarray[Any, Any], data: DataSection) -> str:
    if array.dtype not in DTYPE_NAMES.values():
        return f"{dtype_text(array.dtype)}[…]"
    type = type_of(array)
    texts = readable_texts(array)
    if texts is None:
        return f"{type}(data {data.number(encode(array))})"
    return f"{type}({','.join(texts)})"


def clean_name(hint: str) -> str:
    """`hint` as a name of the format: `params["w"]` gives `params_w`; empty if nothing is left."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", hint)
    if name != hint:
        name = name.strip("_")
    if name in RESERVED or name[:1].isdigit():
        name = f"{name}_" if name in RESERVED else f"v{name}"
    return name


def value_names(graph: Graph) -> dict[Value, str]:
    """A unique name for every input and node output, the same in every process.

    The first value that asks for a name gets it; later ones get it with a number. Values without
    a name get the free ones of a, b, …, z, aa, ab, … in order.
    """
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    hints = {value: clean_name(value.name) for value in values}
    taken = set(hints.values())
    owned: set[str] = set()
    counters: dict[str, int] = {}
    letters = free_letters(taken)
    names: dict[Value, str] = {}
    for value, hint in hints.items():
        if not hint:
            names[value] = next(letters)
        elif hint not in owned:
            owned.add(hint)
            names[value] = hint
        else:
            names[value] = _numbered(hint, counters, taken)
    return names


def _numbered(hint: str, counters: dict[str, int], taken: set[str]) -> str:
    while True:
        counters[hint] = counters.get(hint, 0) + 1
        name = f"{hint}_{counters[hint]}"
        if name not in taken:
            taken.add(name)
            return name


def free_letters(taken: set[str]) -> Iterator[str]:
    """The names a, b, …, z, aa, ab, … that are not `taken`; each becomes so when it is given."""
    number = 0
    while True:
        number += 1
        name = _letters(number)
        if name not in taken and name not in RESERVED:
            taken.add(name)
            yield name


def _letters(number: int) -> str:
    """1 is a, 26 is z, 27 is aa: counting in base 26 without a zero."""
    digits: list[str] = []
    while number:
        number, digit = divmod(number - 1, 26)
        digits.append(chr(ord("a") + digit))
    return "".join(reversed(digits))


def excerpt(graph: Graph, culprit: Node | None, note: str, context: int = 12) -> str:
    """The lines around `culprit` (around the end if None) with `note` under it."""
    rows = list(graph_lines(graph, DataSection()))
    at = next((i for i, (_, node) in enumerate(rows) if node is culprit and node), len(rows) - 2)
    first, last = max(0, at - context), min(len(rows), at + context + 1)
    lines: list[str] = [INDENT + "…"] if first else []
    for number, (text, _) in enumerate(rows[first:last], first):
        head, *rest = text.split("\n")
        lines += [head, _underline(head, note), *rest] if number == at else [head, *rest]
    return "\n".join(lines + [INDENT + "…"] * (last < len(rows)))


def _underline(line: str, note: str) -> str:
    width = len(line.partition("  #")[0].strip())
    return f"{' ' * (len(line) - len(line.lstrip()))}{'^' * max(1, width)} {note}"
