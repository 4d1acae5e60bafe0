"""The threads that programs run on: one small pool for the process, made when first needed.

A program hands the pieces of a large kernel to the pool, whose workers and the calling thread take
them one after another (`pool_code`). Which thread takes which piece changes nothing about the
result. A call on one thread runs its pieces itself, so a process that has one makes no pool.
Workers are native threads that never touch the interpreter: started by the first job, spinning for
a millisecond after the last one, then asleep. They are gone after a fork and start again with the
child's first job.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from ..ir.errors import ArgumentError
from .jit import assemble, link
from .pool_code import CALLED, ENTRIES, MAX_THREADS, pool_text
from .pool_system import HAS_THREADS

_IDLE_NS = 1_500_000
"""How long a worker spins for another job before it sleeps; waking it takes some 50 µs."""

_CROWDED_IDLE_NS = 50_000
"""The same where there are more threads than cores: another thread may be waiting for this one."""

_PATIENCE_NS = 50_000
"""How long a job waits for its last pieces before it lets other threads run."""

_RESERVE_NS = 6_000
"""How long a thread that has nothing left to do waits before it takes pieces of another one."""

_TIMED_SPINS = 1_000


@cache
def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _from_environment() -> int:
    text = os.environ.get("TAPELESS_THREADS", "").strip()
    if not text:
        return min(usable_cores(), MAX_THREADS)
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise ArgumentError(
            f"TAPELESS_THREADS is an integer from 1 to {MAX_THREADS}", given=repr(text)
        )
    return int(text)


class Pool:
    """The native pool. `routines` are the addresses of what programs call, by number there."""

    def __init__(self, threads: int) -> None:
        builder = llvm.JITLibraryBuilder().add_object_img(assemble(pool_text()))
        for entry in ENTRIES:
            builder.export_symbol(entry)
        self._library = link(builder, "pool")
        self.routines = [self._library[CALLED[number]] for number in range(len(CALLED))]
        self._resize = self._native("resize", None, ctypes.c_int64, ctypes.c_int64)
        self._forget = self._native("forget", None)
        self._count = self._native("count", ctypes.c_int64)
        self._spin_ns = self._time_spin()
        be_patient = self._native("be_patient", None, ctypes.c_int64, ctypes.c_int64)
        be_patient(*(max(1, int(ns / self._spin_ns)) for ns in (_PATIENCE_NS, _RESERVE_NS)))
        self.resize(threads)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)
        # Not a daemon thread of the interpreter's: nobody else would end the workers before the
        # code that they run is unmapped.
        atexit.register(self.resize, 1)

    def _native(self, name: str, result: Any, *arguments: Any) -> Any:
        return ctypes.CFUNCTYPE(result, *arguments)(self._library[name])

    def _time_spin(self) -> float:
        """Nanoseconds of one spin."""
        spin = self._native("spin_for", None, ctypes.c_int64)
        times = []
        for _ in range(3):
            start = time.perf_counter_ns()
            spin(_TIMED_SPINS)
            times.append(time.perf_counter_ns() - start)
        return max(1.0, min(times) / _TIMED_SPINS)

    def resize(self, threads: int) -> None:
        """End the workers, once no job is under way; later jobs run on up to `threads` threads."""
        idle = _IDLE_NS if threads <= usable_cores() else _CROWDED_IDLE_NS
        self._resize(threads, int(idle / self._spin_ns))

    def running(self) -> int:
        """Threads that there are now, the caller's included."""
        count: int = self._count()
        return count


class _Setting:
    """How many threads there shall be, and the pool once there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: int | None = None
        self.word = ctypes.c_int64(0)  # the same, where native code reads it; 0 for not yet known
        self.table = (ctypes.c_size_t * len(CALLED))()
        self._pool: Pool | None = None
        if hasattr(os, "register_at_fork"):  # a child never inherits a lock that is held
            os.register_at_fork(
                before=self._lock.acquire,
                after_in_parent=self._lock.release,
                after_in_child=self._lock.release,
            )

    def get(self) -> int:
        if self._threads is None:
            self._threads = _from_environment()
            self.word.value = self._threads if HAS_THREADS else 1
        return self._threads

    def set(self, threads: int) -> None:
        with self._lock:
            if self._pool is not None and threads != self._threads:
                self._pool.resize(threads)
            self._threads = threads
            self.word.value = threads if HAS_THREADS else 1

    def pool(self) -> Pool:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self.get())
                self.table[:] = self._pool.routines
            return self._pool


_SETTING = _Setting()


def set_threads(n: int) -> None:
    """Let programs run on at most `n` threads, the calling one included; the default is the usable
    cores, or the environment variable `TAPELESS_THREADS`.

    Results do not depend on it, bit for bit. A program that turns out to take longer on several
    threads than on one runs on one. Raises `ArgumentError` unless 1 <= n <= 256.
    """
    if type(n) is not int or not 1 <= n <= MAX_THREADS:
        raise ArgumentError(f"the number of threads is from 1 to {MAX_THREADS}", given=repr(n))
    _SETTING.set(n)


def get_threads() -> int:
    """How many threads programs may run on, the calling one included.

    Always 1 on a system without POSIX threads.
    """
    return _SETTING.get() if HAS_THREADS else 1


def threads_word() -> int:
    """Address of the 64-bit word that always holds `get_threads()`."""
    return ctypes.addressof(_SETTING.word)


def pool() -> Pool:
    """The process's pool; it is made when first asked for, its workers by its first job."""
    return _SETTING.pool()


def pool_table() -> int:
    """Address of `ir.program.POOL_SYMBOL`, which is filled in when the pool is made."""
    return ctypes.addressof(_SETTING.table)
