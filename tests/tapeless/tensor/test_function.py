"""`tl.Function` and `tl.custom_vjp` on tensors: derivatives of the user's own."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DifferentiationError, ShapeError, TraceError


class Relu(tl.Function):
    """The lecture's own ReLU."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return np.where(x > 0, gradient, 0)


class Exp(tl.Function):
    """Saves its result."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = np.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient * ctx.saved_tensors[0]


class Scaled(tl.Function):
    """Two results, three arguments, one of them a number."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, factor: float) -> Any:
        ctx.factor = factor
        return factor * x, x + y

    @staticmethod
    def backward(ctx: Any, first: Any, second: Any) -> Any:
        assert ctx.needs_input_grad[2] is False
        return ctx.factor * first + second, second, None


def test_an_own_relu_equals_the_built_in_one() -> None:
    values = np.array([-1.0, 0.0, 2.0])
    own, built_in = (tl.Tensor(values, requires_grad=True) for _ in range(2))
    ours, theirs = Relu.apply(own), built_in.clamp(min=0)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    (ours**2).sum().backward()
    (theirs**2).sum().backward()
    np.testing.assert_array_equal(own.grad.numpy(), built_in.grad.numpy())
    assert ours.grad_fn.name == "Relu"


def test_a_saved_result_is_differentiated_again() -> None:
    x = tl.Tensor([0.3, 1.1], requires_grad=True)
    y = Exp.apply(x).sum()
    for _ in range(3):
        x.zero_grad()
        y.backward(create_graph=True)
        np.testing.assert_allclose(x.grad.numpy(), np.exp(x.numpy()))
        y = x.grad.sum()


def test_a_saved_result_makes_no_cycle() -> None:
    x = tl.Tensor([0.3], requires_grad=True)
    gc.disable()
    try:
        node = weakref.ref(Exp.apply(x).grad_fn)
        assert node() is None
    finally:
        gc.enable()


def test_several_results_and_arguments() -> None:
    x, y = (tl.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    first, second = Scaled.apply(x, y, 3.0)
    assert first.numpy().tolist() == [3.0, 6.0]
    (first.sum() + second.sum()).backward()
    assert x.grad.numpy().tolist() == [4.0, 4.0]
    assert y.grad.numpy().tolist() == [1.0, 1.0]
    x.zero_grad()
    first, _ = Scaled.apply(x, y.detach(), 3.0)
    first.sum().backward()
    assert x.grad.numpy().tolist() == [3.0, 3.0]


def test_forward_records_nothing_and_no_grad_makes_constants() -> None:
    x = tl.Tensor([1.0], requires_grad=True)
    with tl.no_grad():
        assert Exp.apply(x).is_leaf
    assert Exp.apply(x).grad_fn.inputs == [(x, 0)]
    assert Exp.apply(tl.Tensor([1.0])).requires_grad is False


def test_an_argument_that_is_returned_is_another_tensor() -> None:
    class Identity(tl.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return 2 * gradient

    x = tl.Tensor([1.0], requires_grad=True)
    y = Identity.apply(x)
    y.backward()
    assert y is not x
    assert not np.shares_memory(x.numpy(), y.numpy())
    assert x.grad.numpy().tolist() == [2.0]
    same = tl.custom_vjp(lambda x: x).defvjp(lambda x: (x, ()), lambda r, g: (g,))
    assert not np.shares_memory(x.numpy(), same(x).numpy())


def test_overwritten_saved_tensors_are_errors() -> None:
    x = tl.Tensor([1.0], requires_grad=True)
    y = x * 1.0
    z = Relu.apply(y)
    y *= 2.0
    with pytest.raises(DifferentiationError, match=r"Relu\(f64\[1\]\).*updated in place"):
        z.backward()


def test_a_freed_function_is_refused() -> None:
    x = tl.Tensor([1.0], requires_grad=True)
    y = Relu.apply(x)
    y.backward()
    with pytest.raises(DifferentiationError, match=r"second pass through Relu\(f64\[1\]\)"):
        y.backward()


def wrong(gradient: Any) -> Any:
    """An operation whose backward gives `gradient`."""

    class Wrong(tl.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return gradient

    return Wrong.apply(tl.Tensor([1.0, 2.0], requires_grad=True)).sum()


def test_wrong_gradients_are_refused_with_the_line_of_the_operation() -> None:
    with pytest.raises(ArgumentError, match=r"test_function.py:\d+: backward of Wrong.*2 for 1"):
        wrong((1.0, 2.0)).backward()
    with pytest.raises(ShapeError, match=r"test_function.py:\d+: .*shape \(2,\).*\(3,\)"):
        wrong(np.ones(3)).backward()
    with pytest.raises(ArgumentError, match="str"):
        wrong("gradient").backward()


def test_forward_must_return_tensors() -> None:
    class Nothing(tl.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return None

    with pytest.raises(ArgumentError, match="forward of Nothing returns a tensor"):
        Nothing.apply(tl.Tensor([1.0], requires_grad=True))
    with pytest.raises(NotImplementedError, match="forward"):
        tl.Function.apply(tl.Tensor([1.0]))


def test_a_function_inside_a_compiled_one_is_refused() -> None:
    with pytest.raises(TraceError, match="custom_vjp"):
        tl.compile(lambda x: Relu.apply(x))(np.ones(2))


def make_clipped() -> Any:
    """x**2 with gradients clipped to 1, and structured arguments and residuals."""

    @tl.custom_vjp
    def clipped(p: Any) -> Any:
        return {"y": p["x"] ** 2}

    def forward(p: Any) -> Any:
        return clipped(p), (p["x"],)

    def backward(residuals: Any, cotangent: Any) -> Any:
        (x,) = residuals
        return ({"x": np.clip(2 * x * cotangent["y"], -1, 1)},)

    return clipped.defvjp(lambda p: ({"y": p["x"] ** 2}, (p["x"],)), backward)


def test_custom_rules_work_on_tensors_to_second_order() -> None:
    clipped = make_clipped()
    x = tl.Tensor([0.1, 2.0], requires_grad=True)
    clipped({"x": x})["y"].sum().backward(create_graph=True)
    assert x.grad.numpy().tolist() == [0.2, 1.0]
    g = x.grad
    x.zero_grad()
    g.sum().backward()
    assert x.grad.numpy().tolist() == [2.0, 0.0]


def test_custom_rules_that_do_not_fit_are_refused() -> None:
    x = tl.Tensor([1.0], requires_grad=True)
    double = tl.custom_vjp(lambda x: 2 * x)
    with pytest.raises(ArgumentError, match="defvjp"):
        double(x)
    double.defvjp(lambda x: 2 * x, lambda r, g: (2 * g,))
    with pytest.raises(ArgumentError, match="returns \\(out, residuals\\)"):
        double(x)
    double.defvjp(lambda x: (2 * x, None), lambda r, g: 2 * g)
    with pytest.raises(ArgumentError, match="tuple of 1 cotangents"):
        double(x).backward()


def test_stopped_gradients_are_detached() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    (x * tl.stop_gradient({"x": x})["x"]).sum().backward()
    assert x.grad.numpy().tolist() == [1.0, 2.0]
