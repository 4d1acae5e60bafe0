"""How far may a correct implementation be from the interpreter, element by element?

Rounding is allowed in sums, products and elementary functions, and a graph may magnify it. So the
graph is run a few times more with those ops shaken by some units in the last place (the stochastic
arithmetic of Vignes, Math. Comput. Simul. 35 (1993)); the spread of an output element says what
rounding does to it. An element that the shaking changes altogether is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeless.ir.graph import Graph, Node, Value
from tapeless.ir.interpreter import interpret, run_node
from tapeless.ir.ops import OPS, Family

from .op_records import EITHER_ZERO, ROUNDED

Array = np.ndarray[Any, Any]

RUNS = 6
SHAKE = 8.0
"""Units in the last place by which rounded results and the terms of sums are shaken."""

SLACK = 8.0
"""Units in the last place that are allowed in any case."""

ARITHMETIC = frozenset(["add", "sub", "mul", "div", "sqrt", "convert"])
"""Ops that are exact for exact operands, and round what is not."""

BEYOND = (np.inf, -np.inf, np.nan)
"""What a sum can become that leaves the range of its type on the way."""

SUMMING = frozenset(name for name in ROUNDED if OPS[name].family is not Family.ELEMENTWISE)
"""Ops whose rounding is relative to their terms, not to their result."""

WIDER = {np.dtype("f4"): np.dtype("f8"), np.dtype("f8"): np.dtype(np.longdouble)}
"""In which the shaken runs sum, so that the interpreter's own error counts: along leading axes
NumPy adds one term after the other, and many alike are rounded alike."""


@dataclass(frozen=True)
class Expected:
    """An output of the interpreter and how far from it each element may be (inf: not compared)."""

    array: Array
    tolerance: Array

    @property
    def compared(self) -> float:
        """The fraction of elements that are compared."""
        return float(np.mean(np.isfinite(self.tolerance))) if self.array.size else 1.0

    def wrong(self, got: Array) -> Array:
        """Which elements of `got` are out of tolerance."""
        assert (got.dtype, got.shape) == (self.array.dtype, self.array.shape)
        with np.errstate(all="ignore"):
            if got.dtype.kind != "f":
                return np.asarray((got != self.array) & (self.tolerance == 0))
            same = (got == self.array) | (np.isnan(got) & np.isnan(self.array))
            # Wider, because the distance of two large numbers may overflow.
            distance = np.abs(got.astype(np.longdouble) - self.array.astype(np.longdouble))
            return np.asarray(~(same | (distance <= self.tolerance) | np.isinf(self.tolerance)))


def expected(graph: Graph, arrays: Sequence[Array]) -> list[Expected]:
    """What the interpreter gives for a graph without sub-graphs, with tolerances."""
    rng = np.random.default_rng(0)
    base = interpret(graph, arrays)
    with np.errstate(all="ignore"):
        shaken = [
            _ShakenRun(rng, BEYOND[number % len(BEYOND)]).run(graph, arrays)
            for number in range(RUNS)
        ]
        return [
            Expected(array, _spread(array, [run[position] for run in shaken]))
            for position, array in enumerate(base)
        ]


def _spread(base: Array, runs: Sequence[Array]) -> Array:
    if base.dtype.kind != "f":
        changed = np.any([run != base for run in runs], axis=0)
        return np.where(changed, np.inf, 0.0)
    center = base.astype(np.longdouble)
    distance = np.zeros(base.shape, np.longdouble)
    for run in runs:
        both_nan = np.isnan(run) & np.isnan(base)
        step = np.where((run == base) | both_nan, 0, np.abs(run.astype(np.longdouble) - center))
        distance = np.maximum(distance, np.where(np.isfinite(step), step, np.inf))
    allowed = 3 * distance + SLACK * np.spacing(np.abs(np.nan_to_num(base)))
    # NaN and infinities of the interpreter are compared exactly, unless shaking changes them.
    return np.asarray(np.where(np.isfinite(base) | (distance > 0), allowed, 0.0))


class _ShakenRun:
    """One run of the interpreter with rounding shaken.

    `beyond` is what a sum becomes that may leave the range of its type.
    """

    def __init__(self, rng: np.random.Generator, beyond: float) -> None:
        self.rng = rng
        self.beyond = beyond
        self.rounded: set[Value] = set()

    def run(self, graph: Graph, arrays: Sequence[Array]) -> list[Array]:
        """The outputs of the graph."""
        env: dict[Value, Array] = dict(zip(graph.inputs, arrays, strict=True))
        for node in graph.nodes:
            if node.op.name in ROUNDED or not self.rounded.isdisjoint(node.inputs):
                self.rounded.update(node.outputs)
            results = self.run_node(node, [env[value] for value in node.inputs])
            env.update(zip(node.outputs, results, strict=True))
        return [env[value] for value in graph.outputs]

    def run_node(self, node: Node, arrays: Sequence[Array]) -> list[Array]:
        """The results of one node; an exact op is shaken once its operands are not exact."""
        name = node.op.name
        if name in SUMMING:
            results = self._sum(node, arrays)
        else:
            results = run_node(node, arrays)
        if name in ROUNDED:
            return [_shake(array, self.rng, SHAKE) for array in results]
        if name in ARITHMETIC and node.output in self.rounded:
            return [_shake(array, self.rng, 1.0) for array in results]
        if name in EITHER_ZERO:
            return [_shake(array, self.rng, 0.0) for array in results]
        return results

    def _sum(self, node: Node, arrays: Sequence[Array]) -> list[Array]:
        terms = [_shake(array, self.rng, SHAKE) for array in arrays]
        dtype = node.output.type.dtype
        if dtype.kind != "f":
            return run_node(node, terms)
        assert node.op.reference is not None
        wide = [array.astype(WIDER[dtype]) if array.dtype == dtype else array for array in terms]
        result = np.asarray(node.op.reference(*wide, **node.attrs)).astype(dtype)
        return [np.where(_may_overflow(node, arrays), result.dtype.type(self.beyond), result)]


def _may_overflow(node: Node, arrays: Sequence[Array]) -> Array:
    """Where the order of terms decides whether a float sum or product leaves its range."""
    sizes = [_finite_size(array) for array in arrays]
    if node.op.name != "prod":
        return ~np.isfinite(run_node(node, sizes)[0])
    (size,), dtype = sizes, node.output.type.dtype
    (largest,) = run_node(node, [np.maximum(size, dtype.type(1))])
    least_factor = np.where(size > 0, np.minimum(size, dtype.type(1)), dtype.type(1))
    (least,) = run_node(node, [least_factor])
    return ~np.isfinite(largest) | (least < np.finfo(dtype).tiny)


def _finite_size(array: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    return np.where(np.isfinite(array), np.abs(array), array.dtype.type(0))


def _shake(array: Array, rng: np.random.Generator, ulps: float) -> Array:
    """Floats moved by `ulps` / 2 to `ulps` units in the last place, up or down; zeros get a random
    sign. No move is small: of many elements, some would stay where they are in every run."""
    if array.dtype.kind != "f":
        return array
    unit = np.spacing(np.abs(np.nan_to_num(array)))
    way = np.where(rng.random(array.shape) < 0.5, -1, 1)
    steps = np.rint(rng.uniform(ulps / 2, ulps, array.shape)) * way
    moved = array + (unit * steps).astype(array.dtype)
    zero = np.where(rng.random(array.shape) < 0.5, array.dtype.type(0.0), array.dtype.type(-0.0))
    return np.asarray(np.where(array == 0, zero, np.where(np.isfinite(moved), moved, array)))
