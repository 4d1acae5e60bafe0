"""What every attribute of an op holds, by attribute name.

Type rules assume attributes of the right kind; the parser and the verifier check it first, so
that a rule never meets a string where it expects axes. NumPy integers are refused where Python's
are meant, because they would make equal nodes look different.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .errors import GraphError
from .graph import Attribute, Graph
from .ops.registry import Op
from .types import DTYPE_NAMES


def _is_int(value: Attribute) -> bool:
    return type(value) is int


def _is_bool(value: Attribute) -> bool:
    return type(value) is bool


def _is_ints(value: Attribute) -> bool:
    return type(value) is tuple and all(map(_is_int, value))


def _is_bools(value: Attribute) -> bool:
    return type(value) is tuple and all(map(_is_bool, value))


def _is_int_tuples(value: Attribute) -> bool:
    return type(value) is tuple and len(value) == 2 and all(map(_is_ints, value))


def _is_number(value: Attribute) -> bool:
    return type(value) in (int, float, bool)


def _is_array(value: Attribute) -> bool:
    return isinstance(value, np.ndarray | np.generic) and value.dtype in DTYPE_NAMES.values()


def _is_dtype(value: Attribute) -> bool:
    return isinstance(value, np.dtype) and value in DTYPE_NAMES.values()


Kind = tuple[str, Callable[[Attribute], bool]]

INT: Kind = ("an int", _is_int)
BOOL: Kind = ("a bool", _is_bool)
INTS: Kind = ("a tuple of ints", _is_ints)
BOOLS: Kind = ("a tuple of bools", _is_bools)
INT_TUPLES: Kind = ("a pair of tuples of ints", _is_int_tuples)
NUMBER: Kind = ("an int, float or bool", _is_number)
ARRAY: Kind = ("a native array of a supported element type", _is_array)
DTYPE: Kind = ("an element type", _is_dtype)
STRING: Kind = ("a string", lambda value: type(value) is str)
GRAPH: Kind = ("a graph", lambda value: isinstance(value, Graph))

KINDS: Mapping[str, Kind] = {
    "axes": INTS,
    "axis": INT,
    "backward": GRAPH,
    "batch": INT_TUPLES,
    "batched": BOOLS,
    "contract": INT_TUPLES,
    "dilations": INTS,
    "dtype": DTYPE,
    "extents": INTS,
    "fill": NUMBER,
    "forward": GRAPH,
    "graph": GRAPH,
    "high": INTS,
    "interior": INTS,
    "kind": STRING,
    "limits": INTS,
    "low": INTS,
    "reverse": BOOL,
    "seeded": INTS,
    "shape": INTS,
    "size": INT,
    "sizes": INTS,
    "starts": INTS,
    "steps": INTS,
    "strides": INTS,
    "value": ARRAY,
    "wrt": INTS,
}
"""The kind of every attribute; an attribute name means the same in all ops that have it."""


def check_attributes(op: Op, attrs: Mapping[str, Attribute]) -> None:
    """Raise `GraphError` unless `attrs` has exactly the attributes of `op`, of their kinds."""
    if attrs.keys() != set(op.attrs):
        raise GraphError(
            f"{op.name} takes the attributes {sorted(op.attrs)}", given=str(sorted(attrs))
        )
    for name, value in attrs.items():
        description, holds = KINDS[name]
        if not holds(value):
            raise GraphError(
                f"attribute {name} of {op.name} is {description}",
                given=f"{type(value).__name__} {str(value)[:60]}",
            )
