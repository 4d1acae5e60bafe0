"""Calls on one thread run their pieces themselves, and differ in nothing else from those that share
them."""

from __future__ import annotations

import pytest

from tapeless.runtime import pool_system

from .scripts import script

needs_threads = pytest.mark.skipif(not pool_system.HAS_THREADS, reason="needs POSIX threads")


@pytest.mark.parametrize(("size", "threads"), [(100, 2), (300_000, 1)])
def test_what_runs_on_one_thread_makes_no_pool(size: int, threads: int) -> None:
    out = script(
        f"""
        from tapeless.runtime import threads
        values = [f(x[:{size}]) for _ in range(5)]
        print(threads._SETTING._pool, len(set(values)))
        """,
        N=str(threads),
    )
    assert out == "None 1"


@needs_threads
def test_a_program_that_began_on_one_thread_shares_its_pieces_later() -> None:
    out = script(
        """
        values = {f(x) for _ in range(5)}
        tl.set_threads(2)
        values |= {f(x) for _ in range(5)}
        print(len(values), pool().running())
        """,
        N="1",
    )
    assert out == "1 2"


@pytest.mark.parametrize("second_fails_first", [False, True])
def test_the_line_that_is_blamed_does_not_depend_on_the_threads(second_fails_first) -> None:
    out = script(
        f"""
        from tapeless.errors import OutOfBoundsError
        def pick(x, y, i, j):
            a = x[i]
            return a * y[j]
        pick = tl.compile(pick)
        i, j = np.zeros((2, 200_000), np.int64)
        places = [5, -5] if {second_fails_first} else [-5, 5]
        i[places[0]], j[places[1]] = 99, 99
        lines = set()
        for n in (1, 2, 1):
            tl.set_threads(n)
            for _ in range(3):
                try:
                    pick(x[:10], x[:20], i, j)
                except OutOfBoundsError as error:
                    lines.add(error.loc.line)
        print(len(lines), pick.cost(x[:10], x[:20], i, j).kernels)
        """
    )
    assert out == "1 1"
