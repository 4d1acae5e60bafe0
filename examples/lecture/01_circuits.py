"""Backpropagation in circuits: the chain rule, gate by gate (cases 1 to 4).

    python examples/lecture/01_circuits.py

A formula is a circuit of gates. Values flow forward; then each gate multiplies the gradient that
comes back to its output by its local derivatives and passes it on. `add` hands the gradient to
all its inputs, `max` routes it to the larger one, `mul` switches the inputs, and where a wire
forks, what comes back along its branches is added.
"""

import numpy as np
from both_ways import Row, rows, show, table

import tapeless as tl


def case_1() -> list[Row]:
    """f = (x + y) z, by the chain rule on paper and then twice by machine."""
    x, y, z = -2.0, 5.0, -4.0

    q = x + y  # forward
    f = q * z
    df_dq, df_dz = z, q  # local derivatives of a product: each is the other factor
    df_dx, df_dy = df_dq * 1, df_dq * 1  # the chain rule through the sum
    on_paper = (f, df_dx, df_dy, df_dz)

    # Compiled: the backward pass is part of the program before the program runs.
    value_and_gradients = tl.value_and_grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))
    value, gradients = value_and_gradients(x, y, z)

    # Define-by-run: the graph is what the statements did.
    a, b, c = (tl.Tensor(number, requires_grad=True) for number in (x, y, z))
    out = (a + b) * c
    out.backward()
    by_run = (out.item(), a.grad.item(), b.grad.item(), c.grad.item())

    return table(("f", "df/dx", "df/dy", "df/dz"), on_paper, (value, *gradients), by_run)


def case_2() -> list[Row]:
    """f = 2 (x y + max(z, w)): three gates that treat the gradient differently."""
    x, y, z, w = 3.0, -4.0, 2.0, -1.0
    back = 2.0  # what comes back through the factor 2; `add` hands it to both its inputs
    on_paper = (2 * (x * y + max(z, w)), back * y, back * x, back * (z > w), back * (w > z))
    names = ("f", "df/dx", "df/dy", "df/dz", "df/dw")
    return rows(names, on_paper, lambda x, y, z, w: 2 * (x * y + np.maximum(z, w)), x, y, z, w)


def case_3() -> list[Row]:
    """A fork: x reaches the loss along two branches, and both gradients are added."""
    x = 1.5
    names = ("eˣ + x²", "  its derivative")
    on_paper = (np.exp(x) + x**2, np.exp(x) + 2 * x)
    both = rows(names, on_paper, lambda x: np.exp(x) + x**2, x)
    names = ("eˣ x²", "  its derivative ")
    on_paper = (np.exp(x) * x**2, np.exp(x) * x**2 + np.exp(x) * 2 * x)
    return both + rows(names, on_paper, lambda x: np.exp(x) * x**2, x)


def case_4() -> list[Row]:
    """Derivatives of the textbook; each row says what and where."""
    s = 1 / (1 + np.exp(-0.7))
    p = 2**3 + 2**2 + 2 + 1
    examples = [
        (("x w at (2, 3)", "  in x", "  in w"), (2 * 3, 3, 2), lambda x, w: x * w, 2.0, 3.0),
        (("x y at (4, -3)", "  in x", "  in y"), (4 * -3, -3, 4), lambda x, y: x * y, 4.0, -3.0),
        (("max(x, y) at (4, 2)", "  in x", "  in y"), (max(4, 2), 1, 0), np.maximum, 4.0, 2.0),
        (
            ("x² y at (3, 2)", "  in x", "  in y"),
            (3**2 * 2, 2 * 3 * 2, 3**2),
            lambda x, y: x**2 * y,
            3.0,
            2.0,
        ),
        (
            ("(x³ + x² + x + 1)³ at 2", "  in x"),
            (p**3, 3 * p**2 * (3 * 2**2 + 2 * 2 + 1)),
            lambda x: (x**3 + x**2 + x + 1) ** 3,
            2.0,
        ),
        (("1 / x at 4", "  in x"), (1 / 4, -1 / 4**2), lambda x: 1 / x, 4.0),
        (("σ(x) at 0.7", "  in x"), (s, s * (1 - s)), lambda x: 1 / (1 + np.exp(-x)), 0.7),
    ]
    return [row for example in examples for row in rows(*example)]


def main() -> None:
    show("1   f = (x + y) z at x = -2, y = 5, z = -4", case_1())
    show("2   f = 2 (x y + max(z, w)) at x = 3, y = -4, z = 2, w = -1", case_2())
    show("3   forks add, at x = 1.5", case_3(), digits=17)
    show("4   derivatives of the textbook", case_4())


if __name__ == "__main__":
    main()
