"""Programs run on several threads where that is faster, and on one where it is not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tapeless.ir.program import KernelInfo
from tapeless.ir.types import INT64, TensorType
from tapeless.runtime import pool_system
from tapeless.runtime.executable import Executable
from tapeless.runtime.pool_choice import choice_text
from tapeless.runtime.threads import get_threads, pool, set_threads

from .conftest import MakeProgram

pytestmark = pytest.mark.skipif(not pool_system.HAS_THREADS, reason="needs POSIX threads")

PIECES = 8
BEFORE = """
@site = internal global [8 x i64] zeroinitializer, align 64
@tapeless_pool = external global [3 x ptr]

; Waits for ALONE rounds if the call runs on one thread, else for SHARED rounds.
define internal i64 @task(ptr %chosen, i64 %piece, i64 %slot) {
entry:
  %threads = load i64, ptr %chosen
  %single = icmp eq i64 %threads, 1
  %rounds = select i1 %single, i64 ALONE, i64 SHARED
  %slack = alloca i64
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  store volatile i64 %i, ptr %slack
  %more = icmp ult i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  ret i64 0
}
"""
BODY = f"""
  %call = alloca [2 x i64], align 16
  %out.at = getelementptr ptr, ptr %buffers, i64 0
  %out = load ptr, ptr %out.at
  %threads.at = getelementptr i64, ptr %buffers, i64 2
  %threads = load i64, ptr %threads.at
  %parallel = load ptr, ptr @tapeless_pool
  %enter.at = getelementptr ptr, ptr @tapeless_pool, i64 1
  %enter = load ptr, ptr %enter.at
  %leave.at = getelementptr ptr, ptr @tapeless_pool, i64 2
  %leave = load ptr, ptr %leave.at
  %chosen = call i64 %enter(ptr @site, i64 %threads, ptr %call)
  store i64 %chosen, ptr %out
  %code = call i64 %parallel(ptr @task, ptr %out, i64 {PIECES}, i64 %chosen)
  call void %leave(ptr @site, ptr %call)
  ret i64 %code
"""


@pytest.fixture
def chosen(make_program: MakeProgram) -> Iterator[object]:
    """`chosen(alone, shared, calls)`: how many threads each of so many calls ran on, if a piece
    waits for so many rounds."""
    before = get_threads()

    def run(alone: int, shared: int, calls: int) -> np.ndarray:
        word = TensorType(INT64, (1,))
        text = BEFORE.replace("ALONE", str(alone)).replace("SHARED", str(shared))
        kernels = (KernelInfo("k", "map", 1, 0, 0, PIECES),)
        program = make_program(BODY, (word,), (word,), text, in_place={0: 0}, kernels=kernels)
        executable = Executable(program)
        out = np.zeros(1, np.int64)
        counts = []
        for _ in range(calls):
            executable([out])
            counts.append(int(out[0]))
        return np.array(counts)

    yield run
    set_threads(before)


def test_what_is_slower_on_several_threads_runs_on_one(chosen) -> None:
    set_threads(2)
    counts = chosen(alone=100, shared=100_000, calls=120)
    assert (counts[:32] == 2).all()
    assert (counts[45:65] == 1).all()
    assert 1 <= np.count_nonzero(counts[40:] == 2) <= 12, "it is still tried now and then"


def test_what_is_faster_on_several_threads_runs_on_them(chosen) -> None:
    set_threads(2)
    counts = chosen(alone=100_000, shared=100, calls=200)
    assert np.count_nonzero(counts == 2) >= 180
    assert np.count_nonzero(counts == 1) >= 5, "one thread is tried too"


def test_trials_become_rare(chosen) -> None:
    set_threads(2)
    counts = chosen(alone=3_000, shared=30, calls=3_000)
    assert np.count_nonzero(counts[1_500:] == 1) <= 15


def test_a_single_thread_is_a_single_thread(chosen) -> None:
    pool()  # a call that finds it resized meanwhile
    set_threads(1)
    assert (chosen(alone=1_000, shared=1, calls=100) == 1).all()


def test_the_text_has_the_numbers_of_the_module() -> None:
    assert "$" not in choice_text()
