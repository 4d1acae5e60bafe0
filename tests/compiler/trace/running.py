"""Runs traced functions with the interpreter, as the runtime does with native code."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.compiler.differentiate.expand import expand
from tapeless.compiler.trace.array import Kind
from tapeless.compiler.trace.function import TracedFunction, trace_function
from tapeless.compiler.trace.results import Computed, Fixed, Input, ViewOf
from tapeless.ir.interpreter import interpret
from tapeless.ir.pytree import flatten, follow
from tapeless.ir.verifier import verify


def call(traced: TracedFunction, *args: Any, **kwargs: Any) -> Any:
    """One call of the traced function, effects on arguments and captures included."""
    leaves, tree = flatten((args, kwargs))
    assert tree == traced.in_tree
    operands = [*leaves, *traced.captures]
    graph = expand(traced.graph)
    verify(graph)
    outputs = interpret(graph, [np.array(operand) for operand in operands])
    for output, position in traced.updates.items():
        operands[position][...] = outputs[output]

    def made(result: Any) -> Any:
        match result:
            case Computed(output, kind):
                return _of_kind(outputs[output], kind)
            case Input(position):
                return operands[position]
            case ViewOf(of, _):
                return result.apply(owners.setdefault(of, made(of)))
            case Fixed(value):
                return value
        raise AssertionError(result)

    owners: dict[Any, Any] = {}
    objects = []
    for result in traced.results:
        objects.append(owners.setdefault(result, made(result)) if _owns(result) else made(result))
    for write in traced.writes:
        *path, (how, key) = write.path
        holder = follow((args, kwargs), tuple(path))
        if how == "attr":
            object.__setattr__(holder, key, objects[write.result])
        else:
            holder[key] = objects[write.result]
    return traced.out_tree.unflatten([objects[number] for number in traced.leaves])


def _owns(result: Any) -> bool:
    return isinstance(result, Computed | Input)


def _of_kind(array: np.ndarray[Any, Any], kind: Kind) -> Any:
    if kind is Kind.ARRAY:
        return array
    return array.item() if kind.weak else array[()]


def check(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> TracedFunction:
    """Trace `fn` and assert that a call does what the plain call does, arguments included."""
    plain, ours = copy.deepcopy((args, kwargs)), copy.deepcopy((args, kwargs))
    traced = trace_function(fn, args, kwargs)
    with np.errstate(all="ignore"):
        expected = fn(*plain[0], **plain[1])
    result = call(traced, *ours[0], **ours[1])
    assert_same(result, expected)
    assert_same(ours, plain)
    return traced


def assert_same(actual: Any, expected: Any) -> None:
    """Equal structures, types, element types, shapes and (up to a few ulp) values."""
    leaves, structure = flatten(actual)
    wanted, wanted_structure = flatten(expected)
    assert structure == wanted_structure
    for leaf, want in zip(leaves, wanted, strict=True):
        assert type(leaf) is type(want), f"{leaf!r} for {want!r}"
        if isinstance(want, np.ndarray | np.generic):
            assert leaf.dtype == want.dtype
            assert leaf.shape == want.shape
        np.testing.assert_allclose(leaf, want, rtol=1e-14, atol=1e-300)
