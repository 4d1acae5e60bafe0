"""What the thread pool asks of the system, as LLVM text: to sleep, to wake, to pause, to move.

`sleep(word, seen)` returns when `*word` is no longer `seen`, or earlier; `wake(word)` ends it once
`*word` has changed. `core()` is the number of the core that a thread runs on, or -1; `leave(core)`
moves the thread to another one.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from string import Template

HAS_THREADS = os.name == "posix" and sys.maxsize > 2**32
"""Whether this system has POSIX threads as the pool knows them; else programs run alone."""

FUTEX: dict[str, int] = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
"""Number of Linux's system call by machine (`asm/unistd.h`)."""

_X86_PAUSE = "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"
_ARM_PAUSE = "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"
_PAUSE: dict[str, tuple[str, str]] = {
    "x86_64": _X86_PAUSE,
    "aarch64": _ARM_PAUSE,
    "arm64": _ARM_PAUSE,
}
"""How a machine is told that a thread spins, and the declaration of that; by its name."""

_SLEEP_FUTEX = Template("""
declare i64 @syscall(i64, ...)
define internal void @sleep(ptr %word, i32 %seen) {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 128, i32 %seen, ptr null)
  ret void
}
define internal void @wake(ptr %word) {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i64 129, i32 1)
  ret void
}
""")

_PLACES = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
define internal i32 @core() {
  %core = call i32 @sched_getcpu()
  ret i32 %core
}
; Leave a core for another one that this thread may run on, without giving the core up for later.
define internal void @leave(i32 %core) {
entry:
  %allowed = alloca [128 x i64], align 16
  %others = alloca [128 x i64], align 16
  %size = call i32 @sched_getaffinity(i32 0, i64 1024, ptr %allowed)
  %known = icmp sgt i32 %size, -1
  br i1 %known, label %move, label %done
move:
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %allowed, i64 1024, i1 false)
  %wide = zext i32 %core to i64
  %word = lshr i64 %wide, 6
  %place = and i64 %wide, 63
  %bit = shl i64 1, %place
  %mask = xor i64 %bit, -1
  %word.at = getelementptr i64, ptr %others, i64 %word
  %old = load i64, ptr %word.at, align 8
  %new = and i64 %old, %mask
  store i64 %new, ptr %word.at, align 8
  %moved = call i32 @sched_setaffinity(i32 0, i64 1024, ptr %others)
  %back = call i32 @sched_setaffinity(i32 0, i64 1024, ptr %allowed)
  br label %done
done:
  ret void
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""

_NO_PLACES = """
define internal i32 @core() {
  ret i32 -1
}
define internal void @leave(i32 %core) {
  ret void
}
"""

_SLEEP_POLLING = """
declare i32 @nanosleep(ptr, ptr)
@millisecond = internal constant [2 x i64] [i64 0, i64 1000000]
define internal void @sleep(ptr %word, i32 %seen) {
  br label %poll
poll:
  %r = call i32 @nanosleep(ptr @millisecond, ptr null)
  %now = load atomic i32, ptr %word seq_cst, align 4
  %same = icmp eq i32 %now, %seen
  br i1 %same, label %poll, label %done
done:
  ret void
}
define internal void @wake(ptr %word) {
  ret void
}
"""

_OWN_FAULTS = (signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
"""Signals about a fault of the thread itself, which a worker must not block."""


def blocked_signals() -> int:
    """The first 64 bits of the signal set that workers block: all but faults of their own."""
    return -1 ^ sum(1 << (number - 1) for number in _OWN_FAULTS)


def pause() -> tuple[str, str]:
    """The instruction by which this machine is told that a thread spins, and its declaration."""
    return _PAUSE.get(platform.machine(), ("", ""))


def system_text() -> str:
    """The routines `sleep`, `wake`, `core` and `leave` for this system."""
    linux = sys.platform == "linux"
    futex = FUTEX.get(platform.machine()) if linux else None
    sleep = _SLEEP_POLLING if futex is None else _SLEEP_FUTEX.substitute(futex=futex)
    return sleep + (_PLACES if linux else _NO_PLACES)
