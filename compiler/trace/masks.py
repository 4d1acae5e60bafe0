"""Indexing by boolean arrays of unknown content: `x[mask] = v`, `x[mask] += v`, `x[mask].sum()`.

How many elements a mask selects is known only when the program runs, so `x[mask]` is no array
here. It is a `Selection`, which remembers the whole array: elementwise functions apply to all
elements, reductions to those where the mask holds, and assigning it back to `x[mask]` replaces
exactly those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...ir.errors import ShapeError, UnsupportedError
from ...ir.graph import Node, attributes_key
from .array import Handle, Kind, TracedArray
from .context import require_trace
from .lift import broadcast_to, convert, emit, lift
from .reductions import store
from .views import fresh, reshaped


class Selection(np.lib.mixins.NDArrayOperatorsMixin):
    """`x[mask]` for a mask of unknown content covering the axes of `x` from `axis` on.

    `whole` holds a value for every element of `x`; those outside the mask do not count.
    """

    __slots__ = ("axis", "mask", "whole")
    __array_priority__ = 2000.0  # operators with traced arrays come here

    def __init__(self, whole: TracedArray, mask: TracedArray, axis: int) -> None:
        self.whole = whole
        self.mask = mask
        self.axis = axis

    @property
    def where(self) -> TracedArray:
        """The mask with the shape of `whole`."""
        shape = self.whole.shape
        behind = len(shape) - self.axis - self.mask.ndim
        return broadcast_to(reshaped(self.mask, self.mask.shape + (1,) * behind), shape)

    def same_mask(self, other: Selection) -> bool:
        """Whether both select the same positions of arrays of one shape."""
        alike = (self.axis, self.whole.shape) == (other.axis, other.whole.shape)
        return alike and _surely_equal(self.mask, other.mask)

    def spread(self, x: Any) -> TracedArray:
        """An operand or assigned value laid out like `whole`.

        It must not vary along the selected positions, whose number is unknown.
        """
        if isinstance(x, Selection):
            if not self.same_mask(x):
                raise self.unsupported("combining it with a selection by another mask")
            return x.whole
        array = lift(x)
        behind = self.whole.ndim - self.axis - self.mask.ndim
        if array.ndim <= behind:
            return array
        before = array.shape[: array.ndim - behind - 1]
        if array.shape[len(before)] != 1:
            raise self.unsupported(f"an operand of shape {array.shape}")
        trailing = array.shape[len(before) + 1 :]
        return reshaped(array, (*before, *(1,) * self.mask.ndim, *trailing))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if method != "__call__" or options or ufunc.signature or ufunc.nout != 1:
            raise self.unsupported(f"np.{ufunc.__name__}.{method}")
        result = ufunc(*(self.spread(x) for x in inputs))
        whole = fresh(broadcast_to(result, self.whole.shape))
        if out is None:
            return Selection(whole, self.mask, self.axis)
        (target,) = out
        if not isinstance(target, Selection):
            raise self.unsupported("an out= that is no selection")
        target.whole = convert(whole, target.whole.dtype)
        return target

    def __array_function__(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func not in _REDUCTIONS or args != (self,) or kwargs.keys() - {"axis"}:
            raise self.unsupported(f"np.{getattr(func, '__name__', func)} of it")
        if kwargs.get("axis") is not None and (self.whole.ndim, self.axis) != (1, 0):
            raise self.unsupported("reducing it along some axes only")
        return func(fresh(self.whole), where=self.where)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            return lambda: self.__array_function__(_METHODS[name], (), (self,), {})
        raise self.unsupported(f"its attribute {name!r}")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.unsupported("turning it into an array")

    def __len__(self) -> int:
        raise self.unsupported("its length")

    def __getitem__(self, key: Any) -> Any:
        raise self.unsupported("indexing it")

    def __bool__(self) -> bool:
        raise self.unsupported("its truth value")

    def __repr__(self) -> str:
        return f"<x[mask] of unknown length, from {self.whole.type}; use np.where(mask, x, 0)>"

    def unsupported(self, what: str) -> UnsupportedError:
        """The error for a use of `x[mask]` that needs to know how many elements it has."""
        return UnsupportedError(
            "x[mask] has a length known only when the program runs; it can be reduced, computed "
            "with elementwise, and assigned back to x[mask]",
            given=what,
            hint="use np.where(mask, x, otherwise), or positions computed outside the function",
        )


_REDUCTIONS: frozenset[Callable[..., Any]] = frozenset(
    {np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all}
)
_METHODS: Mapping[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in ("sum", "prod", "mean", "var", "std", "any", "all")
}


def _surely_equal(x: TracedArray, y: TracedArray) -> bool:
    """Whether two values are equal whatever the inputs: the same operations on the same values.

    The values of a define-by-run trace are there to be compared.
    """
    pairs: list[tuple[Handle, Handle]] = [(x.value, y.value)]
    producers: dict[Handle, tuple[Node, int]] | None = None
    while pairs:
        left, right = pairs.pop()
        if left is right:
            continue
        if hasattr(left, "array"):
            return bool(np.array_equal(left.array, right.array))
        if producers is None:
            nodes = getattr(require_trace().emitter, "nodes", ())
            producers = {v: (node, i) for node in nodes for i, v in enumerate(node.outputs)}
        if left not in producers or right not in producers:
            return False
        (one, i), (other, j) = producers[left], producers[right]
        if (one.op, i, attributes_key(one.attrs)) != (other.op, j, attributes_key(other.attrs)):
            return False
        pairs.extend(zip(one.inputs, other.inputs, strict=True))
    return True


def assign_selected(x: TracedArray, mask: TracedArray, axis: int, value: Any) -> None:
    """`x[mask] = value`."""
    selection = Selection(x, mask, axis)
    spread = selection.spread(value)
    try:
        new = broadcast_to(convert(spread, x.dtype), x.shape)
    except ShapeError:
        raise selection.unsupported(f"a value of shape {spread.shape} for {x.shape}") from None
    store(x, emit("select", selection.where, new, x, kind=Kind.ARRAY))
