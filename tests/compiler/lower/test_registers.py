"""Straight-line kernels: packing, padding, folds, routines; on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower import lower_kernel
from tapeless.compiler.lower.language import Check, Compute, Kernel, Load, Loop, Store
from tapeless.compiler.lower.registers import widths
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.errors import DomainError
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import DTYPE_NAMES

from ...end_to_end.native import native, run_guarded

Array = np.ndarray[Any, Any]

TARGETS = [
    host_target(),
    *(
        narrowed(host_target(), level)
        for level in ("avx2", "sse2")
        if host_target().triple.startswith("x86_64")
    ),
]


def lowered(text: str, target: Target) -> Kernel:
    """The only kernel of a graph, which is one without loops."""
    (node,) = fuse_kernels(parse_graph(text)).nodes
    kernel = lower_kernel(node, target)
    assert kernel.kind == "registers"
    assert kernel.scratch == ()
    assert not any(isinstance(statement, Loop) for statement in kernel.phases[0].body)
    return kernel


def check(text: str, arrays: list[Array], target: Target) -> None:
    graph = parse_graph(text)
    lowered(text, target)
    wanted = interpret(graph, arrays)
    for got, value in zip(run_guarded(native(graph, target=target), arrays), wanted, strict=True):
        np.testing.assert_array_equal(got, value)


def test_vectors_are_whole_and_the_last_is_as_wide_as_the_rest_needs() -> None:
    assert list(widths(1, 8)) == [1]
    assert list(widths(3, 8)) == [4]
    assert list(widths(16, 8)) == [8, 8]
    assert list(widths(17, 8)) == [8, 8, 1]
    assert list(widths(13, 8)) == [8, 8]
    assert list(widths(11, 4)) == [4, 4, 4]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("dtype", ["f32", "f64", "i8", "i64", "u16", "bool"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 17, 31, 64])
def test_memory_beyond_an_array_is_not_touched(n: int, dtype: str, target: Target) -> None:
    text = f"""graph g(x: {dtype}[{n}]) {{
  y: {dtype}[{n}] = reverse[axes=(0,)] x
  z: {dtype}[{n}] = max x y
  return y, z
}}"""
    for statement in lowered(text, target).phases[0].body:
        if isinstance(statement, Load | Store):
            var = statement.target if isinstance(statement, Load) else statement.value
            count = var.lanes if statement.active is None else statement.active
            assert statement.access.at.const + count <= n
    rng = np.random.default_rng(n)
    numbers = rng.integers(0, 2 if dtype == "bool" else 100, n)
    check(text, [numbers.astype(DTYPE_NAMES[dtype])], target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
def test_views_upon_views_are_one_shuffle(target: Target) -> None:
    text = """graph g(x: f64[2,3]) {
  t: f64[3,2] = transpose[axes=(1,0)] x
  r: f64[3,2] = reverse[axes=(0,)] t
  s: f64[2,2] = slice[starts=(1,0), limits=(3,2), steps=(1,1)] r
  f: f64[4] = reshape[shape=(4,)] s
  p: f64[8] = pad[low=(2,), high=(2,), interior=(0,), fill=7.0] f
  return p
}"""
    body = lowered(text, target).phases[0].body
    shuffles = [s for s in body if isinstance(s, Compute)]
    assert len(shuffles) <= -(-8 // target.lanes(8))
    check(text, [np.arange(6.0).reshape(2, 3)], target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
def test_lanes_beyond_the_last_element_cannot_fail(target: Target) -> None:
    """The fourth element is in the vector of the first three."""
    text = """graph g(x: i32[4], y: i32[4]) {
  a: i32[3] = slice[starts=(0,), limits=(3,), steps=(1,)] x
  b: i32[3] = slice[starts=(0,), limits=(3,), steps=(1,)] y
  p: i32[3] = pow a b
  q: i32[3] = floor_divide a b
  r: i32[3] = remainder a b
  return p, q, r
}"""
    checks = [s for s in lowered(text, target).phases[0].body if isinstance(s, Check)]
    assert [check.active for check in checks] == [3]
    x, y = np.array([5, -7, 9, 1], np.int32), np.array([2, 3, 1, -1], np.int32)
    check(text, [x, y], target)


def test_the_first_of_several_failures_is_reported() -> None:
    graph = parse_graph("""graph g(x: i32[3], y: i32[3]) {
  a: i32[3] = pow x y  # model.py:1
  b: i32[3] = reverse[axes=(0,)] y
  c: i32[3] = pow a b  # model.py:2
  return c
}""")
    (node,) = fuse_kernels(graph).nodes
    assert node.attrs["kind"] == "registers"
    with pytest.raises(DomainError, match=r"model\.py:1"):
        native(graph)([np.ones(3, np.int32), np.array([1, 2, -1], np.int32)])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 16, 33, 64])
def test_folds_know_nan_ties_and_zeros(n: int, target: Target) -> None:
    text = f"""graph g(x: f32[{n}], z: f32[{n}]) {{
  m: f32[] = reduce_max[axes=(0,)] x
  i: i64[] = argmax[axis=0] x
  j: i64[] = argmin[axis=0] z
  s: f32[] = sum[axes=(0,)] z
  return m, i, j, s
}}"""
    graph = parse_graph(text)
    program = native(graph, target=target)
    if 4 * n <= 8 * target.vector_bytes:
        assert [kernel.kind for kernel in program.program.kernels] == ["registers"]
    zeros = np.full(n, -0.0, np.float32)
    for at in range(n):
        x = np.zeros(n, np.float32)
        x[at] = np.nan
        for values in (x, np.where(np.arange(n) >= at, np.float32(1), np.float32(0))):
            wanted = interpret(graph, [values, zeros])
            for got, value in zip(run_guarded(program, [values, zeros]), wanted, strict=True):
                np.testing.assert_array_equal(got, value)
                assert np.signbit(got) == np.signbit(value)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize(("m", "k", "n"), [(4, 4, 4), (1, 8, 1), (3, 5, 2), (2, 16, 2), (5, 1, 6)])
def test_products_are_exact_on_integers(m: int, k: int, n: int, target: Target) -> None:
    text = f"""graph g(x: f64[2,{k},{m}], y: f64[{n},2,{k}]) {{
  p: f64[2,{m},{n}] = dot[batch=((0,),(1,)), contract=((1,),(2,))] x y
  return p
}}"""
    types = [value.type for value in parse_graph(text).inputs]
    rng = np.random.default_rng(k)
    check(text, [rng.integers(-9, 9, t.shape).astype(t.dtype) for t in types], target)


def test_many_calls_of_a_function_share_a_routine() -> None:
    lines = ["graph g(x: f64[3]) {"]
    value = "x"
    for number in range(12):
        lines += [f"  s{number}: f64[3] = sin {value}", f"  c{number}: f64[3] = cos {value}"]
        lines += [f"  v{number}: f64[3] = add s{number} c{number}"]
        lines += [f"  r{number}: f64[3] = reverse[axes=(0,)] v{number}"]
        value = f"r{number}"
    text = "\n".join([*lines, f"  return {value}", "}"])
    stages = compile_graph(parse_graph(text), check=True).stages
    defined = [line for line in stages["llvm"].text.splitlines() if line.startswith("define")]
    assert len([line for line in defined if "cos_sin.f64x4" in line]) == 1
    assert stages["llvm"].text.count("call { <4 x double>, <4 x double> } @cos_sin.f64x4(") == 12
    for target in TARGETS:
        x = np.array([0.5, -1e9, 3.0])
        (got,) = run_guarded(native(parse_graph(text), target=target), [x])
        for _ in range(12):
            x = (np.sin(x) + np.cos(x))[::-1]
        np.testing.assert_allclose(got, x, rtol=1e-12)


def test_the_code_is_printed() -> None:
    text = """graph g(x: f64[2]) {
  r: f64[2] = reverse[axes=(0,)] x
  one: f64[] = constant[value=f64[](0.5)]
  h: f64[1] = reshape[shape=(1,)] one
  c: f64[3] = concatenate[axis=0] h r
  y: f64[3] = neg c
  return y
}"""
    avx2 = TARGETS[1] if len(TARGETS) > 1 else host_target()
    assert (
        compile_graph(parse_graph(text), target=avx2).stages["loops"].text
        == """\
kernel k0_registers registers(b0: in f64[2], b1: out f64[3]):
  t0: f64x4 = 0.5
  t1: f64x2 = load b0[lane]
  t2: f64x4 = shuffle t0[0] t1[1] t1[0] t1[0]
  t3: f64x4 = neg t2
  store b1[lane] = t3  first 3"""
    )
