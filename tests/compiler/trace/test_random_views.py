"""Random programs of views and in-place updates do to arrays what NumPy does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.ir.errors import UnsupportedError

from .running import assert_same, call

Program = list[tuple[str, int, Any]]
"""Steps: what to do, to which of the arrays so far, how."""


def random_program(rng: np.random.Generator, shape: tuple[int, ...]) -> Program:
    """Steps for an array of `shape`; a plain copy of it tells which steps are possible."""
    arrays = [np.arange(np.prod(shape), dtype=float).reshape(shape)]
    program: Program = []
    for _ in range(int(rng.integers(4, 14))):
        what = str(rng.choice(["view", "view", "reshape", "add", "set", "combine", "copy"]))
        which = int(rng.integers(len(arrays)))
        step = what, which, _HOW[what](rng, arrays[which])
        program.append(step)
        perform(arrays, step)
    return program


def _random_view(rng: np.random.Generator, array: np.ndarray[Any, Any]) -> Any:
    kind = rng.choice(["index", "transpose", "newaxis", "flip"])
    if kind == "transpose":
        return "transpose", tuple(int(axis) for axis in rng.permutation(array.ndim))
    if kind == "newaxis":
        return "index", (..., None) if rng.random() < 0.5 else (None, ...)
    if kind == "flip":
        return "index", tuple(slice(None, None, -1) for _ in range(array.ndim))
    return "index", tuple(_random_item(rng, extent) for extent in array.shape)


def _random_item(rng: np.random.Generator, extent: int) -> Any:
    if extent and rng.random() < 0.25:
        return int(rng.integers(-extent, extent))
    start, stop = sorted(int(k) for k in rng.integers(0, extent + 1, 2))
    return slice(start, stop, int(rng.integers(1, 3)))


def _random_shape(rng: np.random.Generator, array: np.ndarray[Any, Any]) -> tuple[int, ...]:
    size = array.size
    divisors = [n for n in range(1, size + 1) if size % n == 0] or [1]
    first = int(rng.choice(divisors))
    return (first, size // first) if rng.random() < 0.7 else (size,)


_HOW: dict[str, Any] = {
    "view": _random_view,
    "reshape": _random_shape,
    "add": lambda rng, array: float(rng.integers(1, 9)),
    "set": lambda rng, array: float(rng.integers(1, 9)),
    "combine": lambda rng, array: None,
    "copy": lambda rng, array: None,
}


def perform(arrays: list[Any], step: tuple[str, int, Any]) -> None:
    """Carry out one step on the arrays so far."""
    what, which, how = step
    array = arrays[which]
    if what == "view":
        kind, detail = how
        new = array.transpose(detail) if kind == "transpose" else array[detail]
        if new.shape != ():
            arrays.append(new)
    elif what == "reshape":
        arrays.append(array.reshape(how))
    elif what == "add":
        array += how
    elif what == "set":
        array[tuple(slice(0, 1) for _ in array.shape)] = how
    elif what == "combine":
        array *= arrays[0].sum() + 0.5
    else:
        arrays.append(array.copy())


def run(program: Program, x: Any) -> list[Any]:
    arrays = [x]
    for step in program:
        perform(arrays, step)
    return arrays


SHAPES = [(6,), (4, 3), (2, 3, 2), (3, 1, 4), (0, 3)]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_contiguous_arguments(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng([seed, len(shape), *shape])
    program = random_program(rng, shape)
    plain, ours = (np.arange(np.prod(shape), dtype=float).reshape(shape) for _ in range(2))
    traced = trace_function(lambda x: run(program, x), (ours,), {})
    expected, results = run(program, plain), call(traced, ours)
    assert_same(results, expected)
    np.testing.assert_array_equal(ours, plain)
    sharing = [np.shares_memory(array, plain) for array in expected]
    assert [np.shares_memory(array, ours) for array in results] == sharing


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2)], ids=str)
def test_arguments_of_any_layout_agree_or_are_refused(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng([seed, len(shape), *shape])
    program = random_program(rng, shape)
    plain, ours = (np.asfortranarray(np.arange(12.0).reshape(shape)) for _ in range(2))
    try:
        traced = trace_function(lambda x: run(program, x), (ours,), {})
    except UnsupportedError as error:
        assert "view or a copy" in str(error)  # noqa: PT017
        return
    assert_same(call(traced, ours), run(program, plain))
    np.testing.assert_array_equal(ours, plain)
