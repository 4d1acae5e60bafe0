"""The code of native entries is well formed, depends on the spec alone, and is made quickly."""

from __future__ import annotations

import dataclasses
import re

import llvmlite.binding as llvm
import pytest

from tapeless.compiler.codegen.assembly import Module
from tapeless.compiler.codegen.entry import EntryEmitter, entry_object
from tapeless.compiler.codegen.entry_support import emit_support
from tapeless.compiler.target import host_target
from tapeless.ir import abi
from tapeless.ir import entry as ir

NO_SPAN = ir.Span(0, 0)
ARRAY = ir.ArrayArgument(0, 10, 0)

SIMPLE = ir.EntrySpec(
    positional=1,
    names=NO_SPAN,
    arguments=(ARRAY,),
    captured=(),
    watched=NO_SPAN,
    check_word=None,
    regions=NO_SPAN,
    in_place=(),
    new=(),
    copies=(),
    results=(ir.NumberResult(ir.Number.FLOAT, 1),),
    writes=(),
    structure=ir.ResultLeaf(0),
    releases_lock=False,
    parallel=False,
)

EVERYTHING = ir.EntrySpec(
    positional=2,
    names=ir.Span(20, 3),
    arguments=(
        ir.DictArgument(30, (ARRAY, ir.ArrayArgument(1, 40, None)), write=0),
        ir.SequenceArgument(50, True, (ir.ScalarArgument(2, 51, 4, 2),), write=1),
        ir.SequenceArgument(52, False, (ir.ConstantArgument(53),)),
        ir.NumberArgument(3, ir.Number.INT, 3, (-128, 127)),
        ir.NumberArgument(4, ir.Number.BOOL, 4),
    ),
    captured=(ir.Captured(60, ir.ArrayArgument(5, 61, 5)),),
    watched=ir.Span(70, 2),
    check_word=80,
    regions=ir.Span(90, 2),
    in_place=((8, 0),),
    new=(ir.NewArray(100, 6),),
    copies=(ir.Copy(7, 5, 24),),
    results=(
        ir.ArrayResult(0),
        ir.ViewResult(110, ir.ArgumentResult(0)),
        ir.ScalarResult(111, 9),
        ir.NumberResult(ir.Number.BOOL, 10),
        ir.NumberResult(ir.Number.INT, 11),
        ir.ObjectResult(112),
    ),
    writes=(ir.Write(0, 120, 0, 0), ir.Write(1, None, 0, 2)),
    structure=ir.ResultDict(
        130,
        (
            ir.ResultSequence(False, (ir.ResultLeaf(0), ir.ResultObject(131))),
            ir.ResultSequence(True, (ir.ResultLeaf(1), ir.ResultLeaf(2))),
            ir.ResultMade(132, (3, 4, 5)),
        ),
    ),
    releases_lock=True,
    parallel=True,
)

SPECS = {"simple": SIMPLE, "everything": EVERYTHING}


def module() -> Module:
    target = host_target()
    layout = str(target.machine().target_data)
    return Module("test", target.triple, layout, target.cpu, target.features)


def text_of(spec: ir.EntrySpec) -> str:
    made = module()
    EntryEmitter(made, spec).emit()
    return made.text()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_entries_are_well_formed(spec):
    llvm.parse_assembly(text_of(spec)).verify()


def test_support_routines_are_well_formed_and_all_there():
    made = module()
    emit_support(made)
    llvm.parse_assembly(made.text()).verify()
    for name in (ir.DISPATCH_SYMBOL, *ir.SUPPORT_SYMBOLS):
        assert made.has_function(name)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_entries_refer_to_known_symbols_only(spec):
    text = text_of(spec)
    known = {*abi.FUNCTIONS, *abi.ARRAY_FUNCTIONS, *abi.OBJECTS, abi.ARRAY_TYPE}
    known |= {*ir.SUPPORT_SYMBOLS, ir.THREADS, ir.ENTRY_SYMBOL, "llvm.memmove.p0.p0.i64"}
    assert set(re.findall(r"@([\w.]+)", text)) <= known
    assert not re.search(r"inttoptr i64 (?!1 )", text)  # no address of this process


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_same_spec_gives_the_same_code(spec):
    again = dataclasses.replace(spec)
    assert entry_object(spec, host_target()) == entry_object(again, host_target())


@pytest.mark.parametrize(
    ("change", "symbol"),
    [
        ({"releases_lock": True}, "PyEval_SaveThread"),
        ({"parallel": True}, ir.THREADS),
        ({"watched": ir.Span(5, 1)}, "tapeless_watch"),
        ({"regions": ir.Span(5, 2)}, "tapeless_disjoint"),
        ({"names": ir.Span(5, 1)}, "tapeless_names"),
    ],
)
def test_only_what_is_asked_for_is_emitted(change, symbol):
    assert f"@{symbol}" not in text_of(SIMPLE)
    assert f"@{symbol}" in text_of(dataclasses.replace(SIMPLE, **change))
