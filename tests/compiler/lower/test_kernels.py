"""Kernels: accuracy of sums, every layout of a product, row buffers, narrow targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower import lower_kernel
from tapeless.compiler.lower.language import Compute, Loop, Statement
from tapeless.compiler.lower.tiles import Extents, Tile, choose_tile
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable

Array = np.ndarray[Any, Any]

TARGETS = [host_target(), *(narrowed(host_target(), level) for level in ("avx2", "sse2"))]


def run(text: str, arrays: list[Array], target: Target | None = None) -> tuple[Array, ...]:
    return Executable(compile_graph(parse_graph(text), target=target, check=True).program)(arrays)


def total(n: int) -> str:
    return f"graph total(x: f32[{n}]) {{\n  s: f32[] = sum[axes=(0,)] x\n  return s\n}}"


@pytest.mark.parametrize("n", [1, 7, 16, 127, 1_000, 4_097, 100_003, 1_000_000])
def test_sums_err_at_most_twice_as_much_as_pairwise_summation(n: int) -> None:
    rng = np.random.default_rng(n)
    errors, pairwise = [], []
    for _ in range(20):
        x = rng.random(n, np.float32)
        exact = math.fsum(x.tolist())
        (got,) = run_cached(n, x)
        errors.append(abs(float(got) - exact) / exact)
        pairwise.append(abs(float(x.sum()) - exact) / exact)
    unit = float(np.finfo(np.float32).eps)
    assert np.mean(errors) <= 2 * np.mean(pairwise) + unit


_EXECUTABLES: dict[int, Executable] = {}


def run_cached(n: int, x: Array) -> tuple[Array, ...]:
    if n not in _EXECUTABLES:
        _EXECUTABLES[n] = Executable(compile_graph(parse_graph(total(n))).program)
    return _EXECUTABLES[n]([x])


def test_sums_do_not_depend_on_alignment() -> None:
    x = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    room = np.empty(5_016, np.float32)
    results = set()
    for shift in range(16):
        moved = room[shift : shift + 5_000]
        moved[:] = x
        results.add(run_cached(5_000, moved)[0].tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("n", [0, 1, 3, 17, 40])
def test_a_sum_of_negative_zeros_is_zero_as_in_numpy(n: int) -> None:
    x = np.full(n, -0.0, np.float32)
    (got,) = run_cached(n, x)
    assert np.signbit(got) == np.signbit(np.sum(x))


def product(m: int, k: int, n: int, left: bool, right: bool, dtype: str) -> str:
    x = f"{k},{m}" if left else f"{m},{k}"
    y = f"{n},{k}" if right else f"{k},{n}"
    contract = f"(({0 if left else 1},),({1 if right else 0},))"
    return f"""graph product(x: {dtype}[{x}], y: {dtype}[{y}], b: {dtype}[{n}]) {{
  p: {dtype}[{m},{n}] = dot[batch=((),()), contract={contract}] x y
  bb: {dtype}[{m},{n}] = broadcast[shape=({m},{n}), axes=(1,)] b
  z: {dtype}[{m},{n}] = add p bb
  a: {dtype}[{m},{n}] = abs z
  return p, a
}}"""


SHAPES = [(2, 3, 2), (8, 48, 48), (17, 5, 33), (130, 7, 10), (1, 9, 40), (40, 9, 1), (64, 0, 5)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32"])
def test_products_of_every_layout_with_an_epilogue(
    target: Target, left: bool, right: bool, dtype: str
) -> None:
    numpy_type = {"f32": np.float32, "f64": np.float64, "i32": np.int32}[dtype]
    rng = np.random.default_rng(0)
    for m, k, n in SHAPES:
        x = (rng.standard_normal((k, m) if left else (m, k)) * 9).astype(numpy_type)
        y = (rng.standard_normal((n, k) if right else (k, n)) * 9).astype(numpy_type)
        b = (rng.standard_normal(n) * 9).astype(numpy_type)
        p, a = run(product(m, k, n, left, right, dtype), [x, y, b], target)
        wide = np.float64 if dtype != "i32" else np.int32
        expected = (x.T if left else x).astype(wide) @ (y.T if right else y).astype(wide)
        tolerance = 2e-5 if dtype == "f32" else 1e-12
        scale = 1 + np.abs(expected).max(initial=0)
        np.testing.assert_allclose(p, expected, rtol=0, atol=tolerance * scale)
        np.testing.assert_array_equal(a, np.abs(p + b))


def computed(statements: tuple[Statement, ...] | list[Statement], op: str) -> int:
    """How often `op` is written in the kernel."""
    return sum(
        computed(s.body, op) if isinstance(s, Loop) else isinstance(s, Compute) and s.op == op
        for s in statements
    )


def test_an_expensive_value_needed_by_two_passes_is_computed_once_per_row() -> None:
    text = """graph softmax(x: f32[8,3]) {
  e: f32[8,3] = exp x
  s: f32[8] = sum[axes=(1,)] e
  sb: f32[8,3] = broadcast[shape=(8,3), axes=(0,)] s
  p: f32[8,3] = div e sb
  return p
}"""
    (node,) = fuse_kernels(parse_graph(text)).nodes
    kernel = lower_kernel(node, host_target())
    (phase,) = kernel.phases
    assert computed(phase.body, "exp") == 1
    assert [str(type) for type in kernel.scratch] == ["f32[3]"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("rows", [1, 5, 128, 1000])
@pytest.mark.parametrize("vectors", [1, 2, 3, 7, 50])
def test_tiles_fit_the_registers(target: Target, rows: int, vectors: int) -> None:
    lanes = target.lanes(4)
    extents = Extents(rows, vectors * lanes, 256)
    tile = choose_tile(extents, lanes, target, Tile(rows, vectors))
    assert 1 <= tile.rows <= rows
    assert 1 <= tile.vectors <= vectors
    assert tile.rows * tile.vectors + tile.vectors < target.vector_registers


def test_no_fast_math_and_the_same_text_every_time() -> None:
    graph = parse_graph(product(16, 8, 48, False, True, "f32"))
    first, second = (compile_graph(graph).stages["llvm"].text for _ in range(2))
    assert first == second
    words = set(first.replace(",", " ").split())
    assert words.isdisjoint({"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"})


def test_equal_kernels_are_generated_once() -> None:
    lines = ["graph deep(x: f32[16,16], w: f32[16,16]) {"]
    previous = "x"
    for layer in range(12):
        lines.append(
            f"  d{layer}: f32[16,16] = dot[batch=((),()), contract=((1,),(0,))] {previous} w"
        )
        lines.append(f"  t{layer}: f32[16,16] = tanh d{layer}")
        previous = f"t{layer}"
    text = "\n".join([*lines, f"  return {previous}", "}"])
    compilation = compile_graph(parse_graph(text))
    assert len(compilation.program.kernels) == 12
    assert compilation.stages["llvm"].text.count("define internal") == 1
