"""Neurons: a hidden unit, why it needs a nonlinearity, and one neuron on data (cases 10 to 12).

    python examples/lecture/04_neurons.py

A neuron is a weighted sum and a nonlinear function of it. Without the function, layers collapse:
W₂ (W₁ x + b₁) + b₂ is again one linear layer.
"""

import numpy as np
from both_ways import Row, show, table
from sensors import READINGS, TARGETS, neuron

import tapeless as tl


def case_10() -> list[Row]:
    """x → w₁ → ReLU → w₂ → σ → (ŷ - y)², forward and backward through every gate."""
    x, w1, w2, y = 4.0, 0.5, 0.2, 1.0

    m1 = w1 * x  # forward
    r = max(m1, 0.0)
    m2 = w2 * r
    prediction = 1 / (1 + np.exp(-m2))
    loss = (prediction - y) ** 2
    back = 2 * (prediction - y)  # backward: through the square,
    back = back * prediction * (1 - prediction)  # the sigmoid,
    dw2, back = back * r, back * w2  # the product (its inputs switched),
    back = back * (m1 > 0)  # the ReLU,
    dw1 = back * x  # and the first product
    on_paper = (m1, r, m2, prediction, loss, dw2, dw1)

    def net(w1, w2):
        m1 = w1 * x
        r = tl.nn.relu(m1)
        m2 = w2 * r
        prediction = tl.nn.sigmoid(m2)
        return (prediction - y) ** 2, (m1, r, m2, prediction)

    (value, seen), (g1, g2) = tl.value_and_grad(net, argnums=(0, 1), has_aux=True)(w1, w2)

    a, b = tl.Tensor(w1, requires_grad=True), tl.Tensor(w2, requires_grad=True)
    out, tensors = net(a, b)
    out.backward()
    by_run = (*(t.item() for t in tensors), out.item(), b.grad.item(), a.grad.item())

    names = ("m₁ = w₁ x", "r = relu(m₁)", "m₂ = w₂ r", "ŷ = σ(m₂)", "loss", "dw₂", "dw₁")
    return table(names, on_paper, (*seen, value, g2, g1), by_run)


def case_11() -> list[Row]:
    """Two linear layers are one: the third column runs both, the first the product of them."""
    rng = np.random.default_rng(11)
    w1, b1, w2, b2 = (rng.normal(size=shape) for shape in ((4, 3), (4,), (2, 4), (2,)))
    x = rng.normal(size=3)

    w, b = w2 @ w1, w2 @ b1 + b2  # W₂ (W₁ x + b₁) + b₂ = (W₂ W₁) x + (W₂ b₁ + b₂)
    collapsed = [*(w @ x + b), *w.sum(axis=0)]

    def layers(x):
        return w2 @ (w1 @ x + b1) + b2

    outputs, jacobian = tl.compile(layers)(x), tl.jacobian(layers)(x)
    leaf = tl.Tensor(x, requires_grad=True)
    out = layers(leaf)
    out.backward(np.ones(2))  # the gradient of the sum of both outputs
    names = ("output 1", "output 2", *(f"d(sum)/dx{i}" for i in (1, 2, 3)))
    by_compiler = [*outputs, *jacobian.sum(axis=0)]
    return table(names, collapsed, by_compiler, [*out.numpy(), *leaf.grad.numpy()])


def with_the_library(readings):
    """Outputs for weights 1 and bias 0, and how wrong they are, in four measures."""
    output, target = neuron(np.ones(2), 0.0, readings), 0.01 * TARGETS
    measures = (
        tl.nn.mse(output, TARGETS),
        tl.nn.mse(output, target),
        tl.nn.rmse(output, target),
        tl.nn.mae(output, target),
    )
    return output, measures


def define_by_run(readings):
    """The same, the graph built as it is computed."""
    return with_the_library(tl.Tensor(readings))


def on_paper(readings):
    """The same in formulas."""
    output = 1 / (1 + np.exp(-readings.sum(axis=1)))
    off = output - 0.01 * TARGETS
    mse = np.mean(off**2)
    return output, (np.mean((output - TARGETS) ** 2), mse, np.sqrt(mse), np.mean(np.abs(off)))


def case_12() -> list[Row]:
    """One neuron, before it has learnt anything, on all readings."""
    other = READINGS.copy()
    other[7, 0] = 4.0  # one listing has it so

    columns = []
    for way in (on_paper, tl.compile(with_the_library), define_by_run):
        output, measures = way(READINGS)
        _, (_, other_mse, *_) = way(other)
        columns.append([*output, *measures, other_mse])
    names = [f"ŷ of reading {i}" for i in range(1, 13)]
    names += ["MSE against y", "MSE against 0.01 y", "RMSE", "MAE", "MSE with +4 in reading 8"]
    return table(names, *columns)


def main() -> None:
    show("10  one hidden ReLU unit and a sigmoid", case_10())
    show("11  two linear layers and the one that they are", case_11())
    show("12  a sigmoid neuron on twelve readings", case_12())


if __name__ == "__main__":
    main()
