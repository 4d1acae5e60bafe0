"""What the arguments of a traced function are: `ArgumentSpec`, one per leaf."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir.errors import ArgumentError, DTypeError
from ...ir.pytree import Leaf, Path, TreeDef, path_text
from ...ir.types import DTYPE_NAMES, DType, Shape, TensorType
from .array import WEAK_DTYPES, Kind
from .foreign import ForeignArray

_NUMBER_KINDS: dict[type, Kind] = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT}
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True)
class ArgumentSpec(Leaf):
    """All that a trace depends on in an argument leaf.

    `kind` distinguishes arrays, NumPy scalars and Python numbers (then `dtype` is that of the
    kind and `shape` is `()`). `contiguous` says that the array is known to be row-major and
    contiguous, which decides whether a reshape of it is a view. Hashable: equal specs give equal
    programs.
    """

    dtype: DType
    shape: Shape = ()
    kind: Kind = Kind.ARRAY
    contiguous: bool = True

    @property
    def type(self) -> TensorType:
        """The type of the graph input."""
        return TensorType(self.dtype, self.shape)


def spec_of(leaf: Any, name: str) -> ArgumentSpec:
    """The spec of a concrete leaf called `name` (in errors); a spec is its own.

    Raises `ArgumentError` for objects that are no arrays or numbers, `DTypeError` for element
    types that programs cannot hold.
    """
    if type(leaf) is np.ndarray:
        dtype = _checked(leaf.dtype, name)
        return ArgumentSpec(dtype, leaf.shape, Kind.ARRAY, leaf.flags.c_contiguous)
    kind = _NUMBER_KINDS.get(type(leaf))
    if kind is not None:
        if kind is Kind.INT and not _INT64.min <= leaf <= _INT64.max:
            raise ArgumentError(
                f"the integer {name} fits into 64 bits",
                given=f"{leaf:.6e}" if abs(leaf) < 10**300 else "a larger one",
                hint=f"pass a float, or declare it in tl.compile(static=[{_root(name)!r}])",
            )
        return ArgumentSpec(WEAK_DTYPES[kind], (), kind)
    if isinstance(leaf, np.generic):
        return ArgumentSpec(_checked(leaf.dtype, name), (), Kind.SCALAR)
    if isinstance(leaf, ArgumentSpec):
        return leaf
    raise _not_an_argument(leaf, name)


def _checked(dtype: DType, name: str) -> DType:
    native: DType = dtype.newbyteorder("=")
    if native not in DTYPE_NAMES.values():
        raise DTypeError(
            f"the elements of {name} are booleans, integers, float32 or float64",
            given=f"dtype {dtype!s}",
            hint=f"convert it first, for example {name}.astype(np.float64)",
        )
    return native


def _root(name: str) -> str:
    return name.partition("[")[0].partition(".")[0]


def _not_an_argument(leaf: Any, name: str) -> ArgumentError:
    kind = type(leaf).__name__
    if isinstance(leaf, np.ndarray):
        return ArgumentError(
            f"the argument {name} is a plain numpy.ndarray",
            given=f"a {kind}",
            hint="convert it with np.asarray if its extra behaviour is not needed",
        )
    if isinstance(leaf, ForeignArray):
        return ArgumentError(
            f"the argument {name} of a compiled or transformed function is an array",
            given=f"a {kind}, whose operations run one by one",
            hint=f"pass {name}.numpy(), or call the function itself and use backward()",
        )
    if isinstance(leaf, complex):
        return ArgumentError(f"the argument {name} is real", given=f"{leaf!r}")
    return ArgumentError(
        f"the argument {name} is an array, a number, or a dict, list, tuple or dataclass of these",
        given=f"{kind} {leaf!r:.60}",
        hint=f"if it steers what is computed, declare it: tl.compile(static=[{_root(name)!r}])",
    )


def leaf_names(fn: Callable[..., Any], tree: TreeDef) -> list[str]:
    """How the user writes each leaf of `(args, kwargs)`: `x`, `params['w1'][0]`."""
    positional = _positional_names(fn)
    return [_name(positional, path) for path in tree.leaf_paths()]


def argument_path(fn: Callable[..., Any], path: Path) -> str:
    """How the user writes a path into `(args, kwargs)`."""
    return _name(_positional_names(fn), path)


def _name(positional: list[str], path: Path) -> str:
    if len(path) < 2:
        return "list"
    (_, which), (_, key), *rest = path
    if which == 1:
        return str(key) + path_text(tuple(rest))
    root = positional[key] if key < len(positional) else f"argument {key}"
    return root + path_text(tuple(rest))


def _positional_names(fn: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]
