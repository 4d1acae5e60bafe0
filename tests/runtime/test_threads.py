"""The thread pool: every piece once, every system, and a healthy process whatever happens."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import llvmlite.binding as llvm
import numpy as np
import pytest

from tapeless.ir.errors import ArgumentError, OutOfBoundsError
from tapeless.ir.location import Location
from tapeless.ir.program import Failure, KernelInfo, Program
from tapeless.ir.types import INT64, TensorType
from tapeless.runtime import pool_code, pool_system
from tapeless.runtime.executable import Executable
from tapeless.runtime.threads import (
    Pool,
    get_threads,
    pool,
    set_threads,
    usable_cores,
)

from .conftest import MakeProgram
from .scripts import script

needs_threads = pytest.mark.skipif(not pool_system.HAS_THREADS, reason="needs POSIX threads")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Every test may set the number of threads."""
    before = get_threads()
    yield
    set_threads(before)


PIECES = 200
TASK = """
; Adds 1 to visits[piece], notes the slot, and leaves its mark in scratch memory of its own for a
; while: another call with the same slot would wipe it out.
define internal i64 @task(ptr %context, i64 %piece, i64 %slot) {
entry:
  %visits = load ptr, ptr %context
  %slots.at = getelementptr ptr, ptr %context, i64 1
  %slots = load ptr, ptr %slots.at
  %scratch.at = getelementptr ptr, ptr %context, i64 2
  %scratch = load ptr, ptr %scratch.at
  %visit = getelementptr i64, ptr %visits, i64 %piece
  %old = load i64, ptr %visit
  %new = add i64 %old, 1
  store i64 %new, ptr %visit
  %noted = getelementptr i64, ptr %slots, i64 %piece
  store i64 %slot, ptr %noted
  %offset = mul i64 %slot, 64
  %own = getelementptr i8, ptr %scratch, i64 %offset
  store volatile i64 %piece, ptr %own
  %is.long = icmp ult i64 %piece, LONG
  %spins = select i1 %is.long, i64 SPINS, i64 1
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %next = add i64 %i, 1
  %mark = load volatile i64, ptr %own
  %same = icmp eq i64 %mark, %piece
  %more = icmp ult i64 %next, %spins
  %go = and i1 %same, %more
  br i1 %go, label %loop, label %done
done:
  %bad = getelementptr i64, ptr %slots, i64 PIECES
  %limit = load i64, ptr %bad
  %fails = icmp uge i64 %piece, %limit
  %failure = select i1 %fails, i64 2, i64 0
  %code = select i1 %same, i64 %failure, i64 1
  ret i64 %code
}

@tapeless_pool = external global [3 x ptr]
"""
BODY = """
  %context = alloca [3 x ptr]
  %visits = load ptr, ptr %buffers
  store ptr %visits, ptr %context
  %slots.from = getelementptr ptr, ptr %buffers, i64 1
  %slots = load ptr, ptr %slots.from
  %slots.to = getelementptr ptr, ptr %context, i64 1
  store ptr %slots, ptr %slots.to
  %scratch.to = getelementptr ptr, ptr %context, i64 2
  store ptr %arena, ptr %scratch.to
  %threads.at = getelementptr i64, ptr %buffers, i64 4
  %threads = load i64, ptr %threads.at
  br label %entry
entry:
  %several = icmp ne i64 %threads, 1
  br i1 %several, label %share, label %alone
share:
  %parallel = load ptr, ptr @tapeless_pool
  %code = call i64 %parallel(ptr @task, ptr %context, i64 PIECES, i64 %threads)
  ret i64 %code
alone:
  %piece = phi i64 [ 0, %entry ], [ %next, %alone ]
  %worst = phi i64 [ 0, %entry ], [ %worse, %alone ]
  %one = call i64 @task(ptr %context, i64 %piece, i64 0)
  %worse = call i64 @llvm.umax.i64(i64 %one, i64 %worst)
  %next = add i64 %piece, 1
  %more = icmp ult i64 %next, PIECES
  br i1 %more, label %alone, label %done
done:
  ret i64 %worse
"""


@pytest.fixture
def make_pieces(make_program: MakeProgram):
    """A program of 200 pieces that counts visits[piece] and notes slots[piece] in place; from piece
    slots[200] on they fail. Each of the first `long` takes about `spins` nanoseconds."""

    def make(spins: int = 200, long: int = PIECES) -> Program:
        types = TensorType(INT64, (PIECES,)), TensorType(INT64, (PIECES + 1,))
        failures = Failure("scratch", None), Failure("index", Location("model.py", 7))
        body, task = BODY.replace("PIECES", str(PIECES)), TASK.replace("SPINS", str(spins))
        task = task.replace("LONG", str(long))
        return make_program(
            body,
            types,
            types,
            before=task.replace("PIECES", str(PIECES)),
            in_place={0: 0, 1: 1},
            arena_bytes=64,
            thread_bytes=64,
            failures=failures,
            kernels=(KernelInfo("k", "map", 10**6, 0, 0, PIECES),),
        )

    return make


def arguments() -> list[np.ndarray]:
    slots = np.full(PIECES + 1, -1)
    slots[-1] = PIECES
    return [np.zeros(PIECES, np.int64), slots]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_every_piece_runs_once_in_scratch_memory_of_its_own(make_pieces, threads: int) -> None:
    run = Executable(make_pieces())
    set_threads(threads)
    visits, slots = arguments()
    for count in range(1, 301):
        run([visits, slots])
        assert (visits == count).all()
        assert 0 <= slots[:-1].min() <= slots[:-1].max() < threads


@needs_threads
def test_pieces_that_take_longer_are_shared(make_pieces) -> None:
    """The first thread has all of them; the other one waits a little, then takes some."""
    run = Executable(make_pieces(spins=20_000, long=PIECES // 2))
    set_threads(2)
    helped = 0
    for _ in range(20):
        visits, slots = arguments()
        run([visits, slots])
        assert (visits == 1).all()
        helped += len(set(slots[: PIECES // 2])) == 2
    assert helped


@needs_threads
def test_several_threads_take_part(make_pieces) -> None:
    run = Executable(make_pieces(spins=100_000))
    set_threads(2)
    seen: set[int] = set()
    for _ in range(50):
        visits, slots = arguments()
        run([visits, slots])
        seen.update(slots[:-1].tolist())
    assert seen == {0, 1}
    assert pool().running() == 2


def test_a_bound_of_a_program_holds_whatever_is_set(make_pieces) -> None:
    run = Executable(make_pieces(spins=10_000), threads=2)
    for threads in (8, 1, 3):
        set_threads(threads)
        for _ in range(20):
            visits, slots = arguments()
            run([visits, slots])
            assert slots[:-1].max() < min(threads, 2)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_failure_in_any_piece_is_reported(make_pieces, threads: int) -> None:
    run = Executable(make_pieces())
    set_threads(threads)
    for first in (0, 1, 100, PIECES - 1):
        visits, slots = arguments()
        slots[-1] = first
        with pytest.raises(OutOfBoundsError, match=r"model\.py:7"):
            run([visits, slots])
    visits, slots = arguments()
    run([visits, slots])


def test_calls_from_several_threads_do_not_disturb_each_other(make_pieces) -> None:
    run = Executable(make_pieces())
    set_threads(3)
    wrong: list[str] = []

    def work() -> None:
        visits, slots = arguments()
        for count in range(1, 201):
            run([visits, slots])
            if not (visits == count).all():
                wrong.append(str(visits))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        for n in (1, 4, 2):
            set_threads(n)
    for thread in threads:
        thread.join()
    assert not wrong


@needs_threads
def test_workers_come_and_go_with_the_number_of_threads(make_pieces) -> None:
    run = Executable(make_pieces())
    for threads in (4, 2, 1, 5):
        set_threads(threads)
        assert get_threads() == threads
        assert pool().running() == 1
        run(arguments())
        assert pool().running() == threads


@pytest.mark.parametrize("n", [0, -1, 257, 2.0, True, None, "2"])
def test_the_number_of_threads_is_checked(n: object) -> None:
    with pytest.raises(ArgumentError, match="the number of threads is from 1 to 256"):
        set_threads(n)  # type: ignore[arg-type]


SYSTEMS = [
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("linux", "sparc"),
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
]


@pytest.mark.parametrize(("system", "machine"), SYSTEMS)
def test_the_pool_is_valid_code_on_every_system(system, machine, monkeypatch) -> None:
    monkeypatch.setattr(pool_system.sys, "platform", system)
    monkeypatch.setattr(pool_system.platform, "machine", lambda: machine)
    text = pool_code.pool_text()
    module = llvm.parse_assembly(text)
    module.verify()
    defined = {f.name for f in module.functions if not f.is_declaration}
    assert set(pool_code.ENTRIES) <= defined
    assert ("@syscall" in text) == (system == "linux" and machine != "sparc")


@needs_threads
def test_workers_without_a_futex_wake_too(make_pieces, monkeypatch) -> None:
    monkeypatch.setattr(pool_system, "FUTEX", {})
    polling = Pool(2)
    table = (ctypes.c_size_t * 3)(*polling.routines)
    monkeypatch.setattr("tapeless.runtime.loader.pool_table", lambda: ctypes.addressof(table))
    run = Executable(make_pieces(spins=100_000))
    set_threads(2)
    seen: set[int] = set()
    for _ in range(20):
        visits, slots = arguments()
        run([visits, slots])
        seen.update(slots[:-1].tolist())
        threading.Event().wait(0.005)
    assert seen == {0, 1}
    polling.resize(1)
    assert polling.running() == 1


def test_without_threads_the_caller_runs_all_pieces(make_pieces, monkeypatch) -> None:
    monkeypatch.setattr("tapeless.runtime.threads.HAS_THREADS", False)
    no_table = (ctypes.c_size_t * 3)()
    monkeypatch.setattr("tapeless.runtime.loader.pool_table", lambda: ctypes.addressof(no_table))
    run = Executable(make_pieces())
    visits, slots = arguments()
    run([visits, slots])
    assert (visits == 1).all()
    assert (slots[:-1] == 0).all()


@needs_fork
@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["spinning", "asleep"])
@pytest.mark.parametrize("used_before", [True, False])
def test_children_have_threads_of_their_own_and_parents_keep_theirs(used_before, pause) -> None:
    out = script(
        f"""
        expected = f(x) if {used_before} else None
        time.sleep({pause})
        children = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                bits = [f(x) for _ in range(20)]
                os._exit(len(set(bits)) != 1 or pool().running() != 2)
            children.append(child)
            f(x)
        codes = [os.waitpid(child, 0)[1] for child in children]
        print(codes, len({{f(x) for _ in range(20)}} | {{expected or f(x)}}), pool().running())
        """
    )
    assert out == "[0, 0, 0, 0, 0] 1 2"


@needs_fork
def test_a_fork_while_another_thread_computes_leaves_a_healthy_child() -> None:
    out = script(
        """
        import warnings
        warnings.simplefilter("ignore")  # of forking a process that has threads
        expected, going = f(x), True
        def work():
            while going:
                f(x)
        worker = threading.Thread(target=work)
        worker.start()
        codes = []
        for _ in range(10):
            time.sleep(0.003)
            child = os.fork()
            if child == 0:
                os._exit(any(f(x) != expected for _ in range(20)))
            codes.append(os.waitpid(child, 0)[1])
        going = False
        worker.join()
        print(codes, f(x) == expected)
        """
    )
    assert out == f"{[0] * 10} True"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_an_interrupt_is_raised_soon_and_leaves_the_pool_healthy() -> None:
    out = script(
        """
        expected = f(x)
        # A shell starts what runs in its background with interrupts ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        try:
            while time.monotonic() - started < 30:
                f(x)
        except KeyboardInterrupt:
            print(time.monotonic() - started < 5, f(x) == expected)
        """
    )
    assert out == "True True"


@pytest.mark.skipif(not hasattr(__import__("signal"), "pthread_kill"), reason="needs POSIX signals")
def test_signals_reach_the_main_thread_in_a_system_call() -> None:
    out = script(
        """
        f(x)
        signal.signal(signal.SIGALRM, lambda *_: print("handled"))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        started = time.monotonic()
        signal.pause()
        print(time.monotonic() - started < 5)
        """
    )
    assert out == "handled\nTrue"


@pytest.mark.parametrize("pause", ["", "time.sleep(0.1)"], ids=["spinning", "asleep"])
def test_a_process_exits_at_once_and_cleanly(pause: str) -> None:
    assert script(f"f(x)\n{pause}\nprint('bye')") == "bye"
    assert script(f"f(x)\n{pause}\nprint('bye', flush=True)\nos._exit(0)") == "bye"
    out = script(
        f"""
        import atexit
        atexit.register(lambda: print(f(x) > 0))
        f(x)
        {pause}
        """
    )
    assert out == "True"


def test_a_thread_that_still_computes_does_not_keep_the_process_from_exiting() -> None:
    out = script(
        """
        def work():
            while True:
                f(x)
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        print("bye")
        """
    )
    assert out == "bye"


@needs_threads
def test_idle_workers_take_no_time() -> None:
    out = script(
        """
        for _ in range(5):
            f(x)
        time.sleep(0.1)
        before = time.process_time()
        time.sleep(0.5)
        print(time.process_time() - before < 0.025, pool().running())
        """,
        N="4",
    )
    assert out == "True 4"


@needs_threads
def test_the_environment_sets_the_number_of_threads() -> None:
    text = "import tapeless as tl; print(tl.get_threads())"
    environment = {**os.environ, "TAPELESS_THREADS": "3"}
    command = [sys.executable, "-c", text]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.strip() == "3"
    del environment["TAPELESS_THREADS"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.strip() == str(usable_cores())


@pytest.mark.parametrize("text", ["0", "257", "-1", "many", "1.5", "²"])
def test_a_bad_number_in_the_environment_is_named(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import tapeless as tl; tl.get_threads()"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TAPELESS_THREADS": text, "PYTHONIOENCODING": "utf-8"},
    )
    assert "TAPELESS_THREADS is an integer from 1 to 256" in done.stderr
