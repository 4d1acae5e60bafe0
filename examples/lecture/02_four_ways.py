"""Four ways to one gradient: by hand, by differences, by symbols, automatically (case 5).

    python examples/lecture/02_four_ways.py

Differentiating by hand is exact, but somebody has to do it. Finite differences need no thought, one
or two runs of the function per argument, and a step that is neither too large (the curve bends) nor
too small (digits cancel). Symbolic differentiation derives a program for the gradient, here as a
graph. Automatic differentiation applies the same rules to numbers while the function runs.
"""

import numpy as np
from both_ways import Row, define_by_run, show, table

import tapeless as tl

X = np.array([0.5, -1.2, 2.0, 0.3])
W = np.array([0.1, 0.2, 0.4, -0.6])
COLUMNS = ("by hand", "one-sided", "central", "symbolic", "automatic")


def f(w):
    """The square of a neuron's output on fixed inputs."""
    return np.tanh(np.sum(w * X)) ** 2


def by_hand(w):
    """With s = Σ w x: 2 tanh(s) (1 - tanh² s) x."""
    t = np.tanh(np.sum(w * X))
    return 2 * t * (1 - t**2) * X


def one_sided(f, w, h):
    """(f(w + h) - f(w)) / h for one coordinate after the other: the error is of order h."""
    return np.array([(f(w + h * e) - f(w)) / h for e in np.eye(len(w))])


def central(f, w, h):
    """(f(w + h) - f(w - h)) / 2h: the even terms cancel, and the error is of order h²."""
    return np.array([(f(w + h * e) - f(w - h * e)) / (2 * h) for e in np.eye(len(w))])


symbolic = tl.compile(tl.grad(f), example=lambda: (W,))  # a program, which can be looked at


def case_5() -> list[Row]:
    """The gradient five times, because differences come in two kinds."""
    _, automatic = define_by_run(f, W)
    return table(
        [f"df/dw{i}" for i in range(len(W))],
        by_hand(W),
        one_sided(f, W, 1e-8),
        central(f, W, 1e-5),
        symbolic(W),
        automatic,
    )


def errors_of_differences() -> list[Row]:
    """The largest error for smaller and smaller steps: it falls, and then it rises."""
    exact, rows = by_hand(W), []
    for h in 10.0 ** -np.arange(1, 13):
        errors = [np.max(np.abs(way(f, W, h) - exact)) for way in (one_sided, central)]
        rows.append((f"h = {h:.0e}", *errors))
    return rows


def main() -> None:
    show("5   the gradient of tanh²(Σ w x)", case_5(), COLUMNS)
    print("\nThe largest error of finite differences\n\n            one-sided   central")
    for what, *errors in errors_of_differences():
        print(f"  {what}{errors[0]:11.0e}{errors[1]:10.0e}")
    print(f"\nThe program for the gradient\n\n{symbolic.lower(W).stages['optimized']}")


if __name__ == "__main__":
    main()
