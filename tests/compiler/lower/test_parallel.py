"""Kernels in pieces: the same bits for any number of threads, every unit in exactly one piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower import division, lower_kernel, print_kernel
from tapeless.compiler.lower.language import Kernel, Loop, Phase, Statement, Store
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.errors import DomainError, OutOfBoundsError
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable
from tapeless.runtime.threads import get_threads, set_threads

from ...end_to_end.native import native, run_guarded
from ...random_graphs import RandomGraph, random_arguments

Array = np.ndarray[Any, Any]

TARGETS = [host_target(), narrowed(host_target(), "sse2")]
THREADS = (1, 2, 3, 8)


WORTH = division.WORTH_NS


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test may set the number of threads; kernels are divided that would not be worth it."""
    monkeypatch.setattr(division, "WORTH_NS", 500)
    monkeypatch.setattr(division, "PIECE_NS", 250)
    before = get_threads()
    yield
    set_threads(before)


@dataclass(frozen=True)
class Case:
    """A graph, and what the largest differences from the interpreter may be, relative to 1."""

    text: str
    tolerance: float = 1e-5
    pieces: int = 2


def dot(m: int, k: int, n: int, left: bool, right: bool) -> Case:
    """A product with an epilogue, of any layout."""
    x = f"{k},{m}" if left else f"{m},{k}"
    y = f"{n},{k}" if right else f"{k},{n}"
    contract = f"(({0 if left else 1},),({1 if right else 0},))"
    return Case(
        f"""graph product(x: f32[{x}], y: f32[{y}], b: f32[{n}]) {{
  p: f32[{m},{n}] = dot[batch=((),()), contract={contract}] x y
  bb: f32[{m},{n}] = broadcast[shape=({m},{n}), axes=(1,)] b
  z: f32[{m},{n}] = add p bb
  return z, p
}}""",
        tolerance=2e-3,
    )


def reduction(op: str, shape: Sequence[int], axes: Sequence[int], dtype: str = "f32") -> Case:
    """A reduction of a product of two operands."""
    result = [n for axis, n in enumerate(shape) if axis not in axes]
    text = ",".join(map(str, shape))
    out = f"{dtype}[{','.join(map(str, result))}]"
    attrs = f"axes=({','.join(map(str, axes))},)"
    if op.startswith("arg"):
        out, attrs = out.replace(dtype, "i64"), f"axis={axes[0]}"
    return Case(
        f"""graph reduction(x: {dtype}[{text}], y: {dtype}[{text}]) {{
  p: {dtype}[{text}] = mul x y
  r: {out} = {op}[{attrs}] p
  return r
}}""",
        tolerance=2e-2,
    )


def softmax(rows: int, columns: int, along: int = 1) -> Case:
    """A row program of three passes, with a value kept in a row buffer."""
    full = f"f32[{rows},{columns}]"
    outer = f"f32[{columns if along == 0 else rows}]"
    spread = f"broadcast[shape=({rows},{columns}), axes=({1 - along},)]"
    return Case(
        f"""graph softmax(x: {full}) {{
  m: {outer} = reduce_max[axes=({along},)] x
  mb: {full} = {spread} m
  d: {full} = sub x mb
  e: {full} = exp d
  s: {outer} = sum[axes=({along},)] e
  sb: {full} = {spread} s
  p: {full} = div e sb
  l: {outer} = log s
  return p, l
}}"""
    )


CASES = {
    "map": Case("graph f(x: f32[100003]) {\n  y: f32[100003] = exp x\n  return y\n}"),
    "map_f64": Case("graph f(x: f64[50001]) {\n  y: f64[50001] = tanh x\n  return y\n}"),
    "map_across": Case(
        "graph f(x: f32[300,411], y: f32[411,300]) {\n"
        "  t: f32[411,300] = transpose[axes=(1,0)] x\n"
        "  z: f32[411,300] = add t y\n  return z\n}"
    ),
    "map_few_rows": Case(
        "graph f(x: f32[3,70001], y: f32[3]) {\n"
        "  b: f32[3,70001] = broadcast[shape=(3,70001), axes=(0,)] y\n"
        "  z: f32[3,70001] = mul x b\n  return z\n}"
    ),
    "cumsum": Case(
        "graph f(x: f32[700,30,16]) {\n  y: f32[700,30,16] = cumsum[axis=1, reverse=False] x\n"
        "  return y\n}"
    ),
    "softmax": softmax(129, 517),
    "softmax_one_row": softmax(1, 100_003),
    "softmax_two_rows": softmax(2, 70_001),
    "rows": reduction("sum", (999, 257), (1,)),
    "columns": reduction("sum", (999, 257), (0,)),
    "few_columns": reduction("sum", (50_001, 3), (0,)),
    "one_column": reduction("reduce_max", (90_001, 1), (0,)),
    "columns_exact": reduction("sum", (999, 256), (0,)),
    "argmax_columns": reduction("argmax", (999, 117), (0,)),
    "argmax_few_columns": reduction("argmax", (40_001, 17), (0,)),
    "softmax_of_columns": softmax(517, 129, along=0),
    "softmax_of_few_columns": softmax(6_001, 19, along=0),
    "outer_and_inner": reduction("sum", (300, 2, 301), (0, 2)),
    "sum": reduction("sum", (200_003,), (0,)),
    "sum_exact": reduction("sum", (131_072,), (0,)),
    "prod": reduction("prod", (99_999,), (0,)),
    "max": reduction("reduce_max", (99_999,), (0,)),
    "argmax": reduction("argmax", (199_999,), (0,)),
    "argmin_f64": reduction("argmin", (100_003,), (0,), "f64"),
    "sum_i32": reduction("sum", (400_001,), (0,), "i32"),
    "batched": Case(
        "graph f(x: f32[24,33,70], y: f32[24,70,41]) {\n"
        "  p: f32[24,33,41] = dot[batch=((0,),(0,)), contract=((2,),(1,))] x y\n  return p\n}",
        tolerance=2e-3,
    ),
    **{
        f"product_{m}x{k}x{n}_{'T' if left else 'N'}{'T' if right else 'N'}": dot(
            m, k, n, left, right
        )
        for m, k, n in ((130, 300, 139), (1000, 70, 10), (10, 70, 1000), (65, 600, 63))
        for left in (False, True)
        for right in (False, True)
    },
}


def arguments(text: str) -> list[Array]:
    rng = np.random.default_rng(0)
    values = parse_graph(text).inputs
    return [(rng.standard_normal(v.type.shape) * 3).astype(v.type.dtype) for v in values]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("name", CASES)
def test_bits_are_the_same_for_any_number_of_threads(name: str, target: Target) -> None:
    case, arrays = CASES[name], arguments(CASES[name].text)
    graph = parse_graph(case.text)
    program = compile_graph(graph, target=target, check=True).program
    assert max(kernel.pieces for kernel in program.kernels) >= case.pieces
    executable = Executable(program)
    results = set()
    for threads in THREADS:
        set_threads(threads)
        for _ in range(3):
            out = [np.full(t.shape, 77).astype(t.dtype) for t in program.outputs]
            results.add(b"".join(array.tobytes() for array in executable(arrays, out=out)))
    assert len(results) == 1
    for got, expected in zip(out, interpret(graph, arrays), strict=True):
        scale = 1 + np.abs(expected).max(initial=0, where=np.isfinite(expected))
        np.testing.assert_allclose(got, expected, rtol=0, atol=case.tolerance * scale)


@pytest.mark.parametrize("seed", range(40))
def test_random_kernels_in_the_smallest_pieces_agree(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = RandomGraph(seed).build()
    arrays = random_arguments(graph, seed)
    whole = run_guarded(native(graph), arrays)
    monkeypatch.setattr(division, "WORTH_NS", 0)
    monkeypatch.setattr(division, "PIECE_NS", 1e-3)
    executable = native(graph)
    results = set()
    for threads in THREADS:
        set_threads(threads)
        got = run_guarded(executable, arrays)
        results.add(b"".join(array.tobytes() for array in got))
    assert len(results) == 1
    for one, other in zip(whole, got, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def kernel_of(text: str, target: Target | None = None) -> Kernel:
    (node,) = fuse_kernels(parse_graph(text)).nodes
    return lower_kernel(node, target or host_target())


def outside(statements: Sequence[Statement]) -> Iterator[Statement]:
    """What every piece does: the statements that are in no parallel loop."""
    for statement in statements:
        yield statement
        if isinstance(statement, Loop) and statement.share is None:
            yield from outside(statement.body)


def shares(statements: Sequence[Statement], axis: int) -> Iterator[tuple[int, int]]:
    """The units of an axis that the outermost loops with a share of it have: first, beyond last."""
    for statement in statements:
        if not isinstance(statement, Loop):
            continue
        if statement.share is not None and statement.share.axis == axis:
            count = -(-(statement.stop.stop.const - statement.start.const) // statement.step)
            yield statement.share.first, statement.share.first + count
        else:
            yield from shares(statement.body, axis)


def divided(kernel: Kernel) -> list[Phase]:
    return [phase for phase in kernel.phases if phase.pieces > 1]


@pytest.mark.parametrize("name", CASES)
def test_every_unit_belongs_to_a_loop_and_nothing_else_writes(name: str) -> None:
    kernel = kernel_of(CASES[name].text)
    own = {len(kernel.buffers) + i for i in range(len(kernel.scratch)) if i not in kernel.shared}
    phases = divided(kernel)
    assert phases
    for phase in phases:
        for axis, part in enumerate(phase.grid):
            if part.pieces > 1:
                ranges = sorted(set(shares(phase.body, axis)))
                assert [first for first, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
                assert ranges[-1][1] == part.units
                assert part.pieces <= part.units
        stores = [s for s in outside(phase.body) if isinstance(s, Store)]
        assert {store.access.buffer for store in stores} <= own


@pytest.mark.parametrize(
    "text",
    [
        "graph f(x: f32[1000]) {\n  y: f32[1000] = exp x\n  return y\n}",
        reduction("sum", (64, 100), (1,)).text,
        reduction("sum", (5_000,), (0,)).text,
        dot(32, 32, 32, False, False).text,
    ],
)
def test_small_kernels_stay_whole(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "WORTH_NS", WORTH)
    kernel = kernel_of(text)
    assert kernel.pieces == 1
    assert not any(
        isinstance(s, Loop) and s.share is not None for phase in kernel.phases for s in phase.body
    )


def test_code_does_not_depend_on_the_number_of_threads() -> None:
    graph = parse_graph(CASES["softmax_one_row"].text)
    codes = set()
    for threads in (1, 5):
        set_threads(threads)
        codes.add(compile_graph(graph).program.object_code)
    assert len(codes) == 1


def test_a_full_reduction_is_divided_by_shape_and_prints_as_phases(golden, monkeypatch) -> None:
    monkeypatch.setattr(division, "WORTH_NS", 0)
    monkeypatch.setattr(division, "PIECE_NS", 0.5)
    text = "graph total(x: f32[71]) {\n  s: f32[] = sum[axes=(0,)] x\n  return s\n}"
    target = Target("x86_64-unknown-linux-gnu", "x86-64", "+sse2", "sse2", 16, 16)
    assert print_kernel("k", kernel_of(text, target)) == golden("full_reduction.txt")


@pytest.mark.parametrize("threads", THREADS)
def test_a_failure_in_any_piece_is_reported_with_its_line(threads: int) -> None:
    text = """graph pick(x: f32[60000], i: i64[60000], n: i64[60000]) {
  g: f32[60000] = gather[axes=(0,)] x i     # first.py:3
  p: i64[60000] = pow i n     # second.py:4
  return g, p
}"""
    graph = parse_graph(text)
    executable = Executable(compile_graph(graph).program)
    assert executable.program.is_parallel
    set_threads(threads)
    x, i, n = np.arange(60_000, dtype=np.float32), np.arange(60_000), np.ones(60_000, np.int64)
    for bad in (0, 31_234, 59_999):
        wrong = i.copy()
        wrong[bad] = 60_000
        with pytest.raises(OutOfBoundsError, match=r"first\.py:3"):
            executable([x, wrong, n])
        negative = n.copy()
        negative[bad] = -1
        with pytest.raises(DomainError, match=r"second\.py:4"):
            executable([x, i, negative])
        got, _ = executable([x, i, n])
        np.testing.assert_array_equal(got, x)


def test_pieces_that_write_in_place_read_only_what_is_their_own() -> None:
    """A ragged last vector belongs to one piece; no other one may read it, let alone judge it."""
    n = 100_001
    text = f"""graph step(x: i64[{n}], y: f32[{n}]) {{
  g: f32[{n}] = gather[axes=(0,)] y x
  c: i64[{n}] = convert[dtype=i64] g
  z: i64[{n}] = add c c
  return z
}}"""
    graph = parse_graph(text)
    executable = Executable(compile_graph(graph, updates={0: 0}).program)
    assert executable.program.is_parallel
    y = np.full(n, float(n), np.float32)
    set_threads(8)
    for _ in range(30):
        x = np.arange(n)
        (z,) = executable([x, y])
        assert (z == 2 * n).all()
