"""A graph is built once, runs by name, and says which input is at fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DTypeError
from tapeless.ir.parser import parse_graph


def loss(params: Any, x: Any, y: Any) -> Any:
    return np.mean((np.tanh(x @ params["w"]) + params["b"][0] - y) ** 2)


def step(params: Any, x: Any, y: Any, lr: Any = 0.1, *, scale: Any = 1.0) -> Any:
    value, grads = tl.value_and_grad(loss)(params, x, y)
    params["w"] -= lr * scale * grads["w"]
    params["b"][0] -= lr * scale * grads["b"][0]
    return {"loss": value, "weights": params["w"].T, "order": 1}


def make_params() -> dict[str, Any]:
    return {"w": np.linspace(-1, 1, 6).reshape(3, 2), "b": [np.zeros(2)]}


def batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 2))


@pytest.fixture
def graph() -> tl.StaticGraph:
    return tl.build_graph(step, make_params(), *batch(0), 0.1)


def test_a_graph_built_once_trains_like_the_function(graph) -> None:
    params, plain = make_params(), make_params()
    for seed in range(6):
        x, y = batch(seed)
        got = tl.run_graph(graph, params=params, x=x, y=y, lr=0.1)
        want = step(plain, x, y, 0.1)
        assert got.keys() == want.keys()
        assert got["loss"] == pytest.approx(want["loss"], rel=1e-12)
        assert np.shares_memory(got["weights"], params["w"])
        assert got["order"] == 1
        np.testing.assert_allclose(params["w"], plain["w"], rtol=1e-12)
        np.testing.assert_allclose(params["b"][0], plain["b"][0], rtol=1e-12)


def test_all_ways_to_run_a_graph_are_one(graph) -> None:
    x, y = batch(1)
    given = [{"params": make_params(), "x": x, "y": y, "lr": 0.1} for _ in range(3)]
    results = [tl.run_graph(graph, **given[0]), graph.run(**given[1]), graph(**given[2])]
    assert results[0]["loss"] == results[1]["loss"] == results[2]["loss"]
    for inputs in given:
        np.testing.assert_array_equal(inputs["params"]["w"], given[0]["params"]["w"])


def test_building_runs_nothing() -> None:
    params = make_params()
    tl.build_graph(step, params, *batch(0), 0.1)
    np.testing.assert_array_equal(params["w"], make_params()["w"])


def test_runs_of_a_graph_are_native_calls(graph) -> None:
    x, y = batch(0)
    params = make_params()
    for _ in range(5):
        graph(params=params, x=x, y=y, lr=0.1)
    info = graph._function.cache_info()
    assert (info.misses, info.signatures, info.reasons) == (1, 1, ())
    assert info.native >= 3


def test_inputs_and_outputs_are_listed_by_path_with_their_types(graph) -> None:
    assert {name: str(port) for name, port in graph.inputs.items()} == {
        "params['w']": "f64[3,2]",
        "params['b'][0]": "f64[2]",
        "x": "f64[4,3]",
        "y": "f64[4,2]",
        "lr": "float",
    }
    assert {name: str(port) for name, port in graph.outputs.items()} == {
        "result['loss']": "f64[]",
        "result['weights']": "f64[2,3]",
        "result['order']": "constant",
    }
    assert graph.updated == ("params['w']", "params['b'][0]")
    weights = graph.outputs["result['weights']"]
    assert (weights.kind, weights.dtype, weights.shape) == ("array", np.float64, (2, 3))
    assert graph.outputs["result['loss']"].kind == "scalar"


def test_captured_arrays_are_listed_and_used_by_reference() -> None:
    table = np.arange(3.0)

    def scaled(x: Any) -> Any:
        return x * table

    graph = tl.build_graph(scaled, np.ones(3))
    (port,) = graph.captured.values()
    assert port.shape == (3,)
    table += 1
    np.testing.assert_array_equal(graph(x=np.ones(3)), [1, 2, 3])


def test_captured_arrays_of_one_name_are_told_apart() -> None:
    def scaling(factors: np.ndarray) -> Any:
        return lambda x: x * factors

    double, triple = scaling(np.full(3, 2.0)), scaling(np.full(3, 3.0))
    graph = tl.build_graph(lambda factors: double(factors) + triple(factors), np.ones(3))
    assert list(graph.inputs) == ["factors"]
    assert list(graph.captured) == ["factors (2)", "factors (3)"]
    np.testing.assert_array_equal(graph(factors=np.ones(3)), 5.0)


def test_a_graph_that_returns_its_input_names_its_type() -> None:
    graph = tl.build_graph(lambda x, n: (x, x[1:, ::2], n), np.zeros((3, 4), np.float32), 7)
    assert [str(port) for port in graph.outputs.values()] == ["f32[3,4]", "f32[2,2]", "int"]
    assert list(graph.outputs) == ["result[0]", "result[1]", "result[2]"]


def test_printing_shows_the_program_before_and_after_fusion(graph) -> None:
    before, after = str(graph).split("# after fusion\n")
    head, text = before.split("\n", 1)
    assert head == "# before fusion"
    assert "= fused[" not in text
    assert "= fused[" in after
    assert len(parse_graph(text).inputs) == len(parse_graph(after).inputs) == len(graph.inputs)


def test_a_graph_draws_itself(graph) -> None:
    svg = tl.draw(graph, stage=("optimized", "fused")).svg
    for text in ("before fusion", "after fusion", "tanh", "params"):
        assert text in svg
    assert graph.draw().svg == tl.draw(graph).svg
    assert graph.draw(direction="right").svg != graph.draw().svg


def test_a_drawing_shows_values_for_inputs() -> None:
    graph = tl.build_graph(lambda x, y, z: (x + y) * z, 1.0, 1.0, 1.0)
    svg = tl.draw(graph, values=True, x=-2.0, y=5.0, z=-4.0).svg
    assert "-12" in svg.replace("\N{MINUS SIGN}", "-")
    with pytest.raises(ArgumentError, match="leave them out, or pass values=True"):
        graph.draw(x=-2.0)
    with pytest.raises(ArgumentError, match="needs z"):
        graph.draw(values=True, x=1.0, y=1.0)


def test_repr_lists_what_goes_in_and_out(graph) -> None:
    lines = repr(graph).splitlines()
    assert lines[0] == "<static graph step: 1 kernel"
    rows = [line.split() for line in lines[1:]]
    assert rows[0] == ["input", "params['w']", "f64[3,2]", "(updated", "in", "place)"]
    assert rows[-1] == ["output", "result['order']", "constant>"]


def test_cost_and_stages_are_those_of_the_program(graph) -> None:
    compiled = tl.compile(step)
    lowered = compiled.lower(make_params(), *batch(0), 0.1)
    assert graph.cost == lowered.cost()
    assert graph.lowered.stages["fused"] == lowered.stages["fused"]


def test_static_arguments_and_defaults_are_part_of_the_graph() -> None:
    @tl.compile(static="power")
    def raised(x: Any, power: Any, shift: Any = 0.5) -> Any:
        return x**power + shift

    graph = tl.build_graph(raised, np.arange(3.0), power=3)
    assert list(graph.inputs) == ["x"]
    for _ in range(3):
        np.testing.assert_allclose(graph(x=np.arange(3.0)), [0.5, 1.5, 8.5])
    with pytest.raises(ArgumentError, match="power is static: it was fixed when the graph"):
        graph(x=np.arange(3.0), power=2)


def test_inputs_may_come_in_any_order() -> None:
    graph = tl.build_graph(lambda x, **rest: rest["a"] * x + rest["b"], 1.0, a=2.0, b=np.ones(2))
    for _ in range(3):
        np.testing.assert_array_equal(graph(b=np.ones(2), x=3.0, a=2.0), [7.0, 7.0])
        np.testing.assert_array_equal(graph(a=2.0, b=np.ones(2), x=3.0), [7.0, 7.0])


class Layer:
    """An object whose arrays are captured."""

    def __init__(self) -> None:
        self.w = np.ones(2)

    @tl.compile
    def grown(self, x: Any) -> Any:
        self.w += x
        return self.w * 2


def test_methods_are_graphs_with_the_arrays_of_their_object_captured() -> None:
    layer = Layer()
    graph = tl.build_graph(layer.grown, np.ones(2))
    for times in (1, 2, 3):
        np.testing.assert_array_equal(graph(x=np.ones(2)), 2.0 * (1 + times))
    np.testing.assert_array_equal(layer.w, 4.0)
    assert graph.updated == tuple(graph.captured) == ("self.w",)


def test_transformed_functions_are_graphs_too() -> None:
    graph = tl.build_graph(tl.value_and_grad(loss), make_params(), *batch(0))
    assert list(graph.outputs) == ["result[0]", "result[1]['w']", "result[1]['b'][0]"]
    x, y = batch(1)
    value, grads = graph(params=make_params(), x=x, y=y)
    want, wanted = tl.value_and_grad(loss)(make_params(), x, y)
    assert value == want
    np.testing.assert_array_equal(grads["w"], wanted["w"])


def test_a_graph_is_part_of_what_is_compiled_or_differentiated_around_it() -> None:
    graph = tl.build_graph(lambda x: np.sin(x) * x, np.zeros(3))

    def total(x: Any) -> Any:
        return np.sum(graph(x=x))

    x = np.array([0.1, 0.2, 0.3])
    assert tl.compile(total)(x) == pytest.approx(np.sum(np.sin(x) * x))
    np.testing.assert_allclose(tl.grad(total)(x), np.cos(x) * x + np.sin(x), rtol=1e-14)


def test_inputs_may_lie_in_memory_in_any_way() -> None:
    graph = tl.build_graph(lambda x: x * 2 + 1, np.zeros((3, 4)))
    x = np.arange(12.0).reshape(3, 4)
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1]):
        np.testing.assert_array_equal(graph(x=other), other * 2 + 1)


def run(graph: tl.StaticGraph, **changes: Any) -> Any:
    """A run with some inputs changed; those that are `...` are left out."""
    x, y = batch(0)
    inputs = {"params": make_params(), "x": x, "y": y, "lr": 0.1, **changes}
    return graph(**{name: value for name, value in inputs.items() if value is not ...})


X = "input x of graph step is a float64 array of shape \\(4, 3\\); given: "
PARAMS = "input params of graph step is a dict with \\['w'\\], \\['b'\\]; given: "

FLAT = {"w": np.zeros((2, 2)), "b": [np.zeros(2)]}
MORE = {**make_params(), "c": 1}
PAIR = {**make_params(), "b": (np.zeros(2),)}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"x": ...}, r"needs x \(a float64 array of shape \(4, 3\)\); given: params, y, lr"),
    "unknown": ({"z": 1.0}, r"takes params, x, y, lr; given: params, x, y, lr, z\n.*leave out z"),
    "misspelt": ({"lr": ..., "lrr": 0.1}, r"needs lr \(a Python float\).*\n.*did you mean lr\?"),
    "default": ({"scale": 2.0}, "leave out scale"),
    "dtype": ({"x": np.zeros((4, 3), "f4")}, X + r"a float32 array.*\n.*x.astype\(np.float64\)"),
    "shape": ({"x": np.zeros((5, 3))}, X + r"a float64 array of shape \(5, 3\)\n.*fixed shapes"),
    "list": ({"x": [[1.0]]}, X + r"a list of 1\n.*np.asarray\(x\)"),
    "number": ({"x": 0.5}, X + "float 0.5"),
    "text": ({"x": "abc"}, X + "str 'abc'"),
    "none": ({"x": None}, X + "None"),
    "subclass": ({"x": np.ma.zeros((4, 3))}, X + r"a MaskedArray.*\n.*np.asarray\(x, np.float64\)"),
    "integer": ({"lr": 1}, r"input lr .* is a Python float; given: int 1\n.*pass float\(lr\)"),
    "0-d": ({"lr": np.array(0.1)}, r"input lr .* is a Python float; given: a float64 array"),
    "leaf": ({"params": FLAT}, r"input params\['w'\] of graph"),
    "less": ({"params": {"w": np.zeros((3, 2))}}, PARAMS + r"a dict with \['w'\]$"),
    "more": ({"params": MORE}, PARAMS + r"a dict with \['w'\], \['b'\], \['c'\]"),
    "tuple": ({"params": PAIR}, "a list of 1; given: a tuple of 1"),
    "array": ({"params": np.zeros(3)}, PARAMS + "an array or a number"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("runs_before", [0, 3])
def test_a_wrong_input_is_an_error_that_names_it(graph, case: str, runs_before: int) -> None:
    changes, message = WRONG[case]
    for _ in range(runs_before):
        run(graph)
    with pytest.raises(ArgumentError, match=message):
        run(graph, **changes)
    assert graph._function.cache_info().signatures == 1
    assert run(graph)["order"] == 1


def test_an_error_names_the_users_line(graph) -> None:
    with pytest.raises(ArgumentError, match=r"^test_graphs\.py:\d+: graph step needs"):
        graph.run()


def test_byte_order_is_checked(graph) -> None:
    with pytest.raises(DTypeError, match="byte order"):
        run(graph, x=np.zeros((4, 3), ">f8"))


def test_inputs_without_a_name_are_an_error(graph) -> None:
    with pytest.raises(ArgumentError, match=r"by name; given: 2 without a name\n.*params=…, x=…"):
        graph(make_params(), batch(0)[0])


@pytest.mark.parametrize("fn", [lambda *arrays: arrays[0], lambda x, /: x + 1, np.tanh])
def test_a_function_whose_arguments_have_no_names_is_an_error(fn: Any) -> None:
    with pytest.raises(ArgumentError, match="can be passed by name"):
        tl.build_graph(fn, np.zeros(3))


def test_an_example_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="missing a required argument: 'x'"):
        tl.build_graph(step, make_params())


def test_what_is_no_function_or_graph_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="build_graph takes a function; given: int 3"):
        tl.build_graph(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"run_graph takes a graph.*\n.*tl.build_graph"):
        tl.run_graph(step, x=1)  # type: ignore[arg-type]
