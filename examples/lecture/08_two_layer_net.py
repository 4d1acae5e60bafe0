"""A two-layer net, the listing of every introduction, and an operation of one's own (18, 19).

    python examples/lecture/08_two_layer_net.py

64 random inputs of 1000 numbers, 100 hidden units, 10 outputs, squared error, 500 steps. The
define-by-run loop is the listing as it stands in the lecture; the compiled one is a plain NumPy
function. Both runs agree step by step.
"""

import time
from functools import cache

import numpy as np
from both_ways import WAYS, Row, compiled, define_by_run, show, table

import tapeless as tl

N, D_IN, H, D_OUT = 64, 1000, 100, 10
LEARNING_RATE = 1e-6
ITERATIONS = 500
SHOWN = (0, 1, 9, 99, 499)


def data():
    """Inputs, targets and two weight matrices, from the normal distribution."""
    rng = np.random.default_rng(0)
    shapes = (N, D_IN), (N, D_OUT), (D_IN, H), (H, D_OUT)
    return tuple(rng.normal(size=shape) for shape in shapes)


def predict(x, w1, w2):
    """The listing of the lecture."""
    return x.mm(w1).clamp(min=0).mm(w2)


def train_define_by_run(predict=predict, iterations=ITERATIONS):
    """The losses of all steps; the graph is new in every one of them."""
    x, y, w1, w2 = data()
    x, y = tl.Tensor(x), tl.Tensor(y)
    w1, w2 = tl.Tensor(w1, requires_grad=True), tl.Tensor(w2, requires_grad=True)
    losses = []
    for _ in range(iterations):
        loss = ((predict(x, w1, w2) - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        with tl.no_grad():
            w1 -= LEARNING_RATE * w1.grad
            w2 -= LEARNING_RATE * w2.grad
            w1.zero_grad()
            w2.zero_grad()
    return losses


@tl.compile(example=data)
def step(x, y, w1, w2):
    """Forward pass, backward pass and update, as one program; the loss before the update."""

    def loss(w1, w2):
        return np.sum((np.maximum(x @ w1, 0) @ w2 - y) ** 2)

    value, (gradient1, gradient2) = tl.value_and_grad(loss, argnums=(0, 1))(w1, w2)
    w1 -= LEARNING_RATE * gradient1
    w2 -= LEARNING_RATE * gradient2
    return value


def train_compiled(iterations=ITERATIONS):
    """The losses of all steps; there is one graph, made before the first."""
    arguments = data()
    return [step(*arguments) for _ in range(iterations)]


def train_by_hand(iterations=ITERATIONS):
    """The losses of all steps, with the backward pass written in NumPy."""
    x, y, w1, w2 = data()
    losses = []
    for _ in range(iterations):
        h = x @ w1
        h_relu = np.maximum(h, 0)
        difference = h_relu @ w2 - y
        losses.append(np.sum(difference**2))
        back = 2 * difference
        gradient2 = h_relu.T @ back
        gradient1 = x.T @ (back @ w2.T * (h > 0))
        w1 -= LEARNING_RATE * gradient1
        w2 -= LEARNING_RATE * gradient2
    return losses


@cache
def runs():
    """By way: the losses of all steps, and the seconds that the run took, compilation included."""
    found = {}
    for name, train in zip(WAYS, (train_by_hand, train_compiled, train_define_by_run), strict=True):
        start = time.perf_counter()
        losses = train()
        found[name] = losses, time.perf_counter() - start
    return found


def case_18() -> list[Row]:
    """The loss before some of the 500 steps."""
    names = [f"loss before step {i + 1}" for i in SHOWN]
    return table(names, *([losses[i] for i in SHOWN] for losses, _ in runs().values()))


class MyReLU(tl.Function):
    """max(x, 0) with a derivative of our own, for define-by-run."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return np.maximum(x, 0)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x > 0)


def predict_by_my_relu(x, w1, w2):
    """The net with our own ReLU in it."""
    return MyReLU.apply(x.mm(w1)).mm(w2)


@tl.custom_vjp
def my_relu(x):
    """The same for compiled functions."""
    return np.maximum(x, 0)


my_relu.defvjp(
    lambda x: (np.maximum(x, 0), x),  # forward: the result, and what backward needs
    lambda x, gradient: (gradient * (x > 0),),  # backward
)


def case_19() -> list[Row]:
    """Our ReLU against the built-in one, below, at and above the kink."""
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    names = ["Σ relu(x)²", *(f"  in x = {number:g}" for number in x)]
    built_in = compiled(lambda x: np.sum(tl.nn.relu(x) ** 2), x)
    own = compiled(lambda x: np.sum(my_relu(x) ** 2), x)
    by_run = define_by_run(lambda x: (MyReLU.apply(x) ** 2).sum(), x)
    return table(names, *([value, *gradient] for value, gradient in (built_in, own, by_run)))


def main() -> None:
    show(f"18  a {D_IN}-{H}-{D_OUT} ReLU net, {ITERATIONS} steps", case_18())
    print("\n  µs a step".ljust(24), end="")
    print("".join(f"{1e6 * seconds / ITERATIONS:18.0f}" for _, seconds in runs().values()))
    columns = ("built in", "tl.custom_vjp", "tl.Function")
    show("19  a ReLU of our own", case_19(), columns)


if __name__ == "__main__":
    main()
