"""Derivatives near singularities and far out keep their relative accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from tapeless.ir.types import FLOAT64, TensorType

from .jacobians import graph_of, run, vjp_graph

DERIVATIVES: dict[str, Callable[[Any], Any]] = {
    "expm1": mp.exp,
    "log1p": lambda x: 1 / (1 + x),
    "arcsin": lambda x: 1 / mp.sqrt(1 - x * x),
    "arccos": lambda x: -1 / mp.sqrt(1 - x * x),
    "arctanh": lambda x: 1 / (1 - x * x),
    "arccosh": lambda x: 1 / mp.sqrt(x * x - 1),
    "arctan": lambda x: 1 / (1 + x * x),
    "arcsinh": lambda x: 1 / mp.sqrt(1 + x * x),
    "tan": lambda x: 1 / mp.cos(x) ** 2,
    "exp2": lambda x: mp.log(2) * mpf(2) ** x,
    "log2": lambda x: 1 / (x * mp.log(2)),
    "log10": lambda x: 1 / (x * mp.log(10)),
    "cbrt": lambda x: 1 / (3 * mp.cbrt(x) ** 2),
    "sqrt": lambda x: 1 / (2 * mp.sqrt(x)),
}
POINTS: dict[str, list[float]] = {
    "expm1": [-700, -40, -1e-20, 1e-300, 700],
    "log1p": [-1 + 2**-52, -1 + 1e-9, -1e-300, 1e300],
    "arcsin": [-1 + 2**-53, 1 - 1e-12, 1e-200, 0.7],
    "arccos": [-1 + 2**-53, 1 - 1e-12, 1e-200, 0.7],
    "arctanh": [-1 + 2**-53, 1 - 1e-12, 1e-200, 0.7],
    "arccosh": [1 + 2**-52, 1 + 1e-9, 3, 1e300],
    "arctan": [1e-200, 1, 1e150],
    "arcsinh": [1e-200, 1, 1e150],
    "tan": [1.5707963, -3, 1e-200],
    "exp2": [-1000, 1e-20, 1000],
    "log2": [1e-300, 1, 1e300],
    "log10": [1e-300, 1, 1e300],
    "cbrt": [1e-300, 1, 1e300],
    "sqrt": [1e-300, 1, 1e300],
}


@pytest.mark.parametrize("op", sorted(POINTS))
def test_derivative_is_accurate_in_hard_places(op: str) -> None:
    points = np.array(POINTS[op])
    graph = graph_of([TensorType(FLOAT64, points.shape)], lambda emit, xs: [emit(op, *xs)])
    (got,) = run(vjp_graph(graph), [points, np.ones(points.size)])
    with mpmath.workdps(60):
        expected = [float(DERIVATIVES[op](mpf(float(x)))) for x in points]
    np.testing.assert_allclose(got, expected, rtol=4e-15 if op != "tan" else 1e-14)


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1.0, 1e200])
def test_the_gradient_of_an_angle_neither_overflows_nor_underflows(size: float) -> None:
    graph = graph_of([TensorType(FLOAT64)] * 2, lambda emit, xs: [emit("arctan2", *xs)])
    got = run(vjp_graph(graph), [np.array(3 * size), np.array(4 * size), np.array(1.0)])
    np.testing.assert_allclose(got, [4 / (25 * size), -3 / (25 * size)], rtol=1e-15)
