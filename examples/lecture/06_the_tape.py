"""Define-by-run: leaves, results, and what `backward` does (cases 14 to 16).

    python examples/lecture/06_the_tape.py

A tensor that requires gradients is a leaf. Every operation on it makes a node of the graph;
`backward` walks the graph from a result to its leaves, adds up gradients in them, and frees it.
Beside each define-by-run program stands the compiled one that says the same without a tape.
"""

import warnings

import numpy as np
from both_ways import Row, show, table

import tapeless as tl

ELEMENTS = ("[0]", "[1]", "[2]")


def case_14() -> list[Row]:
    """w → x = w + 2 → y = 3 x → z = mean(y): gradients of the leaf and, on request, of y."""
    w = tl.Tensor(np.ones(3), requires_grad=True)
    x = w + 2
    y = 3 * x
    z = y.mean()
    y.retain_grad()  # y is computed, not a leaf: its gradient is kept if we ask for it
    z.backward()
    by_run = [z.item(), *w.grad.numpy(), *y.grad.numpy()]

    # Compiled: a function has a gradient in its arguments, so y becomes one.
    def above(y):
        return np.mean(y)

    ones = np.ones(3)
    value, in_w = tl.value_and_grad(lambda w: above(3 * (w + 2)))(ones)
    by_compiler = [value, *in_w, *tl.grad(above)(3 * (ones + 2))]

    names = ("z", *("w.grad" + i for i in ELEMENTS), *("y.grad" + i for i in ELEMENTS))
    on_paper = [3 * (1 + 2), *[3 * 1 / 3] * 3, *[1 / 3] * 3]
    return table(names, on_paper, by_compiler, by_run)


def what_a_computed_tensor_says() -> str:
    """The warning of a computed tensor that is asked for its gradient."""
    x = tl.Tensor(np.ones(3), requires_grad=True) + 2
    x.sum().backward()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert x.grad is None
    return str(caught[0].message)


def case_15() -> list[Row]:
    """(2 x + (3 + x.detach())) sum: the detached branch passes no gradient."""
    values = np.array([1.0, 2.0, 3.0])
    x = tl.Tensor(values)
    x.requires_grad_()  # it may be switched on later
    out = (2 * x + (3 + x.detach())).sum()
    out.backward()

    both = tl.value_and_grad(lambda x: np.sum(2 * x + (3 + tl.stop_gradient(x))))
    value, gradient = both(values)

    names = ("the sum", *("x.grad" + i for i in ELEMENTS))
    on_paper = [np.sum(3 * values + 3), 2, 2, 2]
    return table(names, on_paper, [value, *gradient], [out.item(), *x.grad.numpy()])


def outside_the_graph() -> dict[str, bool | str]:
    """`detach`, `no_grad` as a context and as a decorator, and `backward` without a graph."""
    x = tl.Tensor(np.ones(3), requires_grad=True)
    with tl.no_grad():
        in_context = x * 2

    @tl.no_grad
    def double(x):
        return x * 2

    try:
        tl.Tensor(1.0).backward()
        refusal = ""
    except tl.errors.DifferentiationError as error:
        refusal = str(error)
    return {
        "x * 2 requires a gradient": (x * 2).requires_grad,
        "… within no_grad()": in_context.requires_grad,
        "… in a function decorated by no_grad": double(x).requires_grad,
        "x.detach() requires a gradient": x.detach().requires_grad,
        "x.detach() equals x": np.array_equal(x.detach().numpy(), x.numpy()),
        "backward() without a graph": refusal,
    }


def case_16() -> list[Row]:
    """Three steps of 0.1 on output = Σ 3 w, from w = (1, 1, 1, 1)."""

    @tl.compile
    def step(w):
        output, gradient = tl.value_and_grad(lambda w: np.sum(3 * w))(w)
        w -= 0.1 * gradient
        return output

    array = np.ones(4)
    by_compiler = [*(step(array) for _ in range(3)), np.sum(3 * array)]

    w, by_run = tl.Tensor(np.ones(4), requires_grad=True), []
    for _ in range(3):
        output = (3 * w).sum()
        output.backward()
        by_run.append(output.item())
        with tl.no_grad():
            w -= 0.1 * w.grad
        w.zero_grad()
    by_run.append((3 * w).sum().item())

    names = [f"output after {n} step{'s' if n != 1 else ''}" for n in range(4)]
    return table(names, [4 * 3 * (1 - 0.1 * 3 * n) for n in range(4)], by_compiler, by_run)


def without_zeroing() -> list[float]:
    """The gradient after each of three backward passes, if nobody sets it back."""
    w, seen = tl.Tensor(np.ones(4), requires_grad=True), []
    for _ in range(3):
        (3 * w).sum().backward()
        seen.append(w.grad[0].item())
    return seen


def main() -> None:
    show("14  w = (1, 1, 1), x = w + 2, y = 3 x, z = mean(y)", case_14())
    print(f"\n  asked for x.grad: {what_a_computed_tensor_says()}")
    show("15  (2 x + (3 + x.detach())).sum() at x = (1, 2, 3)", case_15())
    print()
    for what, answer in outside_the_graph().items():
        print(f"  {what}: {answer}")
    show("16  output = Σ 3 w, three steps of 0.1", case_16())
    print(f"\n  without zeroing, w.grad[0] is {', '.join(map(str, without_zeroing()))}")


if __name__ == "__main__":
    main()
