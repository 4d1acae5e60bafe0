"""The compiler in one file does what it says, and its own check notices when it does not."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "autodidact.py"


@pytest.fixture
def autodidact():
    """The module examples/autodidact.py, loaded anew."""
    spec = importlib.util.spec_from_file_location("autodidact_example", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_fits_in_400_lines_and_uses_only_numpy_and_llvmlite() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported - set(sys.stdlib_module_names) == {"numpy", "llvmlite"}


def test_it_runs_checks_itself_and_prints_the_program_at_every_stage(autodidact, capsys) -> None:
    autodidact.main()
    out = capsys.readouterr().out
    parts = re.split(r"As written.*\n|Simplified:\n|Fused.*\n|The native code.*\n", out)
    written, simplified, fused, timing = (part.count("\n  %") for part in parts[1:])
    assert written > simplified > fused > timing == 0
    assert "tanh(add(dot(%4, %0), broadcast(%1, 0, 32)))" in parts[3]
    assert re.search(r"^ 1000 +[\d.]+ s +[\d.]+ s\nCompiling took \d+ ms", parts[4], re.MULTILINE)


def test_training_with_the_compiled_step_learns(autodidact) -> None:
    arrays = list(autodidact.example())
    step = autodidact.Compiled(autodidact.train_step, *arrays)
    losses = []
    for _ in range(300):
        value, *arrays[:4] = step(*arrays)
        losses.append(float(value))
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("name", ["tanh", "log", "dot", "sum", "broadcast"])
def test_its_check_notices_a_wrong_derivative(autodidact, name: str) -> None:
    op = autodidact.OPS[name]
    right = op.derivative[0]
    doubled = (lambda *arguments: 2 * right(*arguments), *op.derivative[1:])
    autodidact.OPS[name] = op._replace(derivative=doubled)
    arrays = autodidact.example()
    step = autodidact.Compiled(autodidact.train_step, *arrays)
    with pytest.raises(AssertionError):
        autodidact.check(step, arrays)


def test_its_check_notices_wrong_machine_code(autodidact) -> None:
    autodidact.OPS["sub"] = autodidact.OPS["sub"]._replace(instruction="fadd")
    arrays = autodidact.example()
    step = autodidact.Compiled(autodidact.train_step, *arrays)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        autodidact.check(step, arrays)


def test_simplification_changes_no_bit_and_keeps_the_sign_of_zero(autodidact) -> None:
    def function(x):
        return 1.0 * x, (2.0 * 3.0) * x, x * 0.0, x * -0.0, x + 0.0, x * x - x * x

    x = np.array([-1.5, -0.0, 0.0, 3.0])
    compiled = autodidact.Compiled(function, x)
    assert len(compiled.graph.nodes) < len(compiled.traced.nodes)
    for native, numpy in zip(compiled(x), function(x), strict=True):
        assert native.tobytes() == numpy.tobytes()


def test_bad_calls_are_refused(autodidact) -> None:
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="does not know <ufunc 'sin'>"):
        autodidact.Compiled(lambda x: [np.sin(x)], x)
    with pytest.raises(TypeError, match=r"does not know np\.mean"):
        autodidact.Compiled(lambda x: [np.mean(x)], x)
    with pytest.raises(ValueError, match="matmul"):
        autodidact.Compiled(lambda x: [x @ x], x)
    with pytest.raises(TypeError, match=r"two matrices, not \[\(2, 3\), \(3,\)\]"):
        autodidact.Compiled(lambda x, v: [x @ v], x, np.ones(3))
    with pytest.raises(TypeError, match=r"not repeated: \(2, 1\) to \(2, 3\)"):
        autodidact.Compiled(lambda x, y: [x * y], x, np.ones((2, 1)))
    compiled = autodidact.Compiled(lambda x: [x * 2], x)
    with pytest.raises(TypeError, match=r"compiled for \(2, 3\), called with \(3, 2\)"):
        compiled(x.T)


def test_gradients_of_what_is_not_used_are_zero_and_shares_are_added(autodidact) -> None:
    def function(x, y):
        return autodidact.gradient(np.sum(x * x + 3 * x), [x, y])

    x, y = np.array([1.0, -2.0]), np.ones((2, 3))
    in_x, in_y = autodidact.Compiled(function, x, y)(x, y)
    np.testing.assert_array_equal(in_x, 2 * x + 3)
    np.testing.assert_array_equal(in_y, np.zeros((2, 3)))


def test_arrays_without_elements_are_looped_over_zero_times(autodidact) -> None:
    x, y = np.ones((0, 3)), np.ones((2, 0))

    def function(x, y):
        return 2 * x, np.sum(x), np.sum(x, axis=0), y @ x

    for native, numpy in zip(
        autodidact.Compiled(function, x, y)(x, y), function(x, y), strict=True
    ):
        np.testing.assert_array_equal(native, numpy)
