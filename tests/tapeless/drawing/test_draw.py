"""`tl.draw`: what can be drawn, what is in the picture, and what is refused."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import tapeless as tl
from tapeless.drawing.scene import BACKWARD_BOX, INPUT, KERNEL, OUTPUT, PARAMETER, Scene
from tapeless.drawing.summary import summary
from tapeless.drawing.text import GRADIENT, VALUE


def circuit(x, y, z):
    return (x + y) * z


def gates(x, y, z, w):
    return 2 * (x * y + np.maximum(z, w))


def neuron(x1, w1, w2, y):
    r = np.maximum(x1 * w1, 0)
    return (1 / (1 + np.exp(-r * w2)) - y) ** 2


@tl.compile
def step(w, x, y):
    value, gradient = tl.value_and_grad(lambda w: np.mean((x @ w - y) ** 2))(w)
    w -= 0.1 * gradient
    return value


STEP = (np.ones((5, 2)), np.ones((3, 5)), np.zeros((3, 2)))


def scene_of(drawing: tl.Drawing) -> Scene:
    ((_, scene),) = drawing.panels
    return scene


def kinds(scene: Scene) -> set[str]:
    """The kinds of all boxes, those inside of frames included."""
    return {box.kind for box in scene.boxes}.union(
        *(kinds(box.inner) for box in scene.boxes if box.inner)
    )


def numbers(drawing: tl.Drawing) -> dict[str, list[str]]:
    """Value and gradient of every wire that leaves an input or enters a result, by its name."""
    scene = scene_of(drawing)
    found = {}
    for net in scene.nets:
        written = [line.text for line in net.lines if line.font in (VALUE, GRADIENT)]
        for box in (net.source, *(reader.box for reader in net.readers)):
            if scene.boxes[box].kind in (INPUT, PARAMETER, OUTPUT):
                found[scene.boxes[box].title] = written
    return found


def test_a_circuit_shows_values_and_gradients() -> None:
    assert numbers(tl.draw(circuit, -2.0, 5.0, -4.0, values=True)) == {
        "x": ["−2", "−4"],
        "y": ["5", "−4"],
        "z": ["−4", "3"],
        "result": ["−12", "1"],
    }


def test_gates_route_add_and_switch_gradients() -> None:
    found = numbers(tl.draw(gates, 3.0, -4.0, 2.0, -1.0, values=True))
    assert [found[name][1] for name in "xyzw"] == ["−8", "6", "2", "0"]
    assert found["result"][0] == "−20"


def test_a_neuron_shows_its_loss_and_gradients() -> None:
    found = numbers(tl.draw(neuron, 4.0, 0.5, 0.2, 1.0, values=True))
    assert found["w1"] == ["0.5", "−0.1543"]
    assert found["w2"] == ["0.2", "−0.3857"]
    assert found["result"] == ["0.1611", "1"]


def test_values_flow_through_kernels_and_backward_operations() -> None:
    drawing = tl.draw(step, *STEP, values=True, stage="fused")
    assert numbers(drawing)["result"] == ["25"]
    (updated,) = [text for name, text in numbers(drawing).items() if "updated" in name]
    assert updated == ["all 0.5"]
    kernels = [box.inner for box in scene_of(drawing).boxes if box.kind == KERNEL]
    inner = [line.text for scene in kernels if scene for net in scene.nets for line in net.lines]
    assert "all 1.667" in inner


def test_captured_arrays_are_inputs_with_values() -> None:
    weights = np.array([1.0, 2.0])
    assert numbers(tl.draw(lambda x: np.sum(x * weights), np.ones(2), values=True))["x"] == [
        "[1, 1]",
        "[1, 2]",
    ]


def test_drawing_runs_nothing_and_changes_nothing() -> None:
    w = np.ones((5, 2))
    tl.draw(step, w, *STEP[1:], values=True)
    assert (w == 1).all()


def test_parameters_results_and_updates_have_the_users_names() -> None:
    boxes = scene_of(tl.draw(step, *STEP)).boxes
    assert [box.title for box in boxes if box.kind == PARAMETER] == ["w"]
    assert [box.title for box in boxes if box.kind == OUTPUT] == ["result", "w updated"]


def test_what_a_gradient_is_taken_of_is_a_parameter() -> None:
    boxes = scene_of(tl.draw(tl.grad(neuron, (1, 2)), 4.0, 0.5, 0.2, 1.0)).boxes
    assert [box.title for box in boxes if box.kind == PARAMETER] == ["w1", "w2"]
    assert [box.title for box in boxes if box.kind == OUTPUT] == ["result[0]", "result[1]"]


def test_stages_are_drawn_side_by_side() -> None:
    drawing = tl.draw(step, *STEP, stage=("optimized", "fused"))
    (before, operations), (after, kernels) = drawing.panels
    assert (before, after) == ("step: before fusion", "step: after fusion")
    assert KERNEL not in kinds(operations)
    assert {KERNEL, BACKWARD_BOX} <= kinds(kernels)


def test_programs_graphs_and_graph_objects_are_drawn_too() -> None:
    lowered = step.lower(*STEP)
    assert len(tl.draw(lowered, stage=("traced", "fused")).panels) == 2
    assert tl.draw(lowered.graph("fused")).panels[0][0] == "step"
    assert KERNEL in kinds(scene_of(tl.draw(tl.build_graph(step, *STEP))))


def test_a_tensor_is_drawn_like_its_method_does() -> None:
    x = tl.Tensor(2.0, requires_grad=True)
    assert tl.draw(x * x, values=True).svg == (x * x).draw().svg


def test_svg_is_complete_and_the_same_every_time() -> None:
    svg = tl.draw(step, *STEP).svg
    root = ElementTree.fromstring(svg)
    words = {element.text for element in root.iter() if element.text}
    assert {"step: after fusion", "backward", "one kernel", "f64[5,2]", "w updated"} <= words
    assert svg == tl.draw(step, *STEP).svg


def test_the_legend_says_what_is_in_the_picture_and_nothing_else() -> None:
    words = set(ElementTree.fromstring(tl.draw(circuit, 1.0, 2.0, 3.0, values=True).svg).itertext())
    assert {"input", "forward", "output", "value above", "gradient below"} <= words
    assert not {"parameter", "backward", "one kernel", "value of that name"} & words
    words = set(ElementTree.fromstring(tl.draw(step, *STEP, stage="optimized").svg).itertext())
    assert {"parameter", "backward", "uses gradients", "value of that name"} <= words
    assert not {"one kernel", "value above", "gradient below"} & words


def test_svg_restyles_nothing_around_it() -> None:
    svg = tl.draw(step, *STEP)._repr_svg_()
    style = re.search(r"<style>(.*?)</style>", svg, re.DOTALL)
    assert style
    rules = re.findall(r"^(.+?) \{", style[1], re.MULTILINE)
    assert len(rules) > 10
    assert all(rule.startswith(".tapeless-graph ") for rule in rules)
    assert " id=" not in svg


def test_titles_are_escaped() -> None:
    graph = step.lower(*STEP).graph("fused")
    drawing = tl.Drawing((('a "<b>" & c', scene_of(tl.draw(graph))),))
    assert ElementTree.fromstring(drawing.svg) is not None
    assert r'label="a \"<b>\" & c"' in drawing.dot


def test_dot_has_clusters_for_kernels_and_an_edge_for_every_reader() -> None:
    drawing = tl.draw(step, *STEP)
    dot = drawing.dot
    kernels = [box.inner for box in scene_of(drawing).boxes if box.inner]
    assert dot.count("subgraph cluster_") == 1 + len(kernels)
    nets = [net for scene in (scene_of(drawing), *kernels) for net in scene.nets]
    assert dot.count(" -> ") == sum(len(net.readers) for net in nets)
    named = set(re.findall(r"^ *(p0_\w+) \[", dot, re.MULTILINE))
    ends = {end for edge in re.findall(r"(p0_\w+) -> (p0_\w+)", dot) for end in edge}
    assert ends <= named
    assert dot.count("{") == dot.count("}")


@pytest.mark.parametrize("name", ["graph.svg", "graph.dot", "graph.GV"])
def test_a_drawing_is_saved_by_the_ending_of_the_name(tmp_path, name: str) -> None:
    drawing = tl.draw(circuit, 1.0, 2.0, 3.0)
    drawing.save(tmp_path / name)
    expected = drawing.svg if name == "graph.svg" else drawing.dot
    assert (tmp_path / name).read_text(encoding="utf-8") == expected


def test_other_endings_are_refused(tmp_path) -> None:
    with pytest.raises(tl.errors.ArgumentError, match=r"saved as \.svg, \.dot, \.gv; given: .*png"):
        tl.draw(circuit, 1.0, 2.0, 3.0).save(tmp_path / "graph.png")


def test_other_directions_are_refused() -> None:
    with pytest.raises(tl.errors.ArgumentError, match='"down" or "right"; given: \'up\''):
        tl.draw(circuit, 1.0, 2.0, 3.0, direction="up")


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(tl.errors.ArgumentError, match=r"takes a function .* given: float 6.0"):
        tl.draw(6.0)


def test_a_stage_without_a_graph_is_refused() -> None:
    with pytest.raises(tl.errors.ArgumentError, match="stages with a graph are traced"):
        tl.draw(step, *STEP, stage="llvm")


def test_a_graph_takes_no_arguments() -> None:
    lowered = step.lower(*STEP)
    with pytest.raises(tl.errors.ArgumentError, match="drawn as it is; given: 1 further"):
        tl.draw(lowered.graph("fused"), 1.0)
    with pytest.raises(tl.errors.ArgumentError, match="made for; given: values=True"):
        tl.draw(lowered, values=True)


def test_values_need_expanded_transformations() -> None:
    with pytest.raises(tl.errors.ArgumentError, match=r"expanded; given: a vjp node\n.*hint"):
        tl.draw(step, *STEP, values=True, stage="traced")


def test_a_drawing_says_how_large_it_is() -> None:
    assert repr(tl.draw(circuit, 1.0, 2.0, 3.0)).startswith("<drawing of 5 boxes")


def test_a_chain_of_a_thousand_operations_is_drawn_without_recursion() -> None:
    def chain(x):
        for _ in range(1000):
            x = np.sin(x)
        return x

    graph = tl.compile(chain).lower(np.ones(3)).graph("optimized")
    assert tl.draw(graph).svg.count(">sin<") == 1000


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float64(-0.154271366), "−0.1543"),
        (np.float32(2.0), "2"),
        (np.int64(-3), "−3"),
        (np.array([1.0, 0.5]), "[1, 0.5]"),
        (np.array([]), "[]"),
        (np.arange(6.0), "0 … 5"),
        (np.ones((3, 3)), "all 1"),
        (np.array([1.0, np.nan, 3.0, 4.0, 5.0]), "nan"),
        (np.arange(6) < 2, "2 of 6 true"),
        (np.array(True), "True"),
        (np.float64(1e-9), "1e−09"),
    ],
)
def test_arrays_are_written_in_a_few_characters(array, text: str) -> None:
    assert summary(array) == text
