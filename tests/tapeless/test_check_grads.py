"""`check_grads` accepts right derivatives of any order and mode, and names what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DifferentiationError

X = np.array([0.3, -1.2, 2.0])


def wrong_sine(factor: float) -> tl.custom_vjp:
    """The sine with a derivative that is wrong by `factor`."""
    return tl.custom_vjp(lambda x: np.sin(x)).defvjp(
        lambda x: (np.sin(x), x), lambda x, g: (g * np.cos(x) * factor,)
    )


def test_right_derivatives_pass():
    tl.check_grads(lambda x: np.sum(np.tanh(x) * x), (X,))
    tl.check_grads(lambda p, y: {"a": p["w"] @ y, "n": 3}, ({"w": np.outer(X, X)}, X))
    tl.check_grads(lambda x, n: x**n, (2.0, 3))
    tl.check_grads(np.exp, (X.astype(np.float32),))
    tl.check_grads(lambda x: np.maximum(x, 0.0), (X,), order=1)


def test_third_order_passes():
    tl.check_grads(lambda x: np.sin(x) * x, (np.array([0.4, 1.1]),), order=3)


def test_a_right_custom_derivative_passes_in_reverse_mode():
    tl.check_grads(wrong_sine(1.0), (X,), modes=("rev",))


def test_a_wrong_derivative_is_named_with_expected_and_got():
    wrong = wrong_sine(1.001)
    with pytest.raises(
        DifferentiationError,
        match=r"the derivative with respect to p\['w'\]\[1\] along a random direction, in reverse "
        r"mode, must be the numerical one, -?\d.*; given: -?\d",
    ):
        tl.check_grads(
            lambda p, y: np.sum(p["w"][0] * y) + np.sum(wrong(p["w"][1])),
            ({"w": [X, X]}, X),
            modes=("rev",),
        )


def test_the_tolerance_can_be_chosen():
    tl.check_grads(wrong_sine(1.0001), (X,), order=1, modes=("rev",), tolerance=1e-2)


def test_a_wrong_second_derivative_is_found():
    # The derivative is right in value, but its own derivative is held constant.
    half_wrong = tl.custom_vjp(lambda x: x**2).defvjp(
        lambda x: (x**2, x), lambda x, g: (g * 2 * tl.stop_gradient(x),)
    )
    tl.check_grads(half_wrong, (X,), order=1, modes=("rev",))
    with pytest.raises(DifferentiationError, match="derivative of the reverse derivative"):
        tl.check_grads(half_wrong, (X,), order=2, modes=("rev",))


def test_a_wrong_forward_derivative_is_found():
    with pytest.raises(DifferentiationError, match=r"with respect to x .* in forward mode"):
        tl.check_grads(lambda x: tl.stop_gradient(x) * x, (X,), modes=("fwd",))


@pytest.mark.parametrize(
    "options", [{"order": 0}, {"modes": ()}, {"modes": ("forward",)}, {"modes": "sideways"}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ArgumentError, match='order >= 1 and modes out of "fwd" and "rev"'):
        tl.check_grads(np.sin, (X,), **options)


def test_floats_must_go_in_and_come_out():
    with pytest.raises(DifferentiationError, match=r"needs an argument with floating.* x: int64"):
        tl.check_grads(lambda x: x * 1.0, (np.arange(3),))
    with pytest.raises(DifferentiationError, match="needs a floating-point result"):
        tl.check_grads(lambda x: np.argmax(x), (X,))
