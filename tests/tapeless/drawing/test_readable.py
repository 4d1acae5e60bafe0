"""Pictures of all kinds of graphs, read back: nothing overlaps, is cut off, or hides anything."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.drawing import Drawing, graph_scene
from tapeless.drawing.scene import (
    BACKWARD_BOX,
    FORWARD_BOX,
    INPUT,
    OUTPUT,
    UPDATE,
    Box,
    Line,
    Net,
    Reader,
    Scene,
)
from tapeless.drawing.text import GRADIENT, TYPE, VALUE
from tapeless.nn import layer_norm

from ...random_graphs import RandomGraph
from .geometry import faults

RNG = np.random.default_rng(7)


def circuit(x, y, z):
    return (x + y) * z


def neuron(x, w1, w2, y):
    r = np.maximum(x * w1, 0)
    return (1 / (1 + np.exp(-r * w2)) - y) ** 2


def net_loss(params, x, y):
    h = np.maximum(x @ params["w1"] + params["b1"], 0)
    return np.mean((h @ params["w2"] + params["b2"] - y) ** 2)


def step(params, x, y):
    value, gradients = tl.value_and_grad(net_loss)(params, x, y)
    for name in params:
        params[name] -= 0.1 * gradients[name]
    return value


def block(x, g, b, wq, wk, wv, wo):
    h = layer_norm(x, g, b)
    scores = (h @ wq) @ (h @ wk).T / 4
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = weights / weights.sum(-1, keepdims=True)
    return np.mean((x + weights @ (h @ wv) @ wo) ** 2)


PARAMS = {
    "w1": RNG.normal(size=(20, 8)),
    "b1": np.zeros(8),
    "w2": RNG.normal(size=(8, 3)),
    "b2": np.zeros(3),
}
BLOCK = (RNG.normal(size=(6, 8)), np.ones(8), np.zeros(8), *RNG.normal(size=(4, 8, 8)))
CALLS = {
    "circuit": (circuit, (-2.0, 5.0, -4.0)),
    "neuron": (neuron, (4.0, 0.5, 0.2, 1.0)),
    "neuron's gradient": (tl.value_and_grad(neuron, (1, 2)), (4.0, 0.5, 0.2, 1.0)),
    "training step": (step, (PARAMS, RNG.normal(size=(5, 20)), np.zeros((5, 3)))),
    "transformer block": (tl.grad(block, tuple(range(1, 7))), BLOCK),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("stage", "direction"),
    [("traced", "down"), ("differentiated", "down"), ("optimized", "right"), ("fused", "down")],
)
def test_functions_are_drawn_readably(name: str, stage: str, direction: str) -> None:
    fn, args = CALLS[name]
    assert not faults(tl.draw(fn, *args, stage=stage, direction=direction).svg)


@pytest.mark.parametrize("name", ["circuit", "neuron", "training step"])
@pytest.mark.parametrize("direction", ["down", "right"])
def test_values_and_gradients_are_drawn_readably(name: str, direction: str) -> None:
    fn, args = CALLS[name]
    assert not faults(tl.draw(fn, *args, values=True, direction=direction).svg)


def test_kernels_are_drawn_readably_to_the_right_too() -> None:
    fn, args = CALLS["training step"]
    assert not faults(tl.draw(fn, *args, stage=("optimized", "fused"), direction="right").svg)


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_are_drawn_readably(seed: int) -> None:
    graph = RandomGraph(seed).build()
    direction = ("down", "right")[seed % 2]
    assert not faults(Drawing((("random", graph_scene(graph)),), direction).svg)


ODD = {
    "a constant": (lambda: np.float64(3.0), ()),
    "the argument itself": (lambda x: x, (np.ones(3),)),
    "an unused argument": (lambda x, y: x * 2, (np.ones(3), np.ones(2))),
    "a view": (lambda x: x[1:].T, (np.ones((3, 4)),)),
    "no elements": (lambda x: np.sum(x), (np.ones((0, 4)),)),
    "no numbers": (lambda x: np.sum(np.log(x)), (-np.ones((2, 4)),)),
    "several results": (lambda x: {"sum": np.sum(x), "square": np.sum(x * x)}, (np.ones(5),)),
    "names with markup": (lambda p: p["<b>&"] + p["x" * 60], ({"<b>&": 1.0, "x" * 60: 2.0},)),
    "letters of other alphabets": (lambda ŷ, α: np.sum(ŷ * α), (np.ones(3), np.ones(3))),
    "rows by index": (lambda e, i: np.sum(e[i] ** 2), (np.ones((9, 4)), np.array([1, 2]))),
    "a batch": (tl.vmap(lambda x: np.sum(np.exp(x))), (np.ones((5, 3)),)),
    "second derivatives": (tl.hessian(lambda x: np.sum(np.exp(x) * x)), (np.ones(3),)),
    "a value held constant": (lambda x: np.sum(x * tl.stop_gradient(x)), (np.ones(3),)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_functions_are_drawn_readably_with_values(name: str) -> None:
    fn, args = ODD[name]
    assert not faults(tl.draw(fn, *args, stage=("traced", "fused")).svg)
    assert not faults(tl.draw(fn, *args, values=True).svg)


def random_scene(seed: int, size: int) -> Scene:
    """Boxes of all kinds and widths, with up to three results and many readers."""
    rng = np.random.default_rng(seed)
    scene = Scene()
    readers: dict[tuple[int, int], list[Reader]] = {}
    for i in range(size):
        count = int(min(rng.integers(0, 4), len(readers)))
        sources = (
            [list(readers)[k] for k in rng.choice(len(readers), count, False)] if count else []
        )
        for entry, source in enumerate(sources):
            readers[source].append(Reader(i, entry))
        is_output = bool(sources) and rng.random() < 0.1
        kinds = (
            (OUTPUT,) if is_output else (FORWARD_BOX, BACKWARD_BOX, UPDATE) if count else (INPUT,)
        )
        title = "+×/abcdefgh"[rng.integers(3) :][: rng.choice([1, 1, 9])] * int(rng.integers(1, 3))
        exits = 0 if is_output else int(rng.choice([1, 1, 1, 2, 3]))
        detail = "f64[3]" if kinds == (INPUT,) else ""
        small = rng.random() < 0.1 and kinds != (INPUT,) and not is_output
        box = Box(str(rng.choice(kinds)), title, detail, "", count, exits, small)
        scene.boxes.append(box)
        readers.update({(i, exit): [] for exit in range(exits)})
    for number, ((box, exit), found) in enumerate(readers.items()):
        texts = (("f64[100,20]", TYPE), ("−0.1234", VALUE), ("1e−17 … 3", GRADIENT))
        lines = tuple(Line(*text) for text in texts[: rng.integers(0, 4)])
        scene.nets.append(Net(box, exit, tuple(found), f"v{number}", scene.boxes[box].kind, lines))
    return scene


@pytest.mark.parametrize("seed", range(16))
def test_random_scenes_are_drawn_readably(seed: int) -> None:
    scene = random_scene(seed, 12 + 4 * (seed % 8))
    direction = ("down", "right")[seed % 2]
    assert not faults(Drawing((("random", scene),), direction).svg)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (lambda svg: svg.replace(">result<", ">a long name of the result<"), "does not fit"),
        (lambda svg: svg.replace('width="', 'width="1'), "overlaps"),
        (lambda svg: svg.replace('d="M', 'd="M0 0L'), "runs through"),
        (lambda svg: svg.replace(' width="', ' width="9" data-width="', 1), "off the page"),
    ],
)
def test_the_check_finds_faults(broken, expected: str) -> None:
    svg = broken(tl.draw(circuit, 1.0, 2.0, 3.0, values=True).svg)
    assert any(expected in fault for fault in faults(svg))
