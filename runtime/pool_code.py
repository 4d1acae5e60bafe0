"""The thread pool as LLVM text: what must not wait for the interpreter.

There is one job at a time. Its pieces are handed out by one atomic word, the *ticket*: from the top
40 bits of a number that every job has anew, 12 bits for the next piece, 12 for the number of
pieces. Who finds a piece left reads the job's fields and then claims the piece by compare-and-
exchange on the ticket. If that succeeds the job was unfinished at that moment, hence the fields
read in between are its own, because they only change once all its pieces are finished. A thread
that comes late finds nothing to claim, and nobody waits for it.

Workers spin for a while, then sleep; they count themselves as sleepers before they look at the
ticket for a last time, and a dispatcher looks at the count after it has written the ticket, so that
one of the two sees the other. Waking is only paid for when somebody sleeps. On Linux sleepers wait
on a futex (`man 2 futex`), elsewhere they look again every millisecond.

All entries but `parallel` are called from Python, one at a time.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from string import Template

MAX_THREADS = 256
"""Of the process's pool, the calling thread included."""

MAX_PIECES = (1 << 12) - 1
"""Of one job: what the ticket has room for."""

_FUTEX: dict[str, int] = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
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
define internal void @sleep(i32 %seen) {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr @wakes, i64 128, i32 %seen, ptr null)
  ret void
}
define internal void @wake_all() {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr @wakes, i64 129, i32 2147483647)
  ret void
}
""")

_SLEEP_POLLING = """
declare i32 @nanosleep(ptr, ptr)
@millisecond = internal constant [2 x i64] [i64 0, i64 1000000]
define internal void @sleep(i32 %seen) {
  br label %poll
poll:
  %r = call i32 @nanosleep(ptr @millisecond, ptr null)
  %wakes = load atomic i32, ptr @wakes seq_cst, align 4
  %same = icmp eq i32 %wakes, %seen
  br i1 %same, label %poll, label %done
done:
  ret void
}
define internal void @wake_all() {
  ret void
}
"""

_ALONE = """
; All pieces on the calling thread.
define internal i64 @alone(ptr %task, ptr %context, i64 %pieces) {
entry:
  br label %loop
loop:
  %piece = phi i64 [ 0, %entry ], [ %next, %loop ]
  %code = phi i64 [ 0, %entry ], [ %greater, %loop ]
  %result = call i64 %task(ptr %context, i64 %piece, i64 0)
  %more = icmp ugt i64 %result, %code
  %greater = select i1 %more, i64 %result, i64 %code
  %next = add i64 %piece, 1
  %left = icmp ult i64 %next, %pieces
  br i1 %left, label %loop, label %done
done:
  ret i64 %greater
}
"""

_POOL = Template("""
%Job = type { ptr, ptr, i64 }  ; task, context, threads

; What is written by different threads lies on different cache lines.
@ticket = internal global i64 0, align 128
@job = internal global %Job zeroinitializer, align 128
@finished = internal global i64 0, align 128  ; pieces of the job
@code = internal global i64 0, align 128      ; the greatest result of a piece
@busy = internal global i32 0, align 128      ; a job is being dispatched
@sleepers = internal global i32 0, align 128
@wakes = internal global i32 0, align 128     ; counts calls of wake_all
@stopping = internal global i32 0, align 128
@threads = internal global i64 1, align 128   ; how many there shall be, dispatcher included
@started = internal global i64 1              ; how many were asked for since the last stop
@running = internal global i64 1              ; how many the system granted
@spins = internal global i64 0                ; of an idle worker before it sleeps
@patience = internal global i64 0             ; spins of a dispatcher before it yields
@handles = internal global [$max_threads x i64] zeroinitializer, align 128

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_yield()
declare i64 @llvm.umin.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; Claim and run one piece, if one is left and this slot may take part: whether so.
define internal i1 @work(i64 %slot) {
  br label %read
read:
  %ticket = load atomic i64, ptr @ticket seq_cst, align 8
  %shifted = lshr i64 %ticket, 12
  %piece = and i64 %shifted, 4095
  %pieces = and i64 %ticket, 4095
  %left = icmp ult i64 %piece, %pieces
  br i1 %left, label %look, label %nothing
look:
  %task = load atomic ptr, ptr @job monotonic, align 8
  %context.at = getelementptr %Job, ptr @job, i64 0, i32 1
  %context = load atomic ptr, ptr %context.at monotonic, align 8
  %threads.at = getelementptr %Job, ptr @job, i64 0, i32 2
  %threads = load atomic i64, ptr %threads.at monotonic, align 8
  %allowed = icmp ult i64 %slot, %threads
  br i1 %allowed, label %claim, label %nothing
claim:
  %next = add i64 %ticket, 4096
  %pair = cmpxchg ptr @ticket, i64 %ticket, i64 %next acq_rel acquire
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %run, label %read
run:
  %code = call i64 %task(ptr %context, i64 %piece, i64 %slot)
  %old = atomicrmw umax ptr @code, i64 %code monotonic
  %count = atomicrmw add ptr @finished, i64 1 release
  ret i1 true
nothing:
  ret i1 false
}

; A worker's life; its argument is its slot.
define internal ptr @worker(ptr %argument) {
entry:
  %slot = ptrtoint ptr %argument to i64
  br label %busy
busy:
  %worked = call i1 @work(i64 %slot)
  br i1 %worked, label %busy, label %idle
idle:
  %limit = load atomic i64, ptr @spins monotonic, align 8
  br label %spin
spin:
  %spun = phi i64 [ 0, %idle ], [ %more, %again ]
  $pause
  %found = call i1 @work(i64 %slot)
  br i1 %found, label %busy, label %again
again:
  %more = add i64 %spun, 1
  %tired = icmp uge i64 %more, %limit
  br i1 %tired, label %drowsy, label %spin
drowsy:
  %seen = load atomic i32, ptr @wakes seq_cst, align 4
  %count = atomicrmw add ptr @sleepers, i32 1 seq_cst
  %stopping = load atomic i32, ptr @stopping seq_cst, align 4
  %stop = icmp ne i32 %stopping, 0
  br i1 %stop, label %end, label %check
check:
  %late = call i1 @work(i64 %slot)
  br i1 %late, label %busy, label %rest
rest:
  call void @sleep(i32 %seen)
  br label %busy
end:
  ret ptr null
}

; Start the workers that are missing; signals stay with the threads of the program. As many as the
; system grants must do: it is not asked again.
define internal void @start() {
entry:
  %blocked = alloca [16 x i64], align 16
  %before = alloca [16 x i64], align 16
  %threads = load i64, ptr @threads, align 8
  call void @llvm.memset.p0.i64(ptr %blocked, i8 -1, i64 128, i1 false)
  store i64 $signals, ptr %blocked, align 8
  %set = call i32 @pthread_sigmask(i32 $setmask, ptr %blocked, ptr %before)
  br label %next
next:
  %slot = load i64, ptr @running, align 8
  %wanted = icmp ult i64 %slot, %threads
  br i1 %wanted, label %create, label %done
create:
  %handle = getelementptr i64, ptr @handles, i64 %slot
  %argument = inttoptr i64 %slot to ptr
  %error = call i32 @pthread_create(ptr %handle, ptr null, ptr @worker, ptr %argument)
  %failed = icmp ne i32 %error, 0
  br i1 %failed, label %done, label %created
created:
  %count = add i64 %slot, 1
  store i64 %count, ptr @running, align 8
  br label %next
done:
  store i64 %threads, ptr @started, align 8
  %reset = call i32 @pthread_sigmask(i32 $setmask, ptr %before, ptr null)
  ret void
}

; See ir.program.PARALLEL_SYMBOL. While another job is under way the caller works alone.
define i64 @parallel(ptr %task, ptr %context, i64 %pieces, i64 %threads) {
entry:
  %available = load atomic i64, ptr @threads monotonic, align 8
  %most = call i64 @llvm.umin.i64(i64 %available, i64 %threads)
  %many = icmp ugt i64 %most, 1
  br i1 %many, label %lock, label %single
lock:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %locked = extractvalue { i32, i1 } %pair, 1
  br i1 %locked, label %ready, label %single
single:
  %own = call i64 @alone(ptr %task, ptr %context, i64 %pieces)
  ret i64 %own
ready:
  %started = load i64, ptr @started, align 8
  %missing = icmp ult i64 %started, %available
  br i1 %missing, label %grow, label %publish
grow:
  call void @start()
  br label %publish
publish:
  store atomic ptr %task, ptr @job monotonic, align 8
  %context.at = getelementptr %Job, ptr @job, i64 0, i32 1
  store atomic ptr %context, ptr %context.at monotonic, align 8
  %threads.at = getelementptr %Job, ptr @job, i64 0, i32 2
  store atomic i64 %most, ptr %threads.at monotonic, align 8
  store atomic i64 0, ptr @finished monotonic, align 8
  store atomic i64 0, ptr @code monotonic, align 8
  %old = load atomic i64, ptr @ticket monotonic, align 8
  %number = lshr i64 %old, 24
  %following = add i64 %number, 1
  %top = shl i64 %following, 24
  %new = or i64 %top, %pieces
  %previous = atomicrmw xchg ptr @ticket, i64 %new seq_cst
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %quiet = icmp eq i32 %asleep, 0
  br i1 %quiet, label %take, label %rouse
rouse:
  call void @rouse()
  br label %take
take:
  %took = call i1 @work(i64 0)
  br i1 %took, label %take, label %wait
wait:
  %patience = load i64, ptr @patience, align 8
  br label %look
look:
  %spun = phi i64 [ 0, %wait ], [ %more, %spin ], [ %more, %yield ]
  %finished = load atomic i64, ptr @finished acquire, align 8
  %all = icmp eq i64 %finished, %pieces
  br i1 %all, label %done, label %spin
spin:
  $pause
  %more = add i64 %spun, 1
  %long = icmp ugt i64 %more, %patience
  br i1 %long, label %yield, label %look
yield:
  %yielded = call i32 @sched_yield()
  br label %look
done:
  %code = load atomic i64, ptr @code monotonic, align 8
  store atomic i32 0, ptr @busy release, align 4
  ret i64 %code
}

define internal void @rouse() {
  %none = atomicrmw xchg ptr @sleepers, i32 0 seq_cst
  %count = atomicrmw add ptr @wakes, i32 1 seq_cst
  call void @wake_all()
  ret void
}

; Wait until no job is under way and end all workers; the next job may start `threads` new ones.
define void @resize(i64 %threads, i64 %spins) {
  br label %lock
lock:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %locked = extractvalue { i32, i1 } %pair, 1
  br i1 %locked, label %stop, label %retry
retry:
  %yielded = call i32 @sched_yield()
  br label %lock
stop:
  store atomic i64 0, ptr @spins monotonic, align 8
  store atomic i32 1, ptr @stopping seq_cst, align 4
  call void @rouse()
  br label %next
next:
  %running = load i64, ptr @running, align 8
  %some = icmp ugt i64 %running, 1
  br i1 %some, label %join, label %done
join:
  %last = sub i64 %running, 1
  %handle.at = getelementptr i64, ptr @handles, i64 %last
  %handle = load i64, ptr %handle.at, align 8
  %error = call i32 @pthread_join(i64 %handle, ptr null)
  store i64 %last, ptr @running, align 8
  br label %next
done:
  store i64 1, ptr @started, align 8
  store atomic i64 %threads, ptr @threads monotonic, align 8
  store atomic i64 %spins, ptr @spins monotonic, align 8
  store atomic i32 0, ptr @stopping seq_cst, align 4
  store atomic i32 0, ptr @sleepers seq_cst, align 4
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

; In the child of a fork: the workers stayed behind, whatever they were doing.
define void @forget() {
  %old = load i64, ptr @ticket, align 8
  %done = and i64 %old, -16777216
  store i64 %done, ptr @ticket, align 8
  store i64 1, ptr @started, align 8
  store i64 1, ptr @running, align 8
  store i32 0, ptr @sleepers, align 4
  store i32 0, ptr @stopping, align 4
  store i32 0, ptr @busy, align 4
  ret void
}

define void @be_patient(i64 %spins) {
  store i64 %spins, ptr @patience, align 8
  ret void
}

; How many threads there are now, the dispatcher included.
define i64 @count() {
  %running = load i64, ptr @running, align 8
  ret i64 %running
}

; So many spins, to be timed.
define void @spin_for(i64 %count) {
entry:
  br label %loop
loop:
  %spun = phi i64 [ 0, %entry ], [ %more, %loop ]
  $pause
  %some = call i1 @work(i64 $max_threads)
  %more = add i64 %spun, 1
  %left = icmp ult i64 %more, %count
  br i1 %left, label %loop, label %done
done:
  ret void
}
""")

_WITHOUT_THREADS = """
define i64 @parallel(ptr %task, ptr %context, i64 %pieces, i64 %threads) {
  %code = call i64 @alone(ptr %task, ptr %context, i64 %pieces)
  ret i64 %code
}
define void @resize(i64 %threads, i64 %spins) {
  ret void
}
define void @forget() {
  ret void
}
define void @be_patient(i64 %spins) {
  ret void
}
define i64 @count() {
  ret i64 1
}
define void @spin_for(i64 %count) {
  ret void
}
"""

HAS_THREADS = os.name == "posix" and sys.maxsize > 2**32
"""Whether this system has POSIX threads as the pool knows them; else programs run alone."""

ENTRIES = ("parallel", "resize", "forget", "be_patient", "count", "spin_for")
"""The routines of the module."""


def pool_text() -> str:
    """The module for this system."""
    if not HAS_THREADS:
        return _ALONE + _WITHOUT_THREADS
    machine = platform.machine()
    futex = _FUTEX.get(machine) if sys.platform == "linux" else None
    sleep = _SLEEP_POLLING if futex is None else _SLEEP_FUTEX.substitute(futex=futex)
    pause, declaration = _PAUSE.get(machine, ("", ""))
    pool = _POOL.substitute(
        max_threads=MAX_THREADS,
        pause=pause,
        signals=-1 ^ sum(1 << (number - 1) for number in _OWN_FAULTS),
        setmask=int(signal.SIG_SETMASK),
    )
    return _ALONE + sleep + pool + declaration + "\n"


_OWN_FAULTS = (signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
"""Signals about a fault of the thread itself, which a worker must not block."""
