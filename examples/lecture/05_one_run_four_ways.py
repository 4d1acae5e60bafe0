"""One training run, written four ways: by hand, `grad`, `backward()`, an optimizer (case 13).

    python examples/lecture/05_one_run_four_ways.py

The neuron of case 12 learns 0.01 y from both sensors: 20,000 epochs of gradient descent on all
twelve readings. The four programs do the same arithmetic; they differ in who derives the gradient,
who applies it, and how long it takes.
"""

import time

import numpy as np
from both_ways import Row, show, table
from sensors import READINGS as X
from sensors import TARGETS, neuron

import tapeless as tl

Y = 0.01 * TARGETS
EPOCHS, LEARNING_RATE = 20_000, 0.01
COLUMNS = ("by hand", "grad, compiled", "backward()", "optimizer")


def loss(w, b):
    """The mean square error of the neuron."""
    return tl.nn.mse(neuron(w, b, X), Y)


def by_hand():
    """Forward and backward pass written out in NumPy."""
    w, b = np.ones(2), 0.0
    for _ in range(EPOCHS):
        prediction = 1 / (1 + np.exp(-(X @ w + b)))
        back = 2 * (prediction - Y) / len(Y)  # through the mean and the square,
        back = back * prediction * (1 - prediction)  # and through the sigmoid
        w = w - LEARNING_RATE * (back @ X)
        b = b - LEARNING_RATE * back.sum()
    return w, b


@tl.compile
def step(w, b):
    """Forward pass, backward pass and update: one native routine."""
    gradient_w, gradient_b = tl.grad(loss, argnums=(0, 1))(w, b)
    w -= LEARNING_RATE * gradient_w
    b -= LEARNING_RATE * gradient_b


def by_grad():
    """The gradient is derived once, ahead of time."""
    w, b = np.ones(2), np.zeros(())
    for _ in range(EPOCHS):
        step(w, b)
    return w, b


def by_backward():
    """The graph is built, walked and freed 20,000 times."""
    w, b = tl.Tensor(np.ones(2), requires_grad=True), tl.Tensor(0.0, requires_grad=True)
    for _ in range(EPOCHS):
        loss(w, b).backward()
        with tl.no_grad():
            w -= LEARNING_RATE * w.grad
            b -= LEARNING_RATE * b.grad
        w.zero_grad()
        b.zero_grad()
    return w.numpy(), b.numpy()


def by_optimizer():
    """The same, where an object looks after update and gradients."""
    w, b = tl.Tensor(np.ones(2), requires_grad=True), tl.Tensor(0.0, requires_grad=True)
    optimizer = tl.optim.SGD([w, b], LEARNING_RATE)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss(w, b).backward()
        optimizer.step()
    return w.numpy(), b.numpy()


def train() -> tuple[list[Row], list[float]]:
    """The results of all four, and how long each took in seconds."""
    columns, seconds = [], []
    for way in (by_hand, by_grad, by_backward, by_optimizer):
        start = time.perf_counter()
        w, b = way()
        seconds.append(time.perf_counter() - start)
        columns.append([loss(w, b), *w, b])
    return table(("loss", "w₁", "w₂", "b"), *columns), seconds


def case_13() -> list[Row]:
    """Loss and weights after training."""
    return train()[0]


def main() -> None:
    results, seconds = train()
    show(f"13  a neuron trained for {EPOCHS:,} epochs", results, COLUMNS)
    print("\n  µs/epoch" + "".join(f"{1e6 * s / EPOCHS:17.2f} " for s in seconds))


if __name__ == "__main__":
    main()
