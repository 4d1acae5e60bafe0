"""Derivatives of ufuncs that are formulas, where their case distinctions meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl

POINTS: list[tuple[Callable[..., Any], tuple[float, ...]]] = [
    (np.hypot, (1.0, 1.0)),
    (np.hypot, (-2.0, 2.0)),
    (np.hypot, (3.0, 0.0)),
    (np.hypot, (0.0, -0.5)),
    (np.logaddexp, (0.0, 0.0)),
    (np.logaddexp, (-700.0, -700.0)),
    (np.logaddexp, (3.0, -1.0)),
    (np.logaddexp2, (1.5, 1.5)),
    (np.logaddexp2, (0.25, 9.0)),
    (np.fmod, (5.3, 2.0)),
    (np.fmod, (-5.3, 2.0)),
    (np.copysign, (1.5, -2.0)),
    (np.fmax, (1.5, -2.0)),
    (np.fmin, (1.5, -2.0)),
    (np.heaviside, (0.5, 0.2)),
    (np.float_power, (1.7, 2.5)),
    (np.reciprocal, (0.4,)),
    (np.square, (0.0,)),
    (np.deg2rad, (0.3,)),
    (np.rad2deg, (0.3,)),
    (np.sinc, (0.3,)),
]


@pytest.mark.parametrize(("ufunc", "point"), POINTS, ids=str)
def test_derivatives_to_second_order_are_the_numerical_ones(
    ufunc: Callable[..., Any], point: tuple[float, ...]
) -> None:
    tl.check_grads(lambda *x: ufunc(*x), tuple(map(np.float64, point)), order=2)


def test_the_gradient_of_hypot_does_not_overflow() -> None:
    gradient = tl.grad(np.hypot, argnums=(0, 1))(1e200, 1e200)
    np.testing.assert_allclose(gradient, np.sqrt([0.5, 0.5]), rtol=1e-14)


def test_one_sided_infinities_do_not_spoil_gradients() -> None:
    x, y = np.array([1.0, -np.inf, np.inf]), np.array([-np.inf, 2.0, 2.0])
    gradient = tl.grad(lambda x, y: np.sum(np.logaddexp(x, y)))(x, y)
    np.testing.assert_array_equal(gradient, [1.0, 0.0, 1.0])


def test_unselected_branches_do_not_spoil_gradients() -> None:
    x = np.array([0.0, 1e-300, 3.0])
    gradient = tl.grad(lambda x: np.sum(np.hypot(x, 0.0)))(x)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1:], [1.0, 1.0])
