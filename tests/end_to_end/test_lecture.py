"""The lecture prints the numbers that it promises: by formula, compiled and define-by-run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

LECTURE = Path(__file__).resolve().parents[2] / "examples" / "lecture"
SCRIPTS = {path.stem: path for path in sorted(LECTURE.glob("[0-9]*.py"))}
SHARED = ("both_ways", "sensors")
CASES = {
    int(number): name
    for name, path in SCRIPTS.items()
    for number in re.findall(r"^def case_(\d+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}
"""The script of every case."""

LISTED: dict[int, dict[str, float]] = {
    1: {"f": -12, "df/dx": -4, "df/dy": -4, "df/dz": 3},
    2: {"f": -20, "df/dx": -8, "df/dy": 6, "df/dz": 2, "df/dw": 0},
    3: {"  its derivative": 7.4816890703380645, "  its derivative ": 23.52886761927484},
    6: {"ŷ": 2, "residual ŷ - y": -2, "loss": 4, "dloss/dw": -8},
    7: {"ŷ": 2, "residual ŷ - y": 1, "loss": 1, "dloss/dw": 8},
    8: {
        "epoch 1: gradient at x = 1": -2.0,
        "epoch 1: gradient at x = 2": -7.840000152587891,
        "epoch 1: gradient at x = 3": -16.228801727294922,
        "epoch 1: last loss": 7.315943717956543,
        "epoch 2: gradient at x = 1": -1.478623867034912,
        "epoch 2: gradient at x = 2": -5.796205520629883,
        "epoch 2: gradient at x = 3": -11.998146057128906,
        "epoch 2: last loss": 3.9987640380859375,
        "epoch 100: last loss": 9.094947017729282e-13,
        "predict(4) before": 4.0,
        "predict(4) after": 7.999998569488525,
    },
    9: {"quadratic: loss": 9, "  in w₁": 24, "  in w₂": 12, "  in b ": 6},
    10: {"m₁ = w₁ x": 2, "r = relu(m₁)": 2, "m₂ = w₂ r": 0.4},
    14: {
        "z": 9,
        **{f"w.grad[{i}]": 1 for i in range(3)},
        **{f"y.grad[{i}]": 1 / 3 for i in range(3)},
    },
    15: {f"x.grad[{i}]": 2 for i in range(3)},
    16: {
        "output after 0 steps": 12.0,
        "output after 1 step": 8.4,
        "output after 2 steps": 4.8,
        "output after 3 steps": 1.2,
    },
    17: {f"case 16 by SGD: output {n}": x for n, x in enumerate((12.0, 8.4, 4.8, 1.2))},
}
"""Numbers that the lecture lists in full, by case and row."""

ROUNDED: dict[int, dict[str, tuple[float, float]]] = {
    10: {
        "ŷ = σ(m₂)": (0.598687660, 1e-9),
        "loss": (0.161051594, 1e-9),
        "dw₂": (-0.385678416, 1e-8),  # the lecture multiplies rounded factors:
        "dw₁": (-0.154271366, 1e-8),  # its last digit is off
    },
    12: {
        **{
            f"ŷ of reading {i}": (x, 5e-5)
            for i, x in enumerate([0.8022, 1, 1, 1, 1, 1, 0.9973, 0.0198, 1, 1, 1, 0.6225], 1)
        },
        "MSE against y": (2673.9028, 1e-4),
        "MSE against 0.01 y": (0.1798, 5e-5),
        "MSE with +4 in reading 8": (0.2254, 5e-5),
    },
    13: {
        "loss": (0.00064555, 5e-9),
        "w₁": (0.13588, 5e-6),
        "w₂": (-0.07157, 5e-6),
        "b": (-0.65943, 1e-5),
    },
}
"""Numbers that the lecture lists rounded, each with what rounding leaves open."""

AGREEMENT = {5: 1e-6, 8: 0.0, 20: 3e-7, 23: 1e-8}
"""How far the ways may be apart, relative to the largest of a row or to 1: finite differences have
an error of their own, float32 is exact in case 8 and rounds sums in case 20."""


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """All scripts as modules, found as they find each other when run."""
    sys.path.insert(0, str(LECTURE))
    try:
        yield {name: importlib.import_module(name) for name in SCRIPTS}
    finally:
        sys.path.remove(str(LECTURE))
        for name in (*SCRIPTS, *SHARED):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows(scripts) -> Any:
    """The rows of a case, computed once."""
    known: dict[int, list[tuple[Any, ...]]] = {}

    def find(case: int) -> list[tuple[Any, ...]]:
        if case not in known:
            known[case] = getattr(scripts[CASES[case]], f"case_{case}")()
        return known[case]

    return find


def test_every_case_has_a_script() -> None:
    assert set(CASES) == set(range(1, 27))


def test_the_index_names_every_script_with_its_cases() -> None:
    index = (LECTURE / "README.md").read_text(encoding="utf-8")
    found = {}
    for cases, name in re.findall(r"^\| ([\d, to]+) \|.*\((\w+)\.py\) \|$", index, re.MULTILINE):
        numbers = [int(n) for n in re.findall(r"\d+", cases)]
        between = range(numbers[0], numbers[-1] + 1) if "to" in cases else numbers
        found |= dict.fromkeys(between, name)
    assert found == CASES


TABLES = sorted(set(CASES) - {21, 22, 26})
"""Cases whose result is a table of numbers."""


@pytest.mark.parametrize("case", TABLES)
def test_all_ways_to_a_number_agree(rows, case: int) -> None:
    tolerance = AGREEMENT.get(case, 1e-9)
    assert rows(case)
    for what, *numbers in rows(case):
        assert len(numbers) >= 3
        assert np.isfinite(numbers).all()
        apart = max(numbers) - min(numbers)
        assert apart <= tolerance * max(1.0, *map(abs, numbers)), (what, numbers)


@pytest.mark.parametrize("case", sorted(LISTED))
def test_numbers_are_those_of_the_lecture(rows, case: int) -> None:
    table = {what: numbers for what, *numbers in rows(case)}
    for what, listed in LISTED[case].items():
        np.testing.assert_allclose(table[what], listed, rtol=1e-14, atol=1e-14, err_msg=what)


@pytest.mark.parametrize("case", sorted(ROUNDED))
def test_rounded_numbers_are_those_of_the_lecture(rows, case: int) -> None:
    table = {what: numbers for what, *numbers in rows(case)}
    for what, (listed, open_) in ROUNDED[case].items():
        np.testing.assert_allclose(table[what], listed, rtol=0, atol=open_, err_msg=what)


def test_symbolic_and_automatic_gradients_are_those_by_hand(rows) -> None:
    for what, by_hand, _, _, symbolic, automatic in rows(5):
        np.testing.assert_allclose([symbolic, automatic], by_hand, rtol=1e-14, err_msg=what)


def test_finite_differences_are_of_first_and_second_order(scripts) -> None:
    errors = np.array([numbers for _, *numbers in scripts["02_four_ways"].errors_of_differences()])
    orders = np.log10(errors[1] / errors[3]) / 2  # from a step of 1e-2 to one of 1e-4
    np.testing.assert_allclose(orders, [1, 2], atol=0.02)


def test_computed_tensors_warn_when_asked_for_a_gradient(scripts) -> None:
    assert "retain_grad()" in scripts["06_the_tape"].what_a_computed_tensor_says()


def test_detached_and_unrecorded_tensors_are_outside_the_graph(scripts) -> None:
    *answers, refusal = scripts["06_the_tape"].outside_the_graph().values()
    assert answers == [True, False, False, False, True]
    assert "06_the_tape.py:" in refusal
    assert "without a graph" in refusal


def test_gradients_accumulate_until_they_are_zeroed(scripts) -> None:
    assert scripts["06_the_tape"].without_zeroing() == [3, 6, 9]


def test_the_two_layer_net_takes_the_same_500_steps_in_all_ways(scripts) -> None:
    by_hand, compiled, by_run = (
        losses for losses, _ in scripts["08_two_layer_net"].runs().values()
    )
    assert len(by_hand) == 500
    assert by_hand[-1] < 1e-12 * by_hand[0]
    np.testing.assert_allclose(compiled, by_hand, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_run, by_hand, rtol=1e-9, atol=1e-12)


def test_a_relu_of_our_own_trains_the_net_like_the_built_in_one(scripts) -> None:
    script = scripts["08_two_layer_net"]
    own = script.train_define_by_run(script.predict_by_my_relu, iterations=3)
    assert own == script.train_define_by_run(iterations=3)


def test_an_if_on_a_number_is_refused_in_a_compiled_function_with_a_hint(scripts) -> None:
    refusal = scripts["12_control_flow"].what_a_compiled_if_says()
    assert "12_control_flow.py:" in refusal
    assert "np.where" in refusal


def test_a_static_graph_says_what_goes_in_and_out(scripts) -> None:
    graph = scripts["09_static_graph"].build()
    assert list(graph.inputs) == ["x", "y", "w1", "b1", "w2", "b2"]
    assert str(graph.inputs["x"]) == "f32[64,1000]"
    assert [str(port) for port in graph.outputs.values()] == ["f32[]"]


def test_compiling_the_lecture_net_is_paid_back(scripts) -> None:
    script = scripts["09_static_graph"]
    attempts = (script.case_21(seconds=0.2) for _ in range(4))  # other programs may disturb one
    comparison = next(found for found in attempts if found.break_even)
    (_, *few), *_, (_, *many) = script.totals(comparison)
    assert few[1] > comparison.compiling > 0
    assert many[0] / few[0] > many[1] / few[1]
    dynamic, static = comparison.totals(10 * comparison.break_even)
    assert static < dynamic


SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str, kind: str) -> list[str]:
    """The texts of one class in a picture, sorted."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return sorted(str(text.text) for text in found if text.get("class") == kind)


def test_a_graph_is_drawn_before_and_after_fusion(scripts) -> None:
    svg = scripts["13_pictures"].case_22().svg
    assert texts(svg, "heading") == ["net_step: after fusion", "net_step: before fusion"]
    classes = [element.get("class") for element in ElementTree.fromstring(svg).iter()]
    assert classes.count("kernel") >= 5
    assert classes.count("forward") >= 10
    assert classes.count("backward") >= 10


def test_a_graph_is_drawn_from_a_result_with_values_and_gradients(scripts) -> None:
    drawings = scripts["13_pictures"].case_26()
    values, gradients = (texts(drawings["circuit"].svg, kind) for kind in ("value", "gradient"))
    assert values == sorted(["−2", "5", "−4", "3", "−12", "value above"])
    assert gradients == sorted(["−4", "−4", "3", "−4", "1", "gradient below"])
    for name in ("neuron", "neuron_compiled"):
        assert {"0.5987", "0.1611"} <= {*texts(drawings[name].svg, "value")}
        assert {"−0.1543", "−0.3857"} <= {*texts(drawings[name].svg, "gradient")}


WRITTEN = {
    "09_static_graph": ["09_break_even.png"],
    "11_activations": ["11_activations.png"],
    "13_pictures": [
        "13_circuit.svg",
        "13_fusion.svg",
        "13_neuron.svg",
        "13_neuron_compiled.svg",
    ],
}
"""The pictures that scripts write."""


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_prints_its_cases(scripts, name: str, tmp_path, monkeypatch, capsys) -> None:
    if any(path.endswith(".png") for path in WRITTEN.get(name, [])):
        pytest.importorskip("matplotlib")
    script = scripts[name]
    if name == "05_one_run_four_ways":
        monkeypatch.setattr(script, "EPOCHS", 100)  # all of them were run above
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *(["--seconds", "0.2"] if name[:2] == "09" else [])])
    script.main()
    out = capsys.readouterr().out
    for case in (case for case, where in CASES.items() if where == name):
        assert re.search(rf"^{case} ", out, re.MULTILINE), out
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN.get(name, [])


def test_a_script_runs_by_itself_from_anywhere(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS["01_circuits"])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    row = re.search(r"^ +df/dz +(\S+) +(\S+) +(\S+)", done.stdout, re.MULTILINE)
    assert row
    assert row.groups() == ("3", "3", "3")
