"""What a tensor is: its values, its flags, how it mixes with the rest of the world."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import (
    ArgumentError,
    DifferentiationError,
    DTypeError,
    TraceError,
    UnsupportedError,
)


def test_data_is_copied_and_dtypes_are_numpys() -> None:
    array = np.arange(3.0)
    x = tl.Tensor(array)
    array[0] = 7.0
    assert x.numpy().tolist() == [0.0, 1.0, 2.0]
    assert tl.Tensor([1, 2]).dtype == np.int64
    assert tl.Tensor([1, 2], np.float32).dtype == np.float32
    assert tl.Tensor(True).dtype == np.bool_
    assert tl.Tensor(np.ones(2, ">f8")).dtype.isnative
    assert tl.Tensor(tl.Tensor([1.5])).item() == 1.5
    assert tl.Tensor(np.asfortranarray(np.ones((2, 3)))).numpy().flags.c_contiguous


def test_attributes_are_those_of_arrays() -> None:
    x = tl.Tensor(np.ones((2, 3), np.float32))
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 4, 24)
    assert (x.T.shape, x.mT.shape, len(x), str(x.type)) == ((3, 2), (3, 2), 2, "f32[2,3]")


@pytest.mark.parametrize("data", [[1j], ["a"], [None], np.ones(2, np.float16)], ids=str)
def test_other_elements_are_refused(data: Any) -> None:
    with pytest.raises(DTypeError, match=r"test_tensor.py:\d+: the elements of a tensor"):
        tl.Tensor(data)


def test_gradients_are_switched_on_later() -> None:
    x = tl.Tensor([1.0])
    assert not x.requires_grad
    assert x.requires_grad_() is x
    assert x.requires_grad
    assert x.is_leaf
    assert not x.requires_grad_(False).requires_grad
    with pytest.raises(DTypeError, match="float32 or float64"):
        tl.Tensor([1], requires_grad=True)
    with pytest.raises(DifferentiationError, match="detach"):
        (tl.Tensor([1.0], requires_grad=True) * 2).requires_grad_(False)


def test_detached_tensors_are_outside_the_graph_on_the_same_memory() -> None:
    x = tl.Tensor(np.ones(2), requires_grad=True)
    y = x * 1.0
    for other in (y.detach(), y.data):
        assert not other.requires_grad
        assert other.is_leaf
        assert np.shares_memory(other.numpy(), y.numpy())
    total = (2 * x + (3 + x.detach())).sum()
    total.backward()
    assert x.grad.numpy().tolist() == [2.0, 2.0]


def test_no_grad_is_a_context_and_a_decorator() -> None:
    x = tl.Tensor([1.0], requires_grad=True)

    @tl.no_grad
    def bare(x: Any) -> Any:
        """Doubles."""
        return x * 2

    @tl.no_grad()
    def called(x: Any) -> Any:
        return x * 2

    assert bare.__doc__ == "Doubles."
    with tl.no_grad():
        inside = x * 2
        with tl.no_grad():
            pass
        assert not (x * 2).requires_grad
    assert not any(y.requires_grad for y in (inside, bare(x), called(x)))
    with pytest.raises(ZeroDivisionError), tl.no_grad():
        1 / 0  # noqa: B018
    assert (x * 2).requires_grad


def test_values_are_read_as_those_of_arrays() -> None:
    x = tl.Tensor([2.5], requires_grad=True)
    assert (float(x[0]), int(x[0]), x.item(), bool(x > 0), x.tolist()) == (2.5, 2, 2.5, True, [2.5])
    assert [1, 2, 3][tl.Tensor(1)] == 2
    assert f"{x[0]:.1f}" == "2.5"
    assert 2.5 in x
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 1.0
    assert type(x.sum().numpy()) is np.float64


def test_text_says_what_it_is() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], grad_fn=multiply)"
    assert repr(tl.Tensor([1], np.float32)) == "Tensor([1.], dtype=float32)"


def test_arrays_and_numbers_mix_in_as_constants() -> None:
    x = tl.Tensor(np.ones(2, np.float32), requires_grad=True)
    array, number = np.ones(2), np.float32(3.0)
    for y, dtype in (
        (x * 2, np.float32),
        (2.0 - x, np.float32),
        (True + x, np.float32),
        (array * x, np.float64),
        (number / x, np.float32),
        (np.add(x, [1, 2]), np.float64),
        (x @ array, np.float64),
        (np.float64(2) * x, np.float64),
    ):
        assert isinstance(y, tl.Tensor)
        assert y.dtype == dtype
        x.zero_grad()
        y.sum().backward()
        assert x.grad.dtype == np.float32
    with pytest.raises(UnsupportedError, match="MaskedArray"):
        x * np.ma.array([1.0, 2.0])
    with pytest.raises(UnsupportedError, match="MaskedArray"):
        np.where(True, x, np.ma.array([1.0, 2.0]))


def test_numpys_errors_and_warnings_are_numpys() -> None:
    x = tl.Tensor([1.0, 0.0], requires_grad=True)
    with pytest.raises(ValueError, match="could not be broadcast"):
        x + np.ones(3)
    with pytest.raises(IndexError, match="out of bounds"):
        x[5]
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        1 / x
    with pytest.raises(np.exceptions.AxisError):
        x.sum(axis=3)


def test_functions_outside_numpys_protocols_do_not_lose_gradients() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DifferentiationError, match=r"test_tensor.py:\d+: (.|\n)*x\.numpy\(\)"):
        np.asarray(x)
    assert np.asarray(x.detach()).tolist() == [1.0, 2.0]
    assert np.array(tl.Tensor([1])).tolist() == [1]


def test_copies_and_pickles() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    again = pickle.loads(pickle.dumps(x))
    assert again.requires_grad
    assert again.numpy().tolist() == [1.0, 2.0]
    deep = copy.deepcopy({"w": x})["w"]
    assert deep.is_leaf
    assert deep.requires_grad
    assert not np.shares_memory(deep.numpy(), x.numpy())
    copy.copy(x).sum().backward()
    assert x.grad.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(DifferentiationError, match="detach"):
        pickle.dumps(x * 2)


def test_a_gradient_can_be_assigned() -> None:
    x = tl.Tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.array([3.0, 4.0])
    (x * 1.0).sum().backward()
    assert x.grad.numpy().tolist() == [4.0, 5.0]
    x.grad = None
    assert x.grad is None
    with pytest.raises(DifferentiationError, match=r"\(2,\).*\(3,\)"):
        x.grad = np.ones(3)


COMPILED = {
    "an operand": lambda x, t: x * t,
    "the left operand": lambda x, t: t * x,
    "an argument of a function": lambda x, t: np.add(t, x),
    "alone": lambda x, t: (t * 2).sum(),
    "its number": lambda x, t: x * t.sum().item(),
    "its array": lambda x, t: x * t.numpy(),
    "a branch": lambda x, t: x if t[0] > 0 else -x,
    "an update": lambda x, t: t.detach().fill(0.0),
    "inside a gradient": lambda x, t: tl.grad(lambda x: np.sum(x * t))(x),
}


@pytest.mark.parametrize("use", COMPILED.values(), ids=COMPILED.keys())
def test_a_tensor_in_a_compiled_function_is_refused_with_the_line(use: Any) -> None:
    t = tl.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TraceError, match=r"test_tensor.py:\d+: .*a Tensor, whose(.|\n)*x\.numpy"):
        tl.compile(lambda x: use(x, t))(np.ones(2))


def test_a_tensor_passed_to_a_compiled_or_transformed_function_is_refused() -> None:
    t = tl.Tensor([1.0, 2.0], requires_grad=True)
    for function in (tl.compile(np.sum), tl.grad(lambda t: np.sum(t * t)), tl.vmap(np.sum)):
        with pytest.raises(ArgumentError, match=r"test_tensor.py:\d+: the argument .*Tensor"):
            function(t)


def test_the_two_names_of_the_lecture() -> None:
    x = tl.Tensor([[1.0, -2.0]])
    assert x.mm(x.T).item() == 5.0
    assert x.clamp(min=0).tolist() == [[1.0, 0.0]]
    assert x.clamp(max=0).tolist() == [[0.0, -2.0]]
