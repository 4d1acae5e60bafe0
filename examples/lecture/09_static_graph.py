"""A static graph: built once, run many times, and when that pays (cases 20 and 21).

    python examples/lecture/09_static_graph.py                   writes 09_break_even.png
    tapeless time examples/lecture/09_static_graph.py --plot     the same from the command line

A dynamic graph is built and thrown away on every call. A static one is built and compiled before
the first, and reused: that costs something once and saves something every time.
"""

import argparse

import numpy as np
from both_ways import Row, show, table

import tapeless as tl
from tapeless.report import CALL_COUNTS, Comparison, compare, duration

N, D, H = 64, 1000, 100
PICTURE = "09_break_even.png"


def model(x, w1, b1, w2, b2):
    """Dense(100, ReLU) and Dense(1000)."""
    return tl.nn.relu(x @ w1 + b1) @ w2 + b2


def mean_squared_error(x, y, w1, b1, w2, b2):
    """The forward pass of the lecture."""
    return tl.nn.mse(model(x, w1, b1, w2, b2), y)


def example():
    """A batch and parameters, float32."""
    rng = np.random.default_rng(0)
    shapes = (N, D), (N, D), (D, H), (H,), (H, D), (D,)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


forward = tl.compile(mean_squared_error, example=example)


def batches(count: int):
    """Some more inputs."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=(N, D)).astype(np.float32) for _ in range(count)]


def build() -> tl.StaticGraph:
    """graph = build_graph(): traced and compiled for these types, not run."""
    return tl.build_graph(mean_squared_error, *example())


def case_20() -> list[Row]:
    """for each batch: run_graph(graph, x=batch)."""
    graph = build()
    _, y, w1, b1, w2, b2 = example()
    columns = [[], [], []]
    for x in batches(3):
        hidden = np.maximum(x @ w1 + b1, 0)
        columns[0].append(np.mean((hidden @ w2 + b2 - y) ** 2))
        columns[1].append(tl.run_graph(graph, x=x, y=y, w1=w1, b1=b1, w2=w2, b2=b2))
        columns[2].append(mean_squared_error(tl.Tensor(x), y, w1, b1, w2, b2).item())
    return table([f"loss of batch {i}" for i in (1, 2, 3)], *columns)


def case_21(seconds: float = 1.0) -> Comparison:
    """Both ways timed in turns, for about as many seconds; the compilation is timed as well."""
    return compare(forward, example, seconds=seconds)


def totals(comparison: Comparison) -> list[Row]:
    """The table of the slide: seconds for 10, 100, … calls, compilation included."""
    return [(f"{calls:,} calls", *comparison.totals(calls)) for calls in CALL_COUNTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for timing (default: 1)")
    options = parser.parse_args()

    print(f"{build()!r}")
    show("20  one graph, run by name on three batches", case_20(), digits=8)

    comparison = case_21(options.seconds)
    print("\n21  forward pass, 64 × 1000 → 100 → 1000, mean squared error\n")
    print("                     dynamic         static")
    for what, dynamic, static in totals(comparison):
        print(f"  {what:>12}  {dynamic:11.4f} s  {static:11.4f} s")
    print(f"\n  compiling takes {duration(comparison.compiling)}", end="")
    print(f" and has paid after {comparison.break_even} calls")
    axes = tl.plot.timing(comparison, title="Dense(100, ReLU) → Dense(1000), forward")
    axes.figure.savefig(PICTURE, dpi=150)
    print(f"  plot written to {PICTURE}")


if __name__ == "__main__":
    main()
