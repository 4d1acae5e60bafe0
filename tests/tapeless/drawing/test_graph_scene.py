"""What of a graph is drawn, and how it is written."""

from __future__ import annotations

import pytest

from tapeless.drawing import Labels, graph_scene
from tapeless.drawing.operations import title_of
from tapeless.drawing.scene import (
    BACKWARD_BOX,
    CONSTANT,
    FORWARD_BOX,
    INPUT,
    KERNEL,
    OUTPUT,
    PARAMETER,
    PORT,
    TRANSFORM,
    UPDATE,
)
from tapeless.ir.parser import parse_graph

STEP = """
graph step(w: f64[64,10], x: f64[128,64], y: f64[10], lr: f64[]) {
  o: f64[128,10] = dot[batch=((),()), contract=((1,),(0,))] x w  # model.py:3
  b: f64[128,10] = broadcast[shape=(128,10), axes=(1,)] y
  e: f64[128,10] = sub o b  # model.py:3
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
  u: f64[128,10] = exp ge
  return l, u
}
"""


def scene_of(text: str, **labels):
    return graph_scene(parse_graph(text), Labels(**labels))


def boxes(text: str) -> dict[str, str]:
    """The kind of every operation by its title."""
    return {box.title: box.kind for box in scene_of(text).boxes if box.kind not in (INPUT, OUTPUT)}


def test_operations_are_told_apart_by_phase_and_by_what_they_depend_on() -> None:
    assert boxes(STEP) == {
        "@": FORWARD_BOX,
        "· × ·": FORWARD_BOX,
        "sum": FORWARD_BOX,
        "2 × ·": BACKWARD_BOX,
        "·ᵀ @ ·": BACKWARD_BOX,
        "×": UPDATE,
        "−": UPDATE,  # the last of two: the update of w
    }


def test_constants_are_written_where_they_are_read_and_broadcasts_are_wires() -> None:
    scene = scene_of(STEP)
    assert not [box for box in scene.boxes if "broadcast" in box.title or box.kind == CONSTANT]
    (bias,) = [net for net in scene.nets if net.name == "y"]
    assert [scene.boxes[reader.box].title for reader in bias.readers] == ["−"]


def test_a_broadcast_that_something_else_reads_is_drawn_small() -> None:
    text = """
    graph f(x: f64[3]) {
      b: f64[2,3] = broadcast[shape=(2,3), axes=(1,)] x
      s: f64[3] = sum[axes=(0,)] b
      return s
    }"""
    assert [box.title for box in scene_of(text).boxes if box.small] == ["broadcast (1,)"]


def test_an_operand_read_twice_is_one_wire() -> None:
    scene = scene_of(STEP)
    (square,) = [i for i, box in enumerate(scene.boxes) if box.title == "· × ·"]
    readers = [reader for net in scene.nets for reader in net.readers if reader.box == square]
    assert len(readers) == 1


def test_types_stand_beside_wires_and_in_inputs() -> None:
    scene = scene_of(STEP)
    assert {box.detail for box in scene.boxes if box.kind == INPUT} >= {"f64[128,64]", "f64[]"}
    lines = {net.name: [line.text for line in net.lines] for net in scene.nets}
    assert lines["o"] == ["f64[128,10]"]
    assert lines["x"] == []


def test_parameters_and_results_have_the_names_that_are_given() -> None:
    scene = scene_of(STEP, parameters=frozenset({0}), outputs=("loss", "w updated"))
    assert [box.title for box in scene.boxes if box.kind == PARAMETER] == ["w"]
    assert [box.title for box in scene.boxes if box.kind == OUTPUT] == ["loss", "w updated"]


def test_one_value_returned_twice_is_one_result() -> None:
    scene = scene_of("graph f(x: f64[3]) {\n  return x, x\n}", outputs=("a", "b"))
    assert [box.title for box in scene.boxes] == ["x", "a, b"]


def test_a_kernel_is_a_frame_with_its_operations_and_a_port_for_every_wire() -> None:
    scene = scene_of(FUSED)
    (kernel,) = [box for box in scene.boxes if box.kind == KERNEL]
    assert kernel.title == "kernel 1: dot"
    assert kernel.inner is not None
    inside = kernel.inner.boxes
    assert [box.title for box in inside if box.kind != PORT] == ["@", "−", "sum", "· × ·"]
    assert sum(box.kind == PORT and box.exits for box in inside) == kernel.entries == 3
    assert sum(box.kind == PORT and box.entries for box in inside) == kernel.exits == 2


def test_what_reads_a_gradient_from_a_kernel_uses_gradients() -> None:
    assert boxes(FUSED)["exp"] == UPDATE


def test_types_inside_a_kernel_are_written_only_where_they_change() -> None:
    (kernel,) = [box for box in scene_of(FUSED).boxes if box.kind == KERNEL]
    assert kernel.inner is not None
    lines = {net.name: [line.text for line in net.lines] for net in kernel.inner.nets}
    assert lines["o"] == ["f64[128,10]"]
    assert lines["e"] == []


@pytest.mark.parametrize(
    ("op", "appended"), [("vjp", "gradients"), ("jvp", "tangents"), ("vmap", None)]
)
def test_a_transformation_is_a_frame_around_its_function(op: str, appended: str | None) -> None:
    rows = {
        "vjp": "v, g: f64[3] = vjp[graph=G, wrt=(0,), seeded=(0,)] x x",
        "jvp": "v, g: f64[3] = jvp[graph=G, wrt=(0,)] x x",
        "vmap": "v: f64[3] = vmap[graph=S, size=3, batched=(True,)] x",
    }
    bodies = {
        "G": "graph g(a: f64[3]) {\n    b: f64[3] = exp a\n    return b\n  }",
        "S": "graph g(a: f64[]) {\n    b: f64[] = exp a\n    return b\n  }",
    }
    row = rows[op].replace("v, g:", "v: f64[3], g:")
    for name, body in bodies.items():
        row = row.replace(f"graph={name}", f"graph={body}")
    results = "v, g" if appended else "v"
    scene = scene_of(f"graph f(x: f64[3]) {{\n  {row}\n  return {results}\n}}")
    (frame,) = [box for box in scene.boxes if box.kind == TRANSFORM]
    assert frame.inner is not None
    titles = [box.title for box in frame.inner.boxes if box.kind != PORT]
    assert titles == ["exp", *([appended] if appended else [])]


TITLES = {
    "y: f64[2] = neg x": "neg",
    "y: f64[2] = exp x": "exp",
    "y: f32[2] = convert[dtype=f32] x": "to f32",
    "y: f64[] = reduce_max[axes=(0,)] x": "max",
    "y: f64[2,1] = reshape[shape=(2,1)] x": "reshape",
    "y: f64[2] = cumsum[axis=0, reverse=True] x": "cumsum axis=0 reverse=True",
    "y: f64[2] = constant[value=f64[2](1.0,2.0)]": "constant f64[2]",
    "y: f64[3,3] = dot[batch=((),()), contract=((0,),(0,))] m m": "·ᵀ @ ·",
    "y: f64[2,2] = dot[batch=((),()), contract=((1,),(1,))] m m": "· @ ·ᵀ",
    "y: f64[2,3,3] = dot[batch=((0,),(0,)), contract=((),())] m m": "einsum ab, ac → abc",
    "y: f64[2] = dot[batch=((),()), contract=((1,),(0,))] m v": "einsum ab, b → a",
    "y: f64[3] = sum[axes=(0,)] m": "sum axis 0",
    "y: f64[3,2] = transpose[axes=(1,0)] m": "transpose",
}


@pytest.mark.parametrize("line", TITLES)
def test_operations_are_written_as_formulas(line: str) -> None:
    graph = parse_graph(f"graph f(x: f64[2], m: f64[2,3], v: f64[3]) {{\n  {line}\n  return y\n}}")
    assert title_of(graph.nodes[-1], {}) == TITLES[line]


def test_constant_operands_are_in_their_places() -> None:
    text = """
    graph f(x: f64[]) {
      one: f64[] = constant[value=f64[](1.0)]
      a: f64[] = sub one x
      b: f64[] = sub a one
      c: f64[] = max b one
      return c
    }"""
    titles = [box.title for box in scene_of(text).boxes]
    assert titles == ["x", "1 − ·", "· − 1", "max(·, 1)", "c"]


def test_a_constant_that_is_returned_is_drawn() -> None:
    scene = scene_of("graph c() {\n  z: f64[] = constant[value=f64[](2.5)]\n  return z\n}")
    assert [(box.kind, box.title) for box in scene.boxes] == [(CONSTANT, "2.5"), (OUTPUT, "z")]
