"""Branches, loops and derivatives of derivatives (case 25).

    python examples/lecture/12_control_flow.py

Define-by-run, Python itself is the control flow: `if` and `while` look at the numbers, and the
graph is whatever was executed this time. A compiled graph is fixed before the numbers are known:
there a choice is `np.where`, and a loop whose length is known while tracing is unrolled. (Loops and
branches on values inside a compiled graph come with a later version.) Gradients are values like
any other: further operations can follow on them, and be differentiated again.
"""

import numpy as np
from both_ways import Row, show, table

import tapeless as tl


def branch(x):
    """x² where x is positive, else -3 x: by an `if` on the number."""
    if x > 0:
        return x**2
    return -3 * x


def branch_in_a_graph(x):
    """The same as one graph: both sides are computed, and one is chosen."""
    return np.where(x > 0, x**2, -3 * x)


def what_a_compiled_if_says() -> str:
    """The error of an `if` on a number that is not known while the graph is made."""
    try:
        tl.compile(branch)(3.0)
    except tl.errors.TraceError as error:
        return str(error)
    return ""


def newton(a, tolerance=1e-14):
    """√a by Newton's iteration, as many steps as this a needs."""
    x, steps = (a + 1) / 2, 1
    while abs(float(x * x - a)) > tolerance * float(a):
        x, steps = (x + a / x) / 2, steps + 1
    return x, steps


def newton_unrolled(a, steps):
    """The same with the number of steps known: a loop over a Python range becomes a long graph."""
    x = (a + 1) / 2
    for _ in range(steps - 1):
        x = (x + a / x) / 2
    return x


def by_run(f, x):
    """The value of f and its derivative at a number, define-by-run."""
    leaf = tl.Tensor(x, requires_grad=True)
    value = f(leaf)
    value.backward()
    return value.item(), leaf.grad.item()


def branches() -> list[Row]:
    """Both sides of the branch; the graphs of the two define-by-run calls are different."""
    rows = []
    for x in (3.0, -2.0):
        on_paper = (x**2, 2 * x) if x > 0 else (-3 * x, -3.0)
        by_compiler = tl.value_and_grad(branch_in_a_graph)(x)
        names = (f"branch at {x:g}", f"  its slope at {x:g}")
        rows += table(names, on_paper, by_compiler, by_run(branch, x))
    return rows


def through_an_algorithm() -> list[Row]:
    """Backpropagation through all steps of Newton's iteration gives d√a/da = 1 / (2 √a)."""
    rows = []
    for a in (2.0, 900.0):
        _, steps = newton(a)
        on_paper = (np.sqrt(a), 1 / (2 * np.sqrt(a)))
        by_compiler = tl.value_and_grad(lambda a, n=steps: newton_unrolled(a, n))(a)
        names = (f"√{a:g} in {steps} steps", f"  its slope at {a:g}")
        rows += table(names, on_paper, by_compiler, by_run(lambda a: newton(a)[0], a))
    return rows


def power(x, n):
    """xⁿ by repeated multiplication, in a loop."""
    out = x * 0 + 1
    for _ in range(n):
        out = out * x
    return out


def again_and_again() -> list[Row]:
    """Derivatives of x⁵ at 2: of order one, two and three, each of the one before."""
    x, n = 2.0, 5
    on_paper = [n * x**4, n * 4 * x**3, n * 4 * 3 * x**2]

    f, by_compiler = (lambda x: power(x, n)), []
    for _ in range(3):
        f = tl.grad(f)
        by_compiler.append(f(x))

    leaf, dynamic = tl.Tensor(x, requires_grad=True), []
    value = power(leaf, n)
    for _ in range(3):
        leaf.zero_grad()
        value.backward(create_graph=True)  # the gradient is a part of the graph
        value = leaf.grad
        dynamic.append(value.item())
    return table(("x⁵: first derivative", "  second", "  third"), on_paper, by_compiler, dynamic)


def more_nodes_on_a_gradient() -> list[Row]:
    """z = sin x + (d sin x/dx)²: nodes added to a gradient, and the whole differentiated."""
    x = 0.7
    on_paper = (np.sin(x) + np.cos(x) ** 2, np.cos(x) - 2 * np.cos(x) * np.sin(x))

    by_compiler = tl.value_and_grad(lambda x: np.sin(x) + tl.grad(np.sin)(x) ** 2)(x)

    leaf = tl.Tensor(x, requires_grad=True)
    y = np.sin(leaf)
    y.backward(create_graph=True)
    gradient = leaf.grad
    leaf.zero_grad()
    z = y + gradient**2
    z.backward()
    dynamic = (z.item(), leaf.grad.item())
    return table(("sin x + cos² x", "  its slope"), on_paper, by_compiler, dynamic)


def case_25() -> list[Row]:
    """Branch, loop, and gradients that are differentiated again."""
    return [
        *branches(),
        *through_an_algorithm(),
        *again_and_again(),
        *more_nodes_on_a_gradient(),
    ]


def main() -> None:
    show("25  control flow and higher derivatives", case_25())
    print("\n  compiled: np.where for the branch, loops unrolled; define-by-run: Python as it is")
    print(f"\n  an `if` on a number in a compiled function:\n  {what_a_compiled_if_says()}")


if __name__ == "__main__":
    main()
