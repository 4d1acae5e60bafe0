"""From a plan and a call of it to the spec of a native entry."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapeless.ir import entry as ir
from tapeless.ir.pytree import flatten
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.runtime.binding import Binder, Form, NotNative
from tapeless.runtime.call import ContainerWrite, Plan, Result, ResultKind
from tapeless.runtime.context import Context
from tapeless.runtime.executable import Executable
from tapeless.runtime.watching import Place, watch

VECTOR = TensorType(FLOAT64, (4,))
SCALAR = TensorType(FLOAT64)
X = np.arange(4.0)


class Pair(NamedTuple):
    a: Any
    b: Any


@pytest.fixture
def executable(make_program) -> Executable:
    """A program of a vector and a number that does nothing."""
    return Executable(make_program("  ret i64 0\n", (VECTOR, SCALAR), (VECTOR, SCALAR)))


def plan(result: Any, *results: Result, **fields: Any) -> Plan:
    """The plan of a function of an array and a number."""
    defaults: dict[str, Any] = {"inputs": ((0, 0), (1, 1)), "updates": {}, "names": ("x", "a")}
    structure = flatten(result)[1]
    leaves = tuple(range(structure.num_leaves))
    return Plan(results=results, leaves=leaves, structure=structure, **(defaults | fields))


def form(*values: Any, **named: Any) -> Form:
    """A call in which all arguments are traced."""
    everything = (*values, *named.values())
    paths = [(("item", 0), ("item", i)) for i in range(len(values))]
    paths += [(("item", 1), ("item", name)) for name in named]
    return Form(everything, tuple(named), tuple(range(len(everything))), tuple(paths))


def spec_of(executable: Executable, made: Plan, call: Form) -> ir.EntrySpec:
    return Binder(made, executable).bind(call, [])


def test_arguments_are_described_by_kind(executable):
    number = Result(ResultKind.NUMBER, 1)
    spec = spec_of(executable, plan(1.0, number), form({"x": X}, a=2.0))
    assert (spec.positional, spec.names.count) == (1, 1)
    tree, scalar = spec.arguments
    assert isinstance(tree, ir.DictArgument)
    assert isinstance(tree.children[0], ir.ArrayArgument)
    assert (tree.children[0].leaf, tree.children[0].buffer) == (0, 0)
    assert scalar == ir.NumberArgument(1, ir.Number.FLOAT, 1)
    assert spec.results == (ir.NumberResult(ir.Number.FLOAT, 3),)


def test_specs_of_calls_alike_are_equal_whatever_the_shapes(make_program):
    specs = []
    for shape in [(4,), (2, 3), ()]:
        vector = TensorType(FLOAT64, shape)
        program = make_program("  ret i64 0\n", (vector, SCALAR), (vector, SCALAR))
        new = Result(ResultKind.ARRAY, 0)
        specs.append(spec_of(Executable(program), plan(1.0, new), form(np.ones(shape), 2.0)))
    assert specs[0] == specs[1] == specs[2]
    assert hash(specs[0]) == hash(specs[1])


def test_results_containers_and_writes_are_described(executable):
    made = plan(
        {"y": 1, "n": [2]},
        Result(ResultKind.ARRAY, 0),
        Result(ResultKind.ARGUMENT, 0),
        writes=(ContainerWrite((("item", 0), ("item", 0), ("item", "x")), 0),),
    )
    spec = spec_of(executable, made, form({"x": X}, 1.0))
    assert isinstance(spec.results[0], ir.ArrayResult)
    assert spec.results[1] == ir.ArgumentResult(0)
    assert spec.arguments[0].write == 0
    assert spec.writes[0].container == 0
    assert isinstance(spec.structure, ir.ResultDict)
    assert spec.structure.children[1] == ir.ResultSequence(True, (ir.ResultLeaf(1),))


def test_structures_that_only_python_builds_are_left_to_it(executable):
    made = plan(Pair(1, 2), Result(ResultKind.ARRAY, 0), Result(ResultKind.OBJECT, value=3))
    spec = spec_of(executable, made, form(X, 1.0))
    assert isinstance(spec.structure, ir.ResultMade)
    assert spec.structure.leaves == (0, 1)


def test_only_updated_arrays_and_what_may_meet_them_are_compared(executable):
    nothing = Result(ResultKind.OBJECT)
    read = spec_of(executable, plan(1, nothing), form(X, 1.0))
    assert read.regions.count == 0
    updated = spec_of(executable, plan(1, nothing, updates={0: 0}), form(X, 1.0))
    assert updated.regions.count == 1
    assert updated.copies == (ir.Copy(2, 0, VECTOR.nbytes),)


REFUSED = {
    "another container": (form({1: X}, {2.0}), "an argument holds a set"),
    "a strided array": (form(np.ones(8)[::2], 1.0), "an array is not row-major"),
    "a number of another type": (form(X, 3), "a number is converted at each call"),
}


@pytest.mark.parametrize(("call", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_native_says_why(executable, call, reason):
    with pytest.raises(NotNative, match=reason):
        spec_of(executable, plan(1.0, Result(ResultKind.NUMBER, 1)), call)


def test_an_attribute_that_is_bound_anew_is_left_to_python(executable):
    path = (("item", 0), ("item", 0), ("attr", "x"))
    made = plan(1.0, Result(ResultKind.NUMBER, 1), writes=(ContainerWrite(path, 0),))
    with pytest.raises(NotNative, match="an attribute of an argument is bound anew"):
        spec_of(executable, made, form(X, 1.0))


def test_static_values_of_types_that_may_change_are_left_to_python(executable):
    made = plan(1.0, Result(ResultKind.NUMBER, 1))
    for static, native in ((("a", 1, (2.0, None)), True), (range(3), False), ((range(3),), False)):
        call = Form((X, 1.0, static), (), (0, 1), ((), (), ()))
        if native:
            assert isinstance(spec_of(executable, made, call).arguments[2], ir.ConstantArgument)
        else:
            with pytest.raises(NotNative, match="a static argument is a"):
                spec_of(executable, made, call)


def test_extents_are_found_through_the_block():
    context = Context()
    place = context.shape_of(np.ones((2, 3, 5)))
    block = context.block()
    extents = ctypes.c_int64 * 3
    assert block[place + ir.Shape.RANK] == 3
    assert list(extents.from_address(int(block[place + ir.Shape.EXTENTS]))) == [2, 3, 5]


class Weird:
    """Has a class attribute and a slot."""

    __slots__ = ("slot",)
    shared = 5.0


def function(x: float = 1.0) -> float:
    return x


WATCHED: dict[str, tuple[Any, Any, bool]] = {
    "global": ({"name": X}, "name", True),
    "dict with other keys": ({1: X, "name": X}, "name", False),
    "list": ([X], 0, True),
    "last of a list": ([X], -1, False),
    "defaults": (function, "__defaults__", True),
    "other attribute of a function": (function, "__kwdefaults__", False),
    "attribute of a class": (Weird, "shared", True),
    "slot": (Weird(), "slot", False),
}


@pytest.mark.parametrize(("holder", "key", "native"), WATCHED.values(), ids=WATCHED)
def test_places_are_compared_natively_where_no_code_of_the_users_can_run(holder, key, native):
    value = getattr(holder, key, X) if isinstance(key, str) and not isinstance(holder, dict) else X
    span, rest = watch([Place(holder, key, value, lambda: True)], Context())
    assert span.count == int(native)
    assert len(rest) == int(not native)


def test_closures_and_whole_containers_are_compared_natively():
    captured = X

    def inner() -> Any:
        return captured

    (cell,) = inner.__closure__ or ()
    places = [
        Place(cell, None, X, lambda: True),
        Place([X], None, (X,), lambda: True, whole=True),
        Place({1: X}, None, (1, X), lambda: True, whole=True),
    ]
    span, rest = watch(places, Context())
    assert (span.count, rest) == (3, ())
