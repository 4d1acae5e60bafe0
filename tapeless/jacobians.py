"""Jacobians and Hessians: one derivative per element, computed for all elements at once by `vmap`.

A Jacobian has the structure of the result with, in place of each leaf, the structure of the
argument; its leaves have the shape of the result leaf followed by that of the argument leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arguments import Argnums, select
from .compiler.trace.array import Kind, TracedArray
from .compiler.trace.context import require_trace
from .compiler.trace.lift import convert, emit
from .compiler.trace.vmap import vmap as map_slices
from .ir.errors import DifferentiationError
from .ir.pytree import TreeDef
from .ir.types import INT64, TensorType, is_float
from .parameters import function_name
from .transforms import Function, Observed, grad, jvp, require_floats, transformed, zeros


def jacobian(fn: Function, argnums: Argnums = 0) -> Function:
    """The Jacobian of `fn` in reverse mode: one backward pass for each element of the result.

    `argnums` as for `grad`; the shapes are said at the top of this module. Raises
    `DifferentiationError` for results and arguments that are not floating-point.
    """
    return transformed(fn, _apply_jacrev, argnums)


jacrev = jacobian


def jacfwd(fn: Function, argnums: Argnums = 0) -> Function:
    """The Jacobian of `fn` in forward mode: one pass for each element of the arguments.

    The same as `jacobian`, faster where the result has more elements than the arguments.
    """
    return transformed(fn, _apply_jacfwd, argnums)


def hessian(fn: Function, argnums: Argnums = 0) -> Function:
    """The Hessian of a scalar function: the Jacobian, in forward mode, of its gradient."""
    return jacfwd(grad(fn, argnums), argnums)


def hvp(fn: Function) -> Function:
    """`hvp(fn)(primals, tangents)`: the Hessian of a scalar function times a vector.

    `primals` and `tangents` are tuples; so is the result, with one entry per primal. The Hessian
    itself is never formed.
    """

    return transformed(fn, apply_hvp)


def apply_hvp(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`hvp` inside a trace."""
    primals, tangents = args
    gradient = grad(fn, tuple(range(len(primals))))
    return jvp(gradient, tuple(primals), tuple(tangents))[1]


def _apply_jacrev(
    fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums
) -> Any:
    probe = _Probe(fn, args, kwargs, argnums)

    def rows(output: int, type: TensorType) -> Any:
        """The derivatives of one result leaf with respect to all selected leaves."""

        def pull(cotangent: TracedArray) -> list[Any]:
            recorded = require_trace().record(fn, args, kwargs)
            seeds: list[Any] = [None] * len(probe.outputs)
            seeds[output] = cotangent
            return recorded.vjp(seeds, probe.selection.leaves)

        found = map_slices(pull, (unit_vectors(type),), [0], lambda tree: [0] * tree.num_leaves)
        return probe.selection.unflatten(
            [_shaped(row, type.shape + row.shape[1:]) for row in found]
        )

    return probe.structure.unflatten([rows(i, type) for i, type in enumerate(probe.outputs)])


def _apply_jacfwd(
    fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums
) -> Any:
    probe = _Probe(fn, args, kwargs, argnums)
    ranks = [type.rank for type in probe.outputs]

    def columns(leaf: int, type: TensorType) -> list[Any]:
        """The derivatives of all result leaves with respect to one selected leaf."""

        def push(tangent: TracedArray) -> list[Any]:
            moved = require_trace().record(fn, args, kwargs).jvp({leaf: tangent})
            return [
                zeros(type) if column is None else column
                for column, type in zip(moved, probe.outputs, strict=True)
            ]

        found = map_slices(push, (unit_vectors(type),), [0], lambda tree: ranks)
        return [_shaped(column, column.shape[:-1] + type.shape) for column in found]

    table = [columns(leaf, type) for leaf, type in probe.inputs]
    rows = ([column[i] for column in table] for i in range(len(ranks)))
    return probe.structure.unflatten([probe.selection.unflatten(row) for row in rows])


def _shaped(derivatives: Any, shape: tuple[int, ...]) -> Any:
    """The derivatives with their final axes; a NumPy scalar if there are none."""
    return np.reshape(derivatives, shape) if shape else np.sum(derivatives)


class _Probe:
    """What goes in and comes out of a function: recorded once, for its types alone.

    `inputs` has the number and the type of every selected leaf, `outputs` the types of the result
    leaves, `structure` that of the result. Raises `DifferentiationError` if any is no float.
    """

    def __init__(
        self, fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums
    ) -> None:
        self.selection = select(fn, argnums, args, kwargs)
        observed = Observed(fn)
        leaves = require_trace().record(observed, args, kwargs).in_leaves
        chosen = self.selection.leaves
        require_floats(leaves, chosen, self.selection.paths(), "a Jacobian")
        self.inputs = [(leaf, leaves[leaf].type) for leaf in chosen]
        self.structure: TreeDef = observed.tree
        self.outputs: list[TensorType] = []
        for type, path in zip(observed.types, observed.tree.paths("the result"), strict=True):
            if type is None or not is_float(type.dtype):
                raise DifferentiationError(
                    f"a Jacobian is of floating-point results of {function_name(fn)}",
                    given=f"{path}: {type or 'no array'}",
                )
            self.outputs.append(type)


def unit_vectors(type: TensorType) -> TracedArray:
    """All arrays of the given type that have a single 1, along a new first axis."""
    count = type.size
    numbers = emit("iota", size=count, dtype=INT64)
    row = emit("broadcast", numbers, shape=(count, count), axes=(0,))
    column = emit("broadcast", numbers, shape=(count, count), axes=(1,))
    units = convert(emit("eq", row, column), type.dtype)
    found: TracedArray = emit("reshape", units, kind=Kind.ARRAY, shape=(count, *type.shape))
    return found
