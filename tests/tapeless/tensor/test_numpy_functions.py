"""Every NumPy function and method that compiled functions understand works on tensors.

The calls are those of the tracer's tests. On tensors they give what NumPy gives, to the bit, and
change what NumPy changes; gradients are those of the traced graph.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.trace.function import trace_function
from tapeless.compiler.trace.functions import FUNCTIONS
from tapeless.compiler.trace.methods import METHODS, UNSUPPORTED
from tapeless.compiler.trace.ufuncs import UFUNCS
from tapeless.ir.pytree import flatten, map_leaves
from tapeless.tensor.backward import gradients

from ...compiler.differentiate.jacobians import run, vjp_graph
from ...compiler.trace.comparing import same
from ...compiler.trace.test_numpy_functions import ARGUMENTS, CALLS

Array = np.ndarray[Any, Any]


def function_of(call: str) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """A call as a function of the arrays that it names, and these arrays."""
    code = compile(call, "a call", "eval")
    names = {name: ARGUMENTS[name] for name in code.co_names if name in ARGUMENTS}

    def fn(arrays: dict[str, Any]) -> Any:
        result = eval(code, {"np": np, **arrays})
        return str(result) if isinstance(result, np.dtype) else result

    return fn, names


def tensors_of(arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leaves for the floating arrays, and for each array a tensor that can be updated."""
    leaves, inner = {}, {}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            inner[name] = array
        elif array.dtype.kind == "f":
            leaves[name] = tl.Tensor(array, requires_grad=True)
            inner[name] = leaves[name].copy()
        else:
            inner[name] = tl.Tensor(array)
    return leaves, inner


def values_of(tree: Any) -> Any:
    """The tensors of a tree as NumPy gives them."""
    return map_leaves(lambda x: x.numpy() if isinstance(x, tl.Tensor) else x, tree)


def expected_gradients(
    fn: Callable[[Any], Any], arrays: dict[str, Any], cotangents: list[Array]
) -> list[Array]:
    """Those of the traced graph, for the results of floating type."""

    def floats(arrays: dict[str, Any]) -> list[Any]:
        return [np.positive(x) for x in flatten(fn(arrays))[0] if _is_float(x)]

    traced = trace_function(floats, (arrays,), {})
    operands = [np.asarray(x) for x in flatten((arrays,))[0]]
    updated = [
        np.zeros(traced.graph.outputs[i].type.shape, traced.graph.outputs[i].type.dtype)
        for i in traced.updates
        if traced.graph.outputs[i].type.dtype.kind == "f"
    ]
    found = iter(run(vjp_graph(traced.graph), [*operands, *cotangents, *updated]))
    return [
        g
        for x, g in [(x, next(found)) for x in flatten((arrays,))[0] if _is_float(np.asarray(x))]
        if isinstance(x, np.ndarray)
    ]


def _is_float(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") == "f"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_on_tensors_agree_with_numpy_and_gradients_with_the_graph(call: str) -> None:
    fn, arrays = function_of(call)
    plain = copy.deepcopy(arrays)
    expected = fn(plain)
    leaves, inner = tensors_of(arrays)
    result = fn(inner)
    same(values_of(result), expected)
    same(
        values_of(inner),
        {k: np.ascontiguousarray(v) if np.ndim(v) else v for k, v in plain.items()},
    )
    outputs = [x for x in flatten(result)[0] if isinstance(x, tl.Tensor) and _is_float(x)]
    if not any(x.requires_grad for x in outputs):
        return
    rng = np.random.default_rng(0)
    cotangents = [rng.uniform(0.5, 1.5, x.shape).astype(x.dtype) for x in outputs]
    seeds = [(x, g) for x, g in zip(outputs, cotangents, strict=True) if x.requires_grad]
    found = gradients(seeds, list(leaves.values()), create_graph=False)
    wanted = expected_gradients(fn, arrays, cotangents)
    for pulled, leaf, want in zip(found, leaves.values(), wanted, strict=True):
        got = np.zeros(leaf.shape) if pulled is None else pulled[0]
        precision = 1e-4 if leaf.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(got, want, rtol=precision, atol=precision)


def test_every_function_and_method_of_the_tables_is_among_the_calls() -> None:
    called = set(re.findall(r"\.(\w+)(?=\()", "\n".join(CALLS)))
    assert METHODS.keys() - UNSUPPORTED <= called
    assert {f.__name__ for f in FUNCTIONS} - called <= {"amax", "amin", "empty_like"}


def test_every_method_of_traced_arrays_is_one_of_tensors() -> None:
    assert METHODS.keys() - UNSUPPORTED <= set(dir(tl.Tensor))


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ufuncs_on_tensors_agree_with_numpy_and_gradients_with_the_graph(ufunc: np.ufunc) -> None:
    kind = next(kind for kind in "fib" if kind in UFUNCS[ufunc])
    dtype = {"f": np.float64, "i": np.int64, "b": np.bool_}[kind]
    rng = np.random.default_rng(1)
    shapes = _SHAPES.get(ufunc.signature, [(3,)] * ufunc.nin)
    operands = [rng.uniform(0.2, 0.9, shape).astype(dtype) for shape in shapes]
    arrays = {f"x{i}": x + (ufunc is np.arccosh) for i, x in enumerate(operands)}

    def fn(arrays: dict[str, Any]) -> Any:
        return ufunc(*arrays.values())

    leaves, inner = tensors_of(arrays)
    result = fn(inner)
    same(values_of(result), fn(arrays))
    outputs = [x for x in flatten(result)[0] if _is_float(x)]
    cotangents = [np.ones(x.shape) for x in outputs]
    seeds = [(x, g) for x, g in zip(outputs, cotangents, strict=True) if x.requires_grad]
    found = gradients(seeds, list(leaves.values()), create_graph=False)
    wanted = expected_gradients(fn, arrays, cotangents) if outputs else []
    for pulled, want in zip(found, wanted, strict=bool(outputs)):
        got = np.zeros(want.shape) if pulled is None else pulled[0]
        np.testing.assert_allclose(got, want, rtol=1e-12)


_SHAPES: dict[str | None, list[tuple[int, ...]]] = {
    "(n?,k),(k,m?)->(n?,m?)": [(2, 3), (3, 4)],
    "(n),(n)->()": [(3,), (3,)],
    "(m,n),(n)->(m)": [(2, 3), (3,)],
    "(n),(n,m)->(m)": [(3,), (3, 2)],
}
"""Operands of ufuncs that are no elementwise functions."""
