"""Regions in registers: what belongs to one, what stays with larger kernels, and why."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.compiler.passes.fuse import explain_fusion, fuse_kernels, reads_only_at_index
from tapeless.compiler.pipeline import compile_graph
from tapeless.ir.graph import Graph, GraphBuilder
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import elementwise, shaping
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.ir.verifier import verify
from tapeless.runtime.executable import Executable

MOVES = """graph moves(a: f64[3,3], x: f64[3], y: f64[12]) {
  p: f64[3] = dot[batch=((),()), contract=((1,),(0,))] a x
  t: f64[3,3] = transpose[axes=(1,0)] a
  q: f64[3,3] = dot[batch=((),()), contract=((1,),(0,))] t a
  w: f64[3] = slice[starts=(2,), limits=(11,), steps=(4,)] y
  s: f64[3] = add p w
  f: f64[9] = reshape[shape=(9,)] q
  c: f64[12] = concatenate[axis=0] f s
  m: i64[] = argmax[axis=0] c
  r: f64[12] = reverse[axes=(0,)] c
  return m, r
}"""

EPILOGUES = """graph epilogues(x: f32[100,50], w: f32[50,4], b: f32[4], y: f32[100,4]) {
  p: f32[100,4] = dot[batch=((),()), contract=((1,),(0,))] x w
  bb: f32[100,4] = broadcast[shape=(100,4), axes=(1,)] b
  z: f32[100,4] = add p bb
  d: f32[100,4] = sub z y
  q: f32[100,4] = mul d d
  s: f32[] = sum[axes=(0,1)] q
  n: f32[] = constant[value=f32[](0.0025)]
  loss: f32[] = mul s n
  root: f32[] = sqrt loss
  return root
}"""

LATE = """graph late(x: f32[1000], y: f32[1000], rate: f32[], power: f32[]) {
  c: f32[] = exp power
  rc: f32[] = mul rate c
  wide: f32[1000] = broadcast[shape=(1000,), axes=()] rc
  a: f32[1000] = mul x wide
  s: f32[] = sum[axes=(0,)] a
  e: f32[1] = reshape[shape=(1,)] s
  both: f32[2] = concatenate[axis=0] e e
  rs: f32[] = sub c rate
  shown: f32[2] = broadcast[shape=(2,), axes=()] rs
  left: f32[2] = mul both shown
  again: f32[1000] = broadcast[shape=(1000,), axes=()] rs
  z: f32[1000] = mul y again
  return left, z
}"""

ENDS = """graph ends(x: f32[1000], y: f32[N,100]) {
  s: f32[] = sum[axes=(0,)] x
  e: f32[1] = reshape[shape=(1,)] s
  both: f32[2] = concatenate[axis=0] e e
  t: f32[N] = sum[axes=(1,)] y
  part: f32[3] = slice[starts=(5,), limits=(8,), steps=(1,)] t
  back: f32[3] = reverse[axes=(0,)] part
  sign: f32[3] = neg back
  return both, sign
}"""
FEW, MANY = ENDS.replace("N", "10"), ENDS.replace("N", "100")
"""Two regions at the end; the one that reads a part of a large result does not wait."""

WAITS = """graph waits(x: f32[1000], y: f32[1000], a: f32[3]) {
  r: f32[3] = reverse[axes=(0,)] a
  p: f32[3] = exp r
  one: f32[1] = slice[starts=(0,), limits=(1,), steps=(1,)] p
  e: f32[] = reshape[shape=()] one
  w: f32[1000] = broadcast[shape=(1000,), axes=()] e
  z: f32[1000] = mul y w
  s: f32[] = sum[axes=(0,)] x
  t: f32[3] = broadcast[shape=(3,), axes=()] s
  q: f32[3] = mul t p
  v: f32[3] = reverse[axes=(0,)] q
  m: f32[3] = add q v
  return z, m
}"""


def kernels(text: str) -> list[str]:
    fused = fuse_kernels(parse_graph(text))
    verify(fused)
    return [node.attrs["kind"] for node in fused.nodes if node.op.name == "fused"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MOVES, ["registers"]),
        (EPILOGUES, ["dot", "registers"]),
        (LATE, ["registers", "map", "rows", "registers"]),
        (FEW, ["rows", "rows", "registers"]),
        (MANY, ["rows", "rows", "registers", "registers"]),
    ],
    ids=["moves", "epilogues", "late", "few", "many"],
)
def test_kernels_formed(text: str, expected: list[str]) -> None:
    assert sorted(kernels(text)) == sorted(expected)


@pytest.mark.parametrize("text", [MOVES, EPILOGUES, LATE, WAITS, FEW, MANY])
def test_values_are_those_of_the_graph(text: str) -> None:
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    results = Executable(compile_graph(graph, check=True).program)(arrays)
    for got, wanted in zip(results, interpret(graph, arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("type", "kind"),
    [("f64[64]", "registers"), ("f64[65]", "map"), ("f64[0]", "map"), ("i8[65]", "map")],
)
def test_what_is_tiny(type: str, kind: str) -> None:
    assert kernels(f"graph g(x: {type}) {{\n  y: {type} = neg x\n  return y\n}}") == [kind]


def test_products_have_kernels_of_their_own_from_where_these_are_faster() -> None:
    text = """graph g(x: f64[N,N], y: f64[N,N]) {
  p: f64[N,N] = dot[batch=((),()), contract=((1,),(0,))] x y
  return p
}"""
    assert kernels(text.replace("N", "6")) == ["registers"]
    assert kernels(text.replace("N", "8")) == ["dot"]


def test_a_few_elements_of_a_larger_array_are_read_where_they_are() -> None:
    text = """graph g(x: f64[N], y: f64[3]) {
  s: f64[3] = slice[starts=(7,), limits=(10,), steps=(1,)] x
  z: f64[3] = add s y
  r: f64[3] = reverse[axes=(0,)] z
  return r
}"""
    assert kernels(text.replace("N", "4096")) == ["registers"]
    assert "registers" not in kernels(text.replace("N", "4097"))[:1]


def test_another_shape_of_an_argument_is_no_work() -> None:
    fused = fuse_kernels(
        parse_graph("""graph g(b: f32[6], x: f32[1000,2,3]) {
  m: f32[2,3] = reshape[shape=(2,3)] b
  w: f32[1000,2,3] = broadcast[shape=(1000,2,3), axes=(1,2)] m
  y: f32[1000,2,3] = add x w
  return y
}""")
    )
    assert [node.op.name for node in fused.nodes] == ["reshape", "fused"]


def chain(length: int, extent: int = 5) -> Graph:
    """Every other value is turned round, so that no loop could compute two of them."""
    builder = GraphBuilder("chain")
    value = builder.input(TensorType(FLOAT64, (extent,)), "x")
    for _ in range(length):
        (value,) = builder.emit(shaping.reverse, [value], {"axes": (0,)})
        (value,) = builder.emit(elementwise.tanh, [value])
    return builder.build([value])


def test_regions_are_bounded() -> None:
    fused = fuse_kernels(chain(6_000))
    verify(fused)
    sizes = [len(node.attrs["graph"].nodes) for node in fused.nodes]
    assert len(sizes) > 3
    assert max(sizes) <= 4_000


def test_narrow_registers_hold_less() -> None:
    for extent, kind in ((16, "registers"), (17, "map")):
        (node,) = fuse_kernels(chain(1, extent), register_bytes=16).nodes
        assert node.attrs["kind"] == kind


@pytest.mark.parametrize(("length", "kind"), [(100, "registers"), (1_000, "map")])
def test_large_programs_have_loops_for_what_takes_several_registers(length: int, kind: str) -> None:
    fused = fuse_kernels(chain(length, extent=9))
    assert {node.attrs["kind"] for node in fused.nodes} == {kind}


def reasons(graph: Graph) -> list[str]:
    return [separation.reason for separation in explain_fusion(graph)]


def test_neighbours_of_regions_have_their_reasons() -> None:
    assert reasons(parse_graph(LATE)) == [
        "its operand is computed in registers, it is computed in loops",
        "its elements are not those that the kernel's loops run over",
        "another kernel has to run between the two",
        "its operand is computed in registers, it is computed in loops",
    ]
    assert reasons(parse_graph(WAITS)) == [
        "its operand is computed in registers, it is computed in loops",
        "one of the two would wait for kernels that it does not need",
        "it reads a value of the kernel at other indices than the loops compute it at",
    ]
    assert set(reasons(chain(6_000))) == {
        "the code of both together would be too long for one kernel without loops"
    }


def test_operands_may_be_overwritten_in_any_order() -> None:
    graph = parse_graph("""graph g(w: f64[4,4], x: f64[4,4]) {
  t: f64[4,4] = transpose[axes=(1,0)] w
  y: f64[4,4] = add t x
  s: f64[4] = sum[axes=(0,)] y
  b: f64[4,4] = broadcast[shape=(4,4), axes=(0,)] s
  z: f64[4,4] = sub w b
  return y, z
}""")
    (node,) = fuse_kernels(graph).nodes
    assert all(reads_only_at_index(node, position) for position in range(2))
    program = compile_graph(graph, updates={0: 0, 1: 1}, check=True).program
    assert program.in_place == {0: 0, 1: 1}
    w, x = np.arange(16.0).reshape(4, 4), np.ones((4, 4))
    wanted = interpret(graph, [w.copy(), x.copy()])
    for got, value in zip(Executable(program)([w, x]), wanted, strict=True):
        np.testing.assert_array_equal(got, value)
