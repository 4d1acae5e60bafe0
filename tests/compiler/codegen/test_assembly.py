"""The text builder: every instruction parses, verifies and computes what its name says."""

from __future__ import annotations

import ctypes
import math
import re
import struct

import llvmlite.binding as llvm
import numpy as np
import pytest

from tapeless.compiler.codegen.assembly import Function, Module, Operand, vector_type
from tapeless.compiler.codegen.operand import constant, scalar_text, vector_constant

from .native_loops import own_machine, target_named

LANES = [1, 2, 4, 8, 16]


def new_module(level: str = "host") -> Module:
    target = target_named(level)
    layout = str(target.machine().target_data)
    return Module("test", target.triple, layout, target.cpu, target.features)


class Compiled:
    """The functions of a module, callable with arrays and integers."""

    def __init__(self, module: Module, level: str = "host") -> None:
        parsed = llvm.parse_assembly(module.text())
        parsed.verify()
        self.engine = llvm.create_mcjit_compiler(parsed, own_machine(target_named(level)))
        self.engine.finalize_object()

    def __call__(self, name: str, *arrays: np.ndarray | int) -> None:
        values = [a if isinstance(a, int) else a.ctypes.data for a in arrays]
        types = [ctypes.c_int64 if isinstance(a, int) else ctypes.c_void_p for a in arrays]
        ctypes.CFUNCTYPE(None, *types)(self.engine.get_function_address(name))(*values)


def pointers(*names: str) -> list[tuple[str, str, str]]:
    return [("ptr", name, "noalias") for name in names]


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1.0, 0.1, math.pi, 5e-324, 1e-40, 1.7e308, math.inf, -math.inf]
)
def test_float_constants_are_exact(value: float) -> None:
    bits = int(scalar_text("double", value), 16)
    assert struct.unpack("<d", struct.pack("<Q", bits))[0].hex() == value.hex()
    with np.errstate(over="ignore"):
        single = float(np.float32(value))
    bits = int(scalar_text("float", value), 16)
    assert struct.unpack("<d", struct.pack("<Q", bits))[0].hex() == single.hex()


def test_nan_constants_stay_nan() -> None:
    assert scalar_text("double", math.nan) == "0x7FF8000000000000"
    assert scalar_text("float", math.nan) == "0x7FF8000000000000"


def test_half_constants_are_their_own_bits() -> None:
    assert scalar_text("half", 1.5) == "0xH3E00"
    assert scalar_text("half", 1e9) == "0xH7C00"


@pytest.mark.parametrize(
    ("element", "value", "text"),
    [("i8", 255, "-1"), ("i8", -128, "-128"), ("i64", 2**63, str(-(2**63))), ("i1", 1, "true")],
)
def test_integer_constants_wrap_to_the_width(element: str, value: int, text: str) -> None:
    assert scalar_text(element, value) == text


def test_one_lane_is_the_scalar_type() -> None:
    assert vector_type("float", 1) == "float"
    assert vector_constant("i32", [7]) == constant("i32", 7)
    assert constant("<4 x i64>", 3) == Operand("<4 x i64>", "splat (i64 3)")


def test_operands_know_their_element_and_lanes() -> None:
    operand = Operand("<8 x double>", "%1")
    assert (operand.element, operand.lanes, operand.bits) == ("double", 8, 64)
    assert (Operand("ptr", "%p").element, Operand("i16", "1").lanes) == ("ptr", 1)
    assert constant("float", 1.0).is_constant
    assert not operand.is_constant


def every_instruction(b: Function, lanes: int) -> None:
    """Use each method once."""
    p, mask_bits = b.params
    kind, ints = vector_type("float", lanes), vector_type("i32", lanes)
    x = b.load(kind, p, 4)
    for binary in (b.fadd, b.fsub, b.fmul, b.fdiv):
        x = binary(x, b.const(kind, 1.5))
    n = b.cast("fptosi", x, "i32")
    for binary in (b.add, b.sub, b.mul, b.sdiv, b.udiv, b.srem, b.urem):
        n = binary(n, b.const(ints, 3))
    for binary in (b.shl, b.lshr, b.ashr, b.and_, b.or_, b.xor):
        n = binary(n, b.lane_ids("i32", lanes))
    x = b.fma(x, b.fneg(x), b.cast("sitofp", n, "float"))
    mask = b.icmp("slt", n, b.splat(b.load("i32", mask_bits, 4), lanes))
    x = b.select(b.fcmp("olt", x, b.const(kind, math.inf)), x, b.mul_add(x, x, x))
    x = b.fadd(x, b.masked_load(kind, p, mask, 4))
    b.masked_store(x, p, mask, 4)
    places = b.gep(p, "float", b.cast("sext", n, "i64"))
    b.scatter(b.gather(kind, places, mask, 4), places, mask, 4)
    x = b.insert(x, b.extract(x, lanes - 1), 0)
    if lanes > 1:
        x = b.shuffle(x, x, [2 * lanes - 1, -1, *range(lanes - 2)])
    total = b.reduce("fadd", x)
    b.store(b.cast("bitcast", total, "i32"), b.alloca("i32", 4, 16), 4)
    b.comment("done")


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("level", ["host", "avx2", "baseline"])
def test_every_instruction_verifies_and_compiles(lanes: int, level: str) -> None:
    module = new_module(level)
    b = module.function("all", "void", pointers("p", "q"))
    every_instruction(b, lanes)
    one, two, last = b.block("one"), b.block("two"), b.block("last")
    b.switch(b.const("i32", 1), last, [(1, one), (2, two)])
    b.place(one)
    b.br(last)
    b.place(two)
    b.unreachable()
    b.place(last)
    b.ret()
    parsed = llvm.parse_assembly(module.text())
    parsed.verify()
    assert target_named(level).machine().emit_object(parsed)


def test_no_fast_math_flag_is_ever_written() -> None:
    module = new_module()
    b = module.function("all", "void", pointers("p", "q"))
    every_instruction(b, 8)
    b.ret()
    flags = r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b"
    assert not re.search(flags, module.text())


def test_the_text_does_not_depend_on_the_order_of_declarations() -> None:
    def text(names: tuple[str, str]) -> str:
        module = new_module()
        for name in names:
            module.declare(name, "void", [])
        return module.text()

    assert text(("a", "b")) == text(("b", "a"))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("level", ["host", "avx2", "baseline"])
def test_masked_memory_touches_only_the_lanes_of_the_mask(lanes: int, level: str) -> None:
    module = new_module(level)
    b = module.function("copy", "void", [*pointers("out", "x", "where"), ("i64", "n", "")])
    out, x, where, n = b.params
    kind, index = vector_type("float", lanes), b.lane_ids("i64", lanes)
    mask = b.icmp("slt", index, b.splat(n, lanes))
    other = b.const(kind, -1.0)
    b.masked_store(b.masked_load(kind, x, mask, 4, other), out, mask, 4)
    places = b.gep(x, "float", b.load(vector_type("i64", lanes), where, 8))
    gathered = b.gather(kind, places, mask, 4, other)
    b.store(gathered, b.gep(out, "float", b.const("i64", 16)), 4)
    targets = b.gep(out, "float", b.add(index, b.const(index.type, 32)))
    b.scatter(gathered, targets, mask, 4)
    b.ret()
    rng = np.random.default_rng(0)
    values, order = rng.random(16, np.float32), rng.permutation(16)
    compiled = Compiled(module, level)
    for count in range(lanes + 1):
        result = np.full(48, -2, np.float32)
        compiled("copy", result, values, order, count)
        picked = values[order[:count]]
        assert (result[:count] == values[:count]).all()
        assert (result[count:16] == -2).all()
        assert (result[16 : 16 + count] == picked).all()
        assert (result[16 + count : 16 + lanes] == -1).all()
        assert (result[32 : 32 + count] == picked).all()
        assert (result[32 + count :] == -2).all()


@pytest.mark.parametrize("lanes", LANES)
def test_reduce_adds_the_upper_half_onto_the_lower(lanes: int) -> None:
    module = new_module()
    b = module.function("total", "void", pointers("out", "x"))
    out, x = b.params
    b.store(b.reduce("fadd", b.load(vector_type("float", lanes), x, 4)), out, 4)
    b.ret()
    compiled = Compiled(module)
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = (rng.standard_normal(lanes) * 10.0 ** rng.integers(-6, 6, lanes)).astype("f4")
        result = np.empty(1, np.float32)
        compiled("total", result, values)
        while values.size > 1:
            values = values[: values.size // 2] + values[values.size // 2 :]
        assert result[0] == values[0]


def test_reduce_takes_intrinsics_and_functions() -> None:
    module = new_module()
    b = module.function("extremes", "void", pointers("out", "x"))
    out, x = b.params
    v = b.load("<8 x i32>", x, 4)
    results = [
        b.reduce("smax", v),
        b.reduce("xor", v),
        b.reduce(lambda p, q: b.select(b.icmp("slt", p, q), p, q), v),
    ]
    for i, result in enumerate(results):
        b.store(result, b.gep(out, "i32", b.const("i64", i)), 4)
    b.ret()
    values = np.array([3, -7, 12, 5, 0, 11, -2, 8], np.int32)
    out_values = np.empty(3, np.int32)
    Compiled(module)("extremes", out_values, values)
    assert out_values.tolist() == [12, np.bitwise_xor.reduce(values), -7]


def test_phi_edges_may_come_later() -> None:
    module = new_module()
    b = module.function("sum_to", "void", [*pointers("out"), ("i64", "n", "")])
    out, n = b.params
    loop, done = b.block("loop"), b.block("loop")
    assert (loop, done) == ("loop", "loop.1")
    zero, one = b.const("i64", 0), b.const("i64", 1)
    b.br(loop)
    b.place(loop)
    i, total = b.phi("i64", [(zero, "entry")]), b.phi("i64", [(zero, "entry")])
    after = b.add(i.value, one)
    i.add(after, b.current)
    total.add(b.add(total.value, after), b.current)
    b.cond_br(b.icmp("slt", after, n), loop, done)
    b.place(done)
    b.store(b.add(total.value, after), out, 8)
    b.ret()
    result = np.empty(1, np.int64)
    Compiled(module)("sum_to", result, 10)
    assert result[0] == 55


def test_a_called_function_defined_in_the_module_is_not_declared() -> None:
    module = new_module()
    b = module.function("outer", "double", [("double", "x", "")])
    b.ret(b.call("inner", "double", b.params))
    inner = module.function("inner", "double", [("double", "x", "")], linkage="internal")
    inner.ret(inner.fadd(*inner.params, *inner.params))
    assert module.has_function("inner")
    assert "declare" not in module.text()
    llvm.parse_assembly(module.text()).verify()


def test_equal_tables_are_made_once_and_others_get_a_name_of_their_own() -> None:
    module = new_module()
    first = module.constant_table("table", "double", [1.0, math.nan])
    assert module.constant_table("table", "double", [1.0, math.nan]) == first
    assert module.constant_table("table", "double", [2.0]) != first
    assert module.text().count("private unnamed_addr constant") == 2
    llvm.parse_assembly(module.text()).verify()


def test_mul_add_is_fused_only_where_the_target_does_it_fast() -> None:
    def text(level: str) -> str:
        module = new_module(level)
        b = module.function("f", "double", [("double", "x", "")])
        b.ret(b.mul_add(*b.params, *b.params, *b.params))
        return module.text()

    assert "llvm.fma" not in text("no_fma")
    if target_named("host").has_fma:
        assert "llvm.fma.f64" in text("host")


def test_operands_of_different_types_are_our_bug() -> None:
    b = new_module().function("f", "void", [])
    with pytest.raises(AssertionError, match="fadd"):
        b.fadd(b.const("float", 1.0), b.const("double", 1.0))


def test_what_is_shared_is_emitted_once_in_a_scope_and_forgotten_with_it() -> None:
    b = new_module().function("f", "void", [("i64", "x", "")])
    x = b.params[0]

    def twice() -> Operand:
        return b.shared(("twice", x), lambda: b.add(x, x))

    with b.scope():
        inside = twice()
        assert twice() is inside
    outside = twice()
    assert outside is not inside
    with b.scope():
        assert twice() is outside
    b.ret()
    assert b.text().count(" add ") == 2
