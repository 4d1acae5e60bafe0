"""Graphs from the text that `printer.py` writes.

    text      = graph {"data" NUMBER "=" STRING}
    graph     = "graph" NAME "(" [binder {"," binder}] ")" "{" {node} "return" [NAME {"," NAME}] "}"
    binder    = NAME ":" type
    type      = dtype "[" [INT {"," INT}] "]"
    node      = binder {"," binder} "=" NAME ["[" NAME "=" attribute {"," …} "]"] {NAME}
    attribute = NUMBER | STRING | True | False | dtype | "(" [attribute {"," attribute}] ")"
              | graph | type "(" (NUMBER | True | False) {"," …} ")" | type "(" "data" INT ")"

A node ends with its line. A comment behind it, `# [backward] [file:line]`, gives phase and
location; other comments are skipped. Every node's type rule is run and compared with the binders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from .attributes import check_attributes
from .errors import GraphError
from .graph import BACKWARD, FORWARD, Attribute, Graph, Node, Value
from .lexer import Token, error_at, tokenize
from .literals import array_of, decode
from .location import Location
from .ops import OPS
from .types import DTYPE_NAMES, DType, TensorType

T = TypeVar("T")

_COMMENT = re.compile(r"# *(?P<phase>backward\b)? *(?:(?P<file>\S.*):(?P<line>\d+))? *$")
_BOOLEANS = {"True": True, "False": False}


def parse_graph(text: str) -> Graph:
    """The graph that `text` describes.

    Raises `GraphError` that shows the line and a caret for text that is not of the format, for
    names that are not defined or defined twice, and for types that the rules do not give.
    """
    return _Parser(text).whole()


class _Parser:
    """A recursive-descent parser; it recurses for sub-graphs and tuples only."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.position = 0
        self.data = self._data_section()

    # Tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def error(self, requirement: str, token: Token | None = None, hint: str = "") -> GraphError:
        return error_at(self.text, token or self.token, requirement, hint)

    def skip_lines(self) -> None:
        while self.token.kind in ("newline", "comment"):
            self.position += 1

    def at(self, text: str) -> bool:
        return self.token.text == text

    def accept(self, text: str) -> bool:
        found = self.at(text)
        self.position += found
        return found

    def expect(self, text: str) -> Token:
        token = self.token
        if not self.accept(text):
            raise self.error(f"expected {text!r}")
        return token

    def take(self, kind: str, what: str) -> Token:
        token = self.token
        if token.kind != kind:
            raise self.error(f"expected {what}")
        self.position += 1
        return token

    def listed(self, item: Callable[[], T], close: str) -> list[T]:
        """Items separated by commas up to `close`; a comma may follow the last; lines may break."""
        items: list[T] = []
        self.skip_lines()
        while not self.accept(close):
            items.append(item())
            self.skip_lines()
            if not self.at(close):
                self.expect(",")
                self.skip_lines()
        return items

    def rule(self, token: Token, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)`, with an error of ours pointing at `token`."""
        try:
            return function(*args)
        except GraphError as error:
            given = f" (given: {error.given})" if error.given else ""
            raise self.error(f"{error.requirement}{given}", token) from None

    # Format

    def whole(self) -> Graph:
        self.skip_lines()
        graph = self.graph()
        self.skip_lines()
        if not (self.at("data") or self.token.kind == "end"):
            raise self.error("expected nothing after the graph")
        return graph

    def _data_section(self) -> Mapping[int, Token]:
        """The `data` lines at the end of the text; `position` is left where it was."""
        section: dict[int, Token] = {}
        lines = [token for token in self.tokens if token.kind not in ("newline", "comment", "end")]
        while len(lines) >= 4 and lines[-4].text == "data" and lines[-2].text == "=":
            *lines, _, number, _, string = lines
            if number.kind != "number" or string.kind != "string":
                raise self.error('expected data NUMBER = "base64"', number)
            section[int(number.text)] = string
        return section

    def graph(self) -> Graph:
        self.expect("graph")
        name = self.take("name", "a graph name").text
        self.expect("(")
        env: dict[str, Value] = {}
        inputs = self.listed(lambda: self.binder(env), ")")
        self.expect("{")
        nodes: list[Node] = []
        self.skip_lines()
        while not self.accept("return"):
            nodes.append(self.node(env))
            self.skip_lines()
        outputs = self.listed(lambda: self.use(env), "}")
        return Graph(name, tuple(inputs), tuple(nodes), tuple(outputs))

    def binder(self, env: dict[str, Value]) -> Value:
        token = self.take("name", "a value name or 'return'")
        if token.text in env:
            raise self.error("a name is defined once", token)
        self.expect(":")
        value = env[token.text] = Value(self.type(), token.text)
        return value

    def use(self, env: Mapping[str, Value]) -> Value:
        token = self.take("name", "a value name")
        if token.text not in env:
            close = get_close_matches(token.text, env, 1)
            hint = f"did you mean {close[0]!r}?" if close else ""
            raise self.error("expected the name of a value defined above", token, hint)
        return env[token.text]

    def type(self) -> TensorType:
        dtype = self.dtype()
        self.expect("[")
        return TensorType(dtype, tuple(self.listed(self.extent, "]")))

    def dtype(self) -> DType:
        token = self.take("name", "an element type")
        if token.text not in DTYPE_NAMES:
            raise self.error(f"expected one of {', '.join(DTYPE_NAMES)}", token)
        return DTYPE_NAMES[token.text]

    def extent(self) -> int:
        token = self.take("number", "a number of elements")
        if not token.text.isdigit():
            raise self.error("expected a number of elements", token)
        return int(token.text)

    def node(self, env: dict[str, Value]) -> Node:
        start = self.token
        defined: dict[str, Value] = {}
        binders = self.binders(env, defined)
        op_token = self.take("name", "an op")
        if op_token.text not in OPS:
            close = get_close_matches(op_token.text, OPS, 1)
            raise self.error("unknown op", op_token, f"did you mean {close[0]!r}?" if close else "")
        op = OPS[op_token.text]
        attrs = MappingProxyType(dict(self.listed(self.attribute, "]")) if self.accept("[") else {})
        inputs = []
        while self.token.kind == "name":
            inputs.append(self.use(env))
        self.rule(op_token, check_attributes, op, attrs)
        types = self.rule(op_token, op.infer, [value.type for value in inputs], attrs)
        if types != tuple(value.type for value in binders):
            rule = ", ".join(map(str, types))
            raise self.error(f"the type rule of {op.name} gives {rule}", start)
        env.update(defined)
        phase, loc = self.comment()
        return Node(op, tuple(inputs), tuple(binders), attrs, loc, phase)

    def binders(self, env: Mapping[str, Value], defined: dict[str, Value]) -> list[Value]:
        """Left of `=`; the names are not yet visible to the operands on the right."""
        values: list[Value] = []
        while not self.accept("="):
            if values:
                self.expect(",")
            if self.token.text in env:
                raise self.error("a name is defined once")
            values.append(self.binder(defined))
        return values

    def comment(self) -> tuple[str, Location | None]:
        """What stands behind a node up to the end of its line."""
        match = None
        if self.token.kind == "comment":
            match = _COMMENT.match(self.token.text)
            self.position += 1
        if self.token.kind not in ("newline", "end"):
            raise self.error("expected operands, a comment or the end of the line")
        if match is None:
            return FORWARD, None
        loc = Location(match["file"], int(match["line"])) if match["file"] else None
        return (BACKWARD if match["phase"] else FORWARD), loc

    # Attributes

    def attribute(self) -> tuple[str, Attribute]:
        name = self.take("name", "an attribute name").text
        self.expect("=")
        return name, self.value()

    def value(self) -> Attribute:
        token = self.token
        if token.text == "graph":
            return self.graph()
        if self.accept("("):
            return tuple(self.listed(self.value, ")"))
        if token.kind == "name" and token.text not in _BOOLEANS:
            return self.dtype_or_array()
        self.position += 1
        if token.kind == "name":
            return _BOOLEANS[token.text]
        if token.kind == "string":
            return token.text[1:-1].encode("ascii").decode("unicode_escape")
        if token.kind == "number":
            return int(token.text) if _is_integer(token.text) else float(token.text)
        raise self.error("expected an attribute value", token)

    def dtype_or_array(self) -> DType | np.ndarray[Any, Any]:
        start = self.token
        dtype = self.dtype()
        if not self.accept("["):
            return dtype
        type = TensorType(dtype, tuple(self.listed(self.extent, "]")))
        self.expect("(")
        if self.accept("data"):
            number = self.extent()
            self.expect(")")
            return self.stored(type, number, start)
        return self.rule(start, array_of, type, self.listed(self.element, ")"))

    def stored(self, type: TensorType, number: int, start: Token) -> np.ndarray[Any, Any]:
        if number not in self.data:
            raise self.error(f"expected data {number} = … after the graph", start)
        return self.rule(start, decode, type, self.data[number].text[1:-1])

    def element(self) -> str:
        token = self.token
        if token.kind != "number" and token.text not in _BOOLEANS:
            raise self.error("expected a number, True or False")
        self.position += 1
        return token.text


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdigit()
