"""Addresses that depend on loops, written so that LLVM takes little time over them.

LLVM tries many ways to compute a sum over the indices of several loops, which can take longer than
all else that it does for a kernel. So what depends on outer loops is one value, made before the
innermost loop begins, that LLVM is told not to look into (`freeze`); the innermost loop adds its
own step to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..lower.language import LANE, Access, Affine, Load, Loop, Store
from .assembly import Function, Operand
from .elementwise import memory_type

Terms = tuple[tuple[str, int], ...]


class Addresses:
    """Index expressions in the function `b`: `symbols` has the loops that are open, `buffers` where
    the arrays begin."""

    def __init__(self, b: Function, buffers: tuple[Operand, ...]) -> None:
        self.b = b
        self.buffers = buffers
        self.symbols: dict[str, Operand] = {}
        self._innermost: str | None = None

    def value(self, at: Affine) -> Operand:
        """The i64 value of the part of `at` that does not depend on the lane."""
        b = self.b
        total: Operand | None = None
        for symbol, coefficient in at.terms:
            if symbol == LANE:
                continue
            term = self.scaled(self.symbols[symbol], coefficient)
            total = term if total is None else b.add(total, term)
        if total is None:
            return b.const("i64", at.const)
        return b.add(total, b.const("i64", at.const)) if at.const else total

    def scaled(self, count: Operand, step: int, origin: int = 0) -> Operand:
        """`origin + count * step`."""
        b = self.b
        value = count if step == 1 else b.mul(count, b.const("i64", step))
        return b.add(value, b.const("i64", origin)) if origin else value

    def base(self, buffer: int, memory: str, at: Affine) -> Operand:
        """The address of the part of `at` that depends on loops, for elements of type `memory`."""
        return self.b.shared((buffer, memory, at.terms), lambda: self._base(buffer, memory, at))

    def _base(self, buffer: int, memory: str, at: Affine) -> Operand:
        terms = [term for term in at.terms if term[0] != LANE]
        inner = tuple(term for term in terms if term[0] == self._innermost)
        outer = tuple(term for term in terms if term[0] != self._innermost)
        start = self._start(buffer, memory, outer)
        return self.b.gep(start, memory, self.value(Affine(inner))) if inner else start

    def opaque(self, value: Operand) -> Operand:
        """The same value, of which LLVM does not see how it was made."""
        if value.is_constant:
            return value
        return self.b.instruction(value.type, f"freeze {value.type} {value.text}")

    def _start(self, buffer: int, memory: str, terms: Terms) -> Operand:
        """The address of what does not depend on the innermost loop; LLVM sees no sum in it."""
        if not terms:
            return self.buffers[buffer]

        def make() -> Operand:
            place = self.b.gep(self.buffers[buffer], memory, self.value(Affine(terms)))
            return self.opaque(place)

        return self.b.shared(("start", buffer, memory, terms), make)

    @contextmanager
    def innermost(self, loop: Loop) -> Iterator[None]:
        """Emit a loop without loops inside: what its accesses start from exists before it."""
        with self.b.scope():
            for statement in loop.body:
                if isinstance(statement, Load):
                    self._prepare(loop, statement.access, memory_type(statement.target.dtype))
                elif isinstance(statement, Store):
                    self._prepare(loop, statement.access, memory_type(statement.value.dtype))
            self._innermost = loop.index
            yield
            self._innermost = None

    def _prepare(self, loop: Loop, access: Access, memory: str) -> None:
        terms = tuple(term for term in access.at.terms if term[0] not in (LANE, loop.index))
        self._start(access.buffer, memory, terms)
