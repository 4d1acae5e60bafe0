"""The ten-line start: fit a line by gradient descent, with a compiled training step."""

import numpy as np

import tapeless as tl

x = np.linspace(-1, 1, 50)
y = 3 * x + 1


def loss(p):
    return np.mean((p[0] * x + p[1] - y) ** 2)


@tl.compile(example=lambda: (np.zeros(2),))
def step(p):
    value, gradient = tl.value_and_grad(loss)(p)
    p -= 0.5 * gradient  # in place, as in NumPy: the caller's array is updated
    return value


if __name__ == "__main__":
    p = np.zeros(2)
    for _ in range(60):
        value = step(p)
    print(f"slope {p[0]:.3f}, intercept {p[1]:.3f}, loss {value:.1e}")
