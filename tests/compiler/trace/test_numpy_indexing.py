"""`x[key]` and `x[key] = value` against NumPy: every kind of key, views, copies, errors."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.trace.function import trace_function
from tapeless.ir.errors import OutOfBoundsError, ShapeError, TraceError, UnsupportedError

from .comparing import agree, sample

X = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
MASK = np.array([True, False, True])
ROWS = np.array([[0, 1], [1, 1]])

KEYS: list[Any] = [
    0,
    -1,
    (1, 2),
    (0, 0, 0, 0),
    (0, 0, 0, 0, ...),
    (..., 0),
    (0, ..., -1),
    ...,
    (),
    None,
    (None, 0, None),
    (slice(None), None, slice(1, None)),
    slice(None, None, -1),
    (slice(None), slice(2, 0, -1), slice(None, None, 3), slice(-2, None)),
    (slice(5, 9), slice(1, 1)),
    (slice(None, None, -2), ..., slice(4, None, -3)),
    np.int64(1),
    np.uint8(1),
    [0, 1, 1],
    [],
    [[0], [1]],
    ([0, 1], [0, 2]),
    (slice(None), [0, 2, 2]),
    ([1], slice(None), [0, 3]),
    ([1, 0], slice(1, None), 2),
    (0, [0, 1]),
    (0, slice(None), [0, 1]),
    (slice(None), 0, [0, 1]),
    (slice(None), 0, slice(None), [0, 1]),
    (slice(None), [0, 1], ..., [0, 1]),
    (slice(None), [0, 1], [0, 1], ...),
    ([0, 1], ..., [0, 1]),
    ([0, 1], None, [0, 1]),
    ([0, 1], None),
    (None, [0, 1]),
    (None, [0, 1], slice(None), [1, 2]),
    (slice(None), None, [0, 2]),
    (slice(None, None, -1), [2, 0], slice(None, None, -2)),
    (ROWS, slice(0, 2), ROWS),
    (ROWS, [0, 1]),
    (slice(None), ROWS, slice(None), ROWS),
    np.array(1),
    (np.array(1), slice(1, None)),
    (np.array(0), np.array(1), np.array(2), np.array(3)),
    [True, False],
    (slice(None), [True, False, True]),
    ([False, True], slice(None), [0, 1, 2, 2]),
    (slice(None), [False, False, False]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reading_agrees_with_numpy(key: Any) -> None:
    agree(lambda x: x[key], X)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_writing_agrees_with_numpy(key: Any) -> None:
    values = np.random.default_rng(0).normal(size=np.shape(X[key]))

    def write(x: Any, values: Any) -> Any:
        before = x.copy()
        x[key] = values
        x[key] += 1
        x[key] *= x[key]
        x[key] -= values[..., :1] if values.ndim else values
        x[key] = 7 if values.size == 0 else x[key] + before[key]
        return x.sum()

    if not isinstance(values, float):
        agree(write, X, values, ulps=64)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_results_share_memory_exactly_where_numpys_do(key: Any) -> None:
    def write_into_result(x: Any) -> Any:
        part = x[key]
        if part.ndim:
            part[...] = -1
            part += 3
        return part

    if np.ndim(X[key]):
        agree(write_into_result, X)


def _random_key(rng: random.Random, shape: tuple[int, ...]) -> tuple[Any, ...]:
    items: list[Any] = []
    length = rng.choice([1, 2, 3])
    bounds = [None, -6, -3, -2, -1, 0, 1, 2, 4]
    for extent in shape[: rng.randint(0, len(shape))]:
        choice = rng.random()
        if choice < 0.25:
            items.append(rng.randrange(-extent, extent))
        elif choice < 0.55:
            step = rng.choice([None, 1, 2, -1, -2])
            items.append(slice(rng.choice(bounds), rng.choice(bounds), step))
        elif choice < 0.9:
            items.append([rng.randrange(-extent, extent) for _ in range(length)])
        else:
            items.append(np.array([[rng.randrange(extent)] for _ in range(2)]))
        if rng.random() < 0.15:
            items.append(None)
    if rng.random() < 0.3:
        items.insert(rng.randint(0, len(items)), ...)
    return tuple(items)


@pytest.mark.parametrize("seed", range(8))
def test_random_keys_read_and_write_as_in_numpy(seed: int) -> None:
    rng = random.Random(seed)
    keys: list[Any] = []
    while len(keys) < 25:
        key = _random_key(rng, X.shape)
        # Ellipsis and too many entries leave some keys without enough axes.
        if sum(item is not None and item is not ... for item in key) <= X.ndim:
            keys.append(key)
    agree(lambda x: [x[key] for key in keys], X)

    def write(x: Any) -> None:
        for number, key in enumerate(keys):
            x[key] = number
            x[key] += x[key] * 0.5

    agree(write, X)


@pytest.mark.parametrize("seed", range(4))
def test_views_of_views_follow_their_base(seed: int) -> None:
    rng = random.Random(seed)
    bounds = [None, -2, -1, 0, 1, 2]
    keys = [
        tuple(slice(rng.choice(bounds), None, rng.choice([1, -1, 2])) for _ in range(4))
        for _ in range(4)
    ]

    def chain(x: Any) -> Any:
        views = [x]
        for key in keys:
            views.append(views[-1][key].swapaxes(0, rng.randrange(4) * 0 + 1))
        for number, view in enumerate(reversed(views)):
            view += number
            views[rng.randrange(0, 1)][0] *= 2
        return views[-1].sum(), [view.copy() for view in views]

    agree(chain, X, ulps=64)


RUNTIME: list[Callable[[Any, Any], Any]] = [
    lambda x, i: x[i],
    lambda x, i: x[i, 1],
    lambda x, i: x[1, ..., i],
    lambda x, i: x[i, i, i, i],
    lambda x, i: x[i, i, i, i, ...],
    lambda x, i: x[:, i, ::-1],
    lambda x, i: x[:, i][..., i],
    lambda x, i: x[i - 2, [0, 1]],
    lambda x, i: x[[i, 0], :, [1, i]],
    lambda x, i: x[i + np.arange(2) - 1],
    lambda x, i: x[None, i],
]


@pytest.mark.parametrize("number", range(len(RUNTIME)))
def test_integers_known_at_run_time_read_as_in_numpy(number: int) -> None:
    agree(RUNTIME[number], X, 1)
    agree(RUNTIME[number], X, np.int32(1))


def test_integers_known_at_run_time_write_as_in_numpy() -> None:
    def write(x: Any, i: Any) -> Any:
        x[i] = 1
        x[i, 0] += 2
        x[:, i] *= x[:, 0]
        row = x[i]
        row[0] -= 5
        x[0, i, :, i] = x[0, 0, :, i] + 1
        np.exp(row[1], out=row[2])
        x[i, i, i, i] += 1
        x[i, i, i, i] *= 3
        return row

    agree(write, X / 100, 1)


def test_arrays_of_positions_known_at_run_time_agree_with_numpy() -> None:
    def use(x: Any, rows: Any, row: Any) -> Any:
        first = x[rows], x[:, rows, 0], x[rows, :, rows], x[..., rows], x[row]
        x[rows] += 1
        x[:, rows, 1] = -x[:, rows, 2]
        x[row, 0] = 3
        return first, x[rows, rows]

    agree(use, X, np.array([[0, 1], [-1, 0]]), np.array(1))
    agree(use, X, np.array([[0, 1], [-1, 0]], np.int16), np.array(1, np.uint8))


def test_the_last_of_equal_positions_wins() -> None:
    def write(x: Any, at: Any) -> None:
        x[at] = np.arange(4.0)
        x[at] += 1

    agree(write, np.zeros(3), np.array([0, 1, 0, 1]))


def _masked(x: Any, y: Any) -> Any:
    x[x > 0.5] = 0
    x[x < 0] += 1
    x[y > 0] *= 3
    x[y > 1] = x[y > 1] * 2 - 1
    positive = x[x > 0]
    x[x > 1] = y[x > 1]
    np.add.at(x, y < -1, 4)
    return positive.sum(), np.mean(x[x != 0]), x[y < 0].std(), np.any(x[y > 0]), np.prod(x[x > 9])


def test_masks_known_at_run_time_replace_update_and_reduce() -> None:
    agree(_masked, sample(np.float64, (4, 5)), sample(np.float64, (4, 5), seed=1), ulps=64)


def test_masks_may_cover_some_axes() -> None:
    def use(x: Any, mask: Any, row: Any) -> Any:
        x[mask] = 1
        x[:, mask[1]] += 2
        x[:, mask[0], 2] = 5
        x[mask, 1] -= 1
        x[mask] *= row
        x[0, ..., row > 0] = 0
        return x[mask].sum(), np.sum(x[:, mask[0]])

    mask = np.array([[True, False, True], [False, True, True]])
    agree(use, X, mask, np.arange(5.0) - 2, ulps=64)


def test_captured_masks_are_masks_of_unknown_content() -> None:
    def use(x: Any) -> Any:
        x[:, MASK] = 0
        return x[:, MASK].sum()

    agree(use, X)


def test_masks_made_while_tracing_are_positions() -> None:
    agree(lambda x: x[:, np.arange(3) != 1] * 2, X)
    agree(lambda x: x[np.tri(2, 3, dtype=bool)], X)


def test_iteration_and_unpacking_give_views() -> None:
    def use(x: Any) -> Any:
        a, b = x
        a *= 2
        for row in x[0]:
            row += 1
        return b, len(x), [element for element in x[0, 0, 0]]

    agree(use, X)


def test_values_are_broadcast_and_converted_as_numpy_assigns() -> None:
    def write(x: Any, i: Any) -> None:
        x[0] = np.ones((1, 1, 3, 4, 5))
        x[1, 0] = np.arange(5)
        x[1, 1] = [[1], [2], [3], [4]]
        x[1, 2, 0] = [i.sum(), 1, 2, 3, i[0]]
        i[...] = 2.75
        i[0] = x[1, 1, 2, 0] + 0.5

    agree(write, X, np.arange(3))


def test_a_single_update_is_a_single_node() -> None:
    def write(x: Any) -> None:
        x[0] += 1

    graph = trace_function(write, (X,), {}).graph
    assert [node.op.name for node in graph.nodes].count("update") == 1


ERRORS: list[tuple[str, Callable[[Any], Any], type[Exception], str]] = [
    ("integer", lambda x: x[2], OutOfBoundsError, "out of bounds"),
    ("list", lambda x: x[[0, 2]], OutOfBoundsError, "axis 0 lie between -2 and 1; given: 2"),
    ("inner", lambda x: x[:, [-4]], OutOfBoundsError, "-4"),
    ("write", lambda x: x.__setitem__(5, 0), OutOfBoundsError, "out of bounds"),
    ("many", lambda x: x[0, 0, 0, 0, 0], OutOfBoundsError, "5 indices"),
    ("dots", lambda x: x[..., 0, ...], OutOfBoundsError, r"2 times"),
    ("float", lambda x: x[1.0], OutOfBoundsError, "float"),
    ("text", lambda x: x["a"], OutOfBoundsError, "str"),
    ("traced float", lambda x: x[x[0, 0, 0, 0]], OutOfBoundsError, "integers or booleans"),
    ("arrays", lambda x: x[[0, 1], [0, 1, 2]], OutOfBoundsError, r"\(2,\) and \(3,\)"),
    ("bool", lambda x: x[True], UnsupportedError, "single boolean"),
    ("mask", lambda x: x[x[0] > 0], OutOfBoundsError, r"mask of shape \(3, 4, 5\)"),
    ("bound", lambda x: x[: x[0, 0, 0, 0]], TraceError, "slice bound"),
    ("mask value", lambda x: x[x > 0] @ x, UnsupportedError, r"np\.where\(mask"),
    ("mask length", lambda x: len(x[x > 0]), UnsupportedError, "length"),
    ("mask sort", lambda x: np.sort(x[x > 0]), UnsupportedError, r"np\.sort"),
    ("mask mix", lambda x: x[x > 0] + x[x > 1], UnsupportedError, "another mask"),
    ("mask put", lambda x: x.__setitem__(0, x[x > 0]), UnsupportedError, "elsewhere"),
    ("mask vector", lambda x: x.__setitem__(x > 0, x[0, 0, 0]), UnsupportedError, r"\(5,\)"),
    ("two masks", lambda x: x[x[:, 0, 0, 0] > 0, x[0, :, 0, 0] > 0], UnsupportedError, "2 index"),
    ("shape", lambda x: x.__setitem__(0, np.ones((2, 3))), ShapeError, r"\(2, 3\)"),
    ("scalar", lambda x: x[0, 0, 0, 0].__setitem__((), 1), TraceError, "in place is an array"),
    ("sum", lambda x: np.copyto(x.sum(), 1), TraceError, "in place is an array"),
    ("read-only", lambda x: np.broadcast_to(x[0], (2, 3, 4, 5)).fill(0), TraceError, "read-only"),
]


@pytest.mark.parametrize(("name", "fn", "error", "match"), ERRORS, ids=[row[0] for row in ERRORS])
def test_keys_that_do_not_fit_are_refused(
    name: str, fn: Callable[[Any], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match) as caught:
        trace_function(fn, (X,), {})
    assert "test_numpy_indexing.py" in str(caught.value)
