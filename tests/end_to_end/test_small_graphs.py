"""Small graphs that were compiled wrongly once, each reduced from a random one.

Random graphs find such faults again only by luck; these keep them found.
"""

from __future__ import annotations

import pytest

from tapeless.ir.parser import parse_graph

from .test_random_graphs import check_native

GRAPHS = {
    "one lane of a narrowing conversion": """\
graph g(a: f64[7,7]) {
  b: u16[7,7] = convert[dtype=u16] a
  return b
}
""",
    "conversions of one value to two types": """\
graph g(a: i32[1,1], b: i64[1,1]) {
  d: i64[1,1] = convert[dtype=i64] a
  e: i64[1,1] = remainder d b
  f: f32[1,1] = convert[dtype=f32] d
  return e, f
}
""",
    "a condition that is also a number": """\
graph g(a: f32[], b: i64[]) {
  c: f32[] = convert[dtype=f32] b
  d: bool[] = convert[dtype=bool] b
  e: f32[] = select d a c
  return e
}
""",
    "an unused gather whose index is checked": """\
graph g(a: f32[], b: i64[3,1], c: i8[8,1,3]) {
  n: i64[] = constant[value=i64[](8)]
  m: i64[3,1] = broadcast[shape=(3,1), axes=()] n
  i: i64[3,1] = remainder b m
  d: i8[3,1,1,3] = gather[axes=(0,)] c i
  return a
}
""",
    "an unused scatter_add whose index is checked": """\
graph g(a: u8[5], b: i64[5]) {
  n: i64[] = constant[value=i64[](5)]
  m: i64[5] = broadcast[shape=(5,), axes=()] n
  i: i64[5] = remainder b m
  d: u8[5] = scatter_add[axes=(0,)] a a i
  return b
}
""",
    "a sum over no axes beside one over some": """\
graph g(b: f32[4], c: f32[4]) {
  d: f32[4] = sum[axes=()] b
  e: f32[] = sum[axes=(0,)] c
  return e, d
}
""",
    "a product of vectors beside a sum": """\
graph g(b: f32[4], c: f32[4]) {
  d: f32[4] = dot[batch=((0,),(0,)), contract=((),())] b c
  e: f32[] = sum[axes=(0,)] c
  return e, d
}
""",
    "a maximum and a product of unrelated vectors": """\
graph g(a: i8[7], b: i8[7], c: i8[7]) {
  d: i8[] = reduce_max[axes=(0,)] c
  e: i8[] = dot[batch=((),()), contract=((0,),(0,))] a b
  f: i8[] = max e d
  return f
}
""",
    "siblings of which one is an update": """\
graph g(a: u64[4,4,16], d: u64[2,4,16]) {
  e: u64[4,4,16] = remainder a a
  f: u64[4,4,16] = update[starts=(0,0,0), limits=(3,4,16), steps=(2,1,1)] a d
  return e, f
}
""",
    "a product without a sum, packed": """\
graph g(a: f64[3,9,5,5], b: f64[5,9,5], c: f64[5,3,5]) {
  d: f64[5,5,9,3] = dot[batch=((0,2),(0,2)), contract=((),())] b c
  f: f64[5,5,9,3] = cbrt d
  g: f64[5,3,3,5] = dot[batch=((),()), contract=((0,2),(3,1))] f a
  return g
}
""",
    "a product without a sum, of strided operands": """\
graph g(a: f64[17,7], b: f64[3,7]) {
  c: f64[7,3,17] = dot[batch=((1,),(1,)), contract=((),())] b a
  d: f64[7,3,17] = cumsum[axis=1, reverse=False] c
  return d
}
""",
    "results of two ranks": """\
graph g(a: f64[1,8], b: f64[8], c: f64[1,8]) {
  f: f64[1,8] = div a c
  h: f64[8] = reduce_max[axes=(0,)] f
  j: f64[8] = sub h b
  k: f64[1,8] = arctan a
  return k, j
}
""",
    "results of two ranks that nothing ties together": """\
graph g(a: f64[17,1], e: f64[]) {
  g: f64[1,17] = broadcast[shape=(1,17), axes=()] e
  h: f64[1,1] = dot[batch=((),()), contract=((0,),(1,))] a g
  return h, g
}
""",
    "an operand read along two ways": """\
graph g(a: u32[2,1,2]) {
  b: u32[2,1] = dot[batch=((0,1),(2,1)), contract=((2,),(0,))] a a
  return b
}
""",
    "an operand read along two ways and reduced": """\
graph g(a: f32[3,3]) {
  d: f32[3] = dot[batch=((0,),(1,)), contract=((1,),(0,))] a a
  e: i64[3] = argmax[axis=1] a
  f: f32[] = reduce_max[axes=(0,)] d
  return f, e
}
""",
    "an operand divided by its own maxima, turned": """\
graph g(a: f32[7,7], b: f32[7,7]) {
  d: f32[7] = reduce_max[axes=(0,)] a
  h: f32[7,7] = broadcast[shape=(7,7), axes=(0,)] d
  i: f32[7,7] = div a h
  k: bool[7,7] = gt b i
  return i
}
""",
    "a result written over an operand of another result": """\
graph g(i: f64[33], f: f64[33], e: f64[33], j: bool[33], c: f64[33]) {
  k: f64[33] = exp i
  l: f64[33] = cumsum[axis=0, reverse=False] k
  m: f64[33] = cumsum[axis=0, reverse=True] f
  n: f64[33] = add m e
  o: f64[33] = mul n k
  p: f64[33] = select j c o
  return l, p
}
""",
    "a broadcast that is needed in memory and turned": """\
graph g(a: u8[7,16], d: u8[]) {
  e: u8[16,7] = broadcast[shape=(16,7), axes=()] d
  f: u8[7,16] = dot[batch=((0,1),(1,0)), contract=((),())] a e
  g: u8[7,16] = sub f a
  return g, e
}
""",
    "a broadcast that is needed in memory and summed along": """\
graph g(a: f32[64,5], e: f32[]) {
  f: f32[5,64] = broadcast[shape=(5,64), axes=()] e
  g: f32[] = dot[batch=((),()), contract=((0,1),(1,0))] a f
  h: f32[5,64] = broadcast[shape=(5,64), axes=()] g
  i: f32[5,64] = div f h
  return i, f
}
""",
}


@pytest.mark.parametrize("name", GRAPHS)
def test_native_code_agrees_with_the_interpreter(name: str) -> None:
    graph = parse_graph(GRAPHS[name])
    for seed in range(3):
        check_native(graph, seed)
