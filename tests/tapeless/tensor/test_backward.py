"""`backward()`: what it accumulates where, when the graph is freed, and what it refuses."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import DifferentiationError, ShapeError
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.tensor.calls import CallTable


def test_the_tape_basics_of_the_lecture() -> None:
    w = tl.Tensor(np.ones(3), requires_grad=True)
    x = w + 2
    y = 3 * x
    y.retain_grad()
    z = np.mean(y)
    z.backward()
    assert z.item() == 9.0
    assert w.grad.numpy().tolist() == [1.0, 1.0, 1.0]
    assert y.grad.numpy().tolist() == [1 / 3, 1 / 3, 1 / 3]
    with pytest.warns(UserWarning, match=r"retain_grad\(\) before backward\(\).*f64\[3\]"):
        assert x.grad is None


def test_gradients_accumulate_until_they_are_zeroed() -> None:
    w = tl.Tensor(np.ones(4), requires_grad=True)
    for count in (1, 2, 3):
        (3 * w).sum().backward()
        assert w.grad.numpy().tolist() == [3.0 * count] * 4
    kept = w.grad.numpy()
    w.zero_grad()
    assert w.grad is None
    assert kept.tolist() == [9.0] * 4


def test_gradients_have_memory_of_their_own() -> None:
    x, y = (tl.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    seed = np.array([1.0, 1.0])
    (x + y).backward(seed)
    x.grad *= 5.0
    assert y.grad.numpy().tolist() == [1.0, 1.0]
    assert seed.tolist() == [1.0, 1.0]


def test_a_seed_is_broadcast_and_converted() -> None:
    x = tl.Tensor(np.ones((2, 3)), np.float32, requires_grad=True)
    (x * 2).backward([1, 2, 3])
    assert x.grad.numpy().tolist() == [[2.0, 4.0, 6.0]] * 2
    assert x.grad.dtype == np.float32
    x.zero_grad()
    seed = tl.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * x).backward(seed, create_graph=True)
    x.grad.sum().backward()  # in x and in the seed
    assert seed.grad.numpy().tolist() == [4.0, 4.0, 4.0]
    with pytest.raises(ShapeError, match=r"test_backward.py:\d+: .*float32 of \(2, 3\).*\(4,\)"):
        (x * 2).backward(np.ones(4))


def test_a_scalar_of_any_shape_needs_no_seed() -> None:
    x = tl.Tensor([[2.0]], requires_grad=True)
    (x**2).backward()
    assert x.grad.numpy().tolist() == [[4.0]]


def test_backward_without_a_graph_is_refused() -> None:
    with pytest.raises(DifferentiationError, match=r"test_backward.py:\d+: .*requires gradients"):
        tl.Tensor(1.0).backward()
    with pytest.raises(DifferentiationError, match="requires_grad_"):
        (tl.Tensor([1.0, 2.0]) * 2).sum().backward()


def test_backward_of_a_non_scalar_without_a_gradient_is_refused() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DifferentiationError, match=r"test_backward.py:\d+: .*scalar.*\(2,\)"):
        (x * 2).backward()


def test_a_second_backward_is_refused_unless_the_graph_is_kept() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    y = np.sin(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos([1.0, 2.0]))
    with pytest.raises(DifferentiationError) as caught:
        y.backward()
    assert "sum(f64[2]) -> f64[] at test_backward.py:" in str(caught.value)
    assert "retain_graph=True" in str(caught.value)


def test_backward_frees_the_graph_without_the_collector() -> None:
    x = tl.Tensor(np.ones(3), requires_grad=True)
    gc.disable()
    try:
        y = np.exp(x * 2.0)
        z = y.sum()
        saved = weakref.ref(y)
        node = weakref.ref(y.grad_fn)
        del y
        assert saved() is None
        z.backward()
        assert z.grad_fn is not None
        assert z.grad_fn.saved is None
        del z
        assert node() is None
    finally:
        gc.enable()


def test_a_training_step_makes_no_cycles_of_references() -> None:
    class Double(tl.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x, y := 2 * x)
            return y

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            assert len(ctx.saved_tensors) == 2
            return 2 * gradient

    w = tl.Tensor(np.ones((3, 3)), requires_grad=True)

    def step() -> None:
        h = np.tanh(w @ np.ones(3)) * 1.0
        h[1:] *= w[0, :2]
        first, rest = np.split(h, [1])
        rest += first
        kept = h * 1.0
        kept.retain_grad()
        Double.apply(kept).sum().backward()
        with tl.no_grad():
            w.__isub__(0.1 * w.grad)
        w.zero_grad()

    step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_only_what_derivatives_read_is_kept() -> None:
    x = tl.Tensor(np.ones(3), requires_grad=True)
    product, total, power = x * x, x + x, np.exp(x)
    assert [len(y.grad_fn.saved) for y in (product, total, power)] == [2, 0, 1]
    assert power.grad_fn.saved[0] is power._data
    y = x * tl.Tensor(np.ones(3))
    assert len(y.grad_fn.saved) == 1


def test_derivatives_of_any_order() -> None:
    x = tl.Tensor([0.3, -1.2], requires_grad=True)
    y = np.sin(x).sum()
    expected = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos]
    for derivative in expected:
        x.zero_grad()
        y.backward(create_graph=True)
        np.testing.assert_allclose(x.grad.numpy(), derivative(x.numpy()), rtol=1e-14)
        y = x.grad.sum()


def test_a_gradient_is_part_of_a_loss() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    penalty = (x.grad**2).sum()  # 9 x**4
    x.zero_grad()
    penalty.backward()
    assert x.grad.numpy().tolist() == [36.0, 288.0]


def test_graphs_that_are_diamonds_visit_each_node_once() -> None:
    x = tl.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y  # 2**60 paths
    y.backward()
    assert x.grad.item() == 2.0**60


def test_long_chains_need_no_recursion() -> None:
    x = tl.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(30_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_results_among_several_are_differentiated_together_and_alone() -> None:
    x = tl.Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    first, second = np.split(x * x, 2)
    (first.sum() + 10 * second.sum()).backward()
    assert x.grad.numpy().tolist() == [2.0, 4.0, 60.0, 80.0]
    x.zero_grad()
    quotient, remainder = np.divmod(x, 3.0)
    (quotient.sum() + remainder.sum()).backward()
    assert x.grad.numpy().tolist() == [1.0] * 4


def test_integers_and_booleans_carry_no_gradient() -> None:
    x = tl.Tensor([1.0, -2.0], requires_grad=True)
    mask = x > 0
    assert not mask.requires_grad
    assert mask.is_leaf
    assert not np.argmax(x).requires_grad
    assert not x.astype(int).requires_grad
    np.where(mask, x, 0.0).sum().backward()
    assert x.grad.numpy().tolist() == [1.0, 0.0]


def test_ties_with_numbers_go_to_the_number() -> None:
    x = tl.Tensor([0.0, 1.0], requires_grad=True)
    np.maximum(x, 0).sum().backward()
    assert x.grad.numpy().tolist() == [0.0, 1.0]
    x.zero_grad()
    np.maximum(x, tl.Tensor([0.0, 0.0])).sum().backward()
    assert x.grad.numpy().tolist() == [0.5, 1.0]


def test_data_decides_what_is_computed() -> None:
    def power(x: Any, n: int) -> Any:
        y = x
        while y.item() < n:
            y = y * x if y < 10 else y * 2
        return y

    x = tl.Tensor(3.0, requires_grad=True)
    power(x, 50).backward()  # 3, 9, 27, 54: 2 x**3
    assert x.grad.item() == 54.0


def test_what_no_rule_is_known_for_is_refused_where_it_is_used() -> None:
    x = tl.Tensor(np.ones(4), requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"test_backward.py:\d+: .*np\.sort(.|\n)*detach"):
        np.sort(x)
    assert np.sort(x.detach()).numpy().tolist() == [1.0] * 4
    with tl.no_grad():
        assert np.sort(x).shape == (4,)
    with pytest.raises(NotImplementedError, match=r"np\.fft\.fft"):
        np.fft.fft(x)


def test_threads_record_and_walk_at_the_same_time() -> None:
    found: list[bool] = []

    def work(seed: int) -> None:
        for k in range(50):
            x = tl.Tensor(np.full(3, seed + 1.0), requires_grad=True)
            y = np.sin(x) * x.reshape(3, 1)[k % 3] + np.ones(k % 5 + 1)[0]
            y.sum().backward()
            expected = 3 * np.sin(seed + 1.0) + 3 * (seed + 1.0) * np.cos(seed + 1.0)
            found.append(bool(np.isclose(x.grad.sum().item(), expected)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_calls_that_are_not_met_again_are_forgotten() -> None:
    table = CallTable(limit=8)

    def use(key: int) -> None:
        if key not in table.young:
            table.add(key, "sine", np.sin, [TensorType(FLOAT64)])

    for key in range(40):
        use(0)
        use(key)
    assert table.info() == (len(table.young) + len(table._old), 40, 8)
    assert table.info().held <= 8
    assert 0 in table.young
    assert tl.Tensor.cache_info().held <= tl.Tensor.cache_info().limit
