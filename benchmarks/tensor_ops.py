"""What an operation costs define-by-run: tapeless, HIPS autograd and torch eager side by side.

    python benchmarks/tensor_ops.py            a minute; --quick for ten seconds

First chains of one operation on small arrays, forward and backward in µs per operation, in
float64 and on one thread; then a step of training the digits of `examples/digits.py`. The
libraries take turns in one process, and the fastest of many rounds counts, so that other work on
the machine disturbs all alike. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402 - threads are bounded before BLAS is loaded

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import digits  # noqa: E402

import tapeless as tl  # noqa: E402

LENGTH = 100
"""Operations in a chain."""


@dataclass(frozen=True)
class Library:
    """How a library records and walks back.

    `forward(chain, arrays)` runs a chain on leaves made of `arrays` and gives what `backward`
    needs to compute the gradient of the sum of the result in the leaves.
    """

    namespace: Any
    forward: Callable[[Callable[..., Any], Sequence[Any]], Any]
    backward: Callable[[Any], Any]


def tapeless_library() -> Library:
    """`tl.Tensor`."""

    def forward(chain: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        leaves = [tl.Tensor(array, requires_grad=True) for array in arrays]
        return np.sum(chain(np, *leaves))

    return Library(np, forward, lambda result: result.backward())


def autograd_library() -> Library:
    """HIPS autograd, whose gradient is asked for as a pair of passes."""
    import autograd.builtins
    import autograd.numpy as anp
    from autograd.core import make_vjp

    def forward(chain: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        if len(arrays) == 1:
            return make_vjp(lambda x: anp.sum(chain(anp, x)), arrays[0])[0]
        pair = autograd.builtins.tuple(tuple(arrays))
        return make_vjp(lambda xs: anp.sum(chain(anp, xs[0], xs[1])), pair)[0]

    return Library(anp, forward, lambda pull: pull(1.0))


def torch_library() -> Library:
    """torch eager."""
    import torch

    torch.set_num_threads(1)

    def forward(chain: Callable[..., Any], arrays: Sequence[Any]) -> Any:
        leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
        return chain(torch, *leaves).sum()

    return Library(torch, forward, lambda result: result.backward())


MAKERS = {"tapeless": tapeless_library, "autograd": autograd_library, "torch": torch_library}


def repeated(step: Callable[..., Any]) -> Callable[..., Any]:
    """A chain of `LENGTH` times the same operation: `step(namespace, value, first, other)`."""

    def chain(namespace: Any, x: Any, y: Any = None) -> Any:
        value = x
        for _ in range(LENGTH):
            value = step(namespace, value, x, y)
        return value

    return chain


CHAINS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "x * y": (repeated(lambda np, z, x, y: z * y), [(3,), (3,)]),
    "x * 1.01": (repeated(lambda np, z, x, y: z * 1.01), [(3,)]),
    "sin x": (repeated(lambda np, z, x, y: np.sin(z)), [(3,)]),
    "x + sum(x)": (repeated(lambda np, z, x, y: x + np.sum(z)), [(3,)]),
    "x @ y": (repeated(lambda np, z, x, y: z @ y), [(4, 4), (4, 4)]),
}
"""Chains by name, with the shapes of their leaves."""


def fastest(runs: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, Any]:
    """The least of each of two times, over rounds in which all take turns."""
    best = {name: (np.inf, np.inf) for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            first, second = run()
            best[name] = min(best[name][0], first), min(best[name][1], second)
    return best


def timed(library: Library, chain: Callable[..., Any], arrays: Sequence[Any]) -> Any:
    """A run of one chain: seconds per operation forward and backward."""

    def run() -> tuple[float, float]:
        start = time.perf_counter()
        result = library.forward(chain, arrays)
        middle = time.perf_counter()
        library.backward(result)
        return (middle - start) / LENGTH, (time.perf_counter() - middle) / LENGTH

    return run


def compare_chains(libraries: dict[str, Library], rounds: int) -> None:
    """Print the table of operations."""
    print(f"{'µs per operation':<18}" + "".join(f"{name:>24}" for name in libraries))
    print(" " * 18 + "  forward backward total" * len(libraries))
    rng = np.random.default_rng(0)
    for title, (chain, shapes) in CHAINS.items():
        arrays = [rng.uniform(0.2, 0.3, shape) for shape in shapes]
        runs = {name: timed(library, chain, arrays) for name, library in libraries.items()}
        row = "".join(
            f"{1e6 * ahead:9.2f}{1e6 * back:9.2f}{1e6 * (ahead + back):6.2f}"
            for ahead, back in fastest(runs, rounds).values()
        )
        print(f"{title:<18}{row}", flush=True)


def loss(np: Any, params: Any, images: Any, labels: Any) -> Any:
    """That of `examples/digits.py`, for any namespace like NumPy's."""
    hidden = np.maximum(images @ params["w1"] + params["b1"], 0)
    scores = hidden @ params["w2"] + params["b2"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_total = np.log(np.sum(np.exp(scores), axis=1))
    return np.mean(log_total - scores[np.arange(len(labels)), labels])


def tapeless_step(data: Any) -> Callable[[], float]:
    """A step of gradient descent with tensors."""
    rng = np.random.default_rng(0)
    params = {k: tl.Tensor(v, requires_grad=True) for k, v in digits.make_params(rng).items()}
    images, labels = (tl.Tensor(array) for array in data)

    def step() -> float:
        value = loss(np, params, images, labels)
        value.backward()
        with tl.no_grad():
            for p in params.values():
                p -= 0.1 * p.grad
                p.zero_grad()
        return float(value)

    return step


def autograd_step(data: Any) -> Callable[[], float]:
    """A step of gradient descent with HIPS autograd."""
    import autograd
    import autograd.numpy as anp

    rng = np.random.default_rng(0)
    params = digits.make_params(rng)
    value_and_grad = autograd.value_and_grad(lambda p, *args: loss(anp, p, *args))

    def step() -> float:
        value, gradients = value_and_grad(params, *data)
        for name, p in params.items():
            p -= 0.1 * gradients[name]
        return float(value)

    return step


def torch_step(data: Any) -> Callable[[], float]:
    """A step of gradient descent with torch."""
    import torch

    rng = np.random.default_rng(0)
    made = digits.make_params(rng).items()
    params = {k: torch.tensor(v, requires_grad=True) for k, v in made}
    images, labels = (torch.tensor(array) for array in data)

    def step() -> float:
        hidden = torch.relu(images @ params["w1"] + params["b1"])
        value = torch.nn.functional.cross_entropy(hidden @ params["w2"] + params["b2"], labels)
        value.backward()
        with torch.no_grad():
            for p in params.values():
                p -= 0.1 * p.grad
                p.grad = None
        return float(value)

    return step


STEPS = {"tapeless": tapeless_step, "autograd": autograd_step, "torch": torch_step}


def compare_digits(names: Sequence[str], rounds: int) -> None:
    """Print the time of a training step on a batch of the digits, and check that all agree."""
    images, _, labels, _ = digits.load_data(0)
    data = images[: digits.BATCH], labels[: digits.BATCH]
    steps = {name: STEPS[name](data) for name in names}
    losses = {name: [step() for _ in range(20)][-1] for name, step in steps.items()}
    np.testing.assert_allclose(list(losses.values()), losses["tapeless"], rtol=1e-9)

    def run(step: Callable[[], float]) -> tuple[float, float]:
        start = time.perf_counter()
        step()
        return time.perf_counter() - start, 0.0

    runs = {name: lambda step=step: run(step) for name, step in steps.items()}
    print("\na step of training the digits (64-128-10, batch of 128, float64), ms")
    for name, (seconds, _) in fastest(runs, 5 * rounds).items():
        print(f"{name:<18}{1e3 * seconds:9.3f}")


def main() -> None:
    """Compare whatever is installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    rounds = 20 if parser.parse_args().quick else 150
    names = [name for name in MAKERS if importlib.util.find_spec(name)]
    compare_chains({name: MAKERS[name]() for name in names}, rounds)
    compare_digits(names, rounds)


if __name__ == "__main__":
    main()
