"""Initial values: spread, bounds, orthogonality, dtypes; errors."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from tapeless.errors import ShapeError
from tapeless.nn import initializers

MATRIX, KERNEL = (120, 80), (16, 12, 5, 5)
"""(inputs, outputs), and (outputs, inputs, *window) with fans of 300 and 400."""

SPREADS: dict[str, tuple[float, float]] = {
    # variance for the matrix and for the kernel
    "glorot_uniform": (2 / 200, 2 / 700),
    "glorot_normal": (2 / 200, 2 / 700),
    "he_uniform": (2 / 120, 2 / 300),
    "he_normal": (2 / 120, 2 / 300),
    "lecun_uniform": (1 / 120, 1 / 300),
    "lecun_normal": (1 / 120, 1 / 300),
    "normal": (0.05**2, 0.05**2),
    "truncated_normal": (0.05**2, 0.05**2),
    "uniform": (0.1**2 / 12, 0.1**2 / 12),
}


@pytest.mark.parametrize("name", SPREADS)
def test_values_have_the_variance_and_mean_that_are_documented(name: str) -> None:
    make = getattr(initializers, name)
    for shape, variance in zip((MATRIX, KERNEL), SPREADS[name], strict=True):
        drawn = np.stack([make(np.random.default_rng(seed), shape) for seed in range(12)])
        deviation = variance**0.5
        assert abs(drawn.mean()) < 5 * deviation / drawn.size**0.5
        assert drawn.var() == pytest.approx(variance, rel=0.02)
        bound = 3**0.5 if "uniform" in name else 2 / 0.8796
        if name != "normal":
            assert 0.98 * bound < np.abs(drawn).max() / deviation <= bound


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (8, 3, 2, 2), (3, 8, 2)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape: Any) -> None:
    q = initializers.orthogonal(np.random.default_rng(0), shape, gain=2.0)
    assert q.shape == shape
    matrix = q.reshape(shape[0], -1) / 2
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(matrix.shape)), atol=1e-14)


def test_orthogonal_matrices_are_evenly_distributed() -> None:
    """Unlike those of a bare QR decomposition, whose diagonal has one sign."""
    generator = np.random.default_rng(1)
    drawn = np.stack([initializers.orthogonal(generator, (2, 2)) for _ in range(400)])
    assert 120 < np.count_nonzero(drawn[:, 0, 0] > 0) < 280
    assert 120 < np.count_nonzero(np.linalg.det(drawn) > 0) < 280


def test_constants_are_constant() -> None:
    generator = np.random.default_rng(0)
    assert not initializers.zeros(generator, (2, 3)).any()
    assert initializers.ones(generator, (2, 3)).all()
    assert (partial(initializers.constant, value=2.5)(generator, (2, 3)) == 2.5).all()


def test_options_set_place_and_spread() -> None:
    generator = np.random.default_rng(0)
    drawn = initializers.normal(generator, (100, 100), mean=3.0, deviation=0.1)
    assert abs(drawn.mean() - 3) < 0.01
    drawn = initializers.truncated_normal(generator, (100, 100), mean=3.0, deviation=0.1)
    assert abs(drawn.mean() - 3) < 0.01
    drawn = initializers.uniform(generator, (100, 100), low=2.0, high=3.0)
    assert 2 <= drawn.min() < drawn.max() < 3


@pytest.mark.parametrize(
    "name", [n for n in initializers.__all__ if n not in ("Initializer", "fans")]
)
def test_shape_and_dtype_are_those_asked_for_and_equal_seeds_give_equal_values(name: str) -> None:
    make = getattr(initializers, name)
    for dtype in (np.float32, np.float64):
        drawn = make(np.random.default_rng(0), (4, 3), dtype)
        assert (drawn.shape, drawn.dtype) == ((4, 3), np.dtype(dtype))
        assert drawn.flags.c_contiguous
        assert drawn.flags.writeable
        assert np.array_equal(drawn, make(np.random.default_rng(0), (4, 3), dtype))
    assert make(np.random.default_rng(0), (0, 3)).shape == (0, 3)


def test_fans_count_inputs_and_outputs() -> None:
    assert initializers.fans((3, 5)) == (3, 5)
    assert initializers.fans((8, 3, 5, 2)) == (30, 80)
    with pytest.raises(ShapeError, match=r"two axes or more.*\(3,\)"):
        initializers.fans((3,))
    for name in ("he_normal", "glorot_uniform", "lecun_normal", "orthogonal"):
        with pytest.raises(ShapeError, match="two axes or more"):
            getattr(initializers, name)(np.random.default_rng(0), (3,))
