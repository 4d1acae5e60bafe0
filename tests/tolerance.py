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

SUMMING = frozenset(name for name in ROUNDED if OPS[name].family is not Family.ELEMENTWISE)
"""Ops whose rounding is relative to their terms, not to their result."""


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
        shaken = [_run_shaken(graph, arrays, rng) for _ in range(RUNS)]
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


def _run_shaken(graph: Graph, arrays: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    env: dict[Value, Array] = dict(zip(graph.inputs, arrays, strict=True))
    for node in graph.nodes:
        results = _run_node_shaken(node, [env[value] for value in node.inputs], rng)
        env.update(zip(node.outputs, results, strict=True))
    return [env[value] for value in graph.outputs]


def _run_node_shaken(node: Node, arrays: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    if node.op.name in SUMMING:
        arrays = [_shake(array, rng, SHAKE) for array in arrays]
    results = run_node(node, arrays)
    if node.op.name in ROUNDED:
        return [_shake(array, rng, SHAKE) for array in results]
    if node.op.name in EITHER_ZERO:
        return [_shake(array, rng, 0.0) for array in results]
    return results


def _shake(array: Array, rng: np.random.Generator, ulps: float) -> Array:
    """Floats moved by up to `ulps` units in the last place; zeros get a random sign."""
    if array.dtype.kind != "f":
        return array
    unit = np.spacing(np.abs(np.nan_to_num(array)))
    moved = array + (unit * np.rint(rng.uniform(-ulps, ulps, array.shape))).astype(array.dtype)
    zero = np.where(rng.random(array.shape) < 0.5, array.dtype.type(0.0), array.dtype.type(-0.0))
    return np.asarray(np.where(array == 0, zero, np.where(np.isfinite(array), moved, array)))
