"""In-place updates of tensors: values as NumPy's, histories that follow, and what is refused."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.trace.function import trace_function
from tapeless.errors import DifferentiationError, UnsupportedError

from ...compiler.differentiate.jacobians import run as run_graph
from ...compiler.differentiate.jacobians import vjp_graph
from ...compiler.trace.test_random_views import SHAPES, Program, random_program, run


def leaf(*values: float) -> tl.Tensor:
    """A leaf with the given elements."""
    return tl.Tensor(list(values), requires_grad=True)


def gradient(y: Any, x: tl.Tensor) -> list[float]:
    """The gradient of sum(y) alone."""
    x.zero_grad()
    y.sum().backward()
    found: list[float] = x.grad.numpy().tolist()
    return found


def expected_gradient(program: Program, x: Any, weights: list[Any]) -> Any:
    """The gradient of what the traced program leaves behind, by the graph."""
    traced = trace_function(lambda x: [np.positive(y) for y in run(program, x)], (x.copy(),), {})
    updates = [np.zeros(traced.graph.outputs[i].type.shape) for i in traced.updates]
    return run_graph(vjp_graph(traced.graph), [x, *weights, *updates])[0]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_programs_of_views_and_updates(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng([seed, len(shape), *shape])
    program = random_program(rng, shape)
    start = np.arange(np.prod(shape), dtype=float).reshape(shape)
    x = tl.Tensor(start, requires_grad=True)
    results = run(program, x.copy())
    expected = run(program, start.copy())
    for result, array in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.numpy(), array)
    weights = [rng.uniform(-1, 1, array.shape) for array in expected]
    total = sum((y * w).sum() for y, w in zip(results, weights, strict=True))
    assert isinstance(total, tl.Tensor)
    total.backward()
    wanted = expected_gradient(program, start, weights)
    scale = float(np.max(np.abs(wanted), initial=1.0))
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
def test_second_derivatives_of_random_programs(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng([seed, 7, *shape])
    program = random_program(rng, shape)
    start = rng.uniform(0.5, 1.5, shape)
    x = tl.Tensor(start, requires_grad=True)
    total = sum((y * y).sum() for y in run(program, x.copy()))
    assert isinstance(total, tl.Tensor)
    total.backward(create_graph=True)
    direction = rng.uniform(-1, 1, shape)
    moved = (x.grad * direction).sum()
    x.zero_grad()
    moved.backward()

    def loss(x: Any) -> Any:
        return [sum(np.sum(y * y) for y in run(program, x))]

    traced = trace_function(lambda x: loss(x.copy()), (start,), {})
    once = vjp_graph(traced.graph)
    wanted = run_graph(vjp_graph(once), [start, np.ones(()), direction])[0]
    scale = float(np.max(np.abs(wanted), initial=1.0))
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-9, atol=1e-11 * scale)


IN_PLACE = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ipow,
    operator.imod,
]


@pytest.mark.parametrize("update", IN_PLACE, ids=lambda update: update.__name__)
def test_operators_update_memory_and_are_differentiated_in_both_operands(update: Any) -> None:
    x, y = leaf(1.5, 2.5, 3.5), leaf(1.25, 2.0, 0.75)
    z = x * 2.0
    memory = z.data
    z = update(z, y)
    assert z.numpy().tolist() == memory.numpy().tolist()
    z.sum().backward()
    got = x.grad.numpy(), y.grad.numpy()
    x.zero_grad()
    y.zero_grad()
    plain = getattr(operator, update.__name__[1:])
    plain(x * 2.0, y).sum().backward()
    np.testing.assert_allclose(got, (x.grad.numpy(), y.grad.numpy()))


def test_a_leaf_is_updated_in_place_only_where_nothing_is_recorded() -> None:
    w = leaf(1.0, 2.0)
    with pytest.raises(DifferentiationError, match=r"test_inplace.py:\d+: a leaf that requires"):
        w += 1.0
    with pytest.raises(DifferentiationError, match="shape \\(2,\\)"):
        w[0] = 1.0
    with pytest.raises(DifferentiationError, match="no_grad"):
        np.add(w, 1.0, out=w)
    with pytest.raises(DifferentiationError, match="leaf"):
        w[1:].fill(3.0)
    assert w.numpy().tolist() == [1.0, 2.0]
    with tl.no_grad():
        w -= 0.5
        w[1:] *= 2.0
    assert w.numpy().tolist() == [0.5, 3.0]
    assert w.is_leaf
    assert w.requires_grad


def test_an_overwritten_value_that_a_gradient_needs_is_an_error_with_both_lines() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3.0
    z = y * y
    y += 1.0
    with pytest.raises(DifferentiationError) as caught:
        z.sum().backward()
    message = str(caught.value)
    assert "multiply(f64[2], f64[2]) -> f64[2] at test_inplace.py:" in message
    assert "updated in place at test_inplace.py:" in message
    assert "x = x.copy()" in message


def test_an_overwritten_result_that_a_gradient_needs_is_an_error() -> None:
    x = leaf(1.0, 2.0)
    y = np.exp(x)
    y[0] = 0.0
    with pytest.raises(DifferentiationError, match="updated in place"):
        y.sum().backward()


def test_updates_through_detached_tensors_and_views_are_seen() -> None:
    for overwrite in (
        lambda y: y.detach().fill(0.0),
        lambda y: np.copyto(y.data, 0.0),
        lambda y: operator.setitem(y.T, 0, 1.0),
        lambda y: np.put(y, 0, 1.0),
        lambda y: np.add.at(y, [0], 2.0),
        lambda y: np.negative(y, out=y),
    ):
        x = leaf(1.0, 2.0)
        y = x * 1.0
        z = y * y
        overwrite(y)
        with pytest.raises(DifferentiationError, match="updated in place"):
            z.sum().backward()


def test_an_overwritten_value_that_no_gradient_needs_does_no_harm() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3.0
    z = y + y
    y *= 5.0
    assert gradient(z, x) == [6.0, 6.0]


def test_a_parameter_updated_between_forward_and_backward_is_an_error() -> None:
    w = leaf(1.0, 2.0)
    loss = (w * w).sum()
    with tl.no_grad():
        w -= 0.1
    with pytest.raises(DifferentiationError, match=r"updated in place at test_inplace\.py"):
        loss.backward()


def test_plain_arrays_are_kept_as_they_were() -> None:
    x, weights = leaf(1.0, 2.0), np.array([3.0, 4.0])
    y = x * weights
    weights[:] = 0.0
    assert gradient(y, x) == [3.0, 4.0]


def test_read_only_arrays_are_not_copied() -> None:
    x, weights = leaf(1.0, 2.0), np.array([3.0, 4.0])
    weights.flags.writeable = False
    node = (x * weights).grad_fn
    assert node is not None
    assert node.saved[0] is weights
    view = np.array([3.0, 4.0])[:]
    view.flags.writeable = False  # its base can still be written to
    node = (x * view).grad_fn
    assert node is not None
    assert node.saved[0] is not view


def test_a_view_taken_before_an_update_of_its_base_is_differentiated_as_it_is_now() -> None:
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1.0
    view = y[1:]
    y *= 2.0
    assert view.numpy().tolist() == [4.0, 6.0]
    assert gradient(view, x) == [0.0, 2.0, 2.0]


def test_a_base_updated_through_a_view_is_differentiated_as_it_is_now() -> None:
    x, v = leaf(1.0, 2.0, 3.0), leaf(5.0, 7.0)
    y = x * 1.0
    row = y.reshape(3, 1).T
    row[0, 1:] = v * 2.0
    (y * y).sum().backward()
    assert x.grad.numpy().tolist() == [2.0, 0.0, 0.0]
    assert v.grad.numpy().tolist() == [40.0, 56.0]


def test_a_tensor_without_history_gets_one_by_being_written_to() -> None:
    x, out = leaf(1.0, 2.0), tl.Tensor(np.zeros(4))
    views = out[:2], out[2:]
    assert not views[0].requires_grad
    views[0][...] = x
    views[1][...] = x * x
    assert out.requires_grad
    assert views[0].requires_grad
    assert not out.is_leaf
    assert gradient(out, x) == [3.0, 5.0]


def test_a_view_made_where_nothing_is_recorded_has_no_history_until_its_base_gets_one() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1.0
    with tl.no_grad():
        view = y[:1]
        y *= 2.0
    assert not view.requires_grad
    y *= x
    assert view.requires_grad
    assert gradient(view, x)[1] == 0.0


def test_parts_of_a_split_are_views() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = x * 1.0
    first, second = np.split(y, 2)
    first += second * 10.0
    assert gradient(y, x) == [1.0, 1.0, 11.0, 11.0]


def test_operands_in_the_memory_that_is_written_count_as_they_were() -> None:
    x = leaf(2.0, 3.0)
    y = x * 1.0
    y *= y[0]
    assert y.numpy().tolist() == [4.0, 6.0]
    assert gradient(y, x) == [7.0, 2.0]


def test_what_is_stored_in_a_plain_array_cannot_be_differentiated() -> None:
    x, out = leaf(1.0, 2.0), np.zeros(2)
    with pytest.raises(DifferentiationError, match=r"test_inplace.py:\d+: .*numpy.ndarray of shap"):
        np.multiply(x, 2.0, out=out)
    with pytest.raises(DifferentiationError, match=r"tl\.Tensor"):
        np.copyto(out, x)
    with pytest.raises(DifferentiationError, match="detach"):
        out += x
    with pytest.raises(ValueError, match="setting an array element") as caught:
        out[0] = x[0]  # NumPy puts an error of its own on top
    assert isinstance(caught.value.__cause__, DifferentiationError)
    assert "a number, stored in a numpy.ndarray" in str(caught.value.__cause__)
    with tl.no_grad():
        out[0] = x[1]
        np.multiply(x, out[0], out=out)
    assert out.tolist() == [2.0, 4.0]


def test_an_update_whose_effect_depends_on_memory_layout_is_refused() -> None:
    x = tl.Tensor(np.ones((2, 3)), requires_grad=True)
    z = (x * 1.0).T + np.asfortranarray(np.ones((3, 2)))
    assert not z.numpy().flags.c_contiguous
    flat = z.T.reshape(-1)  # a view, as NumPy kept the order of the operands' axes
    with pytest.raises(UnsupportedError, match="memory layout"):
        flat[0] = x[0, 0]
    assert z.numpy().tolist() == [[2.0, 2.0]] * 3
    z[0] = x[0, 0]
    assert gradient(z, x) == [[2.0, 1.0, 1.0], [0.0, 1.0, 1.0]]


def test_out_by_position_is_an_update() -> None:
    x = leaf(1.0, 2.0)
    total = tl.Tensor(np.zeros(()))
    np.sum(x * x, None, None, total)
    assert gradient(total, x) == [2.0, 4.0]
    x.zero_grad()
    y = tl.Tensor(np.zeros(2))
    assert x.cumsum(0, None, y) is y
    assert gradient(y, x) == [2.0, 1.0]


def test_changing_numbers_do_not_make_new_calls() -> None:
    x = leaf(1.0, 2.0)
    for number in range(3):
        y = x * (number + 0.5)
        y += number
        y *= number - 0.5
        derived = tl.Tensor.cache_info().derived if number == 1 else None
    assert tl.Tensor.cache_info().derived == derived or derived is None
    before = tl.Tensor.cache_info().derived
    y = x * 17.0
    y += 18.0
    y *= 19.0
    assert tl.Tensor.cache_info().derived == before
    assert gradient(y, x) == [323.0, 323.0]


def test_a_long_history_of_updates_is_walked_without_recursion() -> None:
    x = leaf(1.0)
    y = x * 1.0
    for _ in range(20_000):
        y += x
    assert gradient(y, x) == [20_001.0]
    del y
