"""What a process may do around compiled functions: fork, be interrupted, run threads, exit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..processes import run_script

PREAMBLE = """
import os, signal, sys, threading, time
import numpy as np
import tapeless as tl
x = np.linspace(0, 1, 1000)
expected = np.sum(np.exp(x))
"""


def run(script: str) -> str:
    """The output of a script in a process of its own; fails if that fails or hangs."""
    return run_script(PREAMBLE, script).stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("used_before", [True, False])
def test_children_after_a_fork_compile_and_run(used_before):
    out = run(
        f"""
        f = tl.compile(lambda x: np.sum(np.exp(x)))
        if {used_before}:
            f(x)
        child = os.fork()
        ok = np.isclose(f(x), expected) and tl.compile(lambda x: x + 1.0)(x)[0] == 1.0
        if child == 0:
            os._exit(0 if ok else 3)
        print(os.waitpid(child, 0)[1] == 0 and ok)
        """
    )
    assert out.strip() == "True"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_an_interrupt_between_calls_leaves_everything_usable():
    out = run(
        """
        f = tl.compile(lambda x: np.sum(np.exp(x)))
        f(x)
        # A shell starts what runs in its background with interrupts ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        try:
            while time.monotonic() - started < 30:
                f(x)
        except KeyboardInterrupt:
            print(time.monotonic() - started < 5, np.isclose(f(x), expected))
        """
    )
    assert out.strip() == "True True"


def test_other_threads_run_during_long_programs():
    out = run(
        """
        big = np.zeros((600, 600))
        f = tl.compile(lambda a: np.sum(a @ a @ a @ a))
        f(big)
        worker = threading.Thread(target=lambda: [f(big) for _ in range(5)])
        ticks = 0
        worker.start()
        while worker.is_alive():
            ticks += 1
            time.sleep(0)
        print(ticks > 5)
        """
    )
    assert out.strip() == "True"


def test_threads_that_update_arrays_of_their_own_do_not_disturb_each_other():
    out = run(
        """
        def step(w, x):
            w += np.sum(np.tanh(x * w))
            return np.sum(w)

        f = tl.compile(step)
        expected = []
        for i in range(4):
            w = np.full(500, i / 10)
            for _ in range(50):
                step(w, x[:500])
            expected.append(w)
        arrays = [np.full(500, i / 10) for i in range(4)]
        threads = [
            threading.Thread(target=lambda w=w: [f(w, x[:500]) for _ in range(50)])
            for w in arrays
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(all(np.allclose(a, b) for a, b in zip(arrays, expected)))
        """
    )
    assert out.strip() == "True"


SLOW = "networkx matplotlib numpy.random numpy.ma statistics ssl xml.sax".split()
"""Modules that take longer to import than they are worth to who does not use them."""


def test_importing_imports_nothing_slow():
    assert run(f"print([m for m in {SLOW} if m in sys.modules])").strip() == "[]"


def test_layers_and_plots_are_imported_when_they_are_used():
    out = run(
        """
        names = ["nn", "plot"]
        print([name for name in names if f"tapeless.{name}" in sys.modules])
        print(set(names) <= set(dir(tl)), [getattr(tl, name).__name__ for name in names])
        print(hasattr(tl, "nothing"))
        """
    )
    expected = "[]\nTrue ['tapeless.nn', 'tapeless.plot']\nFalse"
    assert out.strip() == expected


def test_importing_leaves_the_collector_as_it_was():
    script = "import gc; {}; import tapeless; print(gc.isenabled())"
    for before, expected in (("gc.enable()", "True"), ("gc.disable()", "False")):
        command = [sys.executable, "-c", script.format(before)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert out.strip() == expected


def test_compiling_imports_no_random_number_generators():
    out = run("tl.compile(lambda x: x * 2)(x); print('numpy.random' in sys.modules)")
    assert out.strip() == "False"


@pytest.mark.parametrize(
    ("use", "warns"),
    [
        ("np.random.rand()", True),
        ("np.random.randint(9)", True),
        ("np.random.rand(312)[0]", True),  # after which the generator stands where it began
        ("np.random.default_rng(3).random()", False),
        ("len(np.random.__all__)", False),
    ],
)
def test_the_first_random_number_of_a_process_is_noticed_in_a_trace(use, warns):
    out = run(
        f"""
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tl.compile(lambda x: x * {use})(x)
        print(["random numbers were drawn" in str(w.message) for w in caught])
        """
    )
    assert out.strip() == ("[True]" if warns else "[]")


def test_a_process_exits_cleanly_with_compiled_functions_alive():
    assert run("f = tl.compile(lambda x: x * 2); f(x); print('bye')").strip() == "bye"
