"""Two classifiers on the same scores: hinge loss and softmax (case 23).

    python examples/lecture/10_classifiers.py

The scores of a linear classifier are s = x W. The multiclass hinge loss Σ max(0, sⱼ - s_y + 1) asks
the right score to be the largest by a margin; the softmax classifier makes probabilities of the
scores and takes the negative logarithm of the right one. λ R(W), the sum of squared weights, is
added to both. The gradient in W is checked against finite differences of the same weights.
"""

import numpy as np
from both_ways import Row, compiled, define_by_run, show

import tapeless as tl

LABELS = np.array([0, 2, 1, 2, 0])
STRENGTH = 0.1


def data() -> tuple[np.ndarray, np.ndarray]:
    """Five inputs of four numbers, and weights for three classes."""
    rng = np.random.default_rng(23)
    return rng.normal(size=(5, 4)), rng.normal(size=(4, 3))


def hinge(w):
    """The mean of Σ_{j ≠ y} max(0, sⱼ - s_y + 1) over the inputs, and λ Σ W²."""
    x, _ = data()
    return tl.nn.multiclass_hinge(x @ w, LABELS) + STRENGTH * tl.nn.l2_penalty(w)


def softmax_classifier(w):
    """The mean of -log softmax(s)_y over the inputs, and λ Σ W²."""
    x, _ = data()
    return tl.nn.nll(tl.nn.log_softmax(x @ w), LABELS) + STRENGTH * tl.nn.l2_penalty(w)


def hinge_on_paper(w):
    """The same, one input and one class after the other."""
    x, _ = data()
    total = 0.0
    for row, y in zip(x, LABELS, strict=True):
        scores = row @ w
        total += sum(max(0.0, s - scores[y] + 1) for j, s in enumerate(scores) if j != y)
    return total / len(x) + STRENGTH * np.sum(w**2)


def softmax_on_paper(w):
    """The same, one input after the other."""
    x, _ = data()
    total = 0.0
    for row, y in zip(x, LABELS, strict=True):
        exponentials = np.exp(row @ w)
        total -= np.log(exponentials[y] / np.sum(exponentials))
    return total / len(x) + STRENGTH * np.sum(w**2)


def differences(f, w, h=1e-5):
    """(f(w + h) - f(w - h)) / 2h for every weight: two runs of f for each of them."""
    gradient = np.empty_like(w)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = h
        gradient[place] = (f(w + step) - f(w - step)) / (2 * h)
    return gradient


def case_23() -> list[Row]:
    """Losses and all gradients, for both classifiers."""
    _, w = data()
    rows: list[Row] = []
    for name, f, on_paper in (
        ("hinge", hinge, hinge_on_paper),
        ("softmax", softmax_classifier, softmax_on_paper),
    ):
        columns = [(on_paper(w), differences(on_paper, w)), compiled(f, w), define_by_run(f, w)]
        rows.append((f"{name} loss", *(float(value) for value, _ in columns)))
        rows += [
            (f"  in W[{i},{j}] of {name}", *(float(gradient[i, j]) for _, gradient in columns))
            for i, j in np.ndindex(w.shape)
        ]
    return rows


def main() -> None:
    columns = ("by differences", "compiled", "define-by-run")
    show("23  a linear classifier with an L2 penalty, two losses", case_23(), columns)


if __name__ == "__main__":
    main()
