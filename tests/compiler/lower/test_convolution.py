"""Kernels of convolutions: every layout and target, guarded memory, shares of threads, tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower.contraction import (
    ProductLoop,
    ProductLoops,
    choose_product_tile,
    product_loops,
)
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.graph import Graph
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

from ...end_to_end.native import run_guarded

Array = np.ndarray[Any, Any]

TARGETS = [host_target(), *(narrowed(host_target(), level) for level in ("avx2", "sse2"))]

GRAPHS: dict[str, str] = {
    "forward, a vector and a rest": """graph g(w: f32[7,3,3,2], x: f32[3,3,9,23]) {
      s: f32[3,3,7,3,22,2] = windows[axes=(2,3), sizes=(3,2), strides=(1,1), dilations=(1,1)] x
      y: f32[7,3,7,22] = dot[batch=((),()), contract=((1,2,3),(1,3,5))] w s
      return y
    }""",
    "stored in another order, with what follows it": """graph g(
      w: f32[5,2,3], x: f32[4,2,40], b: f32[5], r: f32[4,5,38]
    ) {
      s: f32[4,2,38,3] = windows[axes=(2,), sizes=(3,), strides=(1,), dilations=(1,)] x
      y: f32[5,4,38] = dot[batch=((),()), contract=((1,2),(1,3))] w s
      t: f32[4,5,38] = transpose[axes=(1,0,2)] y
      c: f32[4,5,38] = broadcast[shape=(4,5,38), axes=(1,)] b
      u: f32[4,5,38] = add t c
      z: f32[4,5,38] = mul u r
      return z, t
    }""",
    "every other element, far apart": """graph g(w: f64[4,2,3], x: f64[3,2,50]) {
      s: f64[3,2,22,3] = windows[axes=(2,), sizes=(3,), strides=(2,), dilations=(3,)] x
      y: f64[4,3,22] = dot[batch=((),()), contract=((1,2),(1,3))] w s
      return y
    }""",
    "contracted along the image": """graph g(g: f32[3,5,4,21], x: f32[3,2,6,23]) {
      s: f32[3,2,4,3,21,3] = windows[axes=(2,3), sizes=(3,3), strides=(1,1), dilations=(1,1)] x
      d: f32[5,2,3,3] = dot[batch=((),()), contract=((0,2,3),(0,2,4))] g s
      return d
    }""",
    "contracted along a short image": """graph g(g: f32[2,3,5], x: f32[2,1,7]) {
      s: f32[2,1,5,3] = windows[axes=(2,), sizes=(3,), strides=(1,), dilations=(1,)] x
      d: f32[3,1,3] = dot[batch=((),()), contract=((0,2),(0,2))] g s
      return d
    }""",
    "turned round": """graph g(w: f32[4,6,3], x: f32[2,4,33]) {
      v: f32[4,6,3] = reverse[axes=(2,)] w
      s: f32[2,4,31,3] = windows[axes=(2,), sizes=(3,), strides=(1,), dilations=(1,)] x
      y: f32[6,2,31] = dot[batch=((),()), contract=((0,2),(1,3))] v s
      return y
    }""",
    "in groups": """graph g(w: f32[3,4,2,3], x: f32[2,3,2,19]) {
      s: f32[2,3,2,17,3] = windows[axes=(3,), sizes=(3,), strides=(1,), dilations=(1,)] x
      y: f32[3,4,2,17] = dot[batch=((0,),(1,)), contract=((2,3),(2,4))] w s
      return y
    }""",
    "windows on the left": """graph g(x: f32[2,3,20], w: f32[3,3,5]) {
      s: f32[2,3,18,3] = windows[axes=(2,), sizes=(3,), strides=(1,), dilations=(1,)] x
      y: f32[2,18,5] = dot[batch=((),()), contract=((1,3),(0,1))] s w
      return y
    }""",
    "windows on both sides": """graph g(x: f32[2,20], z: f32[2,12]) {
      s: f32[2,18,3] = windows[axes=(1,), sizes=(3,), strides=(1,), dilations=(1,)] x
      u: f32[2,10,3] = windows[axes=(1,), sizes=(3,), strides=(1,), dilations=(1,)] z
      y: f32[18,10] = dot[batch=((),()), contract=((0,2),(0,2))] s u
      return y
    }""",
    "of a number": """graph g(w: f32[3,4]) {
      one: f32[] = constant[value=f32[](1.5)]
      x: f32[2,30] = broadcast[shape=(2,30), axes=()] one
      s: f32[2,27,4] = windows[axes=(1,), sizes=(4,), strides=(1,), dilations=(1,)] x
      y: f32[3,2,27] = dot[batch=((),()), contract=((1,),(2,))] w s
      return y
    }""",
    "of integers": """graph g(w: i16[3,2,4], x: i16[2,2,30]) {
      s: i16[2,2,27,4] = windows[axes=(2,), sizes=(4,), strides=(1,), dilations=(1,)] x
      y: i16[3,2,27] = dot[batch=((),()), contract=((1,2),(1,3))] w s
      return y
    }""",
    "of nothing": """graph g(w: f32[3,0,4], x: f32[2,0,30]) {
      s: f32[2,0,27,4] = windows[axes=(2,), sizes=(4,), strides=(1,), dilations=(1,)] x
      y: f32[3,2,27] = dot[batch=((),()), contract=((1,2),(1,3))] w s
      return y
    }""",
}


def arguments(graph: Graph) -> list[Array]:
    rng = np.random.default_rng(0)
    return [(4 * rng.standard_normal(v.type.shape)).astype(v.type.dtype) for v in graph.inputs]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("text", GRAPHS.values(), ids=GRAPHS)
def test_products_over_windows_are_those_of_numpy(text: str, target: Target) -> None:
    graph = parse_graph(text)
    arrays = arguments(graph)
    compilation = compile_graph(graph, target=target, check=True, simplification=())
    got = run_guarded(Executable(compilation.program), arrays)
    reference = interpret(graph, arrays)
    for result, expected in zip(got, reference, strict=True):
        assert result.dtype == expected.dtype
        error = 1e-5 if result.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(result, expected, rtol=error, atol=10 * error)


@pytest.mark.parametrize("name", ["forward, a vector and a rest", "contracted along the image"])
def test_a_product_over_windows_is_one_kernel_that_copies_nothing(name: str) -> None:
    compilation = compile_graph(parse_graph(GRAPHS[name]), simplification=())
    assert [kernel.kind for kernel in compilation.program.kernels] == ["dot"]
    assert compilation.program.arena_bytes == 0


def test_threads_share_a_convolution_and_change_no_bit() -> None:
    graph = parse_graph("""graph g(w: f32[16,8,3,3], x: f32[16,8,34,34]) {
      s: f32[16,8,32,3,32,3] = windows[axes=(2,3), sizes=(3,3), strides=(1,1), dilations=(1,1)] x
      y: f32[16,16,32,32] = dot[batch=((),()), contract=((1,2,3),(1,3,5))] w s
      d: f32[16,8,3,3] = dot[batch=((),()), contract=((1,2,3),(0,2,4))] y s
      return y, d
    }""")
    program = compile_graph(graph).program
    assert all(kernel.pieces > 1 for kernel in program.kernels)
    arrays = arguments(graph)
    one, many = (Executable(program, threads)(arrays) for threads in (1, 3))
    assert [a.tobytes() for a in one] == [a.tobytes() for a in many]


def loops_of(text: str) -> ProductLoops:
    graph = parse_graph(text)
    return product_loops(graph, next(node for node in graph.nodes if node.op.name == "dot"))


def test_an_operand_moves_by_a_fixed_step_along_every_loop() -> None:
    loops = loops_of(GRAPHS["every other element, far apart"])
    assert loops.loops == (
        ProductLoop(4, (6, None), 0),
        ProductLoop(3, (None, 100), 1),
        ProductLoop(22, (None, 2), 2),
        ProductLoop(2, (3, 50), None),
        ProductLoop(3, (1, 3), None),
    )
    assert loops.axes == ((0, 3, 4), (1, 3, 2, 4))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("text", GRAPHS.values(), ids=GRAPHS)
def test_accumulators_and_operands_fit_the_registers(text: str, target: Target) -> None:
    loops = loops_of(text)
    tile = choose_product_tile(loops, target.lanes(4), target)
    assert tile.registers + tile.columns * tile.vectors + 1 <= target.vector_registers
    for loop, count in ((tile.row, tile.rows), (tile.column, tile.columns)):
        assert 1 <= count <= (1 if loop is None else loops.loops[loop].extent)
    assert math.log2(tile.lanes).is_integer()


def test_the_vector_loop_is_a_row_of_the_image() -> None:
    forward = loops_of(GRAPHS["forward, a vector and a rest"])
    assert choose_product_tile(forward, 16, host_target()).vector == 3
    backward = loops_of(GRAPHS["contracted along the image"])
    assert choose_product_tile(backward, 16, host_target()).vector == 6
