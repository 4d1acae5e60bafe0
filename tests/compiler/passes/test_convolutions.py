"""`form_convolutions`: by value, and which sums over windows become products over windows."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.convolutions import form_convolutions
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph

from .equivalence import assert_same_interface

CASES: dict[str, str] = {
    "one axis": """graph g(w: f64[4,3], g: f64[4,2,5]) {
      y: f64[3,2,5] = dot[batch=((),()), contract=((0,),(0,))] w g
      t: f64[2,5,3] = transpose[axes=(1,2,0)] y
      x: f64[2,7] = unwindow[axes=(1,), extents=(7,), strides=(1,), dilations=(1,)] t
      return x
    }""",
    "stride, dilation, a rest that no window reaches": """graph g(w: f64[4,3], g: f64[4,2,5]) {
      y: f64[3,2,5] = dot[batch=((),()), contract=((0,),(0,))] w g
      t: f64[2,5,3] = transpose[axes=(1,2,0)] y
      x: f64[2,14] = unwindow[axes=(1,), extents=(14,), strides=(2,), dilations=(2,)] t
      return x
    }""",
    "operands exchanged": """graph g(w: f64[4,3], g: f64[4,2,5]) {
      t: f64[2,5,3] = dot[batch=((),()), contract=((0,),(0,))] g w
      x: f64[2,7] = unwindow[axes=(1,), extents=(7,), strides=(1,), dilations=(1,)] t
      return x
    }""",
    "two axes in groups": """graph g(w: f64[2,4,3,2,3], g: f64[5,2,4,6,3]) {
      y: f64[2,3,2,3,5,6,3] = dot[batch=((0,),(1,)), contract=((1,),(2,))] w g
      t: f64[5,2,3,6,2,3,3] = transpose[axes=(4,0,1,5,2,6,3)] y
      x: f64[5,2,3,7,9] = unwindow[axes=(3,4), extents=(7,9), strides=(1,3), dilations=(1,1)] t
      return x
    }""",
    "the kernel's axes crossed": """graph g(w: f64[4,2,3], g: f64[4,6,5]) {
      y: f64[2,3,6,5] = dot[batch=((),()), contract=((0,),(0,))] w g
      t: f64[6,3,5,2] = transpose[axes=(2,1,3,0)] y
      x: f64[8,6] = unwindow[axes=(0,1), extents=(8,6), strides=(1,1), dilations=(1,1)] t
      return x
    }""",
    "the image's axes crossed": """graph g(w: f64[4,2,3], g: f64[5,4,6]) {
      y: f64[2,3,5,6] = dot[batch=((),()), contract=((0,),(1,))] w g
      t: f64[6,2,5,3] = transpose[axes=(3,0,2,1)] y
      x: f64[7,7] = unwindow[axes=(0,1), extents=(7,7), strides=(1,1), dilations=(1,1)] t
      return x
    }""",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_a_product_added_up_over_windows_becomes_one_over_windows(text: str) -> None:
    before = parse_graph(text)
    after = form_convolutions(before)
    assert_same_interface(before, after)
    names = [node.op.name for node in after.nodes]
    assert "unwindow" not in names
    assert names.count("dot") == names.count("windows") == 1
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(value.type.shape) for value in before.inputs]
    (expected,), (got,) = interpret(before, arrays), interpret(after, arrays)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


UNTOUCHED: dict[str, str] = {
    "a product that is read elsewhere": """graph g(w: f64[4,3], g: f64[4,5]) {
      t: f64[5,3] = dot[batch=((),()), contract=((0,),(0,))] g w
      x: f64[7] = unwindow[axes=(0,), extents=(7,), strides=(1,), dilations=(1,)] t
      return x, t
    }""",
    "positions and elements of one operand": """graph g(w: f64[4,2], g: f64[4,5,3]) {
      y: f64[5,3,2] = dot[batch=((),()), contract=((0,),(0,))] g w
      x: f64[7,2] = unwindow[axes=(0,), extents=(7,), strides=(1,), dilations=(1,)] y
      return x
    }""",
    "a batch along the positions": """graph g(w: f64[5,4,3], g: f64[5,4]) {
      y: f64[5,3] = dot[batch=((0,),(0,)), contract=((1,),(1,))] w g
      x: f64[7] = unwindow[axes=(0,), extents=(7,), strides=(1,), dilations=(1,)] y
      return x
    }""",
    "an elementwise op in between": """graph g(w: f64[4,3], g: f64[4,5]) {
      y: f64[5,3] = dot[batch=((),()), contract=((0,),(0,))] g w
      t: f64[5,3] = exp y
      x: f64[7] = unwindow[axes=(0,), extents=(7,), strides=(1,), dilations=(1,)] t
      return x
    }""",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
def test_other_sums_over_windows_are_left(text: str) -> None:
    graph = parse_graph(text)
    assert form_convolutions(graph) is graph
