"""Entry point: parse, run the subcommand, turn failures into one line and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..ir.errors import TapelessError
from .failure import CommandError, one_line
from .parser import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tapeless` with `argv` (default: the process's own); returns the exit code.

    0: done; 2: the request could not be met; 130: interrupted.
    """
    try:
        options = make_parser().parse_args(argv)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except CommandError as error:
        return _fail(str(error))
    except TapelessError as error:  # of ours, not of the user's file: no line of theirs to name
        return _fail(str(error).removeprefix(f"{error.loc}: "))
    except BrokenPipeError:  # `tapeless dump … | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    print(f"tapeless: {one_line(message)}", file=sys.stderr)
    return 2
