"""Functions of pytrees."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError


def test_leaves_come_in_order():
    assert tl.tree_leaves({"b": [1, (2, None)], "a": 3}) == [1, 2, 3]
    assert tl.tree_leaves(5) == [5]


def test_a_map_keeps_the_structure_and_pairs_leaves():
    tree, other = {"b": [1, (2, None)], "a": 3}, {"b": [10, (20, None)], "a": 30}
    assert tl.tree_map(lambda x, y: x + y, tree, other) == {"b": [11, (22, None)], "a": 33}
    assert list(tl.tree_map(float, tree)) == ["b", "a"]


def test_trees_of_other_structure_are_refused():
    with pytest.raises(ArgumentError, match=r"tree 1 with tree\[0\]; tree 3 with .*\[1\]"):
        tl.tree_map(min, [1], [2], [3, 4])


def test_a_compiled_update_of_nested_parameters():
    params = {"a": [np.ones(2), np.zeros(3)], "b": np.ones(())}

    @tl.compile
    def step(params, x):
        gradients = tl.grad(lambda p: sum(np.sum((leaf - x) ** 2) for leaf in tl.tree_leaves(p)))
        return tl.tree_map(lambda p, g: p - 0.5 * g, params, gradients(params))

    new = step(params, 3.0)
    assert [leaf.tolist() for leaf in tl.tree_leaves(new)] == [[3.0, 3.0], [3.0, 3.0, 3.0], 3.0]


def test_parameters_of_layers_become_tensors():
    params = tl.nn.Dense(2).init(np.random.default_rng(0), (3,))
    tensors = tl.tree_map(lambda p: tl.Tensor(p, requires_grad=True), params)
    assert all(isinstance(leaf, tl.Tensor) for leaf in tl.tree_leaves(tensors))
    assert tensors.keys() == params.keys()
