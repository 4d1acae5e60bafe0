"""Train a 64-128-10 classifier on scikit-learn's handwritten digits with a compiled step.

    python examples/digits.py            a few seconds; --help lists the options
    tapeless dump examples/digits.py     the program before and after fusion
    tapeless time examples/digits.py     define-by-run against compiled

The model, its loss and the optimizer are plain NumPy. `train_step` is compiled once; at the end the
same function is timed define-by-run (`train_step.dynamic`) and against a backward pass and Adam
written by hand in NumPy. Needs scikit-learn for the images (8 × 8 pixels, values 0 to 16) and, for
the picture of the loss, matplotlib: pip install 'tapeless[examples]'.
"""

import argparse
import sys
import time

import numpy as np

import tapeless as tl
from tapeless.report import duration, interleave, timing_table

PIXELS, HIDDEN, CLASSES, BATCH = 64, 128, 10, 128
LEARNING_RATE = 5e-3
CURVE = "digits_loss.png"


def make_params(rng):
    """Weights after He et al. (2015), zero biases."""
    return {
        "w1": rng.normal(0.0, np.sqrt(2 / PIXELS), (PIXELS, HIDDEN)),
        "b1": np.zeros(HIDDEN),
        "w2": rng.normal(0.0, np.sqrt(2 / HIDDEN), (HIDDEN, CLASSES)),
        "b2": np.zeros(CLASSES),
    }


def predict(params, images):
    """Scores of every class: (n, 64) images to (n, 10)."""
    hidden = np.maximum(images @ params["w1"] + params["b1"], 0)
    return hidden @ params["w2"] + params["b2"]


def loss(params, images, labels):
    """Mean softmax cross-entropy against integer labels of shape (n,)."""
    scores = predict(params, images)
    scores = scores - scores.max(axis=1, keepdims=True)  # exp cannot overflow
    log_total = np.log(np.exp(scores).sum(axis=1))
    return np.mean(log_total - scores[np.arange(len(labels)), labels])


def example():
    """Arguments of the shapes that training uses, for the `tapeless` command."""
    rng = np.random.default_rng(0)
    params = make_params(rng)
    images, labels = rng.random((BATCH, PIXELS)), rng.integers(0, CLASSES, BATCH)
    return params, tl.optim.adam_init(params), images, labels, LEARNING_RATE


@tl.compile(example=example)
def train_step(params, state, images, labels, lr):
    """One step of Adam on one batch, in place; returns the loss before it."""
    value, grads = tl.value_and_grad(loss)(params, images, labels)
    tl.optim.adam(params, grads, state, lr=lr)
    return value


def numpy_step(params, state, images, labels, lr):
    """The same step with derivatives and optimizer written by hand, to compare with."""
    w1, b1, w2, b2 = params.values()
    hidden = np.maximum(images @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    exps = np.exp(scores)
    total = exps.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    value = np.mean(np.log(total[:, 0]) - scores[rows, labels])
    d_scores = exps / total
    d_scores[rows, labels] -= 1
    d_scores /= len(labels)
    d_hidden = d_scores @ w2.T
    d_hidden[hidden <= 0] = 0
    gradients = (images.T @ d_hidden, d_hidden.sum(0), hidden.T @ d_scores, d_scores.sum(0))
    numpy_adam((w1, b1, w2, b2), gradients, state, lr)
    return value


def numpy_adam(parameters, gradients, state, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam with as few temporaries as NumPy allows in readable code."""
    state.step[...] += 1
    step_size = lr / (1 - beta1**state.step)
    correction = np.sqrt(1 - beta2**state.step)
    memories = zip(state.mean.values(), state.square.values(), strict=True)
    for p, g, (m, s) in zip(parameters, gradients, memories, strict=True):
        m *= beta1
        m += (1 - beta1) * g
        s *= beta2
        g *= g
        g *= 1 - beta2
        s += g
        denominator = np.sqrt(s)
        denominator /= correction
        denominator += eps
        np.divide(m, denominator, out=denominator)
        denominator *= step_size
        p -= denominator


def load_data(seed):
    """Training and held-out images and labels: four fifths and one fifth of every digit."""
    try:
        from sklearn.datasets import load_digits  # only training needs it, not `tapeless dump`
        from sklearn.model_selection import train_test_split
    except ImportError:
        sys.exit("this example needs scikit-learn: pip install 'tapeless[examples]'")
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images / 16, labels, test_size=0.2, stratify=labels, random_state=seed)


def accuracy(params, images, labels):
    """Share of images whose highest score is that of their label."""
    return np.mean(predict(params, images).argmax(axis=1) == labels)


def train(params, state, data, epochs, rng):
    """Train with a progress display; returns the loss of every step and the first call's time."""
    train_images, test_images, train_labels, test_labels = data
    losses, first_call = [], 0.0
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(train_images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            begin = time.perf_counter()
            value = train_step(
                params, state, train_images[batch], train_labels[batch], LEARNING_RATE
            )
            if not losses:
                first_call = time.perf_counter() - begin
            losses.append(value)
        recent = np.mean(losses[-(len(order) // BATCH) :])
        show_progress(epoch, epochs, recent, accuracy(params, test_images, test_labels))
    return losses, first_call


def show_progress(epoch, epochs, value, share):
    """One line: rewritten in place on a terminal, else every fifth epoch on a line of its own."""
    bar = "#" * (24 * epoch // epochs)
    line = f"epoch {epoch:3d}/{epochs} [{bar:24}] loss {value:.4f}, held-out {100 * share:.2f} %"
    if sys.stdout.isatty():
        print("\r" + line, end="\n" if epoch == epochs else "", flush=True)
    elif epoch % 5 == 0 or epoch in (1, epochs):
        print(line, flush=True)


def save_curve(losses, path):
    """Draw the loss of every step; without matplotlib, say so."""
    try:
        from matplotlib.figure import Figure  # an optional extra
    except ImportError:
        print("no loss curve: it needs matplotlib (pip install 'tapeless[examples]')")
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(losses, color="#1c6dd0", linewidth=1)
    axes.set(title="digits: training loss", xlabel="step", ylabel="softmax cross-entropy")
    axes.grid(True, which="major", color="#e9ecef")
    figure.savefig(path, dpi=150)
    print(f"loss curve written to {path}")


def compare(seconds):
    """Time per step of the three ways, each on arguments of its own."""
    ways = {
        "hand-written NumPy": numpy_step,
        "tapeless, dynamic": train_step.dynamic,
        "tapeless, static": train_step,
    }
    arguments = {name: example() for name in ways}
    return interleave(
        {name: lambda way=way, args=arguments[name]: way(*args) for name, way in ways.items()},
        seconds,
    )


def main():
    """Train, report the accuracy, save the curve, compare the speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40, help="default: 40")
    parser.add_argument("--quick", action="store_true", help="3 epochs, short timing")
    parser.add_argument("--no-plot", action="store_true", help="save no loss curve")
    parser.add_argument("--seed", type=int, default=1, help="of weights, split and batches")
    options = parser.parse_args()
    epochs = 3 if options.quick else options.epochs
    if epochs < 1:
        parser.error("--epochs takes a positive number")
    rng = np.random.default_rng(options.seed)
    params = make_params(rng)
    data = load_data(options.seed)
    print(f"{len(data[0])} training images, {len(data[1])} held out")
    losses, first_call = train(params, tl.optim.adam_init(params), data, epochs, rng)
    share = accuracy(params, data[1], data[3])
    print(f"held-out accuracy {100 * share:.2f} % after {len(losses)} steps")
    if not options.no_plot:
        save_curve(losses, CURVE)
    timings = compare(0.5 if options.quick else 3.0)
    dynamic, static = timings["tapeless, dynamic"].median, timings["tapeless, static"].median
    print(f"\n{timing_table(timings)}\n")
    print(
        f"the compiled step is {dynamic / static:.1f}× as fast as the same function define-by-run"
    )
    print(f"first call, compilation included: {duration(first_call)}")


if __name__ == "__main__":
    main()
