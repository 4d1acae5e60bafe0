"""Pictures: a graph before and after fusion, and a graph drawn from a result (cases 22 and 26).

    python examples/lecture/13_pictures.py       writes 13_fusion.svg and three more

"The graph you wrote" is one operation after the other, forward in blue and backward in orange.
"The equivalent graph with fused operations" computes the same in a few kernels, each of which reads
and writes memory once. A define-by-run result knows how it came about, so it can be drawn, with the
values that went forward and the gradients that come back.
"""

import numpy as np
from both_ways import define_by_run

import tapeless as tl


def circuit(x, y, z):
    """Case 1."""
    return (x + y) * z


def neuron(w1, w2):
    """Case 10: x → w₁ → ReLU → w₂ → σ → (ŷ - y)²."""
    x, y = 4.0, 1.0
    return (1 / (1 + np.exp(-w2 * np.maximum(w1 * x, 0))) - y) ** 2


def net_step(x, y, w1, w2):
    """Case 18: one training step of the two-layer net."""

    def loss(w1, w2):
        return np.sum((np.maximum(x @ w1, 0) @ w2 - y) ** 2)

    value, (gradient1, gradient2) = tl.value_and_grad(loss, argnums=(0, 1))(w1, w2)
    w1 -= 1e-6 * gradient1
    w2 -= 1e-6 * gradient2
    return value


def case_22() -> tl.Drawing:
    """The training step before and after fusion, side by side; nothing is run."""
    shapes = (64, 1000), (64, 10), (1000, 100), (100, 10)
    return tl.draw(net_step, *map(np.zeros, shapes), stage=("optimized", "fused"))


def case_26() -> dict[str, tl.Drawing]:
    """Circuit and neuron with values and gradients: from a result, and from the program."""
    x, y, z = (tl.Tensor(number, requires_grad=True) for number in (-2.0, 5.0, -4.0))
    f = circuit(x, y, z)
    w1, w2 = tl.Tensor(0.5, requires_grad=True), tl.Tensor(0.2, requires_grad=True)
    loss = neuron(w1, w2)
    return {
        "circuit": f.draw(values=True, x=x, y=y, z=z, f=f),
        "neuron": loss.draw(values=True, w1=w1, w2=w2, loss=loss),
        "neuron_compiled": tl.draw(neuron, 0.5, 0.2, values=True),
    }


def main() -> None:
    case_22().save("13_fusion.svg")
    print("22  the graph before and after fusion: 13_fusion.svg")
    for name, drawing in case_26().items():
        drawing.save(f"13_{name}.svg")
        print(f"26  a graph with values and gradients: 13_{name}.svg")
    _, *gradients = define_by_run(neuron, 0.5, 0.2)
    print(f"    the neuron's gradients: dw₁ = {gradients[0]:.9f}, dw₂ = {gradients[1]:.9f}")


if __name__ == "__main__":
    main()
