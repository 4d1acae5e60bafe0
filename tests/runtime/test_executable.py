"""The loader, frames and `Executable`, on programs written in LLVM IR."""

from __future__ import annotations

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tapeless.ir.errors import ArgumentError, DomainError, OutOfBoundsError
from tapeless.ir.location import Location
from tapeless.ir.program import ARENA_ALIGNMENT, Failure, KernelInfo
from tapeless.ir.types import FLOAT64, TensorType
from tapeless.runtime.arena import Frame, aligned_bytes
from tapeless.runtime.executable import Executable
from tapeless.runtime.loader import Routine
from tapeless.runtime.pointers import address, is_dense

from .pairs import ADD, PAIR

SCALAR = TensorType(FLOAT64)

FIRST_PLUS_CONSTANT = (
    ADD.replace("i64 1\n", "i64 3\n").replace("i64 2\n", "i64 1\n").replace("3\n", "2\n")
)
"""o = x + c on pairs; buffers are x, o, c."""

FAIL = "  ret i64 {}\n"

ADD_TO_ARENA_THEN_WAIT = """
  %counter = alloca i64
  %xp = load ptr, ptr %buffers
  %x = load double, ptr %xp
  store double %x, ptr %arena
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %n, %loop ]
  %n = add i64 %i, 1
  store volatile i64 %n, ptr %counter
  %more = icmp slt i64 %n, 200000
  br i1 %more, label %loop, label %done
done:
  %r = load double, ptr %arena
  %o_entry = getelementptr ptr, ptr %buffers, i64 1
  %op = load ptr, ptr %o_entry
  store double %r, ptr %op
  ret i64 0
"""
"""o = x by way of the arena, slowly."""


def test_address_and_flags_are_numpys_own():
    arrays = [np.arange(12.0).reshape(3, 4), np.arange(12, dtype=np.int8)[::2], np.array(1.0)]
    for array in [*arrays, arrays[0].T, arrays[0][1:], np.empty((0, 3)), np.empty(10**7)]:
        assert address(array) == array.ctypes.data
        assert is_dense(array) == (array.flags.c_contiguous and array.flags.aligned)


def test_results_are_computed_from_the_arrays(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,)))
    (out,) = run([np.array([1.0, 2.0]), np.array([10.0, 20.0])])
    assert out.tolist() == [11.0, 22.0]


def test_out_receives_the_result(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,)))
    target = np.zeros(2)
    (out,) = run([np.ones(2), np.ones(2)], out=[target])
    assert out is target
    assert target.tolist() == [2.0, 2.0]


def test_in_place_output_is_the_input_array(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,), in_place={0: 1}))
    x, y = np.ones(2), np.full(2, 5.0)
    (out,) = run([x, y])
    assert out is y
    assert y.tolist() == [6.0, 6.0]
    assert x.tolist() == [1.0, 1.0]


def test_constants_follow_the_outputs(make_program):
    constant = np.array([3.0, 4.0])
    run = Executable(make_program(FIRST_PLUS_CONSTANT, (PAIR,), (PAIR,), constants=(constant,)))
    assert run([np.ones(2)])[0].tolist() == [4.0, 5.0]


@pytest.mark.parametrize(
    ("kind", "error", "match"),
    [
        ("index", OutOfBoundsError, "model.py:7: an index must lie within its axis"),
        ("negative_power", DomainError, "model.py:7: an integer cannot be raised to a negative"),
    ],
)
def test_a_reported_failure_names_the_users_line(make_program, kind, error, match):
    failures = (Failure("index", None), Failure(kind, Location("/there/model.py", 7)))
    run = Executable(make_program(FAIL.format(2), (PAIR,), (), failures=failures))
    with pytest.raises(error, match=match):
        run([np.ones(2)])
    with pytest.raises(error, match=match):
        run([np.ones(2)])
    assert len(run.frames._idle) == 1


BAD_ARRAYS = {
    "float32": np.ones(2, np.float32),
    "big-endian": np.ones(2, ">f8"),
    "strided": np.ones(4)[::2],
    "misaligned": np.frombuffer(bytes(17), np.uint8)[1:].view(np.float64),
    "another shape": np.ones(3),
    "matrix": np.ones(2).view(np.recarray),
    "masked": np.ma.masked_array(np.ones(2)),
    "a list": [1.0, 2.0],
}


@pytest.mark.parametrize("bad", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused(make_program, bad):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,)))
    with pytest.raises(ArgumentError, match=r"input 1 must be a row-major array of type f64\[2\]"):
        run([np.ones(2), bad])
    with pytest.raises(ArgumentError, match=r"out\[0\] must be a writable row-major array"):
        run([np.ones(2), np.ones(2)], out=[bad])


def test_a_read_only_array_is_refused_where_it_would_be_written(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,), in_place={0: 0}))
    fixed = np.ones(2)
    fixed.flags.writeable = False
    with pytest.raises(ArgumentError, match=r"input 0 must be a writable .* read-only"):
        run([fixed, np.ones(2)])
    assert run([np.ones(2), fixed])[0].tolist() == [2.0, 2.0]


def test_wrong_counts_are_refused(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,)))
    with pytest.raises(ArgumentError, match="2 arrays; given: 1"):
        run([np.ones(2)])
    with pytest.raises(ArgumentError, match="out with 1 entries; given: 2"):
        run([np.ones(2)] * 2, out=[None, None])


def test_the_arena_is_aligned_and_of_the_size_asked_for():
    for nbytes in (0, 1, 63, 64, 1000):
        memory, start = aligned_bytes(nbytes)
        assert start % ARENA_ALIGNMENT == 0
        assert address(memory) <= start
        assert start + nbytes <= address(memory) + memory.nbytes


def test_scalars_have_slots_in_the_frame(make_program):
    frame = Frame(make_program(ADD, (SCALAR, PAIR), (SCALAR,)))
    assert sorted(frame.slots) == [0, 2]
    assert frame.table[2] == frame.slots[2].ctypes.data


def test_concurrent_calls_have_arenas_of_their_own(make_program):
    kernels = (KernelInfo("k", "loop", 10**9, 0, 0),)
    program = make_program(
        ADD_TO_ARENA_THEN_WAIT, (SCALAR,), (SCALAR,), arena_bytes=8, kernels=kernels
    )
    run = Executable(program)
    assert Routine(program).releases_gil
    together = threading.Barrier(4)

    def work(value: float) -> bool:
        together.wait()
        return all(run([np.array(value)])[0] == value for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, [1.0, 2.0, 3.0, 4.0]))
    assert 1 <= len(run.frames._idle) <= 4


def mappings() -> list[str]:
    return Path("/proc/self/maps").read_text().splitlines()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_code_is_never_writable_and_goes_away_with_its_owner(make_program):
    program = make_program(ADD, (PAIR, PAIR), (PAIR,))
    Executable(program)
    gc.collect()
    before = mappings()
    held = [Executable(program) for _ in range(10)]
    during = mappings()
    assert not [line for line in set(during) - set(before) if line.split()[1].startswith("rwx")]
    assert len(during) - len(before) <= 2 * len(held) + 2
    del held
    gc.collect()
    assert len(mappings()) <= len(before) + 2


def test_no_references_are_kept_after_a_call_or_an_error(make_program):
    run = Executable(make_program(ADD, (PAIR, PAIR), (PAIR,)))
    x, bad = np.ones(2), np.ones(3)
    run([x, x])
    counts = sys.getrefcount(x), sys.getrefcount(bad)
    for _ in range(5):
        run([x, x])
        with pytest.raises(ArgumentError):
            run([x, bad])
    assert (sys.getrefcount(x), sys.getrefcount(bad)) == counts
