"""Pictures of graphs: well-formed, complete, readable (nothing overlaps), the same every time."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from tapeless.drawing import dot_text, svg_text
from tapeless.drawing.layers import MAX_SPAN, arrange
from tapeless.drawing.placement import place_scene, spread
from tapeless.drawing.scene import BACKWARD_BOX, FORWARD_BOX, INPUT, MIXED, OUTPUT, scene_of
from tapeless.ir.parser import parse_graph

STEP = """
graph step(w: f64[64,10], x: f64[128,64], y: f64[128,10], lr: f64[]) {
  o: f64[128,10] = dot[batch=((),()), contract=((1,),(0,))] x w  # model.py:3
  e: f64[128,10] = sub o y  # model.py:3
  q: f64[128,10] = mul e e  # model.py:4
  l: f64[] = sum[axes=(0,1)] q  # model.py:4
  two: f64[] = constant[value=f64[](2.0)]
  twos: f64[128,10] = broadcast[shape=(128,10), axes=()] two
  ge: f64[128,10] = mul twos e  # backward model.py:4
  gw: f64[64,10] = dot[batch=((),()), contract=((0,),(0,))] x ge  # backward model.py:3
  r: f64[64,10] = broadcast[shape=(64,10), axes=()] lr  # model.py:9
  u: f64[64,10] = mul r gw  # model.py:9
  n: f64[64,10] = sub w u  # model.py:9
  return l, n
}
"""

FUSED = """
graph step(w: f64[64,10], x: f64[128,64], y: f64[128,10]) {
  l: f64[], ge: f64[128,10] = fused[graph=graph k(x: f64[128,64], w: f64[64,10], y: f64[128,10]) {
    o: f64[128,10] = dot[batch=((),()), contract=((1,),(0,))] x w  # model.py:3
    e: f64[128,10] = sub o y  # model.py:3
    l: f64[] = sum[axes=(0,1)] e  # model.py:4
    ge: f64[128,10] = mul e e  # backward model.py:4
    return l, ge
  }, kind="dot"] x w y
  return l, ge
}
"""


@pytest.fixture
def step():
    return parse_graph(STEP)


@pytest.fixture
def fused():
    return parse_graph(FUSED)


def chain(length: int):
    lines = ["graph chain(x: f64[4]) {", "  v0: f64[4] = exp x"]
    lines += [f"  v{i}: f64[4] = exp v{i - 1}" for i in range(1, length)]
    lines += [f"  last: f64[4] = add v{length - 1} x", "  return last", "}"]
    return parse_graph("\n".join(lines))


def test_scene_has_a_box_for_every_input_operation_and_output(step) -> None:
    kinds = [box.kind for box in scene_of(step).boxes]
    assert kinds.count(INPUT) == 4
    assert kinds.count(OUTPUT) == 2
    assert kinds.count(BACKWARD_BOX) == 2
    assert kinds.count(FORWARD_BOX) == 7  # the constant and its broadcast are written inline


def test_scalar_constants_are_written_where_they_are_read(step) -> None:
    titles = [box.title for box in scene_of(step).boxes]
    assert "mul 2 ·" in titles
    assert not any(title.startswith("constant") for title in titles)


def test_a_constant_that_is_returned_is_drawn() -> None:
    graph = parse_graph("graph c() {\n  z: f64[] = constant[value=f64[](2.5)]\n  return z\n}")
    scene = scene_of(graph)
    assert [box.kind for box in scene.boxes] == [FORWARD_BOX, OUTPUT]
    assert len(scene.wires) == 1


def test_fused_box_lists_its_body_and_says_when_it_mixes_phases(fused) -> None:
    (box,) = [box for box in scene_of(fused).boxes if box.title == "fused"]
    assert box.kind == MIXED
    assert [row.text for row in box.rows] == [
        "o = dot ((1,),(0,)) x w",
        "e = sub o y",
        "l = sum (0,1) e",
        "ge = mul e e",
        "return l, ge",
    ]
    assert [row.phase for row in box.rows] == ["forward"] * 3 + ["backward", ""]
    assert box.ports == ("x", "w", "y")


def test_every_wire_runs_downwards_through_adjacent_rows(step) -> None:
    scene = scene_of(step)
    layers = arrange(scene)
    for wire in scene.wires:
        route = layers.routes[wire]
        assert all(lower.layer == upper.layer + 1 for upper, lower in pairwise(route))
        assert route[-1].box == wire.target


def test_long_wires_end_in_a_tag_with_the_value_name() -> None:
    scene = scene_of(chain(MAX_SPAN + 3))
    tags = [cell.tag for row in arrange(scene).rows for cell in row if cell.tag]
    assert tags == ["x"]


@pytest.mark.parametrize("text", [STEP, FUSED])
def test_boxes_do_not_overlap(text: str) -> None:
    picture = place_scene(scene_of(parse_graph(text)))
    places = [place for cell, place in picture.place.items() if not cell.is_bend]
    for i, a in enumerate(places):
        for b in places[i + 1 :]:
            apart_x = a.left + a.width < b.left or b.left + b.width < a.left
            apart_y = a.bottom < b.top or b.bottom < a.top
            assert apart_x or apart_y, (a, b)


def test_everything_lies_inside_the_picture(step) -> None:
    picture = place_scene(scene_of(step))
    for place in picture.place.values():
        assert place.left >= 0
        assert place.left + place.width <= picture.width
        assert 0 <= place.top <= place.bottom <= picture.height


def test_spread_keeps_gaps_and_moves_as_little_as_possible() -> None:
    assert spread([0.0, 10.0], [1.0, 1.0], [4.0]) == [0.0, 10.0]
    np.testing.assert_allclose(spread([5.0, 5.0], [1.0, 1.0], [4.0]), [3.0, 7.0])
    np.testing.assert_allclose(spread([5.0, 5.0], [3.0, 1.0], [4.0]), [4.0, 8.0])
    np.testing.assert_allclose(spread([9.0, 0.0, 0.0], [1.0] * 3, [1.0, 1.0]), [2.0, 3.0, 4.0])


def test_svg_is_well_formed_and_shows_titles_types_and_colours(step, fused) -> None:
    text = svg_text([("before <fusion>", step), ("after", fused)])
    root = ElementTree.fromstring(text)
    words = "".join(root.itertext())
    for expected in ("before <fusion>", "after", "o: f64[128,10]", "f64[64,10]", "ge = mul e e"):
        assert expected in words
    fills = {element.get("fill") for element in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert {"#e7f1fd", "#fff0e0", "#f3ebfd", "#d3f9d8"} <= fills


def test_svg_is_the_same_every_time(step) -> None:
    assert svg_text([("a", step)]) == svg_text([("a", parse_graph(STEP))])


def test_dot_has_a_node_per_box_and_a_typed_edge_per_wire(step) -> None:
    text = dot_text([('a "quoted" title', step)])
    scene = scene_of(step)
    assert len(re.findall(r"-> p0_\d+ \[label=", text)) == len(scene.wires)
    assert len(re.findall(r"^    p0_\d+ \[label=", text, re.MULTILINE)) == len(scene.boxes)
    assert r'label="a \"quoted\" title"' in text
    assert text.count("{") == text.count("}")


def test_a_graph_without_operations_can_be_drawn() -> None:
    graph = parse_graph("graph same(x: f64[3]) {\n  return x\n}")
    assert ElementTree.fromstring(svg_text([("same", graph)])) is not None


def test_a_long_chain_is_drawn_without_recursion() -> None:
    assert svg_text([("chain", chain(1500))]).count("<title>") == 1503
