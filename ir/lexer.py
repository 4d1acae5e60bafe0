"""Tokens of the graph text, and errors that point into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import GraphError

_PATTERN = re.compile(
    r"""
      (?P<newline>\n)
    | (?P<space>[ \t\r]+)
    | (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<number>-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf\b|nan\b))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>[\[\](){}:,=])
    | (?P<other>.)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: `kind` is a group of the pattern above, or `end`."""

    kind: str
    text: str
    start: int


def tokenize(text: str) -> list[Token]:
    """All tokens but spaces, with an `end` token last; raises `GraphError` for a stray sign."""
    tokens = []
    for match in _PATTERN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "space":
            continue
        token = Token(kind, match.group(), match.start())
        if kind == "other":
            raise error_at(text, token, "a character of the graph format")
        tokens.append(token)
    tokens.append(Token("end", "", len(text)))
    return tokens


def error_at(text: str, token: Token, requirement: str, hint: str = "") -> GraphError:
    """An error that shows the line of `token` with a caret under it."""
    number = text.count("\n", 0, token.start) + 1
    first = text.rfind("\n", 0, token.start) + 1
    line = text[first:].partition("\n")[0]
    caret = " " * (token.start - first) + "^"
    given = repr(token.text) if token.text.strip() else "the end of the text or line"
    return GraphError(
        f"graph text, line {number}: {requirement}",
        given=f"{given}\n    {line}\n    {caret}",
        hint=hint,
    )
