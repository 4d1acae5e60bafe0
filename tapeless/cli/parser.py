"""The options of the command, and the help that explains them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from importlib.metadata import version
from typing import NoReturn

from .compare import run_time
from .dump import FORMATS, run_dump
from .info import run_info

TARGET_HELP = """\
a Python file with a function decorated with @tl.compile(example=make_arguments);
make_arguments() returns a tuple of the arguments. Name the function if there are several"""

DESCRIPTION = """\
Look into functions compiled by tapeless.

  tapeless dump examples/digits.py      the program before and after fusion
  tapeless time examples/digits.py      define-by-run against compiled
  tapeless info                         versions, target, threads
"""

DUMP_DESCRIPTION = """\
Print the program of a compiled function, by default before and after fusion.

  tapeless dump model.py                          before and after fusion
  tapeless dump model.py:step --list              the names of all stages
  tapeless dump model.py:step --stage traced      one stage
  tapeless dump model.py:step --diff              what fusion changed
  tapeless dump model.py --diff --stage shared    what one stage changed
  tapeless dump model.py:step -o step.svg         a picture (needs no other program)
  tapeless dump model.py:step --format asm        machine code
"""

TIME_DESCRIPTION = """\
Time a function define-by-run (every operation by NumPy as it is met, gradients by a
tape) against the same function compiled. The two take turns; medians and quartiles
over the turns are shown, and the number of calls after which compiling has paid.

  tapeless time model.py                          a table
  tapeless time model.py:step --json -o t.json    for other programs
  tapeless time model.py:step --plot -o t.png     a plot (needs matplotlib)
"""


class Parser(ArgumentParser):
    """A parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Report a wrong command line."""
        print(f"tapeless: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def make_parser() -> ArgumentParser:
    """The parser of the whole command; `options.run` is the function of the chosen subcommand."""
    layout = RawDescriptionHelpFormatter
    parser = Parser(prog="tapeless", description=DESCRIPTION, formatter_class=layout)
    parser.add_argument("--version", action="version", version=f"tapeless {version('tapeless')}")
    commands = parser.add_subparsers(required=True, metavar="{dump,time,info}")
    _add_dump(
        commands.add_parser(
            "dump", help="print a program", description=DUMP_DESCRIPTION, formatter_class=layout
        )
    )
    _add_time(
        commands.add_parser(
            "time", help="time both ways", description=TIME_DESCRIPTION, formatter_class=layout
        )
    )
    info = commands.add_parser("info", help="versions, target, threads")
    info.set_defaults(run=run_info)
    return parser


def _add_dump(parser: ArgumentParser) -> None:
    parser.add_argument("target", metavar="FILE[:FUNCTION]", help=TARGET_HELP)
    parser.add_argument("--stage", metavar="NAME", help="show this stage alone")
    parser.add_argument("--list", action="store_true", help="list the stages and their sizes")
    parser.add_argument(
        "--why", action="store_true", help="say why neighbouring kernels were not fused into one"
    )
    parser.add_argument("--diff", action="store_true", help="show what the stage changed")
    parser.add_argument("--format", choices=FORMATS, help="default: text, or by the suffix of -o")
    parser.add_argument("-o", "--output", metavar="FILE", help="write here instead of printing")
    parser.set_defaults(run=run_dump)


def _add_time(parser: ArgumentParser) -> None:
    parser.add_argument("target", metavar="FILE[:FUNCTION]", help=TARGET_HELP)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, in seconds")
    parser.add_argument("--plot", action="store_true", help="draw total time over calls")
    parser.add_argument("-o", "--output", metavar="FILE", help="file for the plot, or for the JSON")
    parser.add_argument(
        "--seconds", type=_positive, default=2.0, metavar="S", help="how long to time (default: 2)"
    )
    parser.set_defaults(run=run_time)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return value
