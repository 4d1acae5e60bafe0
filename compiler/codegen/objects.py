"""Emitting code that handles Python objects: fields, checks, loops, calls of the C API.

Used by the native entry and its support routines (`entry`, `entry_support`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...ir import abi
from .assembly import Function, Module, Operand

NULL = Operand("ptr", "null")

_RETURNS = {
    "PyDict_Next": "i32",
    "PyDict_SetItem": "i32",
    "PyDict_Size": "i64",
    "PyErr_Clear": "void",
    "PyEval_RestoreThread": "void",
    "PyList_SetItem": "i32",
    "PyLong_AsLongLongAndOverflow": "i64",
    "PyUnicode_Compare": "i32",
    "Py_DecRef": "void",
    "Py_IncRef": "void",
}
"""What functions of the C API return, where it is no object."""


class ObjectCode:
    """Python objects in the function under construction `b`; pointers are borrowed references."""

    def __init__(self, b: Function) -> None:
        self.b = b

    @property
    def module(self) -> Module:
        """The module that the function belongs to."""
        return self.b.module

    def integer(self, value: int) -> Operand:
        """A 64-bit constant."""
        return self.b.const("i64", int(value))

    def at(self, pointer: Operand, offset: int) -> Operand:
        """The address `offset` bytes further."""
        return self.b.gep(pointer, "i8", self.integer(offset)) if offset else pointer

    def field(self, type_: str, pointer: Operand, offset: int) -> Operand:
        """The field `offset` bytes into an object."""
        return self.b.load(type_, self.at(pointer, offset), _ALIGNMENT[type_])

    def item(self, type_: str, pointer: Operand, index: int | Operand) -> Operand:
        """Entry `index` of an array of words."""
        return self.b.load(type_, self.place(pointer, index), abi.WORD)

    def place(self, pointer: Operand, index: int | Operand) -> Operand:
        """Where that entry lies."""
        place = self.integer(index) if isinstance(index, int) else index
        return self.b.gep(pointer, "i64", place)

    def put(self, value: Operand, pointer: Operand, index: int | Operand) -> None:
        """Store into entry `index` of an array of words."""
        self.b.store(value, self.place(pointer, index), abi.WORD)

    def object(self, name: str) -> Operand:
        """The address of an object of `abi.OBJECTS`, or of another imported symbol."""
        return self.module.global_variable(name, "external global i8")

    def call(self, name: str, *args: Operand) -> Operand:
        """Call a function of the C API."""
        return self.b.call(name, _RETURNS.get(name, "ptr"), args)

    def has_type(self, pointer: Operand, type_: Operand) -> Operand:
        """Whether an object is of exactly this type."""
        return self.b.icmp("eq", self.field("ptr", pointer, abi.TYPE), type_)

    def equal(self, value: Operand, constant: int) -> Operand:
        """Whether an integer is `constant`."""
        return self.b.icmp("eq", value, self.b.const(value.type, constant))

    def is_null(self, pointer: Operand) -> Operand:
        """Whether a pointer is null."""
        return self.b.icmp("eq", pointer, NULL)

    def require(self, condition: Operand, otherwise: str) -> None:
        """Go on where `condition` holds, else jump to the block `otherwise`."""
        go_on = self.b.block("next")
        self.b.cond_br(condition, go_on, otherwise)
        self.b.place(go_on)

    def avoid(self, condition: Operand, then: str) -> None:
        """Jump to the block `then` where `condition` holds, else go on."""
        go_on = self.b.block("next")
        self.b.cond_br(condition, then, go_on)
        self.b.place(go_on)

    @contextmanager
    def loop(self, count: Operand) -> Iterator[Operand]:
        """Emit the body for an index from 0 to `count`, which is given."""
        b = self.b
        head, body, done = b.block("head"), b.block("body"), b.block("done")
        before = b.current
        b.br(head)
        b.place(head)
        index = b.phi("i64", [(self.integer(0), before)])
        b.cond_br(b.icmp("slt", index.value, count), body, done)
        b.place(body)
        yield index.value
        index.add(b.add(index.value, self.integer(1)), b.current)
        b.br(head)
        b.place(done)


_ALIGNMENT = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8, "double": 8}
