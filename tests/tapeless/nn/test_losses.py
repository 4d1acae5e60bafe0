"""Losses: definitions, reductions, extremes, derivatives, in every mode; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless import nn
from tapeless.errors import ArgumentError, DTypeError, OutOfBoundsError, ShapeError

from .modes import everywhere, gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 5, 4)) * 2
SCORES, LABELS = RNG.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
SHARES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
P = 1 / (1 + np.exp(-X))
T = (Y > 0).astype(np.float64)
SOFT = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)


def _huber(d: Any, delta: float) -> Any:
    return np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))


def _hinge(scores: Any, labels: Any, margin: float) -> Any:
    return [
        sum(max(0.0, s - row[label] + margin) for j, s in enumerate(row) if j != label)
        for row, label in zip(scores, labels, strict=True)
    ]


_ROWS = np.arange(5)
CASES: dict[str, tuple[Any, Any, Any]] = {
    # name: loss of (prediction, reduction), prediction, each example's loss
    "mse": (lambda x, r: nn.mse(x, Y, reduction=r), X, (X - Y) ** 2),
    "mae": (lambda x, r: nn.mae(x, Y, reduction=r), X, np.abs(X - Y)),
    "huber": (lambda x, r: nn.huber(x, Y, 1.5, reduction=r), X, _huber(X - Y, 1.5)),
    "cross_entropy by labels": (
        lambda s, r: nn.cross_entropy(s, LABELS, reduction=r),
        SCORES,
        -np.log(SHARES[_ROWS, LABELS]),
    ),
    "cross_entropy by probabilities": (
        lambda s, r: nn.cross_entropy(s, SOFT, reduction=r),
        SCORES,
        -np.sum(SOFT * np.log(SHARES), axis=1),
    ),
    "cross_entropy smoothed": (
        lambda s, r: nn.cross_entropy(s, LABELS, smoothing=0.2, reduction=r),
        SCORES,
        -np.sum((0.8 * np.eye(4)[LABELS] + 0.05) * np.log(SHARES), axis=1),
    ),
    "nll": (
        lambda logs, r: nn.nll(logs, LABELS, reduction=r),
        np.log(SHARES),
        -np.log(SHARES[_ROWS, LABELS]),
    ),
    "binary_cross_entropy": (
        lambda p, r: nn.binary_cross_entropy(p, T, reduction=r),
        P,
        -(T * np.log(P) + (1 - T) * np.log(1 - P)),
    ),
    "binary_cross_entropy_with_logits": (
        lambda x, r: nn.binary_cross_entropy_with_logits(x, T, reduction=r),
        X,
        -(T * np.log(P) + (1 - T) * np.log(1 - P)),
    ),
    "multiclass_hinge": (
        lambda s, r: nn.multiclass_hinge(s, LABELS, 0.8, reduction=r),
        SCORES,
        _hinge(SCORES, LABELS, 0.8),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_losses_are_their_definitions_in_every_mode_and_reduction(name: str) -> None:
    loss, prediction, each = CASES[name]
    expected = {"none": np.asarray(each), "mean": np.mean(each), "sum": np.sum(each)}

    def all_reductions(x: Any) -> Any:
        return {reduction: loss(x, reduction) for reduction in expected}

    for mode, got in everywhere(all_reductions, prediction).items():
        for reduction, value in expected.items():
            np.testing.assert_allclose(got[reduction], value, rtol=1e-12, err_msg=mode)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_numerical_ones_to_second_order(name: str) -> None:
    loss, prediction, _ = CASES[name]
    tl.check_grads(lambda x: loss(x, "mean"), (prediction,), order=2)


BY_LABELS = ("cross_entropy by labels", "cross_entropy smoothed", "nll", "multiclass_hinge")


@pytest.mark.parametrize("name", BY_LABELS)
def test_losses_by_labels_have_the_dtype_of_the_scores(name: str) -> None:
    loss, prediction, _ = CASES[name]
    for got in everywhere(lambda x: loss(x, "mean"), prediction.astype(np.float32)).values():
        assert got.dtype == np.float32


@pytest.mark.parametrize(
    "loss", [nn.mse, nn.rmse, nn.mae, nn.huber, nn.binary_cross_entropy, nn.cross_entropy]
)
def test_float32_losses_are_float32(loss: Any) -> None:
    for got in everywhere(loss, P.astype(np.float32), SOFT.astype(np.float32)).values():
        assert got.dtype == np.float32


def test_unknown_reductions_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"one of \['mean', 'sum', 'none'\].*'avg'"):
        nn.mse(X, Y, reduction="avg")


def test_rmse_is_the_root_and_has_derivative_0_at_a_perfect_fit() -> None:
    for got in everywhere(nn.rmse, X, Y).values():
        np.testing.assert_allclose(got, np.sqrt(np.mean((X - Y) ** 2)), rtol=1e-14)
    tl.check_grads(lambda x: nn.rmse(x, Y), (X,), order=2)
    for got in gradients(nn.rmse, X, X.copy()).values():
        assert not got.any()


def test_mae_and_huber_have_derivative_0_where_they_are_0_and_huber_1_far_out() -> None:
    x, zero = np.array([0.0, 1e200, -1e200, 1.0]), np.zeros(4)
    for got in gradients(lambda x: nn.mae(x, zero, reduction="sum"), x).values():
        assert got.tolist() == [0, 1, -1, 1]
    for got in gradients(lambda x: nn.huber(x, zero, reduction="sum"), x).values():
        assert got.tolist() == [0, 1, -1, 1]


@pytest.mark.parametrize("loss", [nn.mse, nn.mae, nn.huber, nn.rmse])
def test_a_column_and_a_row_are_not_silently_all_pairs(loss: Any) -> None:
    with pytest.raises(ShapeError, match=r"m?[a-z]+: the target.*\(5, 1\).*\(5,\).*\n.*reshape"):
        loss(X[:, :1], Y[:, 0])
    np.testing.assert_allclose(loss(X, Y[0]), loss(X, np.broadcast_to(Y[0], X.shape)), rtol=1e-14)


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_cross_entropy_takes_labels_of_any_shape(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.standard_normal((*lead, 4)), rng.integers(0, 4, lead)
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    expected = -np.mean(np.log(np.take_along_axis(shares, labels[..., None], -1)))
    for got in everywhere(nn.cross_entropy, scores, labels).values():
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    for got in gradients(nn.cross_entropy, scores, labels).values():
        hot = nn.one_hot(labels, 4)
        np.testing.assert_allclose(got, (shares - hot) / max(1, labels.size), atol=1e-14)


def test_class_weights_weigh_the_mean() -> None:
    weights, each = np.array([1.0, 2.0, 0.5, 4.0]), -np.log(SHARES[_ROWS, LABELS])
    expected = np.sum(each * weights[LABELS]) / np.sum(weights[LABELS])
    for got in everywhere(
        lambda s, w: nn.cross_entropy(s, LABELS, weights=w), SCORES, weights
    ).values():
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    summed = nn.cross_entropy(SCORES, LABELS, weights=weights, reduction="sum")
    np.testing.assert_allclose(summed, np.sum(each * weights[LABELS]), rtol=1e-13)
    by_shares = nn.cross_entropy(SCORES, np.eye(4)[LABELS], weights=weights, reduction="none")
    np.testing.assert_allclose(by_shares, each * weights[LABELS], rtol=1e-13)
    with pytest.raises(ShapeError, match=r"one weight per class.*\(3,\), 4 classes"):
        nn.nll(SCORES, LABELS, weights=weights[:3])


def test_losses_of_scores_far_out_are_exact() -> None:
    scores, target = np.array([-800.0, 800.0, -800.0, 800.0]), np.array([0.0, 1.0, 1.0, 0.0])

    def loss(s: Any) -> Any:
        return nn.binary_cross_entropy_with_logits(s, target, reduction="none")

    for got in everywhere(loss, scores).values():
        assert got.tolist() == [0, 0, 800, 800]
    for got in gradients(loss, scores).values():
        np.testing.assert_allclose(got, [0, 0, -1, 1], atol=1e-100)
    small = tl.compile(nn.binary_cross_entropy_with_logits)(np.array([40.0]), np.array([1.0]))
    np.testing.assert_allclose(small, np.exp(-40), rtol=1e-13)
    wide = np.array([[-800.0, 0.0, 800.0]])
    for got in everywhere(nn.cross_entropy, wide, np.array([0])).values():
        assert got == 1600


def test_certainty_costs_nothing_where_it_is_right_and_all_where_it_is_wrong() -> None:
    p, target = np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])

    def loss(p: Any) -> Any:
        return nn.binary_cross_entropy(p, target, reduction="none")

    with np.errstate(divide="ignore"):
        assert loss(p).tolist() == [0, 0, np.inf]
    assert tl.compile(loss)(p).tolist() == [0, 0, np.inf]
    p, target = p[:2], target[:2]
    gradient = tl.compile(tl.grad(lambda p: np.sum(loss(p))))(p)
    assert gradient.tolist() == [1, -1]


def test_excluded_classes_cost_nothing() -> None:
    scores, shares = np.array([[-np.inf, 1.0, 2.0]]), np.array([[0.0, 0.5, 0.5]])
    expected = nn.cross_entropy(scores[:, 1:], shares[:, 1:])
    for got in everywhere(nn.cross_entropy, scores, shares).values():
        np.testing.assert_allclose(got, expected, rtol=1e-14)
    for got in gradients(nn.cross_entropy, scores, shares).values():
        assert got[0, 0] == 0
        assert np.isfinite(got).all()


def test_lists_are_arrays_too() -> None:
    for loss in (nn.mse, nn.rmse, nn.mae, nn.huber, nn.binary_cross_entropy, nn.cross_entropy):
        assert loss([0.2, 0.8], [1.0, 0.0]) == loss(np.array([0.2, 0.8]), np.array([1.0, 0.0]))
    assert nn.mse(np.float32([1, 2]), 0.5).dtype == np.float32


def test_labels_of_binary_losses_may_be_integers() -> None:
    ints = T.astype(np.int64)
    for loss, x in ((nn.binary_cross_entropy, P), (nn.binary_cross_entropy_with_logits, X)):
        for got in everywhere(loss, x, ints).values():
            np.testing.assert_allclose(got, loss(x, T), rtol=1e-14)


def test_the_hinge_has_derivative_0_at_its_kink() -> None:
    scores, labels = np.array([[1.0, 2.0, 5.0]]), np.array([1])  # 1 - 2 + 1 is 0
    for got in gradients(lambda s: nn.multiclass_hinge(s, labels), scores).values():
        assert got.tolist() == [[0, -1, 1]]


def test_penalties_are_sums_over_all_leaves() -> None:
    params = {"w": X, "layers": [Y, {"b": np.array([-3.0, 0.0])}], "none": None}
    leaves = (X, Y, np.array([-3.0, 0.0]))
    for penalty, size, slope in (
        (nn.l1_penalty, np.abs, np.sign),
        (nn.l2_penalty, np.square, lambda x: 2 * x),
    ):
        for got in everywhere(penalty, params).values():
            np.testing.assert_allclose(got, sum(np.sum(size(x)) for x in leaves), rtol=1e-14)
        gradient = tl.compile(tl.grad(penalty))(params)
        np.testing.assert_allclose(gradient["layers"][1]["b"], slope(leaves[2]))
        np.testing.assert_allclose(gradient["w"], slope(X), rtol=1e-15)
    assert nn.l2_penalty(()) == 0


def test_a_softmax_classifier_with_penalty_has_the_finite_difference_gradient() -> None:
    w = np.random.default_rng(3).standard_normal((4, 3))

    def loss(w: Any) -> Any:
        return nn.cross_entropy(X @ w, LABELS % 3) + 0.1 * nn.l2_penalty(w)

    gradient = tl.compile(tl.grad(loss))(w)
    for index in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[index] = 1e-5
        np.testing.assert_allclose(
            gradient[index], (loss(w + step) - loss(w - step)) / 2e-5, rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (DTypeError, r"nll: labels are integers.*float64", lambda: nn.nll(SCORES, np.zeros(5))),
        (
            DTypeError,
            r"labels, which are integers.*\(5,\)",
            lambda: nn.cross_entropy(SCORES, Y[:, 0]),
        ),
        (ShapeError, r"probabilities of the sh.*\(5, 4\)", lambda: nn.cross_entropy(SCORES, Y[:4])),
        (
            ShapeError,
            r"without the last axis.*\(4,\)",
            lambda: nn.cross_entropy(SCORES, LABELS[1:]),
        ),
        (ShapeError, r"without the last axis", lambda: nn.multiclass_hinge(SCORES, LABELS[1:])),
        (
            ArgumentError,
            r"smoothing is a number from \[0, 1\].*2",
            lambda: nn.cross_entropy(SCORES, LABELS, smoothing=2),
        ),
        (
            ArgumentError,
            "smoothing is for labels",
            lambda: nn.cross_entropy(SCORES, SOFT, smoothing=0.1),
        ),
        (
            ShapeError,
            r"targets have the shape.*\(5,\) and \(5, 4\)",
            lambda: nn.binary_cross_entropy(P, T[:, 0]),
        ),
    ],
)
def test_what_does_not_fit_is_said(error: Any, message: str, call: Any) -> None:
    with pytest.raises(error, match=r"^test_losses\.py:\d+: .*" + message):
        call()
    with pytest.raises(error, match=message):
        tl.compile(call)()


def test_labels_are_checked_when_the_program_runs() -> None:
    labels = np.array([0, 1, 4, 0, 0])
    for loss in (nn.cross_entropy, nn.nll, nn.multiclass_hinge):
        with pytest.raises(OutOfBoundsError):
            tl.compile(loss)(SCORES, labels)
        with pytest.raises(IndexError):
            loss(SCORES, labels)
