"""Matrix products: packing, blocks of rows and of k, epilogues, pieces, on every target."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tapeless.compiler.lower import division, matmul
from tapeless.compiler.lower.convolution import sums_along_memory
from tapeless.compiler.lower.matmul import MatmulLowering
from tapeless.compiler.lower.tiles import cut_rows
from tapeless.compiler.passes.fuse import fuse_kernels
from tapeless.compiler.pipeline import compile_graph
from tapeless.compiler.target import Target, host_target, narrowed
from tapeless.ir.interpreter import interpret
from tapeless.ir.parser import parse_graph
from tapeless.runtime.executable import Executable
from tapeless.runtime.threads import get_threads, set_threads

from ...end_to_end.native import run_guarded

Array = np.ndarray[Any, Any]

TARGETS = [host_target(), *(narrowed(host_target(), level) for level in ("avx2", "sse2"))]
WIDE = replace(host_target(), level="avx512", vector_bytes=64, vector_registers=32)
LAYOUTS = list(itertools.product((False, True), repeat=2))


@dataclass(frozen=True)
class Product:
    """x (m, k) times y (k, n), each stored transposed or not, in a batch or not."""

    m: int
    k: int
    n: int
    dtype: str = "f32"
    batch: int = 0

    def text(self, left: bool, right: bool, epilogue: str = "none") -> str:
        """The graph's text."""
        lead = f"{self.batch}," if self.batch else ""
        first = 1 if self.batch else 0
        x = f"{self.dtype}[{lead}{self._shape(self.m, self.k, left)}]"
        y = f"{self.dtype}[{lead}{self._shape(self.k, self.n, right)}]"
        z = f"{self.dtype}[{lead}{self.m},{self.n}]"
        batch = "((0,),(0,))" if self.batch else "((),())"
        contract = f"(({first + (not left)},),({first + right},))"
        bias = f"broadcast[shape=({lead}{self.m},{self.n}), axes=({first + 1},)] b"
        lines = {
            "none": [],
            "update": [f"  u: {z} = sub w p"],
            "bias": [f"  bb: {z} = {bias}", f"  u: {z} = add p bb"],
            "long": [f"  bb: {z} = {bias}", f"  s: {z} = add p bb", f"  u: {z} = tanh s"],
            "folds": [f"  u: {z} = sub w p", *self._folds("u", "sum")],
            "long folds": [f"  u: {z} = tanh p", *self._folds("u", "reduce_max")],
        }[epilogue]
        result = {"none": "p", "long": "p, u", "folds": "f, a", "long folds": "u, f, a"}
        return "\n".join(
            [
                f"graph product(x: {x}, y: {y}, w: {z}, b: {self.dtype}[{self.n}]) {{",
                f"  p: {z} = dot[batch={batch}, contract={contract}] x y",
                *lines,
                f"  return {result.get(epilogue, 'u')}",
                "}",
            ]
        )

    def _folds(self, value: str, op: str) -> list[str]:
        """A reduction over the rows, and one over batch and rows, or over rows and columns."""
        lead, first = (f"{self.batch},", 1) if self.batch else ("", 0)
        whole = f"[{self.n}]" if self.batch else "[]"
        return [
            f"  f: {self.dtype}[{lead}{self.n}] = {op}[axes=({first},)] {value}",
            f"  a: {self.dtype}{whole} = {op}[axes=(0,1)] {value}",
        ]

    @staticmethod
    def _shape(rows: int, columns: int, transposed: bool) -> str:
        return f"{columns},{rows}" if transposed else f"{rows},{columns}"


def small_caches(target: Target, l2_bytes: int, l3_bytes: int) -> Target:
    """The same machine with caches so small that small products run in blocks."""
    return replace(target, l1_bytes=256, l2_bytes=l2_bytes, l3_bytes=l3_bytes)


def lowering(text: str, target: Target) -> MatmulLowering:
    (node,) = fuse_kernels(parse_graph(text)).nodes
    result = MatmulLowering(node.attrs["graph"], target)
    result.lower()
    return result


def arguments(text: str) -> list[Array]:
    """Small integers, whose products and sums have no rounding errors."""
    rng = np.random.default_rng(0)
    values = parse_graph(text).inputs
    return [rng.integers(-4, 5, v.type.shape).astype(v.type.dtype) for v in values]


@pytest.fixture
def eager_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are packed and cut into blocks that would not be worth it."""
    monkeypatch.setattr(matmul, "_FAR_APART", 0)
    monkeypatch.setattr(matmul, "_DEEP", 1)
    monkeypatch.setattr(matmul, "_READ_OFTEN", 1)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(division, "WORTH_NS", 0)
    monkeypatch.setattr(division, "PIECE_NS", 1)
    before = get_threads()
    yield
    set_threads(before)


def check(text: str, target: Target) -> None:
    graph, arrays = parse_graph(text), arguments(text)
    executable = Executable(compile_graph(graph, target=target, check=True).program)
    for got, expected in zip(
        run_guarded(executable, arrays), interpret(graph, arrays), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("epilogue", ["none", "update", "bias", "long", "folds", "long folds"])
@pytest.mark.parametrize(("left", "right"), LAYOUTS)
@pytest.mark.usefixtures("eager_packing")
def test_packed_panels_give_the_product(
    target: Target, epilogue: str, left: bool, right: bool
) -> None:
    text = Product(33, 19, 41).text(left, right, epilogue)
    assert lowering(text, target).right.is_packed
    check(text, target)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("epilogue", ["none", "update", "long", "folds", "long folds"])
@pytest.mark.parametrize(("left", "right"), LAYOUTS)
@pytest.mark.usefixtures("eager_packing")
def test_blocks_of_k_add_up_and_are_followed_by_the_epilogue_once(
    target: Target, epilogue: str, left: bool, right: bool
) -> None:
    machine = small_caches(target, 16 << 10, 1 << 20)
    text = Product(37, 203, 45).text(left, right, epilogue)
    assert lowering(text, machine).splits
    check(text, machine)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("epilogue", ["update", "folds"])
@pytest.mark.parametrize(("left", "right"), LAYOUTS)
@pytest.mark.usefixtures("eager_packing")
def test_blocks_of_rows_give_the_product(
    target: Target, split: bool, epilogue: str, left: bool, right: bool
) -> None:
    machine = small_caches(target, (4 if split else 1024) << 10, 8 << 10)
    text = Product(131, 90, 139).text(left, right, epilogue)
    plan = lowering(text, machine)
    assert plan.rows.blocks > 1
    assert plan.splits or not split
    check(text, machine)


@pytest.mark.parametrize("dtype", ["f64", "i32", "u8"])
@pytest.mark.parametrize("epilogue", ["update", "folds"])
@pytest.mark.parametrize(("left", "right"), LAYOUTS)
@pytest.mark.usefixtures("eager_packing")
def test_other_types_and_batches_run_in_blocks(
    dtype: str, epilogue: str, left: bool, right: bool
) -> None:
    machine = small_caches(host_target(), 16 << 10, 2 << 10)
    text = Product(50, 100, 500, dtype, batch=3).text(left, right, epilogue)
    assert lowering(text, machine).rows.blocks
    check(text, machine)


@pytest.mark.parametrize("depth", [*range(1, 20), 31, 32, 33, 64, 65, 127, 128, 129, 145])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.usefixtures("eager_packing")
def test_any_depth_can_be_cut_into_blocks(depth: int, right: bool) -> None:
    machine = small_caches(host_target(), 12 << 10, 1 << 20)
    check(Product(9, depth, 20).text(False, right, "update"), machine)


@pytest.mark.parametrize("epilogue", ["update", "long", "folds"])
@pytest.mark.parametrize(("left", "right"), LAYOUTS)
@pytest.mark.parametrize("caches", [(16 << 10, 8 << 10), (16 << 10, 1 << 20), (1 << 20, 8 << 10)])
@pytest.mark.usefixtures("eager_packing", "small_pieces")
def test_blocks_have_the_same_bits_for_any_number_of_threads(
    caches: tuple[int, int], left: bool, right: bool, epilogue: str
) -> None:
    machine = small_caches(host_target(), *caches)
    text = Product(131, 270, 75).text(left, right, epilogue)
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    program = compile_graph(graph, target=machine, check=True).program
    assert program.is_parallel
    executable = Executable(program)
    results = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        results.add(b"".join(array.tobytes() for array in run_guarded(executable, arrays)))
    assert len(results) == 1


@pytest.mark.parametrize(("batch", "rows"), [(0, 1), (0, 2), (3, 5), (2, 64)])
@pytest.mark.parametrize("columns", [1, 3, 17, 200])
def test_reductions_over_rows_store_no_terms(batch: int, rows: int, columns: int) -> None:
    text = Product(rows, 7, columns, batch=batch).text(False, False, "folds")
    (node,) = fuse_kernels(parse_graph(text)).nodes
    assert len(node.outputs) == 2
    check(text, host_target())


@pytest.mark.usefixtures("eager_packing")
def test_blocks_of_k_do_not_change_bits() -> None:
    text = Product(40, 333, 50).text(False, False)
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    whole, split = host_target(), small_caches(host_target(), 16 << 10, 1 << 20)
    assert lowering(text, split).splits
    assert not lowering(text, whole).splits
    (one,), (other,) = (
        Executable(compile_graph(graph, target=target).program)(arrays) for target in (whole, split)
    )
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("rows", [1, 7, 64, 100, 1000])
@pytest.mark.parametrize("height", [1, 6, 14])
@pytest.mark.parametrize("most", [1, 4, 9])
def test_blocks_of_rows_cover_all_rows(rows: int, height: int, most: int) -> None:
    cut = cut_rows(rows, height, most)
    last = cut.last_tiles * height + cut.rest
    assert cut.blocks * cut.tiles * height + last == rows
    assert cut.units == cut.blocks + (last > 0)
    assert cut.tiles <= max(most, 3 * most // 2)
    assert cut.rest < height


def test_rows_that_share_a_set_of_the_cache_are_few() -> None:
    few, many = (lowering(Product(504, k, 512).text(False, False), WIDE) for k in (1024, 1000))
    assert few.tile.rows <= 8 < many.tile.rows


def test_every_piece_of_a_wide_product_has_columns_of_its_own() -> None:
    plan = lowering(Product(64, 1000, 100).text(False, False), WIDE)
    assert plan.grid[0].pieces > 1


SHALLOW = [(1, 40), (2, 24), (3, 48), (5, 97), (6, 128), (7, 113)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("epilogue", ["none", "update", "long"])
@pytest.mark.parametrize(("rows", "depth"), SHALLOW)
@pytest.mark.parametrize("columns", [2, 5, 16, 19])
def test_sums_along_contiguous_memory_give_the_product(
    target: Target, epilogue: str, rows: int, depth: int, columns: int
) -> None:
    text = Product(rows, depth, columns).text(False, True, epilogue)
    (node,) = fuse_kernels(parse_graph(text)).nodes
    assert sums_along_memory(node.attrs["graph"], target)
    check(text, target)


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("dtype", ["f32", "f64", "i64"])
@pytest.mark.usefixtures("small_pieces")
def test_sums_along_memory_have_the_same_bits_for_any_number_of_threads(
    batch: int, dtype: str
) -> None:
    text = Product(9, 130, 33, dtype, batch).text(False, True, "update")
    graph = parse_graph(text)
    arrays = arguments(text)
    if dtype[0] == "f":
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(a.shape).astype(a.dtype) for a in arrays]
    program = compile_graph(graph, check=True).program
    assert program.is_parallel
    results = set()
    for threads in (1, 2, 3, 8):
        set_threads(threads)
        got = run_guarded(Executable(program), arrays)
        results.add(b"".join(array.tobytes() for array in got))
    assert len(results) == 1


@pytest.mark.parametrize(
    ("left", "right", "rows", "depth"),
    [(False, False, 4, 400), (True, True, 4, 400), (False, True, 40, 400)],
)
def test_products_without_long_contiguous_sums_are_tiled(
    left: bool, right: bool, rows: int, depth: int
) -> None:
    (node,) = fuse_kernels(parse_graph(Product(rows, depth, 30).text(left, right))).nodes
    assert not sums_along_memory(node.attrs["graph"], host_target())
