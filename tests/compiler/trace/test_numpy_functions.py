"""Every function and method that is understood, against NumPy.

`numpy_calls.txt` holds the calls, one per line, on the arrays named below. Each is traced, run by
the interpreter, and compared with NumPy's result: structure, Python type, element type, shape,
values, and the arguments afterwards. A function or method without a call fails a test.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.functions import FUNCTIONS, HINTS
from tapeless.compiler.trace.functions.understood import name_of
from tapeless.compiler.trace.methods import METHODS, UNSUPPORTED
from tapeless.ir.errors import (
    DTypeError,
    OutOfBoundsError,
    ShapeError,
    TapelessError,
    TraceError,
    UnsupportedError,
)

from .comparing import agree, sample

ARGUMENTS: dict[str, Any] = {
    "x": sample(np.float64, (3, 4)),
    "y": sample(np.float64, (3, 4), seed=1),
    "f": sample(np.float32, (3, 4)),
    "i": sample(np.int64, (3, 4)),
    "h": sample(np.int8, (3, 4)),
    "u": sample(np.uint8, (3, 4)),
    "b": sample(np.bool_, (3, 4)),
    "k": sample(np.bool_, (3, 4), seed=1),
    "n": np.where(sample(np.bool_, (3, 4)), np.nan, sample(np.float64, (3, 4))),
    "o": np.full((2, 3), np.nan),
    "v": sample(np.float64, (5,), seed=4)[::-1] * 0 + np.array([0.5, -1.5, 2.5, 3.25, -0.75]),
    "w": np.array([1.25, 0.5, -2.0, 4.0, 0.125]),
    "j": np.array([3, -1, 4, 1, -5]),
    "e": np.zeros((0, 3)),
    "t": sample(np.float64, (2, 3, 4)),
    "r": sample(np.float64, (2, 4, 3)),
    "q": sample(np.float64, (4, 4)),
    "a": sample(np.int32, (3, 4, 2)),
    "z": np.array(2.5),
    "g": np.array(3),
    "l": sample(np.float64, (11,)),
    "p": np.array([2, 0, 1, 1]),
    "c": 1.5,
    "s": np.float32(0.5),
}
"""Arrays by name: floats x y f, integers i h u, booleans b k, NaNs n o l, vectors v w j p, empty e,
three axes t r a, square q, no axes z g; a Python number c and a NumPy scalar s."""

ROUNDED: dict[str, float] = {
    **dict.fromkeys(("np.sum", "np.prod", "np.mean", "np.cumprod", "x.cumprod"), 8),
    **dict.fromkeys(("np.cumulative_prod", "np.nancumprod", "np.logspace"), 8),
    **dict.fromkeys(("np.dot", "np.inner", "np.einsum", "np.cov", "np.corrcoef"), 100),
    **dict.fromkeys(("np.linalg.matrix_power", "np.linalg.norm", "np.interp"), 100),
}
"""Functions that round in another order than NumPy, and the units in the last place allowed."""

CALLS = [
    line
    for line in Path(__file__).with_name("numpy_calls.txt").read_text("utf-8").splitlines()
    if line and line[0] != "#"
]
METHODS_OF_THE_CLASS = {
    "T", "mT", "base", "ctypes", "data", "device", "dtype", "flags", "flat", "imag", "itemsize",
    "nbytes", "ndim", "real", "shape", "size", "strides", "to_device", "item", "tolist", "tobytes",
}  # fmt: skip
"""What arrays have besides methods, and methods that the array class answers itself."""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_agree_with_numpy(call: str) -> None:
    code = compile(call, "a call", "eval")

    def fn(names: dict[str, Any]) -> Any:
        result = eval(code, {"np": np, **names})
        return str(result) if isinstance(result, np.dtype) else result

    name, _, _ = call.partition("(")
    agree(fn, ARGUMENTS, ulps=ROUNDED.get(name, 0))


def test_every_function_of_the_table_is_called_above() -> None:
    called = set(re.findall(r"np\.[\w.]+(?=\()", "\n".join(CALLS)))
    aliases = {np.max: np.amax, np.min: np.amin}
    missing = {function for function in FUNCTIONS if name_of(function) not in called}
    assert missing - set(aliases.values()) == {np.empty_like}


def test_every_method_is_called_above() -> None:
    called = set(re.findall(r"\.(\w+)(?=\()", "\n".join(c for c in CALLS if c[:3] != "np.")))
    assert METHODS.keys() - UNSUPPORTED <= called
    assert {
        name for name in dir(np.ndarray) if name[0] != "_"
    } <= METHODS.keys() | METHODS_OF_THE_CLASS


def test_handlers_have_numpys_parameters() -> None:
    more = {"args", "kwargs", "options", "subscripts", "casting", "dtype", "a"}
    for function, handler in FUNCTIONS.items():
        numpys = list(inspect.signature(function).parameters)
        ours = list(inspect.signature(handler).parameters)
        assert set(ours) - set(numpys) <= more, name_of(function)
        common = [name for name in ours if name in numpys]
        assert common == [name for name in numpys if name in ours], name_of(function)


def test_empty_like_gives_an_array_to_be_filled() -> None:
    def use(x: Any) -> Any:
        out = np.empty_like(x, dtype=np.float32)
        out[...] = x
        return out

    agree(use, ARGUMENTS["x"])


def test_methods_of_ndarray_that_are_not_understood_say_so() -> None:
    for name in ("sort", "argsort", "nonzero", "partition"):
        with pytest.raises(UnsupportedError, match=rf"\.{name}\(\)"):
            trace_function(lambda x, name=name: getattr(x, name)(), (np.ones(3),), {})
    with pytest.raises(TraceError, match="item"):
        trace_function(lambda x: x.item(), (np.ones(1),), {})


ERRORS: list[tuple[str, Callable[[Any], Any], type[Exception], str]] = [
    ("unknown", np.sort, UnsupportedError, r"np\.sort\n.*sort outside"),
    ("solver", lambda x: np.linalg.inv(x), UnsupportedError, r"np\.linalg\.inv"),
    ("option", lambda x: np.cov(x, fweights=[1, 2, 3]), UnsupportedError, r"np\.cov .*fweights"),
    ("keyword", lambda x: np.repeat(x, x[0].astype(int)), UnsupportedError, "static"),
    ("axis", lambda x: np.sum(x, axis=2), ShapeError, "axis 2 is out of bounds"),
    ("twice", lambda x: np.sum(x, axis=(0, 0)), ShapeError, "repeated axis"),
    ("moves", lambda x: np.moveaxis(x, 0, 5), ShapeError, "axis 5"),
    ("reshape", lambda x: x.reshape(2, 2), ShapeError, r"size 9 into shape \(2,2\)"),
    ("join", lambda x: np.concatenate([x, np.ones((2, 2))]), ShapeError, r"\(3, 3\) and \(2, 2\)"),
    ("stack", lambda x: np.stack([x, x[0]]), ShapeError, r"\(3, 3\) and \(3,\)"),
    ("scalars", lambda x: np.concatenate([x[0, 0], x[0, 1]]), ShapeError, "np.stack"),
    ("dot", lambda x: np.dot(x, np.ones(4)), ShapeError, r"\(3, 3\) and \(4,\)"),
    (
        "einsum",
        lambda x: np.einsum("ij,jk", x, np.ones((4, 2))),
        ShapeError,
        "'j' for extents 3 and 4",
    ),
    ("subscripts", lambda x: np.einsum("ijk", x), ShapeError, "one letter per axis"),
    ("output", lambda x: np.einsum("ij->k", x), ShapeError, "names axes of its operands"),
    ("no elements", lambda x: np.max(x[:0], axis=0), ShapeError, "at least one element"),
    ("no argmax", lambda x: np.argmax(x[:0]), ShapeError, "at least one element"),
    ("where", lambda x: np.where(x > 0), UnsupportedError, "keeps the shape"),
    ("broadcast", lambda x: np.where(x > 0, x, np.ones(4)), ShapeError, r"\(4,\)"),
    ("norm", lambda x: np.linalg.norm(x, 2, axis=(0, 1)), UnsupportedError, "singular values"),
    ("nuclear", lambda x: np.linalg.norm(x, "nuc"), UnsupportedError, "singular values"),
    ("pad", lambda x: np.pad(x, 1, "linear_ramp"), UnsupportedError, "linear_ramp"),
    ("choose", lambda x: np.choose(x.astype(int), [x, x]), UnsupportedError, "mode='raise'"),
    ("out type", lambda x: np.sum(x, axis=0, out=np.zeros(3, int)), DTypeError, "int64"),
    ("out shape", lambda x: np.sum(x, axis=0, out=np.zeros(4)), ShapeError, r"\(4,\)"),
    ("half", lambda x: np.astype(x, np.float16), DTypeError, "float16"),
    ("split", lambda x: np.split(x, 2), ShapeError, "equal division"),
    ("order", lambda x: (x.T + x).reshape(-1, order="Z"), UnsupportedError, "order='Z'"),
    ("spectrum", lambda x: np.fft.fft(x), UnsupportedError, "np.convolve"),
    ("mode", lambda x: np.take(x, 0, mode="loop"), UnsupportedError, "'loop'"),
    ("bad index", lambda x: np.take(x, 9), OutOfBoundsError, "9"),
    ("traced list", lambda x: np.concatenate([x[0], [x[0, 0]]]), UnsupportedError, "np.stack"),
]


@pytest.mark.parametrize(("name", "fn", "error", "match"), ERRORS, ids=[row[0] for row in ERRORS])
def test_what_is_not_understood_is_refused_by_name_and_line(
    name: str, fn: Callable[[Any], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        trace_function(fn, (np.ones((3, 3)),), {})
    if isinstance(caught.value, TapelessError) and fn is not np.sort:
        assert "test_numpy_functions.py:" in str(caught.value)


def test_hints_are_for_functions_that_exist_and_are_not_understood() -> None:
    understood = {name_of(function) for function in FUNCTIONS}
    for name in HINTS:
        assert name not in understood
        assert callable(eval(name, {"np": np}))


def _update_through_views(x: Any, t: Any) -> Any:
    x.T[0] += 1
    x.reshape(-1)[3] = 7
    x.ravel()[5:7] *= 2
    np.moveaxis(t, 0, -1)[..., 0] -= 3
    np.flip(x, 0)[0, 0] = 9
    first, second = np.split(x, 2, axis=1)
    first += second
    np.swapaxes(t, 0, 2)[1:3, ::2].reshape(-1)[:] = 0
    t.reshape(6, 4)[::2] += 1
    t.T.reshape(-1)[:] = 100
    x.flatten()[:] = 100
    np.atleast_3d(x)[1] *= -1
    np.squeeze(x[:, None])[2] += 0.5
    np.rot90(x)[0] *= 2
    np.expand_dims(x, 1)[0] -= 4
    return np.diagonal(x).copy()


def test_updates_through_views_reach_exactly_what_numpys_do() -> None:
    agree(_update_through_views, ARGUMENTS["x"], ARGUMENTS["t"], ulps=8)


def test_reshapes_of_unknown_layout_are_refused_when_written() -> None:
    def write(x: Any, y: Any) -> None:
        z = x.T + y.T  # NumPy keeps the order of the operands' axes, so ravel() copies or not
        z.ravel()[0] = 1

    with pytest.raises(UnsupportedError, match="memory layout"):
        trace_function(write, (np.ones((2, 3)), np.ones((2, 3))), {})
