"""Elementwise work on the operands of a product, done inside the product's kernel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tapeless as tl
from tapeless.compiler.lower import division, matmul
from tapeless.compiler.passes.fuse import prologues
from tapeless.compiler.target import host_target, narrowed
from tapeless.ir.graph import Graph, GraphBuilder, Value
from tapeless.ir.interpreter import interpret
from tapeless.ir.ops import OPS
from tapeless.ir.parser import parse_graph
from tapeless.ir.types import TensorType
from tapeless.runtime.threads import get_threads, set_threads

from ...end_to_end.native import native, run_guarded

SHAPES = [(1, 1, 1), (3, 5, 7), (16, 33, 17), (40, 20, 70), (130, 64, 32)]
LAYOUTS = [(left, right) for left in (False, True) for right in (False, True)]
TARGETS = [host_target(), narrowed(host_target(), "sse2")]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = get_threads()
    yield
    set_threads(before)


def product(m: int, k: int, n: int, across: tuple[bool, bool], source: str = "f32") -> str:
    """A product of two operands with prologues: a number and an array of the same shape."""
    x = f"{k},{m}" if across[0] else f"{m},{k}"
    y = f"{n},{k}" if across[1] else f"{k},{n}"
    contract = f"(({0 if across[0] else 1},),({1 if across[1] else 0},))"
    return f"""graph product(x: f32[{x}], y: {source}[{y}], z: f32[{y}], s: f32[]) {{
  two: f32[{x}] = broadcast[shape=({x}), axes=()] s
  left: f32[{x}] = sub x two
  wide: f32[{y}] = convert[dtype=f32] y
  right: f32[{y}] = mul wide z
  p: f32[{m},{n}] = dot[batch=((),()), contract={contract}] left right
  r: f32[{m},{n}] = abs p
  return r
}}"""


def arguments(text: str) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [
        rng.integers(-4, 5, value.type.shape).astype(value.type.dtype)
        for value in parse_graph(text).inputs
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.level)
@pytest.mark.parametrize("source", ["f32", "i8", "f64"])
@pytest.mark.parametrize("across", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_computed_operands_are_exact_on_integers(shape, across, source, target) -> None:
    text = product(*shape, across, source)
    if source == "f32":
        text = text.replace("convert[dtype=f32] y", "neg y")
    graph, arrays = parse_graph(text), arguments(text)
    program = native(graph, target=target)
    assert len(program.program.kernels) == 1
    (got,), (expected,) = run_guarded(program, arrays), interpret(graph, arrays)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("across", LAYOUTS)
def test_panels_in_blocks_of_k_and_pieces_have_the_same_bits(across, monkeypatch) -> None:
    text = product(60, 90, 40, across)
    text = text.replace("convert[dtype=f32] y", "tanh y")
    graph, arrays = parse_graph(text), arguments(text)
    results = []
    for steps, worth in ((90, 1e9), (32, 1e9), (90, 0), (32, 0)):
        monkeypatch.setattr(
            matmul.MatmulLowering,
            "_steps_of_a_block",
            lambda self, steps=steps: min(steps, self.axes.depth),
        )
        monkeypatch.setattr(division, "WORTH_NS", worth)
        monkeypatch.setattr(division, "PIECE_NS", 1e-3)
        program = native(graph)
        for threads in (1, 3):
            set_threads(threads)
            results.append(run_guarded(program, arrays)[0])
    (expected,) = interpret(graph, arrays)
    for result in results:
        np.testing.assert_array_equal(result, results[0])
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-3)


def kernels(fn, *shapes: tuple[int, ...]) -> tuple[int, list[str]]:
    lowered = tl.compile(fn).lower(*[np.ones(shape, np.float32) for shape in shapes])
    return len(lowered.program.kernels), [entry.reason for entry in lowered.explain()]


def test_what_costs_more_than_memory_or_is_needed_in_memory_stays_apart() -> None:
    assert kernels(lambda x, w: x @ np.tanh(w), (64, 9), (9, 5)) == (1, [])
    assert kernels(lambda x, w: np.abs(x - 1) @ (w * 2), (64, 9), (9, 5)) == (1, [])
    count, (reason,) = kernels(lambda x, w: x @ np.tanh(w), (500, 9), (9, 5))
    assert (count, "again for every tile" in reason) == (2, True)
    count, (reason,) = kernels(lambda x: (x * 2) @ (x * 2).T, (8, 9))
    assert (count, "read by others" in reason) == (2, True)
    count, (reason,) = kernels(lambda x, w, s: x @ (w * s), (8, 9), (9, 5), (5,))
    assert (count, "arrays of its shape" in reason) == (2, True)


def test_a_weight_that_is_read_by_a_prologue_is_updated_afterwards() -> None:
    @tl.compile
    def step(w, x):
        y = x @ np.tanh(w)
        w -= x.T @ y
        return y

    w, x = np.linspace(-1, 1, 12).reshape(4, 3), np.arange(8.0).reshape(2, 4)
    y = x @ np.tanh(w)
    after = w - x.T @ y
    np.testing.assert_allclose(step(w, x), y, rtol=1e-14)
    np.testing.assert_allclose(w, after, rtol=1e-13)


class RandomProduct:
    """A product whose operands are computed by random chains, with an epilogue.

    All numbers are small integers, so that results do not depend on the order of sums.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder(f"product{seed}")
        self.dtype = np.dtype(self.rng.choice(["f4", "f8"]))

    def build(self) -> Graph:
        m, k, n = (int(self.rng.choice([1, 2, 5, 8, 17, 40])) for _ in range(3))
        outer = [int(self.rng.integers(1, 4))] * int(self.rng.integers(0, 2))
        across = self.rng.integers(0, 2, 2)
        left = self.operand((*outer, k, m) if across[0] else (*outer, m, k))
        right = self.operand((*outer, n, k) if across[1] else (*outer, k, n))
        count, batch = len(outer), tuple(range(len(outer)))
        contract = (count + 1 - int(across[0]),), (count + int(across[1]),)
        total = self.emit("dot", left, right, batch=(batch, batch), contract=contract)
        return self.builder.build([self.chain(total, 2)])

    def emit(self, op: str, *operands: Value, **attrs: object) -> Value:
        (value,) = self.builder.emit(OPS[op], operands, attrs)
        return value

    def operand(self, shape: tuple[int, ...]) -> Value:
        source = np.dtype(self.rng.choice([self.dtype.str, "i2"]))
        value = self.builder.input(TensorType(source, shape))
        if source != self.dtype:
            value = self.emit("convert", value, dtype=self.dtype)
        return self.chain(value, int(self.rng.integers(0, 4)))

    def chain(self, value: Value, length: int) -> Value:
        for _ in range(length):
            if self.rng.random() < 0.4:
                value = self.emit(str(self.rng.choice(["neg", "abs", "floor"])), value)
                continue
            shape = value.type.shape
            if self.rng.random() < 0.4:
                number = self.builder.input(TensorType(self.dtype, ()))
                other = self.emit("broadcast", number, shape=shape, axes=())
            else:
                other = self.builder.input(TensorType(self.dtype, shape))
            value = self.emit(str(self.rng.choice(["add", "sub", "max", "min"])), value, other)
        return value


def check_random_product(seed: int) -> None:
    graph = RandomProduct(seed).build()
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(-4, 5, v.type.shape).astype(v.type.dtype) for v in graph.inputs]
    target = narrowed(host_target(), ("sse2", "avx2")[seed % 2]) if seed % 4 == 3 else None
    (got,) = run_guarded(native(graph, target=target), arrays)
    np.testing.assert_array_equal(got, interpret(graph, arrays)[0])


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_prologues_agree_with_the_interpreter(seed, pieces, monkeypatch) -> None:
    monkeypatch.setattr(prologues, "_pays", lambda *args: True)
    if pieces:
        monkeypatch.setattr(division, "WORTH_NS", 0)
        monkeypatch.setattr(division, "PIECE_NS", 1e-3)
    check_random_product(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("block", range(20))
def test_random_prologues_long_run(block, monkeypatch) -> None:
    monkeypatch.setattr(prologues, "_pays", lambda *args: True)
    for seed in range(1_000 + 50 * block, 1_050 + 50 * block):
        check_random_product(seed)
