"""Linear models: prediction, residual, loss, gradient, and the first training loop (cases 6 to 9).

    python examples/lecture/03_linear_models.py

The model ŷ = x w has one weight. The loss (ŷ - y)² says how wrong it is, the derivative of the loss
says which way is down, and gradient descent goes a little of that way, one sample after the other.
In the define-by-run loop gradients are accumulated in `w.grad`, so they are set back before the
next sample; a compiled step has nothing to set back.
"""

import numpy as np
from both_ways import Row, rows, show, table

import tapeless as tl

LEARNING_RATE = 0.01
EPOCHS = 100
START = np.float32(1)
SAMPLES = [(np.float32(x), np.float32(2 * x)) for x in (1, 2, 3)]


def one_sample(x: float, y: float, w: float) -> list[Row]:
    """Prediction, residual, loss and dloss/dw of ŷ = x w."""
    names = ("ŷ", "residual ŷ - y", "loss", "dloss/dw")
    prediction = x * w
    residual = prediction - y
    on_paper = (prediction, residual, residual**2, 2 * residual * x)

    def loss(w):
        prediction = x * w
        residual = prediction - y
        return residual**2, (prediction, residual)  # the loss, and what else we want to see

    (value, seen), gradient = tl.value_and_grad(loss, has_aux=True)(w)

    weight = tl.Tensor(w, requires_grad=True)
    out, tensors = loss(weight)
    out.backward()
    by_run = (*(tensor.item() for tensor in tensors), out.item(), weight.grad.item())
    return table(names, on_paper, (*seen, value, gradient), by_run)


def case_6() -> list[Row]:
    """The weight is too small."""
    return one_sample(x=2.0, y=4.0, w=1.0)


def case_7() -> list[Row]:
    """The weight is too large."""
    return one_sample(x=4.0, y=1.0, w=0.5)


@tl.compile
def compiled_step(w, x, y):
    """One step on one sample, in place; the loss before it and its gradient."""
    loss, gradient = tl.value_and_grad(lambda w: (x * w - y) ** 2)(w)
    w -= LEARNING_RATE * gradient
    return loss, gradient


def train_on_paper():
    """Losses and gradients of every step (epochs by samples) and the weight, in float32."""
    w, history = START, []
    for _ in range(EPOCHS):
        for x, y in SAMPLES:
            residual = x * w - y
            gradient = 2 * residual * x
            history.append((residual**2, gradient))
            w -= np.float32(LEARNING_RATE) * gradient
    return np.array(history), w


def train_compiled():
    """The same by a compiled step."""
    w = np.array(START)
    history = [compiled_step(w, x, y) for _ in range(EPOCHS) for x, y in SAMPLES]
    return np.array(history), w


def train_define_by_run():
    """The same with a graph that is built and freed in every step."""
    w, history = tl.Tensor(START, requires_grad=True), []
    for _ in range(EPOCHS):
        for x, y in SAMPLES:
            loss = (x * w - y) ** 2
            loss.backward()
            history.append((loss.item(), w.grad.item()))
            with tl.no_grad():
                w -= LEARNING_RATE * w.grad
            w.zero_grad()  # or the next gradient is added to this one
    return np.array(history), w.numpy()


def case_8() -> list[Row]:
    """ŷ = x w trained on y = 2 x, from w = 1."""
    columns = []
    for train in (train_on_paper, train_compiled, train_define_by_run):
        history, w = train()
        loss, gradient = history.reshape(EPOCHS, len(SAMPLES), 2).transpose(2, 0, 1)
        epochs = [*gradient[0], loss[0, -1], *gradient[1], loss[1, -1]]
        columns.append([*epochs, loss[-1, -1], 4 * START, 4 * w])
    each = [*(f"gradient at x = {x:g}" for x, _ in SAMPLES), "last loss"]
    names = [f"epoch {epoch}: {what}" for epoch in (1, 2) for what in each]
    names += [f"epoch {EPOCHS}: last loss", "predict(4) before", "predict(4) after"]
    return table(names, *columns)


def case_9() -> list[Row]:
    """Two models with more weights at x = 2, y = 4: affine and quadratic, all weights 1."""
    x, y = 2.0, 4.0
    back = 2 * (x * 1 + 1 - y)  # dloss/dŷ
    affine = rows(
        ("affine: loss", "  in w", "  in b"),
        ((x + 1 - y) ** 2, back * x, back),
        lambda w, b: (x * w + b - y) ** 2,
        1.0,
        1.0,
    )
    back = 2 * (x**2 + x + 1 - y)
    quadratic = rows(
        ("quadratic: loss", "  in w₁", "  in w₂", "  in b "),
        ((x**2 + x + 1 - y) ** 2, back * x**2, back * x, back),
        lambda w1, w2, b: (w1 * x**2 + w2 * x + b - y) ** 2,
        1.0,
        1.0,
        1.0,
    )
    return affine + quadratic


def main() -> None:
    show("6   ŷ = x w at x = 2, y = 4, w = 1", case_6())
    show("7   ŷ = x w at x = 4, y = 1, w = 0.5", case_7())
    show("8   ŷ = x w trained in float32 on (1, 2), (2, 4), (3, 6)", case_8(), digits=17)
    show("9   ŷ = x w + b and ŷ = w₁ x² + w₂ x + b at x = 2, y = 4", case_9())


if __name__ == "__main__":
    main()
