"""Plots draw what they are given, and derivatives are computed rather than known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DependencyError
from tapeless.plot.activations import sample
from tapeless.plot.canvas import spread
from tapeless.report import Comparison, Timing

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _without_display() -> Iterator[None]:
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def timing(median: float) -> Timing:
    return Timing(median, 0.9 * median, 1.1 * median, 100)


def comparison(dynamic: float, static: float) -> Comparison:
    return Comparison(timing(dynamic), timing(static), startup=0.3, compiling=0.1)


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def step(x: Any) -> Any:
    return np.where(x > 0, 1.0, 0.0)


def test_each_run_is_a_line_with_its_name_where_it_ends() -> None:
    runs = {"SGD": [3.0, 2.0, 1.5], "Adam": np.array([3.0, 1.0])}
    axes = tl.plot.curves(runs)
    for line, note, (name, losses) in zip(axes.lines, axes.texts, runs.items(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), losses)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(losses) + 1))
        assert note.get_text() == name
        assert note.get_color() == line.get_color()
        assert note.xy == (len(losses), losses[-1])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "linear")


def test_one_run_needs_no_name_and_may_have_its_own_positions() -> None:
    axes = tl.plot.curves(([0, 10, 20], [3.0, 2.0, 1.0]), xlabel="step", log=True, title="run")
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 10, 20])
    assert (axes.get_xlabel(), axes.get_yscale(), axes.get_title()) == ("step", "log", "run")
    assert texts(axes) == []


def test_a_run_that_diverges_is_drawn_as_far_as_it_goes() -> None:
    axes = tl.plot.curves({"lr = 10": [1.0, 5.0, np.inf, np.nan], "lr = 0.1": [1.0, 0.5, 0.2, 0.1]})
    assert axes.texts[0].xy == (2, 5.0)


def test_plots_go_into_given_axes() -> None:
    figure, (left, right) = pyplot.subplots(1, 2)
    assert tl.plot.curves([2.0, 1.0], axes=left) is left
    assert tl.plot.activation(np.tanh, axes=right) is right
    assert pyplot.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("runs", "log", "message"),
    [
        ({}, False, "at least one run to plot"),
        ([], False, "the run is a sequence of numbers"),
        ({"a": [[1.0, 2.0]]}, False, "run 'a' is a sequence of numbers"),
        ({"a": ["low", "high"]}, False, "run 'a' is a sequence of numbers"),
        ({"a": ([1, 2], [1.0, 2.0, 3.0])}, False, "as many x as y; given: 2 and 3"),
        ({"a": [2.0, 0.0]}, True, r"run 'a' are positive .* given: 0 at x = 2\n.*log=False"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(runs: Any, log: bool, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        tl.plot.curves(runs, log=log)


def test_an_activation_is_drawn_with_its_computed_derivative() -> None:
    axes = tl.plot.activation(np.tanh)
    value, slope = (line for line in axes.lines if line.get_label().startswith("σ"))
    x = value.get_xdata()
    assert (x[0], x[-1]) == (-4, 4)
    np.testing.assert_allclose(value.get_ydata(), np.tanh(x), rtol=1e-12)
    np.testing.assert_allclose(slope.get_ydata(), 1 / np.cosh(x) ** 2, rtol=1e-9)
    assert axes.get_title() == "tanh"


def test_jumps_are_gaps_and_kinks_are_not() -> None:
    jump = sample(step, -4, 4)
    assert np.isnan(jump.value).sum() == 1
    assert not np.isnan(jump.slope).any()
    kink = sample(tl.nn.relu, -4, 4)
    assert not np.isnan(kink.value).any()
    assert np.isnan(kink.slope).sum() == 1
    assert abs(kink.x[np.isnan(kink.slope)][0]) <= 0.01


@pytest.mark.parametrize("fn", [np.tanh, np.exp, lambda x: x * 0.0, lambda x: np.sin(5 * x)])
def test_smooth_functions_have_no_gaps(fn: Any) -> None:
    curves = sample(fn, -4, 4)
    assert not np.isnan(curves.value).any()
    assert not np.isnan(curves.slope).any()


def test_a_family_of_activations_shares_its_scales() -> None:
    family = {"step": step, "tanh": np.tanh, "ReLU": tl.nn.relu, "leaky": tl.nn.leaky_relu}
    figure = tl.plot.activations(family, columns=3)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == list(family)
    assert len({axes.get_ylim() for axes in shown}) == 1
    assert len({axes.get_xlim() for axes in shown}) == 1


def test_functions_without_titles_have_their_own_names() -> None:
    figure = tl.plot.activations([np.tanh, tl.nn.softplus, lambda x: x, lambda x: -x])
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["tanh", "softplus", "<lambda>", "<lambda>"]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, -2.0), (0.0, np.inf)])
def test_a_range_that_is_none_is_an_error(low: float, high: float) -> None:
    with pytest.raises(ArgumentError, match="low and high are finite"):
        tl.plot.activation(np.tanh, low=low, high=high)


def test_a_grid_without_functions_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="at least one activation"):
        tl.plot.activations([])


@pytest.mark.parametrize("dynamic", [500e-6, 101e-6, 0.2])
def test_the_break_even_point_lies_on_both_lines(dynamic: float) -> None:
    given = comparison(dynamic, 100e-6)
    count = given.break_even
    assert count is not None
    axes = tl.plot.timing(given, title="net")
    slow, fast, point = axes.lines
    assert point.get_xdata()[0] == count
    assert slow.get_xdata()[-1] >= count
    height = point.get_ydata()[0]
    for line in (slow, fast):
        x, y = line.get_xdata(), line.get_ydata()
        near = np.interp(np.log(count), np.log(x), y)
        assert near == pytest.approx(height, rel=0.05 if count > 1 else 1.0)
    assert f"paid back after {count:,} call" in texts(axes)[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("calls", "total time (s)")


def test_no_point_is_marked_where_compiling_never_pays() -> None:
    axes = tl.plot.timing(comparison(1e-6, 2e-6))
    assert len(axes.lines) == 2
    assert not any("paid back" in text for text in texts(axes))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([5.0, 100.0], [5.0, 100.0]),
        ([50.0, 50.0], [45.0, 55.0]),
        ([52.0, 50.0], [56.0, 46.0]),
        ([0.0, 1.0, 2.0], [-9.0, 1.0, 11.0]),
        ([0.0, 8.0, 16.0, 40.0], [-2.0, 8.0, 18.0, 40.0]),
        ([], []),
    ],
)
def test_labels_are_moved_apart_around_their_middle(places: Any, expected: Any) -> None:
    assert spread(places, gap=10.0) == pytest.approx(expected)


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(DependencyError, match=r"(?s)needs matplotlib.*'tapeless\[plot\]'"):
        tl.plot.curves([1.0, 2.0])
