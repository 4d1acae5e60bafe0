"""The thread pool as LLVM text: what must not wait for the interpreter.

There is one job at a time. Each of its threads has a *slot*, and a range of the pieces to begin
with, always the same one, so that what it wrote in one job is in its cache for the next. The range
is one atomic word, the slot's *ticket*: from the top 40 bits of the job's number, 12 bits for the
next piece, 12 for the end. A thread takes pieces of its own from the front, then of others from the
back, by compare-and-exchange: of those that sleep at once, of others after a while, for what a
piece reads and writes lies in the cache of its owner. Where cores are far apart, every line that
another one has read costs the owner 8 ns (measured) when it is next written. The job's fields
change only when all its pieces are finished, so whoever has taken a piece may read them. A thread
that comes late finds nothing to take, because the ticket is used up or has another number, and
nobody waits for it.

Workers watch their tickets for a while, then sleep. They say so before they look at the ticket for
a last time, and are looked after once it has been written, so that one of the two sees the other;
slot s looks after slots 2 s + 1 and 2 s + 2. Sleepers on Linux wait on a futex (`man 2 futex`), on
other systems they look again every millisecond.

Entries other than those that programs call are called from Python, one at a time.
"""

from __future__ import annotations

import signal
from string import Template

from ..ir.program import ENTER, LEAVE, MAX_PIECES, PARALLEL
from .pool_choice import choice_text
from .pool_system import blocked_signals, pause, system_text

MAX_THREADS = 256
"""Of the process's pool, the calling thread included."""

assert MAX_PIECES < 1 << 12, "a ticket has 12 bits for the number of a piece"

_SLOT_BYTES = 128
"""Of `%Slot`: two cache lines, because neighbours are fetched together."""

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
%Slot = type { i64, i32, i32, [112 x i8] }  ; ticket, whether asleep, calls of wake

; What is written by different threads lies on different cache lines.
@slots = internal global [$max_threads x %Slot] zeroinitializer, align 128
@task = internal global ptr null, align 128
@context = internal global ptr null
@sharers = internal global i64 0              ; slots that take part in the job
@dispatcher = internal global i32 -1          ; the core that it was dispatched from
@finished = internal global i64 0, align 128  ; pieces of the job
@code = internal global i64 0, align 128      ; the greatest result of a piece
@busy = internal global i32 0, align 128      ; a job is being dispatched
@stopping = internal global i32 0, align 128
@threads = internal global i64 1, align 128   ; how many there shall be, dispatcher included
@started = internal global i64 1              ; how many were asked for since the last stop
@running = internal global i64 1              ; how many the system granted
@spins = internal global i64 0                ; of an idle worker before it sleeps
@patience = internal global i64 0             ; spins of a dispatcher before it yields
@reserve = internal global i64 1              ; spins of a thread before it takes others' pieces
@handles = internal global [$max_threads x i64] zeroinitializer, align 128

declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sched_yield()
declare i64 @llvm.umin.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; Take pieces of job %number that are %owner's and run them in slot %slot: from the front if they
; are its own, otherwise from the back, and if %patient only from one that is asleep. They are
; counted at the end: a line that every thread writes would go from core to core each time.
define internal void @work(i64 %number, i64 %owner, i64 %slot, i1 %patient) {
entry:
  %ticket.at = getelementptr %Slot, ptr @slots, i64 %owner
  %asleep.at = getelementptr %Slot, ptr @slots, i64 %owner, i32 1
  %own = icmp eq i64 %owner, %slot
  %other = xor i1 %own, true
  br label %look
look:
  %so.far = phi i64 [ 0, %entry ], [ %so.far, %take ], [ %one.more, %finish ]
  %ticket = load atomic i64, ptr %ticket.at acquire, align 8
  %its = lshr i64 %ticket, 24
  %same = icmp eq i64 %its, %number
  %shifted = lshr i64 %ticket, 12
  %first = and i64 %shifted, 4095
  %end = and i64 %ticket, 4095
  %some = icmp ult i64 %first, %end
  %asleep = load atomic i32, ptr %asleep.at monotonic, align 4
  %awake = icmp eq i32 %asleep, 0
  %spared = and i1 %patient, %awake
  %leave = and i1 %spared, %other
  %take.it = xor i1 %leave, true
  %there = and i1 %same, %some
  %left = and i1 %there, %take.it
  br i1 %left, label %take, label %none
take:
  %without.first = add i64 %ticket, 4096
  %without.last = sub i64 %ticket, 1
  %rest = select i1 %own, i64 %without.first, i64 %without.last
  %pair = cmpxchg ptr %ticket.at, i64 %ticket, i64 %rest acq_rel acquire
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %run, label %look
run:
  %last = sub i64 %end, 1
  %piece = select i1 %own, i64 %first, i64 %last
  %task = load atomic ptr, ptr @task monotonic, align 8
  %context = load atomic ptr, ptr @context monotonic, align 8
  %code = call i64 %task(ptr %context, i64 %piece, i64 %slot)
  %failed = icmp ne i64 %code, 0
  br i1 %failed, label %report, label %finish
report:
  %old = atomicrmw umax ptr @code, i64 %code monotonic
  br label %finish
finish:
  %one.more = add i64 %so.far, 1
  br label %look
none:
  %any = icmp ne i64 %so.far, 0
  br i1 %any, label %tell, label %return
tell:
  %count = atomicrmw add ptr @finished, i64 %so.far release
  br label %return
return:
  ret void
}

; All that slot %slot does for job %number: its own pieces, then what is left of others'.
define internal void @take_part(i64 %number, i64 %slot) {
entry:
  %sharers = load atomic i64, ptr @sharers monotonic, align 8
  %current = icmp ult i64 %slot, %sharers
  br i1 %current, label %children, label %done
children:
  %left.child = shl i64 %slot, 1
  %left = add i64 %left.child, 1
  %parent = icmp ult i64 %left, %sharers
  br i1 %parent, label %look.after, label %own
look.after:
  fence seq_cst
  call void @rouse(i64 %left)
  %right = add i64 %left, 1
  %two = icmp ult i64 %right, %sharers
  br i1 %two, label %second, label %own
second:
  call void @rouse(i64 %right)
  br label %own
own:
  call void @work(i64 %number, i64 %slot, i64 %slot, i1 true)
  call void @help(i64 %number, i64 %slot, i1 true)
  br label %done
done:
  ret void
}

; What is left of others' pieces of job %number.
define internal void @help(i64 %number, i64 %slot, i1 %patient) {
entry:
  %sharers = load atomic i64, ptr @sharers monotonic, align 8
  %current = icmp ult i64 %slot, %sharers
  br i1 %current, label %next, label %done
next:
  %owner = phi i64 [ %slot, %entry ], [ %other, %take ]
  %following = add i64 %owner, 1
  %over = icmp uge i64 %following, %sharers
  %other = select i1 %over, i64 0, i64 %following
  %round = icmp eq i64 %other, %slot
  br i1 %round, label %done, label %take
take:
  call void @work(i64 %number, i64 %other, i64 %slot, i1 %patient)
  br label %next
done:
  ret void
}

; Wake a slot's worker if it sleeps.
define internal void @rouse(i64 %slot) {
  %asleep.at = getelementptr %Slot, ptr @slots, i64 %slot, i32 1
  %asleep = load atomic i32, ptr %asleep.at seq_cst, align 4
  %awake = icmp eq i32 %asleep, 0
  br i1 %awake, label %done, label %call
call:
  call void @wake_up(i64 %slot)
  br label %done
done:
  ret void
}

define internal void @wake_up(i64 %slot) {
  %asleep.at = getelementptr %Slot, ptr @slots, i64 %slot, i32 1
  %calls.at = getelementptr %Slot, ptr @slots, i64 %slot, i32 2
  store atomic i32 0, ptr %asleep.at seq_cst, align 4
  %count = atomicrmw add ptr %calls.at, i32 1 seq_cst
  call void @wake(ptr %calls.at)
  ret void
}

; A worker's life; its argument is its slot.
define internal ptr @worker(ptr %argument) {
entry:
  %slot = ptrtoint ptr %argument to i64
  %ticket.at = getelementptr %Slot, ptr @slots, i64 %slot
  %asleep.at = getelementptr %Slot, ptr @slots, i64 %slot, i32 1
  %calls.at = getelementptr %Slot, ptr @slots, i64 %slot, i32 2
  br label %idle
idle:
  %known = phi i64 [ -1, %entry ], [ %number, %busy ], [ %known, %rest ]
  %limit = load atomic i64, ptr @spins monotonic, align 8
  %reserve = load atomic i64, ptr @reserve monotonic, align 8
  br label %spin
spin:
  %spun = phi i64 [ 0, %idle ], [ %more, %stay ], [ %more, %place ]
  %ticket = load atomic i64, ptr %ticket.at acquire, align 8
  %number = lshr i64 %ticket, 24
  %new = icmp ne i64 %number, %known
  br i1 %new, label %busy, label %again
busy:
  call void @take_part(i64 %number, i64 %slot)
  br label %idle
again:
  $pause
  %more = add i64 %spun, 1
  %long = icmp eq i64 %more, %reserve
  br i1 %long, label %aid, label %wait
aid:
  call void @help(i64 %known, i64 %slot, i1 false)
  br label %wait
wait:
  %tired = icmp uge i64 %more, %limit
  br i1 %tired, label %drowsy, label %stay
stay:
  %low = and i64 %more, 63
  %now.and.then = icmp eq i64 %low, 0
  br i1 %now.and.then, label %place, label %spin
place:
  call void @make_way()
  br label %spin
drowsy:
  %seen = load atomic i32, ptr %calls.at seq_cst, align 4
  %before = atomicrmw xchg ptr %asleep.at, i32 1 seq_cst
  %stopping = load atomic i32, ptr @stopping seq_cst, align 4
  %stop = icmp ne i32 %stopping, 0
  br i1 %stop, label %end, label %check
check:
  %late.ticket = load atomic i64, ptr %ticket.at seq_cst, align 8
  %late.number = lshr i64 %late.ticket, 24
  %late = icmp ne i64 %late.number, %known
  br i1 %late, label %rest, label %nap
nap:
  call void @sleep(ptr %calls.at, i32 %seen)
  br label %rest
rest:
  store atomic i32 0, ptr %asleep.at seq_cst, align 4
  call void @make_way()
  br label %idle
end:
  ret ptr null
}

; A worker on the dispatcher's core would take time from it and be of no use. The system puts it
; there when all cores are taken by others, and leaves it there for long.
define internal void @make_way() {
  %core = call i32 @core()
  %dispatcher = load atomic i32, ptr @dispatcher monotonic, align 4
  %same = icmp eq i32 %core, %dispatcher
  %known = icmp sgt i32 %core, -1
  %both = and i1 %same, %known
  br i1 %both, label %go, label %done
go:
  call void @leave(i32 %core)
  br label %done
done:
  ret void
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

; See ir.program.PARALLEL. While another job is under way the caller works alone.
define i64 @parallel(ptr %task, ptr %context, i64 %pieces, i64 %threads) {
entry:
  %available = load atomic i64, ptr @threads monotonic, align 8
  %bound = call i64 @llvm.umin.i64(i64 %threads, i64 %pieces)
  %most = call i64 @llvm.umin.i64(i64 %available, i64 %bound)
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
  br i1 %missing, label %grow, label %describe
grow:
  call void @start()
  br label %describe
describe:
  %running = load i64, ptr @running, align 8
  %sharers = call i64 @llvm.umin.i64(i64 %running, i64 %most)
  store atomic ptr %task, ptr @task monotonic, align 8
  store atomic ptr %context, ptr @context monotonic, align 8
  store atomic i64 %sharers, ptr @sharers monotonic, align 8
  %core = call i32 @core()
  store atomic i32 %core, ptr @dispatcher monotonic, align 4
  store atomic i64 0, ptr @finished monotonic, align 8
  store atomic i64 0, ptr @code monotonic, align 8
  %old = load atomic i64, ptr @slots monotonic, align 8
  %last.number = lshr i64 %old, 24
  %next.number = add i64 %last.number, 1
  %top = shl i64 %next.number, 24
  %number = lshr i64 %top, 24
  br label %publish
publish:  ; from the last slot down: who sees its ticket sees those of the slots that it looks after
  %above = phi i64 [ %sharers, %describe ], [ %slot, %publish ]
  %end = phi i64 [ %pieces, %describe ], [ %first, %publish ]
  %slot = sub i64 %above, 1
  %part = mul i64 %pieces, %slot
  %first = udiv i64 %part, %sharers
  %first.shifted = shl i64 %first, 12
  %range = or i64 %first.shifted, %end
  %ticket = or i64 %top, %range
  %ticket.at = getelementptr %Slot, ptr @slots, i64 %slot
  store atomic i64 %ticket, ptr %ticket.at release, align 8
  %all = icmp eq i64 %slot, 0
  br i1 %all, label %take, label %publish
take:
  call void @take_part(i64 %number, i64 0)
  %patience = load i64, ptr @patience, align 8
  %reserve = load atomic i64, ptr @reserve monotonic, align 8
  br label %look
look:
  %spun = phi i64 [ 0, %take ], [ %more, %wait ], [ %more, %yield ]
  %finished = load atomic i64, ptr @finished acquire, align 8
  %complete = icmp eq i64 %finished, %pieces
  br i1 %complete, label %done, label %spin
spin:
  $pause
  %more = add i64 %spun, 1
  %late = icmp eq i64 %more, %reserve
  br i1 %late, label %aid, label %wait
aid:
  call void @help(i64 %number, i64 0, i1 false)
  br label %wait
wait:
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

; Wait until no job is under way and end all workers; the next job may start new ones, so that there
; are `threads` threads.
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
  br label %next
next:
  %running = load i64, ptr @running, align 8
  %some = icmp ugt i64 %running, 1
  br i1 %some, label %join, label %done
join:
  %last = sub i64 %running, 1
  call void @wake_up(i64 %last)
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
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

; In the child of a fork: the workers stayed behind, whatever they were doing.
define void @forget() {
  call void @llvm.memset.p0.i64(ptr align 128 @slots, i8 0, i64 $slot_bytes, i1 false)
  store i64 1, ptr @started, align 8
  store i64 1, ptr @running, align 8
  store i32 0, ptr @stopping, align 4
  store i32 0, ptr @busy, align 4
  ret void
}

define void @be_patient(i64 %spins, i64 %reserve) {
  store i64 %spins, ptr @patience, align 8
  store atomic i64 %reserve, ptr @reserve monotonic, align 8
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
  %ticket = load atomic i64, ptr @slots acquire, align 8
  %more = add i64 %spun, 1
  %left = icmp ult i64 %more, %count
  br i1 %left, label %loop, label %done
done:
  ret void
}
""")

CALLED = {PARALLEL: "parallel", ENTER: "enter", LEAVE: "leave_program"}
"""What programs call, and its name here."""

ENTRIES = (*CALLED.values(), "resize", "forget", "be_patient", "count", "spin_for")
"""The routines of the module."""


def pool_text() -> str:
    """The module for this system, which has POSIX threads."""
    instruction, declaration = pause()
    pool = _POOL.substitute(
        max_threads=MAX_THREADS,
        slot_bytes=MAX_THREADS * _SLOT_BYTES,
        pause=instruction,
        signals=blocked_signals(),
        setmask=int(signal.SIG_SETMASK),
    )
    return "\n".join((_ALONE, system_text(), pool, choice_text(), declaration, ""))
