"""The command line: what it prints, and one line with exit code 2 for everything that is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tapeless.cli import main
from tapeless.cli.load import split_target
from tapeless.cli.terminal import paint_difference, paint_program, wants_colour
from tapeless.compiler import pipeline
from tapeless.ir.parser import parse_graph

MODEL = '''
"""A model to look at."""
import numpy as np
import tapeless as tl

print("loading")

def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)

def example():
    return np.ones((4, 3)), np.ones((5, 4))

@tl.compile(example=example)
def step(w, x):
    value, gradient = tl.value_and_grad(loss)(w, x)
    w -= 0.01 * gradient
    return value

if __name__ == "__main__":
    raise RuntimeError("must not run")
'''

TWO = (
    MODEL
    + """
@tl.compile(example=example)
def other(w, x):
    return np.sum(x @ w)

@tl.compile
def bare(w):
    return w + 1.0
"""
)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.py"
    path.write_text(TWO, encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Forget the modules that a test loaded, so that the next one may reuse their names."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Standard output of a command that succeeds."""
    assert main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def fail(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line on standard error of a command that fails with exit code 2."""
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line != "loading"]
    assert code == 2
    assert not out
    assert len(lines) == 1
    assert lines[0].startswith("tapeless: ")
    return lines[0]


def test_dump_prints_the_program_before_and_after_fusion(model, capsys) -> None:
    out = run(capsys, "dump", model)
    before, after = out.split("\n# after fusion")
    assert before.startswith("# before fusion (stage optimized): ")
    assert "fused" not in before.split("\n", 1)[1]
    assert "= fused[" in after
    assert "model.py:9" in before
    assert "\033" not in out


def test_dump_keeps_what_the_file_prints_out_of_its_own_output(model, capsys) -> None:
    assert main(["dump", model]) == 0
    out, err = capsys.readouterr()
    assert "loading" not in out
    assert err == "loading\n"


def test_dump_of_one_stage_is_the_stage_alone_and_parses(model, capsys) -> None:
    out = run(capsys, "dump", f"{model}:step", "--stage", "fused")
    assert [value.type.shape for value in parse_graph(out).inputs] == [(4, 3), (5, 4)]


def test_dump_why_gives_a_reason_for_every_pair_of_kernels(model, capsys) -> None:
    assert run(capsys, "dump", model, "--why") == "no kernel reads the results of another\n"
    larger = MODEL.replace("(4, 3)", "(40, 30)").replace("(5, 4)", "(50, 40)")
    Path(model).write_text(larger, encoding="utf-8")
    lines = run(capsys, "dump", model, "--why").splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"\w+ \(.+:\d+\) -> \w+ \(.+:\d+\): .+", line)


def test_dump_list_names_every_stage_with_its_size(model, capsys) -> None:
    lines = run(capsys, "dump", model, "--list").splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:2] == ["traced", "differentiated"]
    assert names[-3:] == ["loops", "llvm", "asm"]
    assert {"optimized", "fused"} <= set(names)
    assert all(line.split()[1][0].isdigit() for line in lines)


@pytest.mark.parametrize(
    ("form", "expected"), [("llvm", "define "), ("asm", "\tret"), ("dot", "digraph {")]
)
def test_dump_formats(model, capsys, form: str, expected: str) -> None:
    assert expected in run(capsys, "dump", model, "--format", form)


def test_dump_diff_shows_what_fusion_changed(model, capsys) -> None:
    lines = run(capsys, "dump", model, "--diff").splitlines()
    assert lines[:2] == ["--- optimized", "+++ fused"]
    assert any(line.startswith("+") and "= fused[" in line for line in lines)


def test_dump_diff_of_a_stage_compares_with_the_stage_before(model, capsys) -> None:
    lines = run(capsys, "dump", model, "--diff", "--stage", "differentiated").splitlines()
    assert lines[:2] == ["--- traced", "+++ differentiated"]
    assert any(line.startswith("-") and "= vjp[" in line for line in lines)


def test_dump_draws_both_graphs_into_an_svg_file(model, capsys, tmp_path) -> None:
    path = tmp_path / "step.svg"
    assert run(capsys, "dump", model, "-o", str(path)) == ""
    words = "".join(ElementTree.parse(path).getroot().itertext())
    assert "before fusion" in words
    assert "after fusion" in words
    assert "tanh" in words


def test_time_prints_both_ways_and_when_compiling_has_paid(model, capsys) -> None:
    out = run(capsys, "time", model, "--seconds", "0.1")
    for expected in ("model.py:step", "dynamic", "static", "speed-up", "compile time", "paid back"):
        assert expected in out
    for calls in ("10 ", "100 ", "1,000 ", "10,000 "):
        assert f" {calls}" in out


def test_time_json_has_consistent_figures(model, capsys) -> None:
    figures = json.loads(run(capsys, "time", model, "--seconds", "0.1", "--json"))
    dynamic, static = figures["dynamic"]["median_s"], figures["static"]["median_s"]
    assert figures["speed_up"] == pytest.approx(dynamic / static)
    assert figures["compile_s"] > 0
    for total in figures["totals"]:
        assert total["dynamic_s"] == pytest.approx(total["calls"] * dynamic)
        assert total["static_s"] == pytest.approx(figures["compile_s"] + total["calls"] * static)


def test_time_plot_writes_a_picture(model, capsys, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "t.png"
    out = run(capsys, "time", model, "--seconds", "0.1", "--plot", "-o", str(path))
    assert f"plot written to {path}" in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_time_plot_without_matplotlib_says_how_to_get_it(model, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert "pip install 'tapeless[plot]'" in fail(
        capsys, "time", model, "--seconds", "0.1", "--plot"
    )


def test_info_names_versions_target_and_threads(capsys) -> None:
    names = [line.split()[0] for line in run(capsys, "info").splitlines()]
    expected = {"tapeless", "numpy", "llvmlite", "networkx", "LLVM", "target", "CPU", "threads"}
    assert expected <= set(names)


def test_info_with_a_target_that_does_not_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapeless", "info"],
        env={**os.environ, "TAPELESS_TARGET": "abacus"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("tapeless: TAPELESS_TARGET is one of avx512, avx2, sse2")
    assert done.stderr.count("\n") == 1


def test_help_shows_examples(capsys) -> None:
    for argv in (["--help"], ["dump", "--help"], ["time", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(argv)
        assert end.value.code == 0
        assert "  tapeless " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["dump", "missing.py"], "no such file: missing.py"),
        (["dump", "missing.py:step"], "no such file: missing.py"),
        (["dump", "."], ". is a folder"),
        (["dump"], "arguments are required: FILE[:FUNCTION]"),
        ([], "arguments are required"),
        (["draw", "x.py"], "invalid choice: 'draw'"),
        (["time", "x.py", "--seconds", "-1"], "is not a positive number"),
        (["dump", "x.py", "--format", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_wrong_command_lines(capsys, argv: list[str], expected: str) -> None:
    assert expected in fail(capsys, *argv)


def test_several_functions_and_none_named_lists_them(two, capsys) -> None:
    message = fail(capsys, "dump", two)
    assert f"{two}:step" in message
    assert f"{two}:other" in message
    assert "bare" not in message
    assert "dot" in run(capsys, "dump", f"{two}:other")


def test_wrong_function_names(two, capsys) -> None:
    assert "no compiled function nothing; there are: step, other, bare" in fail(
        capsys, "dump", f"{two}:nothing"
    )
    assert "bare" in fail(capsys, "dump", f"{two}:bare")
    assert "has no example arguments" in fail(capsys, "time", f"{two}:bare")
    assert "no compiled function loss" in fail(capsys, "dump", f"{two}:loss")


def test_wrong_stages_and_formats(model, capsys) -> None:
    assert "no stage fusd; did you mean fused? There are: traced," in fail(
        capsys, "dump", model, "--stage", "fusd"
    )
    assert "is text, not a graph" in fail(
        capsys, "dump", model, "--stage", "llvm", "--format", "svg"
    )
    assert "shows the stage llvm" in fail(
        capsys, "dump", model, "--stage", "fused", "--format", "llvm"
    )
    assert "first stage" in fail(capsys, "dump", model, "--diff", "--stage", "traced")
    assert "cannot be combined" in fail(capsys, "dump", model, "--list", "--format", "dot")


def test_unwritable_output(model, capsys) -> None:
    assert "cannot write" in fail(capsys, "dump", model, "-o", "/no/such/folder/x.txt")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = (", "SyntaxError"),
        ("\n\n1 / 0\n", "3: ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "called sys.exit()"),
        ("x = 1", "has no function decorated with @tl.compile(example=make_arguments)"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, capsys, source: str, expected: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source, encoding="utf-8")
    assert expected in fail(capsys, "dump", str(path))


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ("lambda: 1.0", "must return a tuple with one entry per argument, not float"),
        ("lambda: [][1]", "the example of f: IndexError: list index"),
        ("lambda: (np.ones(3), 2)", "the arguments of f fit its parameters (x)"),
        ("lambda: (np.ones(3, complex),)", "complex128"),
    ],
)
def test_examples_that_cannot_be_used(tmp_path, capsys, example: str, expected: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(
        "import numpy as np\nimport tapeless as tl\n\n"
        f"@tl.compile(example={example})\ndef f(x):\n    return x + 1.0\n",
        encoding="utf-8",
    )
    assert expected in fail(capsys, "dump", str(path))


def test_an_error_while_tracing_names_the_users_line(tmp_path, capsys) -> None:
    path = tmp_path / "branch.py"
    path.write_text(
        "import numpy as np\nimport tapeless as tl\n\n"
        "@tl.compile(example=lambda: (np.ones(()),))\ndef f(x):\n"
        "    if x > 0:\n        return x\n    return -x\n",
        encoding="utf-8",
    )
    assert "branch.py:6" in fail(capsys, "dump", str(path))


@pytest.mark.parametrize("command", ["dump", "time"])
def test_a_bug_in_the_users_function_is_one_line_too(tmp_path, capsys, command: str) -> None:
    path = tmp_path / "bug.py"
    path.write_text(
        "import numpy as np\nimport tapeless as tl\n\n"
        "@tl.compile(example=lambda: (np.ones(3),))\ndef f(x):\n    return x + nothing\n",
        encoding="utf-8",
    )
    assert "bug.py:6: NameError: name 'nothing' is not defined" in fail(capsys, command, str(path))


def test_a_bug_of_ours_is_not_passed_off_as_the_users(model, monkeypatch) -> None:
    broken = replace(pipeline.EXPANSION, run=len)  # a graph has no length
    monkeypatch.setattr(pipeline, "EXPANSION", broken)
    with pytest.raises(TypeError, match="'Graph' has no len"):
        main(["dump", model])


def test_target_is_split_at_the_last_colon_before_a_name(tmp_path) -> None:
    odd = tmp_path / "a:b"
    odd.write_text("", encoding="utf-8")
    assert split_target(str(odd)) == (str(odd), None)
    assert split_target(f"{odd}:step") == (str(odd), "step")


class Terminal:
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


def test_colour_changes_nothing_but_colour() -> None:
    text = "graph f(x: f64[]) {\n  y: f64[] = exp x      # backward model.py:3\n  return y\n}\n"
    plain = paint_program(text)
    for code in ("\033[0m", "\033[1m", "\033[2m", "\033[33m"):
        assert code in plain
        plain = plain.replace(code, "")
    assert plain == text
    assert "\033[32m+ added\033[0m" in paint_difference("+ added\n  same")


def test_python_m_tapeless_is_the_same_command(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tapeless", "dump", "missing.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr == "tapeless: no such file: missing.py\n"
