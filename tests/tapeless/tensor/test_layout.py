"""Layouts: equal keys exactly for calls that differ in their arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.tensor.layout import Position, lay_out

X, Y = tl.Tensor([1.0, 2.0]), tl.Tensor([3.0, 4.0])


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call."""
    return args, kwargs


CALLS = [
    call(X),
    call(X, 1),
    call(X, True),
    call(X, 1.0),
    call(X, -0.0),
    call(X, 0.0),
    call(X, None),
    call(X, "1"),
    call(X, axis=1),
    call(X, axis=True),
    call(X, "axis", 1),
    call(X, (1, 2)),
    call(X, [1, 2]),
    call(X, slice(1, 2)),
    call(X, slice(1, 2.0)),
    call(X, (slice(1, 2), 1)),
    call(X, (slice(1, 2), True)),
    call(X, Y),
    call([X, Y]),
    call((X, Y)),
    call([X], Y),
    call(X, other=Y),
    call(X, {"a": Y, "b": 1}),
    call(X, {"a": 1, "b": Y}),
    call(X, np.float64),
    call(X, np.dtype(np.float64)),
    call(X, ...),
]


def test_positions_are_operands() -> None:
    operands, layout = lay_out((X, Position(3)), {})
    assert operands[1] == 3
    assert layout.key == lay_out((X, Position(4)), {})[1].key


def test_different_calls_have_different_keys() -> None:
    keys = [lay_out(args, kwargs)[1].key for args, kwargs in CALLS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("args", "kwargs"), CALLS, ids=map(str, range(len(CALLS))))
def test_a_call_is_put_together_again_from_other_arrays(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    operands, layout = lay_out(args, kwargs)
    again, other = lay_out(args, kwargs)
    assert layout.key == other.key
    assert all(x is y or x == y for x, y in zip(operands, again, strict=True))
    numbers = list(range(len(operands)))
    got = layout.call(lambda *a, **k: (a, k), numbers)
    remaining = iter(numbers)

    def numbered(item: Any) -> Any:
        if isinstance(item, tl.Tensor):
            return next(remaining)
        if isinstance(item, tuple | list):
            return type(item)(map(numbered, item))
        return {k: numbered(v) for k, v in item.items()} if isinstance(item, dict) else item

    assert got == (numbered(args), numbered(kwargs))
