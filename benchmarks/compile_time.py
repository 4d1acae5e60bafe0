"""How long compiling takes: by depth of the net, by size of the graph, and from process start.

    python benchmarks/compile_time.py

First calls are measured in a fresh process each, after a tiny function has loaded what the first
compilation of a process loads once. The machine-code part is what LLVM takes for the same program.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, TAPELESS, environment

DEPTHS = (4, 8, 16, 24)
NODES = (2_500, 5_000, 10_000)
WIDTH, BATCH, RATE = 64, 32, 1e-2
NODES_PER_TURN = 15
"""Nodes of the traced graph for each turn of the loop in `chain`."""
FIRST_VALUE = Path(__file__).with_name("first_value.py")
FIRST_VALUE_PEERS = ("tapeless", "numpy", "jax", "torch")


def net(np, params, x, y):
    """Equal layers with tanh; mean squared error."""
    for w, b in params:
        x = np.tanh(x @ w + b)
    return np.mean((x - y) ** 2)


def net_arguments(depth: int) -> tuple[list[tuple[Any, Any]], Any, Any]:
    """Parameters and batch in float32."""
    rng = np.random.default_rng(0)
    scale = np.float32(WIDTH**-0.5)
    params = [
        (scale * rng.standard_normal((WIDTH, WIDTH), "float32"), np.zeros(WIDTH, "float32"))
        for _ in range(depth)
    ]
    x, y = rng.standard_normal((2, BATCH, WIDTH), "float32")
    return params, x, y


def seconds(call: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tapeless_depth(depth: int) -> dict[str, float]:
    """First call of a training step, and its parts."""
    import llvmlite.binding as llvm

    import tapeless as tl
    from tapeless.compiler.target import host_target
    from tapeless.compiler.trace.function import trace_function

    def step(params, x, y):
        value, grads = tl.value_and_grad(lambda params: net(np, params, x, y))(params)
        tl.optim.sgd(params, grads, RATE)
        return value

    tl.compile(lambda x: x + 1)(np.ones(4))
    arguments = net_arguments(depth)
    compiled = tl.compile(step)
    first = seconds(lambda: compiled(*arguments))
    text = compiled.lower(*arguments).stages["llvm"]
    machine = host_target().machine()
    return {
        "first call": first,
        "tracing": seconds(lambda: trace_function(step, arguments, {})),
        "machine code": seconds(lambda: machine.emit_object(llvm.parse_assembly(text))),
        "llvm_kb": len(text) / 1e3,
    }


def jax_depth(depth: int) -> dict[str, float]:
    """First call of the same step."""
    import jax

    @jax.jit
    def step(params, x, y):
        value, grads = jax.value_and_grad(lambda params: net(jax.numpy, params, x, y))(params)
        return value, jax.tree.map(lambda p, g: p - RATE * g, params, grads)

    jax.jit(lambda x: x + 1)(np.ones(4)).block_until_ready()
    arguments = jax.tree.map(jax.numpy.array, net_arguments(depth))
    return {"first call": seconds(lambda: jax.block_until_ready(step(*arguments)))}


def chain(count: int) -> Callable[[Any, Any], Any]:
    """A function of about `count` nodes: elementwise work, row sums, products, all live."""

    def function(x, w):
        total = 0.0
        for _ in range(count // NODES_PER_TURN):
            x = np.tanh(x @ w + x)
            x = x / (1 + np.sum(x * x, axis=1, keepdims=True))
            total = total + x[0, 0]
        return total

    return function


def graph_passes(count: int) -> dict[str, Any]:
    """Seconds of every pass on the graph of a `chain`."""
    pipeline = importlib.import_module("tapeless.compiler.pipeline")
    from tapeless.compiler.trace.function import trace_function

    arguments = np.ones((8, 16), "float32"), np.ones((16, 16), "float32")
    passes = (pipeline.EXPANSION, *pipeline.SIMPLIFICATION, *pipeline.FUSION)
    for step in passes:  # imports on demand are not the passes' affair
        step.run(trace_function(chain(NODES_PER_TURN), arguments, {}).graph)
    start = time.perf_counter()
    graph = trace_function(chain(count), arguments, {}).graph
    found: dict[str, Any] = {"nodes": len(graph.nodes), "tracing": time.perf_counter() - start}
    found["passes"] = {}
    for step in passes:
        start = time.perf_counter()
        graph = step.run(graph)
        found["passes"][step.stage] = time.perf_counter() - start
    return found


MEASUREMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "tapeless": tapeless_depth,
    "jax": jax_depth,
    "passes": graph_passes,
}


def in_own_process(name: str, number: int) -> dict[str, Any]:
    """A measurement there."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, str(number)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment(name, 2),
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def medians(name: str, number: int, repeats: int) -> dict[str, float]:
    """Medians of a flat measurement over processes."""
    runs = [in_own_process(name, number) for _ in range(repeats)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def first_value(peer: str, repeats: int) -> float:
    """Seconds from starting a process to the first workload's first value."""
    command = [sys.executable, str(FIRST_VALUE), peer]

    def run() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment(peer, 2))

    return statistics.median(seconds(run) for _ in range(repeats))


def depth_table(repeats: int) -> dict[str, Any]:
    """First calls by depth; prints as it goes."""
    peers = [peer for peer in ("tapeless", "jax") if not PEERS[peer].missing()]
    print(f"training step of a net of tanh layers {BATCH}x{WIDTH}x{WIDTH}, SGD, float32 (ms)")
    print(f"{'layers':>8}{'first call':>12}{'tracing':>10}{'machine code':>14}{'jax':>8}")
    rows: dict[str, Any] = {}
    for depth in DEPTHS:
        row = {peer: medians(peer, depth, repeats) for peer in peers}
        rows[str(depth)] = row
        ours = [1e3 * row[TAPELESS][key] for key in ("first call", "tracing", "machine code")]
        theirs = f"{1e3 * row['jax']['first call']:8.0f}" if "jax" in row else f"{'–':>8}"
        print(f"{depth:8}{ours[0]:12.0f}{ours[1]:10.0f}{ours[2]:14.0f}{theirs}", flush=True)
    codes = [rows[str(depth)][TAPELESS]["machine code"] for depth in (DEPTHS[-1], DEPTHS[0])]
    print(
        f"machine code of {DEPTHS[-1]} layers over {DEPTHS[0]}: {codes[0] / codes[1]:.2f}"
        " (target ≤ 1.5)\n"
    )
    return rows


def passes_table() -> dict[str, Any]:
    """All passes by number of nodes; prints as it goes."""
    print(f"{'nodes':>8}{'tracing':>10}{'passes':>10}   slowest passes (ms)")
    rows: dict[str, Any] = {}
    totals = []
    for count in NODES:
        row = rows[str(count)] = in_own_process("passes", count)
        totals.append(sum(row["passes"].values()))
        slowest = sorted(row["passes"].items(), key=lambda item: -item[1])[:4]
        text = ", ".join(f"{name} {1e3 * value:.0f}" for name, value in slowest)
        print(f"{row['nodes']:8}{1e3 * row['tracing']:10.0f}{1e3 * totals[-1]:10.0f}   {text}")
    growth = [after / before for before, after in pairwise(totals)]
    ratios = ", ".join(f"{value:.2f}" for value in growth)
    print(f"twice the nodes: {ratios} times the time (target ≤ 2.3; 10,000 nodes in ≤ 2,000 ms)\n")
    return rows


def main() -> int:
    """Run all three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="processes per figure (default: 3)")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, number = options.measure
        print(json.dumps(MEASUREMENTS[name](int(number))))
        return 0
    found: dict[str, Any] = {"depth": depth_table(options.repeats), "passes": passes_table()}
    found["first value"] = {}
    print("process start to the first workload's first value (target ≤ 500 ms)")
    for peer in FIRST_VALUE_PEERS:
        if not PEERS[peer].missing():
            found["first value"][peer] = first_value(peer, options.repeats)
            print(f"{peer:>10}{1e3 * found['first value'][peer]:10.0f} ms", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
