"""The benchmarks: workloads say the same for every peer, and the programs do what they print."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TRAINING = (
    *("two_layer_net", "dense_net", "neuron", "classifier", "transformer", "pointwise"),
    *("small_net_1x8x8x1", "small_net_64x128x128x10"),
)
"""Step by step against NumPy; LeNet waits for convolutions."""


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a module as the programs in benchmarks/ do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(program: str, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def figures(benchmark, peer: str, name: str) -> list[float]:
    workload = benchmark("workloads").WORKLOADS[name]
    builders = benchmark(f"peers.{peer}_peer").BUILDERS
    return builders[type(workload)](workload).check()


@pytest.mark.parametrize("name", [*TRAINING, "product_128x128x128", "product_64x100x1000"])
def test_tapeless_and_the_hand_written_step_agree(benchmark, name: str) -> None:
    dtype = benchmark("workloads").WORKLOADS[name].dtype
    tolerance = benchmark("results").TOLERANCE[dtype]
    ours = figures(benchmark, "tapeless", name)
    np.testing.assert_allclose(ours, figures(benchmark, "numpy", name), rtol=tolerance)
    assert len(set(ours)) >= 2  # the step does something


def gradient_error(workload, params, batch, grads, rng) -> float:
    """Relative difference of a derivative along a random direction from a central difference."""
    direction = {name: rng.standard_normal(p.shape) for name, p in params.items()}
    h = 1e-6

    def value(sign: int) -> float:
        moved = {name: p + sign * h * direction[name] for name, p in params.items()}
        return float(workload.numpy_gradients(np, moved, *batch)[0])

    expected = (value(1) - value(-1)) / (2 * h)
    found = sum(np.vdot(grads[name], direction[name]) for name in params)
    return float(abs(found - expected) / abs(expected))


@pytest.mark.parametrize("name", [*TRAINING, "lenet"])
def test_hand_written_gradients_are_derivatives(benchmark, name: str) -> None:
    workload = benchmark("workloads").WORKLOADS[name]
    params, batch = workload.example()
    params = {key: p.astype("float64") for key, p in params.items()}
    batch = tuple(b.astype("float64") if b.dtype.kind == "f" else b for b in batch)
    _, grads = workload.numpy_gradients(np, params, *batch)
    assert gradient_error(workload, params, batch, grads, np.random.default_rng(0)) < 1e-3


def test_workloads_import_no_peer(benchmark) -> None:
    code = "import sys, workloads; print(sorted({'jax', 'torch', 'tapeless'} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_every_workload_has_a_target(benchmark) -> None:
    assert set(benchmark("targets").TARGETS) == set(benchmark("workloads").WORKLOADS)


def test_floors_name_workloads_and_peers(benchmark) -> None:
    floors = benchmark("check").FLOORS
    assert set(floors) <= set(benchmark("workloads").WORKLOADS)
    others = {other for row in floors.values() for other in row}
    assert others <= {*benchmark("peers").PEERS, "limit"}


def test_differing_figures_are_named(benchmark) -> None:
    results, workloads = benchmark("results"), benchmark("workloads")
    peers = {
        name: results.PeerResult(figures=found)
        for name, found in {
            "a": (1.0, 2.0),
            "b": (1.0, 2.0 + 1e-5),
            "c": (1.0, 2.01),
            "d": (1.0, float("nan")),
            "none": (),
        }.items()
    }
    del peers["d"]
    assert set(results.disagreements(workloads.WORKLOADS["dense_net"], peers)) == {"c"}
    peers = {"a": peers["a"], "b": peers["b"], "d": results.PeerResult(figures=(1.0, np.nan))}
    assert "d" in results.disagreements(workloads.WORKLOADS["dense_net"], peers)


def made_result(benchmark, ours: float, theirs: float, **options):
    """A result in which tapeless takes `ours`, numpy `theirs`, and the limit is 1 s."""
    results, workloads = benchmark("results"), benchmark("workloads")
    peers = {
        name: results.PeerResult(timing=results.Timing(t, t, t, t / 2), first_call=0.1)
        for name, t in {"tapeless": ours, "numpy": theirs}.items()
    }
    limit = results.Limit(flops=10, bytes=10, flops_per_s=10, bytes_per_s=20)
    return results.Result(workloads.WORKLOADS["dense_net"], 2, peers, limit, **options)


def test_ratios_are_of_step_times(benchmark) -> None:
    result = made_result(benchmark, 2.0, 8.0)
    assert result.best_peer() == "numpy"
    assert result.ratio("tapeless", "numpy") == 0.25
    assert result.ratio("tapeless", "limit") == 2
    assert result.ratio("tapeless", "jax") is None
    assert made_result(benchmark, 2.0, 8.0, fastest=True).ratio("tapeless", "limit") == 1


def test_bounds_are_met_missed_or_not_measured(benchmark) -> None:
    result, bound = made_result(benchmark, 2.0, 8.0), benchmark("targets").Bound
    verdicts = [
        result.meets(bound(other, factor))
        for other, factor in (("numpy", 0.3), ("numpy", 0.2), ("jax", 0.5), ("seconds", 3.0))
    ]
    assert verdicts == [True, False, None, True]


def test_check_compares_speeds_with_floors(benchmark) -> None:
    check = benchmark("check")
    result = made_result(benchmark, 2.0, 8.0)
    found = check.findings(result, {"numpy": 4.5, "limit": 0.4, "jax": 1.0})
    assert [finding.below for finding in found] == [True, False, False]


def test_compare_prints_and_writes_what_it_measured(tmp_path) -> None:
    path = tmp_path / "results.json"
    options = ["--workload", "neuron", "--peers", "tapeless", "numpy", "--threads", "1"]
    options += ["--rounds", "2", "--seconds", "0.01", "--json", str(path), "--markdown"]
    out = run("compare.py", *options)
    assert "sigmoid neuron" in out
    assert "target: " in out
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert set(result["peers"]) == {"tapeless", "numpy"}
    assert not result["disagreeing"]
    for peer in result["peers"].values():
        assert 0 < peer["timing"]["least"] <= peer["timing"]["median"] < 1
    assert result["limit"]["flops_per_s"] > 1e8


def test_compare_rejects_unknown_workloads() -> None:
    run("compare.py", "--workload", "no_such_thing", status=2)


@pytest.mark.peers
@pytest.mark.parametrize("name", [*TRAINING, "lenet", "product_128x128x128"])
def test_all_peers_agree(name: str) -> None:
    run("compare.py", "--workload", name, "--rounds", "1", "--seconds", "0.01")
