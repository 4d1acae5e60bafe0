"""The steps of the layout: layers, orders, coordinates, tags and columns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tapeless.drawing.columns import LONG, place_in_columns
from tapeless.drawing.coordinates import mean, median, spread
from tapeless.drawing.crossings import crossings, order
from tapeless.drawing.layers import Cell, Link, arrange, levels_of
from tapeless.drawing.measure import DOWN, RIGHT, Size
from tapeless.drawing.placement import place_scene
from tapeless.drawing.scene import (
    CONSTANT,
    FORWARD_BOX,
    INPUT,
    KERNEL,
    OUTPUT,
    PORT,
    TAG,
    Box,
    Net,
    Reader,
    Scene,
)
from tapeless.drawing.tags import MAX_SPAN, in_columns, tag_long_wires

SQUARE = Size(10, 20, 10, 10, 0, (0.0,), (0.0,))


def chain(length: int) -> Scene:
    """x -> v0 -> v1 -> …, and x is read once more at the end."""
    boxes = [Box(INPUT, "x")] + [Box(FORWARD_BOX, f"v{i}", entries=1) for i in range(length)]
    boxes[-1] = Box(FORWARD_BOX, "last", entries=2)
    nets = [Net(i, 0, (Reader(i + 1, 0),), f"v{i - 1}", FORWARD_BOX) for i in range(length)]
    nets[0] = Net(0, 0, (Reader(1, 0), Reader(length, 1)), "x", INPUT)
    return Scene(boxes, nets)


def test_every_wire_runs_downwards_and_sources_lie_above_their_readers() -> None:
    scene = Scene(
        [
            Box(INPUT, "a"),
            Box(FORWARD_BOX, "f", entries=1),
            Box(INPUT, "b"),
            Box(FORWARD_BOX, "g", entries=2),
        ],
        [
            Net(0, 0, (Reader(1, 0),), "a", INPUT),
            Net(1, 0, (Reader(3, 0),), "f", FORWARD_BOX),
            Net(2, 0, (Reader(3, 1),), "b", INPUT),
        ],
    )
    assert levels_of(scene) == [0, 1, 1, 2]  # b sinks to where it is read


def test_a_value_with_several_readers_is_one_tree_of_bends() -> None:
    scene = chain(3)
    layers = arrange(scene, [Size(10, 20, 10, 10, 0, (-5.0, 5.0), (0.0,))] * 4)
    assert [sum(cell.is_bend for cell in row) for row in layers.rows] == [0, 1, 1, 0]
    for link in layers.links:
        assert link.lower.layer == link.upper.layer + 1


def test_orders_without_crossings_are_found() -> None:
    upper, lower = [Cell(0, SQUARE, i) for i in range(4)], [Cell(1, SQUARE, i) for i in range(4)]
    net = Net(0, 0, (), "", "")
    for i, cell in enumerate(upper):
        link = Link(cell, lower[3 - i], 0.0, 0.0, net)
        cell.below.append(link)
        lower[3 - i].above.append(link)
    for row in (upper, lower):
        for i, cell in enumerate(row):
            cell.position = i
    assert crossings([upper, lower]) == 6
    assert crossings(order([upper, lower])) == 0


def test_wires_from_one_exit_do_not_cross() -> None:
    upper, lower = [Cell(0, SQUARE, 0)], [Cell(1, SQUARE, i, position=i) for i in range(3)]
    for cell in lower:
        upper[0].below.append(Link(upper[0], cell, 0.0, 0.0, Net(0, 0, (), "", "")))
    assert crossings([upper, lower]) == 0


def single(places: list[float], weights: list[float]) -> list[list[tuple[float, float]]]:
    return [[pull] for pull in zip(places, weights, strict=True)]


@pytest.mark.parametrize("centre", [mean, median])
def test_spread_moves_only_what_is_in_the_way(centre) -> None:
    assert spread(single([0.0, 10.0], [1.0, 1.0]), [4.0], centre) == [0.0, 10.0]
    np.testing.assert_allclose(spread(single([5.0, 5.0], [1.0, 1.0]), [4.0], centre), [3.0, 7.0])


def test_spread_weighs_pulls() -> None:
    np.testing.assert_allclose(spread(single([5.0, 5.0], [3.0, 1.0]), [4.0], mean), [4.0, 8.0])
    np.testing.assert_allclose(spread(single([5.0, 5.0], [3.0, 1.0]), [4.0], median), [5.0, 9.0])
    nested = spread(single([9.0, 0.0, 0.0], [1.0] * 3), [1.0, 1.0], mean)
    np.testing.assert_allclose(nested, [2.0, 3.0, 4.0])


def test_median_lies_between_two_halves() -> None:
    assert median([(1.0, 1.0), (2.0, 1.0), (10.0, 1.0)]) == 2.0
    assert median([(1.0, 1.0), (2.0, 1.0)]) == 1.5
    assert median([(1.0, 1.0), (2.0, 3.0)]) == 2.0


@pytest.mark.parametrize("direction", [DOWN, RIGHT])
def test_a_chain_is_straight(direction: str) -> None:
    scene = chain(4)
    scene.nets[0] = Net(0, 0, (Reader(1, 0),), "x", INPUT)
    picture = place_scene(scene, direction)
    ends = [picture.curve(link) for link in picture.layers.links]
    assert all(start[1] == pytest.approx(end[1]) for start, *_, end in ends[:-1])


def test_long_wires_end_in_a_tag_with_the_name_of_the_value() -> None:
    near = tag_long_wires(chain(MAX_SPAN[INPUT]))
    assert [box.title for box in near.boxes if box.kind == TAG] == []
    far = tag_long_wires(chain(MAX_SPAN[INPUT] + 1))
    assert [box.title for box in far.boxes if box.kind == TAG] == ["x"]
    assert sum(len(net.readers) for net in far.nets) == sum(
        len(net.readers) for net in chain(MAX_SPAN[INPUT] + 1).nets
    )


def test_columns_are_connected_by_tags_on_both_sides() -> None:
    first, second = in_columns(chain(4), [0, 0, 0, 1, 1])
    assert [(box.kind, box.title) for box in first.boxes if box.kind == TAG] == [(TAG, "v1")]
    assert {box.title for box in second.boxes if box.kind == TAG} == {"v1", "x"}
    assert [len(scene.boxes) for scene in (first, second)] == [4, 4]


def test_a_long_picture_becomes_columns_of_a_page() -> None:
    scene = chain(60)
    whole = place_scene(scene)
    assert whole.length > LONG[DOWN]
    columns = place_in_columns(scene, DOWN)
    assert len(columns) > 1
    assert max(column.length for column in columns) < whole.length / 2
    drawn = [box.title for column in columns for box in column.scene.boxes if box.kind != TAG]
    assert sorted(drawn) == sorted(box.title for box in scene.boxes)


def test_a_short_picture_stays_whole() -> None:
    assert len(place_in_columns(chain(4), DOWN)) == 1


def test_rows_follow_one_another_with_room_for_wires() -> None:
    picture = place_scene(chain(5))
    bands = sorted({(place.band_start, place.band_end) for place in picture.places.values()})
    assert all(below[0] - above[1] >= 20 for above, below in pairwise(bands))


def test_a_frame_that_nothing_enters_is_drawn() -> None:
    inner = Scene(
        [Box(CONSTANT, "2"), Box(PORT, "", entries=1, exits=0)],
        [Net(0, 0, (Reader(1, 0),), "c", CONSTANT)],
    )
    picture = place_scene(Scene([Box(KERNEL, "kernel 1: map", inner=inner)]))
    assert [len(row) for row in picture.inner[0].layers.rows] == [1, 1]


def test_an_empty_scene_is_a_picture() -> None:
    assert place_scene(Scene()).length == 0


def test_outputs_lie_where_their_wire_ends() -> None:
    scene = Scene(
        [Box(INPUT, "x"), Box(OUTPUT, "y", entries=1, exits=0)],
        [Net(0, 0, (Reader(1, 0),), "x", INPUT)],
    )
    picture = place_scene(scene)
    (link,) = picture.layers.links
    assert picture.curve(link)[3][0] == picture.places[link.lower].start
