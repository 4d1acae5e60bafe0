"""Whether a program runs on several threads at all, as LLVM text: it is timed both ways.

Results are the same for any number of threads, so only speed decides; and whether several threads
are faster depends on what no static count can tell: how far apart the cores are, what else runs on
them, whose cache the arrays are in. Every program has a *site*, 64 bytes of its own. It starts on
several threads; after some calls it runs a few on one, or the other way round, and stays with what
took less. The longer nothing changes, the rarer the trials: down to 5 calls in 1,000.

Times are moving averages. One sample counts for at most twice the average, because a call that the
system interrupted says little; the first call after a change of mode counts for nothing, because it
moves data from cache to cache. Concurrent calls of one program may spoil each other's figures, but
nothing else.
"""

from __future__ import annotations

import time
from string import Template

_FIRST_PERIOD = 32
"""Calls before the first trial; doubled each time that a trial changes nothing, up to `_DOUBLINGS`
times."""

_DOUBLINGS = 5

_TRIAL = 5
"""Calls of a trial."""

_CHOICE = Template("""
%Site = type {
  i64,  ; 1: one thread is faster
  i64,  ; 1: a trial is under way, of what is not faster
  i64,  ; 1: the last call ran on one thread
  i64,  ; average nanoseconds on several threads
  i64,  ; average nanoseconds on one thread
  i64,  ; calls in this period
  i64,  ; how often the period was doubled
  i64
}

declare i32 @clock_gettime(i32, ptr)
define internal i64 @now() {
  %time = alloca [2 x i64], align 16
  %error = call i32 @clock_gettime(i32 $clock, ptr %time)
  %seconds = load i64, ptr %time, align 8
  %rest.at = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.at, align 8
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}

; See ir.program.ENTER. The call record is the time, 0 if it does not count, and the mode.
define i64 @enter(ptr %site, i64 %threads, ptr %call) {
  %available = load atomic i64, ptr @threads monotonic, align 8
  %most = call i64 @llvm.umin.i64(i64 %available, i64 %threads)
  %many = icmp ugt i64 %most, 1
  br i1 %many, label %choose, label %plain
plain:
  store i64 0, ptr %call, align 8
  ret i64 %threads
choose:
  %trial.at = getelementptr %Site, ptr %site, i64 0, i32 1
  %best = load atomic i64, ptr %site monotonic, align 8
  %trial = load atomic i64, ptr %trial.at monotonic, align 8
  %single = xor i64 %best, %trial
  %time = call i64 @now()
  store i64 %time, ptr %call, align 8
  %mode.at = getelementptr i64, ptr %call, i64 1
  store i64 %single, ptr %mode.at, align 8
  %alone = icmp ne i64 %single, 0
  %chosen = select i1 %alone, i64 1, i64 %threads
  ret i64 %chosen
}

define void @leave_program(ptr %site, ptr %call) {
  %start = load i64, ptr %call, align 8
  %counts = icmp ne i64 %start, 0
  br i1 %counts, label %compare, label %done
compare:
  %mode.at = getelementptr i64, ptr %call, i64 1
  %single = load i64, ptr %mode.at, align 8
  %last.at = getelementptr %Site, ptr %site, i64 0, i32 2
  %last = load atomic i64, ptr %last.at monotonic, align 8
  store atomic i64 %single, ptr %last.at monotonic, align 8
  %same = icmp eq i64 %last, %single
  br i1 %same, label %measure, label %done
measure:
  %end = call i64 @now()
  %taken = sub i64 %end, %start
  %several.at = getelementptr %Site, ptr %site, i64 0, i32 3
  %average.at = getelementptr i64, ptr %several.at, i64 %single
  %average = load atomic i64, ptr %average.at monotonic, align 8
  %twice = shl i64 %average, 1
  %bounded = call i64 @llvm.umin.i64(i64 %taken, i64 %twice)
  %delta = sub i64 %bounded, %average
  %step = ashr i64 %delta, 2
  %moved = add i64 %average, %step
  %first = icmp eq i64 %average, 0
  %next.average = select i1 %first, i64 %taken, i64 %moved
  store atomic i64 %next.average, ptr %average.at monotonic, align 8
  %count.at = getelementptr %Site, ptr %site, i64 0, i32 5
  %doubled.at = getelementptr %Site, ptr %site, i64 0, i32 6
  %trial.at = getelementptr %Site, ptr %site, i64 0, i32 1
  %old.count = load atomic i64, ptr %count.at monotonic, align 8
  %doubled = load atomic i64, ptr %doubled.at monotonic, align 8
  %trial = load atomic i64, ptr %trial.at monotonic, align 8
  %count = add i64 %old.count, 1
  %on.trial = icmp ne i64 %trial, 0
  %period = shl i64 $first_period, %doubled
  %length = select i1 %on.trial, i64 $trial, i64 %period
  %over = icmp uge i64 %count, %length
  %new.count = select i1 %over, i64 0, i64 %count
  store atomic i64 %new.count, ptr %count.at monotonic, align 8
  br i1 %over, label %turn, label %done
turn:
  %new.trial = xor i64 %trial, 1
  store atomic i64 %new.trial, ptr %trial.at monotonic, align 8
  br i1 %on.trial, label %decide, label %done
decide:
  %one.at = getelementptr %Site, ptr %site, i64 0, i32 4
  %several = load atomic i64, ptr %several.at monotonic, align 8
  %one = load atomic i64, ptr %one.at monotonic, align 8
  %better = icmp ult i64 %one, %several
  %new.best = zext i1 %better to i64
  %best = load atomic i64, ptr %site monotonic, align 8
  store atomic i64 %new.best, ptr %site monotonic, align 8
  %changed = icmp ne i64 %new.best, %best
  %more = add i64 %doubled, 1
  %capped = call i64 @llvm.umin.i64(i64 %more, i64 $doublings)
  %new.doubled = select i1 %changed, i64 0, i64 %capped
  store atomic i64 %new.doubled, ptr %doubled.at monotonic, align 8
  br label %done
done:
  ret void
}
""")


def choice_text() -> str:
    """The routines `enter` and `leave_program`; they use the pool's `@threads`."""
    return _CHOICE.substitute(
        clock=int(time.CLOCK_MONOTONIC),
        first_period=_FIRST_PERIOD,
        doublings=_DOUBLINGS,
        trial=_TRIAL,
    )
