"""Pytrees: taking containers apart and putting them together."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest

from tapeless.ir.errors import ArgumentError
from tapeless.ir.pytree import (
    LEAF,
    children,
    flatten,
    follow,
    is_container,
    map_leaves,
    path_text,
)


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    value: Any

    def __post_init__(self) -> None:
        if self.value == "refused":
            raise ValueError("only flatten may see this")


TREES = [
    1.0,
    None,
    [],
    {},
    (),
    [1, [2, (3, 4)], {"a": 5}],
    {"b": 1, "a": {"c": (2, None)}},
    OrderedDict(z=1, y=[2]),
    Point(1, [2, 3]),
    Layer([1, 2], None),
    Frozen({"k": 1}),
    {(1, 2): "text", 3: object},
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_unflatten_inverts_flatten(tree: Any) -> None:
    leaves, structure = flatten(tree)
    again = structure.unflatten(leaves)
    assert again == tree
    assert type(again) is type(tree)
    assert structure.num_leaves == len(leaves)
    assert len(structure.paths("t")) == len(leaves)


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_equal_trees_have_equal_hashable_structures(tree: Any) -> None:
    _, one = flatten(tree)
    leaves, structure = flatten(tree)
    _, other = flatten(structure.unflatten(leaves))
    assert one == other
    assert hash(one) == hash(other)


def test_containers_keys_and_order_are_part_of_the_structure() -> None:
    trees = [{"a": 1, "b": 2}, {"b": 1, "a": 2}, [1, 2], (1, 2), Point(1, 2), {"a": 1}, Layer(1, 2)]
    structures = [flatten(tree)[1] for tree in trees]
    assert len(set(structures)) == len(trees)


def test_leaves_come_left_to_right_in_insertion_order() -> None:
    tree = {"z": 1, "a": [2, (3, None)], "p": Point(x=4, y=Layer(5, 6))}
    assert flatten(tree)[0] == [1, 2, 3, 4, 5, 6]


def test_paths_read_as_python_source() -> None:
    tree = {"w1": [1, Layer(2, 3)], 0: Point(4, 5)}
    assert flatten(tree)[1].paths("params") == [
        "params['w1'][0]",
        "params['w1'][1].weight",
        "params['w1'][1].bias",
        "params[0].x",
        "params[0].y",
    ]


def test_leaf_paths_lead_to_the_leaves() -> None:
    tree = {"w1": [1, Layer(2, 3)], 0: Point(4, 5)}
    leaves, structure = flatten(tree)
    assert [follow(tree, path) for path in structure.leaf_paths()] == leaves


def test_none_is_a_container_without_leaves() -> None:
    leaves, structure = flatten((None, 1))
    assert leaves == [1]
    assert structure != flatten((1, None))[1]
    assert structure.unflatten([7]) == (None, 7)
    assert is_container(None)
    assert children(None) == []


def test_dataclasses_are_rebuilt_without_their_constructor() -> None:
    _, structure = flatten(Frozen(1))
    assert structure.unflatten(["refused"]).value == "refused"


def test_classes_and_unknown_objects_are_leaves() -> None:
    for leaf in (Layer, Point, {1, 2}, "text", 3.5, object()):
        leaves, structure = flatten(leaf)
        assert leaves == [leaf]
        assert structure == LEAF
        assert not is_container(leaf)


def test_children_name_their_steps() -> None:
    steps = [path_text((step,)) for step, _ in children(Layer(1, 2))]
    assert steps == [".weight", ".bias"]
    assert [step for step, _ in children(["a", "b"])] == [("item", 0), ("item", 1)]


def test_a_wrong_number_of_leaves_is_refused() -> None:
    _, structure = flatten([1, 2])
    with pytest.raises(ArgumentError, match=r"a tree of 2 leaves takes as many values; given: 3"):
        structure.unflatten([1, 2, 3])


def test_a_container_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="finite and moderate depth"):
        flatten(loop)


def test_map_leaves_combines_trees_of_one_structure() -> None:
    tree = {"a": 1, "b": [2, None]}
    assert map_leaves(lambda x, y: x + y, tree, {"a": 10, "b": [20, None]}) == {
        "a": 11,
        "b": [22, None],
    }
    with pytest.raises(ArgumentError, match="one structure"):
        map_leaves(lambda x, y: x, tree, {"a": 10})
