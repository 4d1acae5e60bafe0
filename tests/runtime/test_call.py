"""Signature keys, layouts, and the entry of one signature, without the compiler."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeless.ir.pytree import LEAF, flatten
from tapeless.runtime.call import ContainerWrite, Counts, Entry, Overlap, Plan, Result, ResultKind
from tapeless.runtime.executable import Executable
from tapeless.runtime.flatten import describe
from tapeless.runtime.layout import alias_groups, first_overlap, overlaps_itself, share_memory

from .pairs import ADD, PAIR


class Pair(NamedTuple):
    a: Any
    b: Any


class OtherPair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Record:
    a: Any
    b: Any


def key_of(*values: Any) -> tuple[Any, ...]:
    leaves: list[Any] = []
    key: list[Any] = []
    describe(values, leaves, key)
    return tuple(key)


ONE = np.ones(2)
DIFFERENT = [
    (ONE,),
    (ONE.astype(np.float32),),
    (ONE.astype(">f8"),),
    (np.ones(3),),
    (np.ones((2, 1)),),
    (np.ones(4)[::2],),
    (np.array(1.0),),
    (np.float64(1.0),),
    (1.0,),
    (1,),
    (True,),
    (np.bool_(True),),
    ("s",),
    (None,),
    (ONE, ONE),
    ((ONE, ONE),),
    ([ONE, ONE],),
    ([ONE], ONE),
    ([ONE, [ONE]],),
    ([[ONE], ONE],),
    ({"a": ONE, "b": ONE},),
    ({"b": ONE, "a": ONE},),
    (OrderedDict(a=ONE, b=ONE),),
    (Pair(ONE, ONE),),
    (OtherPair(ONE, ONE),),
    (Record(ONE, ONE),),
    ([],),
    ((),),
    ({},),
    (),
]


def test_different_signatures_have_different_keys():
    for left, right in itertools.combinations(DIFFERENT, 2):
        assert key_of(*left) != key_of(*right), (left, right)


def test_equal_signatures_have_equal_keys_whatever_the_values():
    for values in DIFFERENT:
        assert key_of(*values) == key_of(*values)
    assert key_of(ONE, 1.0, 3) == key_of(np.zeros(2), -5.0, 4)


def test_read_only_arrays_are_told_apart():
    fixed = np.ones(2)
    fixed.flags.writeable = False
    assert key_of(fixed) != key_of(ONE)


def test_leaves_come_in_the_order_of_flatten():
    tree = {"a": [ONE, (2.0, None)], "r": Record(Pair(3, ONE), {"x": np.float32(1)}), "s": "text"}
    leaves: list[Any] = []
    describe((tree,), leaves, [])
    expected = flatten((tree,))[0]
    assert len(leaves) == len(expected)
    assert all(mine is theirs for mine, theirs in zip(leaves, expected, strict=True))


def test_self_overlap_is_recognized():
    strides = np.lib.stride_tricks.as_strided
    assert overlaps_itself(np.broadcast_to(1.0, (3,)))
    assert overlaps_itself(strides(np.ones(4), (3, 2), (8, 8)))
    for array in (np.ones(3), np.ones((2, 3)).T, np.ones((4, 4))[::2, ::-1], np.array(1.0)):
        assert not overlaps_itself(array)
    assert not overlaps_itself(np.broadcast_to(1.0, (0, 3)))


def test_shared_memory_is_a_matter_of_elements():
    memory = np.arange(10.0)
    assert share_memory(memory[:6], memory[5:])
    assert not share_memory(memory[::2], memory[1::2])
    assert first_overlap([memory[:2], memory[4:6], memory[5:]], [1]) == (1, 2)
    assert first_overlap([memory[:2], memory[4:6], memory[6:]], [0, 1]) is None


def test_aliases_are_the_same_memory_seen_in_the_same_way():
    x, y = np.ones(4), np.ones(4)
    assert alias_groups([x, y, 1.0, x, x[:], x[:2], y]) == ((0, 3, 4), (1, 6))
    assert alias_groups([x, x.reshape(2, 2), x.view(np.int64)]) == ()
    assert alias_groups([np.empty(0)] * 2) == ()


def entry_for(make_program: Any, plan: Plan, leaves: list[Any], **fields: Any) -> Entry:
    program = make_program(ADD, (PAIR, PAIR), (PAIR,), **fields)
    return Entry(plan, Executable(program), leaves, Counts())


def plan_for(**fields: Any) -> Plan:
    defaults: dict[str, Any] = {
        "inputs": ((0, 0), (1, 1)),
        "updates": {},
        "results": (Result(ResultKind.ARRAY, 0),),
        "leaves": (0,),
        "structure": LEAF,
        "names": ("x", "y"),
    }
    return Plan(**(defaults | fields))


def test_an_entry_returns_what_its_plan_says(make_program):
    results = (
        Result(ResultKind.ARRAY, 0),
        Result(ResultKind.ARGUMENT, 1),
        Result(ResultKind.OBJECT, value="text"),
        Result(ResultKind.ARRAY, 0, view=lambda array: array[1:]),
        Result(ResultKind.ARGUMENT, 0, view=lambda array: array[:1]),
    )
    structure = flatten((0, [0, 0], {"v": 0, "w": 0, "again": 0}))[1]
    plan = plan_for(results=results, leaves=(0, 1, 2, 3, 4, 0), structure=structure)
    x, y = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    entry = entry_for(make_program, plan, [x, y])
    out, (second, text), views = entry([x, y], ((x, y), {}))
    assert out.tolist() == [11.0, 22.0]
    assert second is y
    assert text == "text"
    assert np.shares_memory(views["v"], out)
    assert np.shares_memory(views["w"], x)
    assert views["again"] is out


@pytest.mark.parametrize("in_place", [{0: 0}, {}], ids=["in place", "by a copy"])
def test_updates_reach_the_argument(make_program, in_place):
    plan = plan_for(updates={0: 0}, results=(Result(ResultKind.ARGUMENT, 0),))
    x, y = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    entry = entry_for(make_program, plan, [x, y], in_place=in_place)
    assert entry([x, y], ((x, y), {})) is x
    assert x.tolist() == [11.0, 22.0]
    assert y.tolist() == [10.0, 20.0]


def test_an_updated_strided_argument_is_copied_back(make_program):
    plan = plan_for(updates={0: 0}, results=(Result(ResultKind.ARGUMENT, 0),))
    memory = np.array([1.0, -1.0, 2.0, -1.0])
    x, y = memory[::2], np.array([10.0, 20.0])
    entry = entry_for(make_program, plan, [x, y], in_place={0: 0})
    assert entry([x, y], ((x, y), {})) is x
    assert memory.tolist() == [11.0, -1.0, 22.0, -1.0]
    assert entry._counts.copies == 1


def test_overlap_with_an_updated_argument_is_reported_before_anything_runs(make_program):
    plan = plan_for(updates={0: 0}, results=(Result(ResultKind.ARGUMENT, 0),))
    x, y = np.ones(2), np.ones(2)
    entry = entry_for(make_program, plan, [x, y], in_place={0: 0})
    memory = np.arange(3.0)
    pair = [memory[:2], memory[1:]]
    with pytest.raises(Overlap):
        entry(pair, (tuple(pair), {}))
    assert memory.tolist() == [0.0, 1.0, 2.0]
    assert "x is updated in place and must not overlap y" in str(entry.overlap_error(pair))
    entry([x, y], ((x, y), {}))
    with pytest.raises(Overlap):
        entry(pair, (tuple(pair), {}))


def test_results_are_bound_in_the_callers_containers(make_program):
    path = (("item", 0), ("item", 0), ("item", "k"), ("attr", "b"))
    plan = plan_for(writes=(ContainerWrite(path, 0),))
    x = np.ones(2)
    tree = {"k": Record(x, x)}
    entry = entry_for(make_program, plan, [x, x])
    out = entry([x, x], ((tree,), {}))
    assert tree["k"].b is out
    assert tree["k"].a is x
