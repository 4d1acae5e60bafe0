"""What is not a graph text gets an error that shows the place."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest

from tapeless.ir.errors import GraphError
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import FLOAT32, TensorType
from tapeless.ir.verifier import verify

from .graphs import NESTED, STEP


def graph_of(line: str) -> str:
    """A graph text with one line of interest, the second."""
    return f"graph g(x: f32[3], y: f32[3]) {{\n  {line}\n  return x\n}}\n"


BAD_LINES = [
    ("z: f32[3] = addd x y", "unknown op", "addd", "did you mean 'add'?"),
    ("z: f32[3] = add x yy", "value defined above", "yy", "did you mean 'y'?"),
    ("z: f32[3] = neg z", "value defined above", "z\n", ""),
    ("x: f32[3] = neg y", "defined once", "x: ", ""),
    ("z: f32[3], z: f32[3] = neg y", "defined once", "z: f32[3] = neg", ""),
    ("z: f32[4] = add x y", r"the type rule of add gives f32\[3\]", "z: f32[4]", ""),
    ("z: f32[3], q: f32[3] = neg y", "type rule of neg gives", "z: f32[3], q", ""),
    ("z: f32[3] = add x", "add takes 2 operands", "add x", ""),
    ("z: f32[3] = add[axis=1] x y", "takes the attributes", "add[", ""),
    ("z: f32[] = sum x", "takes the attributes", "sum x", ""),
    ("z: f32[] = sum[axes=0] x", "axes of sum is a tuple of ints", "sum[", ""),
    ("z: f32[] = sum[axes=(True,)] x", "axes of sum is a tuple of ints", "sum[", ""),
    ("z: f32[] = sum[axes=(1,)] x", "along increasing axes", "sum[", ""),
    ("z: g32[3] = neg x", "expected one of bool, i8", "g32", ""),
    ("z: f32[-3] = neg x", "number of elements", "-3", ""),
    ("z: f32[3.0] = neg x", "number of elements", "3.0", ""),
    ("z f32[3] = neg x", "expected ':'", "f32[3] = ", ""),
    ("z: f32[3] neg x", "expected ','", "neg x", ""),
    ("z: f32[3] = neg x, y", "end of the line", ", y", ""),
    ("z: f32[3] = ", "expected an op", "\n", ""),
    ("z: f32[3] = neg @x", "character of the graph format", "@x", ""),
    ("z: f32[3] = constant[value=f32[3](1.0,2.0)]", "has 3 elements", "f32[3](", ""),
    ("z: f32[3] = constant[value=f32[3](True)]", "elements of a literal", "f32[3](", ""),
    ("z: i8[] = constant[value=i8[](300)]", "elements of a literal", "i8[](", ""),
    ("z: i8[] = constant[value=i8[](x)]", "number, True or False", "x)]", ""),
    ("z: i8[] = constant[value=i8[](data 7)]", "expected data 7", "i8[](data", ""),
    ("z: i8[] = constant[value==3]", "attribute value", "=3]", ""),
    ("return x z", "expected ','", "z", ""),
]


@pytest.mark.parametrize(("line", "message", "culprit", "hint"), BAD_LINES)
def test_a_bad_line_is_shown_with_a_caret(line: str, message: str, culprit: str, hint: str) -> None:
    text = graph_of(line)
    with pytest.raises(GraphError, match=f"graph text, line [23]: .*{message}") as caught:
        parse_graph(text)
    shown, caret = re.findall(r"\n    (.*)\n    ( *)\^", str(caught.value))[0]
    assert shown in text.split("\n")
    assert f"{shown}\n"[len(caret) :].startswith(culprit)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected 'graph'"),
        ("graph", "expected a graph name"),
        ("graph g(x: f32[3]) {", "value name or 'return'"),
        ("graph g(x: f32[3]) {\n  return x", "expected ','"),
        ("graph g(x: f32[3], x: f32[]) {\n  return x\n}", "defined once"),
        ("graph g(x: f32[3]) {\n  return q\n}", "value defined above"),
        ("graph g() {\n  return\n} graph h() {\n  return\n}", "nothing after the graph"),
        ('graph g() {\n  return\n}\ndata x = ""', "expected data NUMBER"),
    ],
)
def test_a_text_that_is_no_graph_is_refused(text: str, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        parse_graph(text)


def test_damaged_data_is_refused() -> None:
    text = "graph g() {{\n  x: i8[3] = constant[value=i8[3](data 0)]\n  return\n}}\ndata 0 = {}\n"
    assert parse_graph(text.format('"AQID"')).nodes[0].attrs["value"].tolist() == [1, 2, 3]
    with pytest.raises(GraphError, match="takes 3 bytes"):
        parse_graph(text.format('"AQIDBA=="'))
    with pytest.raises(GraphError, match="is base64"):
        parse_graph(text.format('"AQI?"'))


def test_every_prefix_of_a_text_is_refused_by_an_error_of_ours() -> None:
    for length in range(len(NESTED.rstrip())):
        with pytest.raises(GraphError):
            parse_graph(NESTED[:length])


@pytest.mark.parametrize("seed", range(150))
def test_a_text_with_a_damaged_sign_gives_a_graph_or_an_error_of_ours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = (STEP, NESTED)[seed % 2]
    signs = [*'()[]{}=,:#" \n0a-', ""]
    for _ in range(20):
        at = int(rng.integers(len(text)))
        damaged = text[:at] + signs[int(rng.integers(len(signs)))] + text[at + 1 :]
        with contextlib.suppress(GraphError):  # any other error fails the test
            verify(parse_graph(damaged))


def test_spaces_comments_and_line_breaks_inside_brackets_are_free() -> None:
    text = """
    # a comment first
    graph   g (x:f32[ 3 ],  # the input
               y : f32[3],) {

      # nothing yet
      z: f32[] = sum[
          axes=( 0, ),   # all
      ] x
      return z,
    }  # done
    """
    graph = parse_graph(text)
    assert [value.type for value in graph.inputs] == [TensorType(FLOAT32, (3,))] * 2
    assert graph.output_types == (TensorType(FLOAT32),)


def test_a_sub_graph_does_not_see_the_names_around_it() -> None:
    text = """\
graph outer(p: f64[3]) {
  q: f64[3] = fused[graph=graph body(x: f64[3]) {
    y: f64[3] = add x p
    return y
  }, kind="map"] p
  return q
}
"""
    with pytest.raises(GraphError, match="line 3: expected the name of a value defined above"):
        parse_graph(text)
