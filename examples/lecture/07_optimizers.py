"""Optimizers as functions in a compiled step, and as objects after `backward()` (case 17).

    python examples/lecture/07_optimizers.py

An optimizer turns gradients into steps. Inside a compiled step it is a function that updates the
parameters in place, and is fused with the backward pass; define-by-run it is an object that knows
its tensors, with `step()` and `zero_grad()`. Both are compared with the formulas of the papers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from both_ways import Row, show, table

import tapeless as tl


def valley(w):
    """A loss with its minimum at (1, 2, 3, 4)."""
    return np.sum((w - np.arange(1.0, 5.0)) ** 2)


def valley_slope(w):
    """The derivative of `valley`."""
    return 2 * (w - np.arange(1.0, 5.0))


class Optimizer(NamedTuple):
    """One optimizer three times. On paper, m and s are its memory and t counts the steps."""

    on_paper: Callable[..., tuple[Any, Any, Any]]  # (w, g, m, s, t) -> (w, m, s)
    start: Callable[..., Any]  # the state of the compiled step: parameters -> state
    update: Callable[..., None]  # (w, g, state), in place
    make: Callable[..., Any]  # the object: tensors -> optimizer


LR, STEPS = 0.1, 3


def paper_adam(w, g, m, s, t):
    """Kingma & Ba (2015): means of g and g², corrected for having started at zero."""
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
    return w - LR * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), m, s


def paper_rmsprop(w, g, m, s, t):
    """Steps divided by the root of a mean of g²."""
    s = 0.99 * s + 0.01 * g**2
    return w - LR * g / (np.sqrt(s) + 1e-8), m, s


OPTIMIZERS = {
    "SGD": Optimizer(
        lambda w, g, m, s, t: (w - LR * g, m, s),
        lambda w: None,
        lambda w, g, state: tl.optim.sgd(w, g, LR),
        lambda tensors: tl.optim.SGD(tensors, LR),
    ),
    "momentum": Optimizer(
        lambda w, g, m, s, t: (w - LR * (0.9 * m + g), 0.9 * m + g, s),
        tl.optim.sgd_init,
        lambda w, g, state: tl.optim.sgd(w, g, LR, state=state, momentum=0.9),
        lambda tensors: tl.optim.SGD(tensors, LR, momentum=0.9),
    ),
    "RMSprop": Optimizer(
        paper_rmsprop,
        tl.optim.rmsprop_init,
        lambda w, g, state: tl.optim.rmsprop(w, g, state, LR),
        lambda tensors: tl.optim.RMSprop(tensors, LR),
    ),
    "Adam": Optimizer(
        paper_adam,
        tl.optim.adam_init,
        lambda w, g, state: tl.optim.adam(w, g, state, LR),
        lambda tensors: tl.optim.Adam(tensors, LR),
    ),
    "AdamW": Optimizer(
        lambda w, g, m, s, t: paper_adam(w * (1 - LR * 0.5), g, m, s, t),
        tl.optim.adamw_init,
        lambda w, g, state: tl.optim.adamw(w, g, state, LR, weight_decay=0.5),
        lambda tensors: tl.optim.AdamW(tensors, LR, weight_decay=0.5),
    ),
}


def descend(optimizer: Optimizer, loss: Callable[[Any], Any], slope: Callable[[Any], Any]):
    """The loss before each of three steps from w = (1, 1, 1, 1) and after them, in three ways.

    `slope` is the derivative of the loss, worked out on paper.
    """
    w, m, s, on_paper = np.ones(4), 0.0, 0.0, []
    for t in range(1, STEPS + 1):
        on_paper.append(loss(w))
        w, m, s = optimizer.on_paper(w, slope(w), m, s, t)
    on_paper.append(loss(w))

    @tl.compile
    def step(w, state):
        value, gradient = tl.value_and_grad(loss)(w)
        optimizer.update(w, gradient, state)
        return value

    array = np.ones(4)
    state = optimizer.start(array)
    by_compiler = [*(step(array, state) for _ in range(STEPS)), loss(array)]

    tensor, by_run = tl.Tensor(np.ones(4), requires_grad=True), []
    walker = optimizer.make([tensor])
    for _ in range(STEPS):
        walker.zero_grad()
        value = loss(tensor)
        value.backward()
        walker.step()
        by_run.append(value.item())
    return on_paper, by_compiler, [*by_run, loss(tensor).item()]


def case_17() -> list[Row]:
    """Case 16 through `SGD`, and the loss after three steps of each optimizer in a valley."""
    sgd = descend(OPTIMIZERS["SGD"], lambda w: np.sum(3 * w), lambda w: np.full(4, 3.0))
    names = [f"case 16 by SGD: output {n}" for n in range(STEPS + 1)]
    valleys = [
        (name, *(losses[-1] for losses in descend(optimizer, valley, valley_slope)))
        for name, optimizer in OPTIMIZERS.items()
    ]
    return table(names, *sgd) + valleys


def main() -> None:
    show("17  case 16 by SGD, then the loss after three steps of 0.1 in a valley", case_17())


if __name__ == "__main__":
    main()
