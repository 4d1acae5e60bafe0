"""Activation functions and their derivatives (case 24).

    python examples/lecture/11_activations.py             writes 11_activations.png

The step function has no slope to learn from, sigmoid and tanh flatten out on both sides, ReLU does
so on one, leaky ReLU and ELU keep something below zero. The curves of the derivatives are computed
by `tl.grad`, not written down.
"""

import numpy as np
from both_ways import Row, define_by_run, show

import tapeless as tl

PICTURE = "11_activations.png"
POINTS = np.array([-2.0, -0.5, 0.5, 2.0])


def sigmoid_slope(x):
    """σ (1 - σ)."""
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s)


FAMILY = {
    "step": (tl.nn.step, lambda x: 0.0),
    "sigmoid": (tl.nn.sigmoid, sigmoid_slope),
    "tanh": (tl.nn.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "ReLU": (tl.nn.relu, lambda x: np.where(x > 0, 1.0, 0.0)),
    "leaky ReLU": (tl.nn.leaky_relu, lambda x: np.where(x > 0, 1.0, 0.01)),
    "ELU": (tl.nn.elu, lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0)))),
}
"""Each function, and its derivative on paper."""


def case_24() -> list[Row]:
    """The derivative of each at four points."""
    found = []
    for name, (f, slope) in FAMILY.items():
        by_compiler = tl.vmap(tl.grad(f))(POINTS)
        _, by_run = define_by_run(lambda x, f=f: np.sum(f(x)), POINTS)
        found += [
            (f"{name}' at {x:g}", float(slope(x)), float(by_compiler[i]), float(by_run[i]))
            for i, x in enumerate(POINTS)
        ]
    return found


def main() -> None:
    show("24  derivatives of activation functions", case_24())
    figure = tl.plot.activations({name: f for name, (f, _) in FAMILY.items()})
    figure.savefig(PICTURE, dpi=150)
    print(f"\n  plots of all six written to {PICTURE}")


if __name__ == "__main__":
    main()
