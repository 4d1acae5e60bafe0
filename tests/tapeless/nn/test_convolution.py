"""Convolutions against sums written out, in every mode and under every transformation."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, ShapeError

Array = np.ndarray[Any, Any]


def written_out(
    x: Array,
    w: Array,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Array:
    """The definition, one kernel element at a time, in float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    (a, b), (s, t), (d, e) = padding, stride, dilation
    x = np.pad(x, ((0, 0), (0, 0), (a, a), (b, b)))
    rows = (x.shape[2] - (w.shape[2] - 1) * d - 1) // s + 1
    columns = (x.shape[3] - (w.shape[3] - 1) * e - 1) // t + 1
    out = np.zeros((x.shape[0], w.shape[0], rows, columns))
    depth, each = w.shape[1], w.shape[0] // groups
    for o, c, i, j in np.ndindex(*w.shape):
        plane = x[:, o // each * depth + c, i * d :: s, j * e :: t][:, :rows, :columns]
        out[:, o] += plane * w[o, c, i, j]
    return out


def arrays(
    seed: int, x: tuple[int, ...], w: tuple[int, ...], dtype: str = "f8"
) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype)


GRID = [
    ((2, 4, 9, 11), (6, 4 // groups, *kernel), stride, padding, dilation, groups)
    for kernel, stride, padding, dilation, groups in product(
        [(3, 3), (1, 2)], [(1, 1), (2, 3)], [(0, 0), (1, 2)], [(1, 1), (2, 1)], [1, 2]
    )
]
"""Shapes and options: every combination."""

SHAPES = [
    ((3, 1, 28, 28), (6, 1, 5, 5)),
    ((2, 5, 8, 40), (7, 5, 3, 3)),
    ((1, 17, 6, 6), (33, 17, 1, 1)),
    ((5, 2, 4, 3), (1, 2, 4, 3)),
    ((1, 1, 1, 130), (1, 1, 1, 7)),
    ((2, 3, 70, 5), (40, 3, 2, 2)),
    ((0, 3, 5, 5), (2, 3, 2, 2)),
]
"""Images and kernels of which some are wider than vectors, some narrower, some unit, none."""


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), GRID)
def test_values_are_those_of_the_definition(x, w, stride, padding, dilation, groups) -> None:
    image, kernel = arrays(0, x, w)
    options = (stride, padding, dilation, groups)

    def f(x: Array, w: Array) -> Array:
        return tl.nn.conv2d(x, w, *options)

    expected = written_out(image, kernel, *options)
    compiled = tl.compile(f)
    for got in (f(image, kernel), compiled(image, kernel), compiled.dynamic(image, kernel)):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("x", "w"), SHAPES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_values_for_shapes_of_all_kinds(x, w, dtype: str) -> None:
    image, kernel = (np.rint(4 * array).astype(dtype) for array in arrays(1, x, w))
    expected = written_out(image, kernel, (1, 1), (0, 0), (1, 1), 1)
    got = tl.compile(tl.nn.conv2d)(image, kernel)
    assert got.dtype == np.dtype(dtype)
    assert np.array_equal(got, expected)  # small integers: no rounding


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), GRID[::5])
def test_gradients_are_numerical_ones_in_both_modes(
    x, w, stride, padding, dilation, groups
) -> None:
    image, kernel = arrays(2, (1, *x[1:2], 5, 6), w)
    tl.check_grads(
        lambda x, w: np.sin(tl.nn.conv2d(x, w, stride, padding, dilation, groups)),
        (image, kernel),
        order=2,
    )


@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), GRID)
def test_compiled_gradients_are_those_of_the_tape(x, w, stride, padding, dilation, groups) -> None:
    image, kernel = arrays(3, x, w)

    def loss(x: Array, w: Array) -> Any:
        return np.sum(np.tanh(tl.nn.conv2d(x, w, stride, padding, dilation, groups)))

    gradient = tl.compile(tl.grad(loss, argnums=(0, 1)))
    for got, expected in zip(gradient(image, kernel), gradient.dynamic(image, kernel), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0), (1, 2)])
def test_a_batch_of_convolutions_is_one_after_another(in_axes) -> None:
    x, w = arrays(4, (2, 3, 6, 7), (4, 3, 2, 3))
    batch_x, batch_w = arrays(5, (5, *x.shape), (5, *w.shape))
    given, slices = [], []
    for whole, one, axis in ((batch_x, x, in_axes[0]), (batch_w, w, in_axes[1])):
        given.append(one if axis is None else np.moveaxis(whole, 0, axis).copy())
        slices.append([one] * 5 if axis is None else list(whole))
    got = tl.compile(tl.vmap(tl.nn.conv2d, in_axes=in_axes))(*given)
    expected = np.stack([tl.nn.conv2d(a, b) for a, b in zip(*slices, strict=True)])
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_a_tangent_is_the_sum_of_two_convolutions() -> None:
    x, w = arrays(6, (2, 3, 6, 7), (4, 3, 2, 3))
    dx, dw = arrays(7, x.shape, w.shape)
    _, tangent = tl.jvp(tl.nn.conv2d, (x, w), (dx, dw))
    expected = tl.nn.conv2d(dx, w) + tl.nn.conv2d(x, dw)
    np.testing.assert_allclose(tangent, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 3])
def test_one_axis_is_two_with_one_of_extent_one(groups: int) -> None:
    x, w = arrays(8, (2, 6, 19), (9, 6 // groups, 4))
    got = tl.compile(lambda x, w: tl.nn.conv1d(x, w, 2, 3, 2, groups))(x, w)
    expected = written_out(x[:, :, None], w[:, :, None], (1, 2), (0, 3), (1, 2), groups)
    np.testing.assert_allclose(got, expected[:, :, 0], rtol=1e-12, atol=1e-12)


def test_element_types_are_promoted_as_by_numpy() -> None:
    x, w = arrays(9, (1, 2, 4, 4), (3, 2, 2, 2))
    for left, right in (("f4", "f8"), ("i4", "f4"), ("i2", "i8")):
        a, b = x.astype(left), w.astype(right)
        assert (
            tl.compile(tl.nn.conv2d)(a, b).dtype
            == tl.nn.conv2d(a, b).dtype
            == (a[0, 0, 0, 0] * b[0, 0, 0, 0]).dtype
        )


def test_bias_and_activation_join_the_kernel_of_the_convolution() -> None:
    x, w = arrays(10, (2, 3, 8, 8), (4, 3, 3, 3), "f4")
    b = np.arange(4, dtype="f4")

    @tl.compile
    def layer(x: Array, w: Array, b: Array) -> Array:
        return np.maximum(tl.nn.conv2d(x, w) + b[:, None, None], 0)

    expected = np.maximum(written_out(x, w, (1, 1), (0, 0), (1, 1), 1) + b[:, None, None], 0)
    np.testing.assert_allclose(layer(x, w, b), expected, rtol=1e-5, atol=1e-5)
    assert [node.op.name for node in layer.lower(x, w, b).graph("fused").nodes] == ["fused"]


def test_sliding_windows_of_a_users_own_are_a_convolution_too() -> None:
    x, w = arrays(11, (2, 3, 8, 9), (4, 3, 3, 2), "f4")

    @tl.compile
    def own(x: Array, w: Array) -> Array:
        shown = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(2, 3))[:, :, ::2]
        return np.einsum("ocij,ncpqij->nopq", w, shown)

    expected = written_out(x, w, (2, 1), (0, 0), (1, 1), 1)
    np.testing.assert_allclose(own(x, w), expected, rtol=1e-5, atol=1e-5)
    assert [node.op.name for node in own.lower(x, w).graph("fused").nodes] == ["fused"]


def test_the_gradient_of_the_image_is_a_convolution_not_a_scatter() -> None:
    x, w = arrays(12, (2, 3, 8, 9), (4, 3, 3, 2))
    gradient = tl.compile(tl.grad(lambda x, w: np.sum(tl.nn.conv2d(x, w, padding=1) ** 2)))
    names = [node.op.name for node in gradient.lower(x, w).graph("optimized").nodes]
    assert names.count("windows") == 2
    assert "unwindow" not in names


X, W = np.ones((2, 4, 5, 6)), np.ones((6, 4, 3, 3))

BAD: list[tuple[type[Exception], str, Any]] = [
    (ShapeError, "axes \\(n, c, h, w\\)", lambda: tl.nn.conv2d(X[0], W)),
    (ShapeError, "axes \\(n, c, h\\)", lambda: tl.nn.conv1d(X, W)),
    (ShapeError, "4 axes.*\\(6, 4, 3\\)", lambda: tl.nn.conv2d(X, W[..., 0])),
    (ShapeError, "c / groups.*groups=1", lambda: tl.nn.conv2d(X, W[:, :3])),
    (ShapeError, "c / groups.*groups=4", lambda: tl.nn.conv2d(X, W[:, :1], groups=4)),
    (ShapeError, "fits into the padded input.*7 elements", lambda: tl.nn.conv2d(X, W, dilation=3)),
    (ShapeError, "has elements", lambda: tl.nn.conv2d(X, W[:, :, :0])),
    (ArgumentError, "stride is an int or 2 of them, 1 or more.*0", lambda: tl.nn.conv2d(X, W, 0)),
    (ArgumentError, "padding.*0 or more.*-1", lambda: tl.nn.conv2d(X, W, padding=-1)),
    (ArgumentError, "dilation.*\\(1, 2, 3\\)", lambda: tl.nn.conv2d(X, W, dilation=(1, 2, 3))),
    (ArgumentError, "groups is one int.*1.5", lambda: tl.nn.conv2d(X, W, groups=1.5)),
]


@pytest.mark.parametrize(("error", "message", "call"), BAD)
def test_what_does_not_fit_is_said(error, message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()
    with pytest.raises(error, match=message):
        tl.compile(lambda: call())()
