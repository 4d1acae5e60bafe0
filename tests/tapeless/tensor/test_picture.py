"""`Tensor.draw`: the recorded graph with the values and gradients that are known."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.drawing.scene import FORWARD_BOX, OUTPUT, PARAMETER, Scene
from tapeless.drawing.text import GRADIENT, VALUE

from ..drawing.geometry import faults


def leaf(value) -> tl.Tensor:
    return tl.Tensor(value, requires_grad=True)


def scene_of(drawing: tl.Drawing) -> Scene:
    ((_, scene),) = drawing.panels
    return scene


def numbers(drawing: tl.Drawing) -> dict[str, list[str]]:
    """Value and gradient of every wire by what it comes from."""
    scene = scene_of(drawing)
    return {
        scene.boxes[net.source].title: [x.text for x in net.lines if x.font in (VALUE, GRADIENT)]
        for net in scene.nets
    }


def test_a_circuit_shows_values_and_gradients() -> None:
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    assert numbers(((x + y) * z).draw(x=x, y=y, z=z)) == {
        "x": ["−2", "−4"],
        "y": ["5", "−4"],
        "z": ["−4", "3"],
        "+": ["3", "−4"],
        "×": ["−12", "1"],
    }


def test_a_neuron_shows_values_and_gradients() -> None:
    w1, w2 = leaf(0.5), leaf(0.2)
    m2 = np.maximum(4.0 * w1, 0) * w2
    loss = (1 / (1 + np.exp(-m2)) - 1.0) ** 2
    found = numbers(loss.draw(w1=w1, w2=w2, loss=loss))
    assert found["w1"] == ["0.5", "−0.1543"]
    assert found["w2"] == ["0.2", "−0.3857"]
    assert found["4 × ·"] == ["2", "−0.03857"]
    assert found["exp"] == ["0.6703", "0.2877"]
    assert found["power"] == ["0.1611", "1"]


def test_tensors_that_are_named_show_name_type_and_value() -> None:
    w = leaf(np.ones(3))
    x = w + 2
    y = 3 * x
    z = y.mean()
    drawing = z.draw(w=w, x=x, y=y, z=z)
    scene = scene_of(drawing)
    assert [box.title for box in scene.boxes if box.kind == PARAMETER] == ["w"]
    assert [box.title for box in scene.boxes if box.kind == OUTPUT] == ["z"]
    lines = [[line.text for line in net.lines] for net in scene.nets]
    assert ["x: f64[3]", "[3, 3, 3]", "[1, 1, 1]"] in lines
    assert ["y: f64[3]", "[9, 9, 9]", "[0.3333, 0.3333, 0.3333]"] in lines
    assert drawing.panels[0][0] == "z"


def test_values_that_follow_from_known_ones_are_shown() -> None:
    x = leaf(np.array([1.0, 2.0]))
    assert numbers(np.sum(x + x).draw())["· + ·"] == ["[2, 4]", "[1, 1]"]


def test_constants_that_nobody_kept_have_a_letter() -> None:
    assert "· + c" in numbers((leaf(1.0) + 2.0).draw())


def test_a_freed_graph_shows_the_gradients_of_its_leaves() -> None:
    x = leaf(np.ones(3))
    z = np.sum(x * x)
    z.backward()
    found = numbers(z.draw(x=x))
    assert found["x"] == ["[1, 1, 1]", "[2, 2, 2]"]
    assert found["sum"] == ["3", "1"]


def test_retained_gradients_of_a_freed_graph_are_shown() -> None:
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    z = y * 3.0
    z.backward()
    assert numbers(z.draw(y=y))["· × ·"] == ["4", "3"]


def test_drawing_changes_nothing() -> None:
    x = leaf(2.0)
    z = x * x
    first = z.draw(x=x).svg
    assert z.draw(x=x).svg == first
    assert x.grad is None
    z.backward()
    assert x.grad.item() == 4.0


def test_a_result_that_is_no_scalar_has_no_gradients() -> None:
    x = leaf(np.ones(3))
    assert numbers((x * 2.0).draw(x=x))["x"] == ["[1, 1, 1]"]


def test_without_values_there_are_types_alone() -> None:
    x = leaf(np.ones((3, 2)))
    scene = scene_of(np.sum(np.exp(x)).draw(values=False, direction="down"))
    assert [[line.text for line in net.lines] for net in scene.nets] == [[], ["f64[3,2]"], []]


def test_views_are_small_and_gradient_operations_told_apart() -> None:
    x = leaf(np.ones((3, 2)))
    scene = scene_of(np.sum(np.exp(x).T).draw())
    assert [box.title for box in scene.boxes if box.small] == ["transpose"]
    z = x * x * x
    z.backward(np.ones((3, 2)), create_graph=True)
    kinds = {box.kind for box in scene_of(x.grad.sum().draw()).boxes}
    assert {"backward", FORWARD_BOX} <= kinds


def test_a_leaf_is_a_picture_of_itself() -> None:
    scene = scene_of(leaf(1.0).draw())
    assert [box.kind for box in scene.boxes] == [PARAMETER, OUTPUT]


def test_values_are_those_that_were_recorded_whatever_became_of_the_tensor() -> None:
    x = leaf(2.0)
    y = x * 1.0
    z = np.exp(y)
    w = z * z
    z += 1.0
    found = numbers(w.draw(z=z))
    assert found["· × ·"][0] == "54.6"
    assert found["exp"][0] == "7.389"


def test_only_tensors_are_named() -> None:
    with pytest.raises(tl.errors.ArgumentError, match=r"names of tensors; given: x=3\.0"):
        leaf(1.0).draw(x=3.0)


@pytest.mark.parametrize("direction", ["down", "right"])
def test_recorded_graphs_are_drawn_readably(direction: str) -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(8, 20)), generator.normal(size=(8, 3))
    w1, w2 = leaf(generator.normal(size=(20, 10))), leaf(generator.normal(size=(10, 3)))
    h = np.tanh(tl.Tensor(x).mm(w1)).clamp(min=0)
    loss = ((h.mm(w2) - y) ** 2).mean() + 0.1 * (w1 * w1).sum() + np.abs(w2).sum()
    assert not faults(loss.draw(direction=direction, w1=w1, w2=w2, hidden=h).svg)
