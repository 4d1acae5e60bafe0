"""What ends a command with one line on standard error and exit code 2."""

from __future__ import annotations


class CommandError(Exception):
    """A request that cannot be met: bad path, function, stage, option or example."""


def one_line(message: str) -> str:
    """`message` without line breaks."""
    return " ".join(message.split())
