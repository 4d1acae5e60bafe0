"""`tl.compile`: what a compiled function is, and that it does what the function does."""

from __future__ import annotations

import copy
import functools
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, TapelessError

Array = np.ndarray[Any, Any]


def same(fn, *arguments):
    """Assert that compiled (cold, then warm) and plain runs agree in result and effect."""
    compiled = tl.compile(fn)
    for _ in range(2):
        mine, twins = copy.deepcopy(arguments), copy.deepcopy(arguments)
        got, expected = compiled(*mine), fn(*twins)
        assert_alike(got, expected)
        assert_alike(mine, twins)
    return compiled


def assert_alike(got: Any, expected: Any) -> None:
    """Equal values, dtypes, types and structure."""
    got_leaves, got_tree = tl.ir.pytree.flatten(got)
    leaves, tree = tl.ir.pytree.flatten(expected)
    assert got_tree == tree
    for mine, theirs in zip(got_leaves, leaves, strict=True):
        assert type(mine) is type(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
        if isinstance(theirs, np.ndarray | np.generic):
            assert mine.dtype == theirs.dtype
            assert mine.shape == theirs.shape


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Model:
    weight: Any
    bias: Any


class Scale:
    """A callable object with an array."""

    def __init__(self, factor: float) -> None:
        self.factor = np.array(factor)

    def __call__(self, x: Array) -> Array:
        return x * self.factor


def test_the_wrapper_looks_like_the_function():
    @tl.compile
    def scale(x):
        """Twice x."""
        return 2 * x

    assert scale.__name__ == "scale"
    assert scale.__doc__ == "Twice x."
    assert scale.__wrapped__(3) == 6
    assert repr(scale) == "<compiled function scale>"


@pytest.mark.parametrize(
    "fn",
    [np.sin, functools.partial(np.multiply, 2.0), Scale(3.0), tl.compile(np.cos)],
    ids=["ufunc", "partial", "callable object", "compiled"],
)
def test_anything_that_can_be_called_can_be_compiled(fn):
    x = np.linspace(0, 1, 4)
    np.testing.assert_allclose(tl.compile(fn)(x), fn(x), rtol=1e-15)


def test_options_and_example_are_kept():
    def example():
        return (np.zeros(2),)

    @tl.compile(example=example, threads=2, static=("n",))
    def f(x, n=1):
        return x * n

    assert f.example is example
    assert f.threads == 2
    assert f.static == frozenset({"n"})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"threads": 0}, "threads is a positive integer; given: 0"),
        ({"threads": True}, "threads is a positive integer; given: True"),
        ({"threads": 1.5}, "threads is a positive integer; given: 1.5"),
        ({"example": 3}, "example is a function"),
        ({"static": ("z",)}, "static names parameters of .*: x; given: 'z'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ArgumentError, match=match):
        tl.compile(lambda x: x, **options)


def test_only_functions_can_be_compiled():
    with pytest.raises(ArgumentError, match="compile takes a function; given: int 3"):
        tl.compile(3)


@pytest.mark.parametrize(
    "argument",
    [
        np.arange(3.0),
        np.arange(3),
        np.array([True, False]),
        np.array(2.5),
        np.float64(2.5),
        np.float32(2.5),
        np.int8(3),
        np.uint64(3),
        2.5,
        3,
        np.arange(6, dtype=np.float32).reshape(2, 3),
    ],
    ids=lambda a: f"{type(a).__name__}-{getattr(a, 'dtype', '')}",
)
def test_results_have_numpys_type_dtype_and_shape(argument):
    same(lambda x: (x + x, x * 2, x * 0.5, np.sum(x)), argument)


def test_python_numbers_stay_python_numbers():
    same(lambda x, n: (x * 2.0, n + 1, n * x, n > 2, n / 2), 1.5, 3)
    same(lambda flag, x: np.where(flag, x, -x), True, np.ones(2))


@pytest.mark.parametrize(
    "tree",
    [
        {"b": np.ones(2), "a": np.zeros(3)},
        [np.ones(2), [np.zeros(1)], []],
        (np.ones(2), None, (1.5,)),
        Point(np.ones(2), 2.0),
        OrderedDict(u=np.ones(1), v=3),
        {"nested": [{"deep": (np.ones(1), None)}]},
    ],
    ids=["dict", "list", "tuple", "namedtuple", "OrderedDict", "nested"],
)
def test_containers_go_in_and_out(tree):
    same(lambda t: tl.ir.pytree.map_leaves(lambda x: x * 2, t), tree)


def test_dataclasses_go_in_and_out():
    out = tl.compile(lambda m: Model(m.weight * 2, m.bias))(Model(np.ones(2), 3.0))
    assert type(out) is Model
    assert (out.weight.tolist(), out.bias) == ([2.0, 2.0], 3.0)


def test_dict_order_is_part_of_the_signature():
    f = tl.compile(lambda d: list(d.values()))
    one, two = np.ones(1), np.ones(2)
    assert [x.size for x in f({"a": one, "b": two})] == [1, 2]
    assert [x.size for x in f({"b": two, "a": one})] == [2, 1]


def test_entries_bound_anew_are_bound_in_the_callers_containers():
    def step(params, state, model):
        params["w"] = params["w"] - 1.0
        state[0] = np.sum(params["w"])
        state[1][0] = params["w"] * 2
        model.bias = model.weight
        return params["w"]

    compiled = tl.compile(step)
    for _ in range(2):
        w = np.ones(2)
        params, state, model = {"w": w}, [0.0, [w]], Model(np.full(2, 7.0), 0.0)
        out = compiled(params, state, model)
        assert params["w"] is out
        assert w.tolist() == [1.0, 1.0]
        assert state[0] == 0.0
        assert type(state[0]) is np.float64
        assert state[1][0].tolist() == [0.0, 0.0]
        assert model.bias is model.weight


def test_arguments_are_updated_in_place():
    def step(params, x, lr):
        for name in params:
            params[name] -= lr * x
        params["w"][0] = 5.0
        view = params["b"][1:]
        view *= 2
        return np.sum(params["b"])

    params = {"w": np.ones(3), "b": np.arange(3.0)}
    same(step, params, np.ones(3), 0.5)
    arrays = dict(params)
    tl.compile(step)(params, np.ones(3), 0.5)
    assert all(params[name] is arrays[name] for name in params)


def test_an_argument_that_is_returned_is_the_callers_object():
    f = tl.compile(lambda x, y: (x, x, y * 2, x[1:]))
    for _ in range(2):
        x = np.arange(3.0)
        first, second, _, tail = f(x, np.ones(2))
        assert first is x
        assert second is x
        assert np.shares_memory(tail, x)
        assert tail.tolist() == [1.0, 2.0]


def test_results_do_not_share_memory_with_arguments_where_numpy_copies():
    x = np.arange(3.0)
    for out in tl.compile(lambda x: (x.copy(), +x, x * 1.0, np.copy(x), x.astype(float)))(x):
        assert not np.shares_memory(out, x)


def test_the_same_new_array_twice_is_one_object():
    def f(x):
        y = x * 2
        return y, y, y[1:]

    first, second, tail = tl.compile(f)(np.arange(3.0))
    assert first is second
    assert np.shares_memory(first, tail)


def test_results_of_different_calls_are_different_arrays():
    f = tl.compile(lambda x: x + 1.0)
    one, two = f(np.zeros(2)), f(np.ones(2))
    assert (one.tolist(), two.tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_arguments_may_be_passed_by_name():
    f = tl.compile(lambda x, y=2.0, *, z=3.0: x * y + z)
    x = np.ones(2)
    assert f(x, y=4.0).tolist() == f(x, 4.0).tolist() == f(y=4.0, x=x).tolist() == [7.0, 7.0]
    assert f.cache_info().signatures == 1
    assert f(x, z=1.0).tolist() == [3.0, 3.0]
    assert f(z=1.0, x=x, y=1.0).tolist() == f(x, 1.0, z=1.0).tolist() == [2.0, 2.0]


def test_further_arguments_are_passed_on():
    f = tl.compile(lambda x, *rest, **named: x + sum(rest) + sum(named.values()))
    x = np.ones(2)
    assert f(x).tolist() == [1.0, 1.0]
    assert f(x, x, 2.0).tolist() == [4.0, 4.0]
    assert f(x, x, a=x, b=3.0).tolist() == [6.0, 6.0]
    assert f(x, x, b=3.0, a=x).tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1.0, 2.0, 3.0), {}), ((1.0,), {"q": 2.0}), ((1.0,), {"x": 2.0})],
)
def test_arguments_that_do_not_fit_the_parameters_are_refused(args, kwargs):
    def f(x, y=1.0):
        return x + y

    compiled = tl.compile(f)
    for _ in range(2):
        with pytest.raises(TypeError):
            compiled(*args, **kwargs)


def test_static_arguments_are_python_values():
    @tl.compile(static=["power", "mode"])
    def f(x, power, *, mode="plain"):
        assert isinstance(power, int)
        y = x
        for _ in range(power):
            y = y * x
        return y if mode == "plain" else -y

    x = np.full(2, 2.0)
    assert f(x, 0).tolist() == [2.0, 2.0]
    assert f(x, 2).tolist() == [8.0, 8.0]
    assert f(x, power=2).tolist() == [8.0, 8.0]
    assert f(x, 2, mode="negative").tolist() == [-8.0, -8.0]
    assert f.cache_info().signatures == 3


def test_static_values_of_different_types_are_different():
    @tl.compile(static="n")
    def f(x, n):
        return x * (1.0 if isinstance(n, bool) else 2.0 if isinstance(n, int) else 3.0)

    x = np.ones(1)
    assert [f(x, n).item() for n in (True, 1, 1.0, True)] == [1.0, 2.0, 3.0, 1.0]
    zero = tl.compile(lambda x, z: x * np.copysign(1.0, z), static="z")
    assert zero(x, 0.0) == 1.0
    assert zero(x, -0.0) == -1.0


@pytest.mark.parametrize(
    ("value", "hint"), [([1], "pass a tuple"), (np.ones(2), "arrays are ordinary arguments")]
)
def test_static_values_must_be_hashable(value, hint):
    f = tl.compile(lambda x, n: x, static="n")
    with pytest.raises(ArgumentError, match=rf"static argument n must be hashable[^\n]*\n.*{hint}"):
        f(np.ones(2), value)


def test_lowered_shows_every_stage():
    lowered = tl.compile(lambda x: np.sum(np.tanh(x) * 2)).lower(np.ones(4))
    names = list(lowered.stages)
    order = ["traced", "differentiated", "optimized", "fused", "loops", "llvm", "asm"]
    assert [name for name in names if name in order] == order
    assert "tanh" in lowered.stages["traced"]
    assert "define" in lowered.stages["llvm"]
    assert all(isinstance(text, str) and text for text in lowered.stages.values())
    assert lowered.graph("traced").inputs[0].type.shape == (4,)
    assert "traced" in lowered.graph_stages
    assert "asm" not in lowered.graph_stages
    with pytest.raises(ArgumentError, match=r"stages with a graph are traced.*given: 'llvm'"):
        lowered.graph("llvm")
    with pytest.raises(ArgumentError, match="given: 'nonsense'"):
        lowered.graph("nonsense")
    assert lowered.program.outputs[0].shape == ()


def test_lowering_runs_nothing_and_is_used_by_the_next_call():
    def f(x):
        x += 1.0
        return np.sum(x)

    compiled, x = tl.compile(f), np.zeros(2)
    compiled.lower(x)
    assert x.tolist() == [0.0, 0.0]
    compiled(x)
    assert compiled.cache_info().misses == 1


def test_cost_counts_what_a_call_does():
    cost = tl.compile(lambda x, y: np.sum(np.maximum(x @ y, 0))).cost(
        np.ones((8, 4)), np.ones((4, 2))
    )
    assert cost.flops >= 2 * 8 * 4 * 2
    assert cost.bytes >= 8 * (8 * 4 + 4 * 2)
    assert cost.kernels >= 1
    assert cost.arena_bytes >= 0
    assert cost.intermediate_bytes >= 0


def test_fresh_has_nothing_compiled():
    f = tl.compile(lambda x, n: x * n, static="n")
    f(np.ones(2), 3)
    again = f.fresh()
    assert again.cache_info() == (0, 0, 0, 0, 0, ())
    assert again(np.ones(2), 3).tolist() == [3.0, 3.0]
    assert f.cache_info().misses == 1


def test_a_failed_trace_leaves_nothing_behind():
    broken = True

    @tl.compile
    def f(x):
        if broken:
            raise RuntimeError("mine")
        return x * 2

    with pytest.raises(RuntimeError, match="mine"):
        f(np.ones(2))
    broken = False
    assert f(np.ones(2)).tolist() == [2.0, 2.0]
    assert tl.compile(lambda x: x + 1)(np.ones(1)).tolist() == [2.0]


def test_errors_of_ours_can_be_caught_as_one():
    with pytest.raises(TapelessError):
        tl.compile(lambda x: x)("text")


@tl.compile
def module_level(x: Array) -> Array:
    """A function that pickle can find."""
    return x * 2


def test_compiled_functions_are_copied_and_pickled_as_functions_are():
    module_level(np.ones(2))
    assert copy.deepcopy(module_level) is module_level
    assert copy.copy({"f": module_level})["f"] is module_level
    gradient = tl.grad(module_level)
    assert copy.deepcopy(gradient) is gradient
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(tl.compile(lambda x: x))


def test_index_errors_name_the_line_and_leave_the_function_usable():
    @tl.compile
    def pick(x, i):
        return x[i]

    x = np.arange(3.0)
    assert pick(x, np.array([0, -1])).tolist() == [0.0, 2.0]
    for _ in range(2):
        with pytest.raises(IndexError, match=r"test_compile.py:\d+: an index must lie within"):
            pick(x, np.array([0, 3]))
    assert pick(x, np.array([1, 1])).tolist() == [1.0, 1.0]


def test_absurd_shapes_raise_and_do_not_end_the_process():
    f = tl.compile(lambda x: np.broadcast_to(x, (2**31, 2**31)) + 1.0)
    with pytest.raises((MemoryError, ValueError)):
        f(np.ones(1))
