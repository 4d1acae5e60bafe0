"""Timings take turns, and the figures derived from them are right."""

from __future__ import annotations

import gc
import re

import numpy as np
import pytest

import tapeless as tl
from tapeless.report import (
    ROUNDS,
    Comparison,
    Timing,
    compare,
    comparison_table,
    duration,
    interleave,
    timing_table,
)


def timing(median: float) -> Timing:
    return Timing(median, 0.9 * median, 1.2 * median, 100)


@pytest.fixture
def comparison() -> Comparison:
    return Comparison(timing(500e-6), timing(100e-6), startup=0.3, compiling=0.1)


def test_break_even_is_the_first_count_at_which_compiling_has_paid(comparison) -> None:
    count = comparison.break_even
    assert count == 250
    dynamic, static = comparison.totals(count)
    assert static <= dynamic * (1 + 1e-12)
    dynamic, static = comparison.totals(count - 1)
    assert static > dynamic
    assert comparison.speed_up == pytest.approx(5.0)


def test_compiling_never_pays_when_calls_are_not_faster() -> None:
    comparison = Comparison(timing(1e-6), timing(2e-6), startup=0.0, compiling=0.1)
    assert comparison.break_even is None
    assert "never" in comparison_table(comparison)


def test_table_shows_who_is_ahead_after_each_number_of_calls(comparison) -> None:
    rows = [line for line in comparison_table(comparison).splitlines() if "faster" in line]
    assert [row.split()[0] for row in rows] == ["10", "100", "1,000", "10,000"]
    assert [re.search(r"(\w+) is", row).group(1) for row in rows] == [
        "dynamic",
        "dynamic",
        "static",
        "static",
    ]
    assert "500 ms" in rows[2]
    assert "200 ms" in rows[2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (0.123, "123 ms"), (4.56e-5, "45.6 µs"), (3e-9, "3.00 ns"), (0.0, "0 ns")],
)
def test_durations_have_three_digits_and_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_candidates_take_turns_in_equal_rounds() -> None:
    order: list[str] = []
    timings = interleave(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, seconds=1e-7
    )
    warm_up = ["a", "a", "b", "b"]
    assert order == warm_up + ["a", "b"] * ROUNDS
    for result in timings.values():
        assert result.calls == ROUNDS
        assert 0 < result.low <= result.median <= result.high
    assert gc.isenabled()


def test_the_garbage_collector_is_switched_on_again_after_a_failure() -> None:
    calls = iter([None, None])

    with pytest.raises(StopIteration):
        interleave({"a": lambda: next(calls)}, seconds=1e-7)
    assert gc.isenabled()


def test_comparing_leaves_the_function_and_each_way_its_own_arguments() -> None:
    made: list[np.ndarray] = []

    def example() -> tuple[np.ndarray]:
        made.append(np.zeros(3))
        return (made[-1],)

    @tl.compile
    def count(x: np.ndarray) -> None:
        x += 1

    result = compare(count, example, seconds=0.01)
    assert count.cache_info().signatures == 0
    assert len(made) == 2
    warm_up = 2  # calls that are not timed, but for the first one of the compiled function
    assert made[0][0] == result.static.calls + warm_up + 1
    assert made[1][0] == result.dynamic.calls + warm_up
    assert result.compiling > 0


def test_timing_table_is_in_microseconds() -> None:
    row = timing_table({"static": timing(1.5e-3)}).splitlines()[-1]
    assert row.split() == ["static", "1,500.0", "1,350.0", "…", "1,800.0"]


def test_unsteady_timings_are_said_to_be_so() -> None:
    unsteady = Timing(1e-3, 0.5e-3, 1.5e-3, 100)
    table = timing_table({"busy": unsteady, "calm": timing(1e-3)})
    assert table.splitlines()[-1].startswith("unsteady: busy;")
    assert "unsteady" not in timing_table({"calm": timing(1e-3)})
