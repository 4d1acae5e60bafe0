"""Native entries: generated machine code that does a whole call without Python.

`install` makes calling instances of a class go to the support routine `dispatch`, which tries the
entries in the instance's `Chain` and otherwise calls the class's own `__call__`, the Python path.
A `NativeEntry` is one entry: code, context, and all that these refer to.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from ..ir.entry import (
    ACTIVE_TRACES,
    CHAIN_LENGTH,
    DISPATCH_SYMBOL,
    ENTRY_SYMBOL,
    SLOW_PATH,
    SUPPORT_SYMBOLS,
    THREADS,
    EntrySpec,
    Word,
)
from .abi import addresses
from .arena import Frame
from .binding import Binder
from .executable import Executable
from .jit import link
from .pointers import Array, address
from .threads import get_threads, threads_word

_FAST_WITH_KEYWORDS = 0x0080 | 0x0002
"""`METH_FASTCALL | METH_KEYWORDS`."""


_RELEASE: Callable[[int], None] = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(
    ("Py_DecRef", ctypes.pythonapi)
)
"""Give up a reference to the object at an address."""


class NativeCallable:
    """Base of classes that `install` works on: `_chain` is where native code looks for entries.

    It must stay the first base, so that its slot is the first of the object.
    """

    __slots__ = ("_chain",)

    _chain: Array


class _MethodDef(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class Support:
    """The support routines, linked. Never unmapped: a class refers to them for good."""

    def __init__(
        self, code: bytes, slow_path: Callable[..., Any], active_traces: int, kind: type
    ) -> None:
        """`active_traces` is the address of a count that must be 0 for native calls."""
        self._slow_path = slow_path
        known = {**addresses(), SLOW_PATH: id(slow_path), ACTIVE_TRACES: active_traces}
        builder = llvm.JITLibraryBuilder().add_object_img(code)
        for name in (DISPATCH_SYMBOL, *SUPPORT_SYMBOLS):
            builder.export_symbol(name)
        self._library = _linked(builder, known, "support")
        routines = {name: self._library[name] for name in SUPPORT_SYMBOLS}
        self.symbols: Mapping[str, int] = {**addresses(), **routines, THREADS: threads_word()}
        self._method = _MethodDef(
            b"__call__", self._library[DISPATCH_SYMBOL], _FAST_WITH_KEYWORDS, _doc(slow_path)
        )
        make = ctypes.pythonapi.PyDescr_NewMethod
        make.restype, make.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.c_void_p]
        self.descriptor: Any = make(kind, ctypes.addressof(self._method))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))


def _doc(function: Callable[..., Any]) -> bytes:
    return (function.__doc__ or "").encode()


def install(kind: type[NativeCallable], code: bytes, active_traces: int) -> Support:
    """Make calls of instances of `kind` go to the routines in `code`.

    Instances need a `_chain`: the words of a `Chain`.
    """
    slow_path: Callable[..., Any] = vars(kind)["__call__"]
    support = Support(code, slow_path, active_traces, kind)
    setattr(kind, "__call__", support.descriptor)  # noqa: B010 - a method is replaced at run time
    return support


def _linked(builder: llvm.JITLibraryBuilder, symbols: Mapping[str, int], name: str) -> Any:
    for symbol, place in symbols.items():
        builder.import_symbol(symbol, place)
    return link(builder, name)


class EntryCode:
    """The machine code of entries with one spec."""

    def __init__(self, code: bytes, support: Support) -> None:
        builder = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(ENTRY_SYMBOL)
        self._library = _linked(builder, support.symbols, "entry")
        self.address: int = self._library[ENTRY_SYMBOL]


class NativeEntry:
    """One entry. Native code holds a reference to it while it runs."""

    def __init__(
        self, code: EntryCode, spec: EntrySpec, binder: Binder, executable: Executable
    ) -> None:
        self.spec = spec
        self._outputs: list[int] = []
        self._code = code
        self._executable = executable
        self._fail = executable.fail
        self._frame: Frame = executable.frames.new()
        self._kept = binder.context.kept
        self._temporaries: list[Array] = []
        for position, type in binder.temporaries():
            self._temporaries.append(np.empty(type.shape, type.dtype))
            self._frame.table[position] = address(self._temporaries[-1])
        self._block = binder.context.block()
        self._outputs = binder.context.outputs
        words = {
            Word.CODE: code.address,
            Word.OWNER: id(self),
            Word.PROGRAM: executable.address,
            Word.TABLE: self._frame.start,
            Word.ARENA: self._frame.arena,
            Word.FAILED: id(self._fail),
            Word.THREADS: get_threads(),
        }
        for word, value in words.items():
            self._block[word] = value
        self.address = address(self._block)
        _ENTRIES.add(self)

    @property
    def hits(self) -> int:
        """Calls that it did."""
        return int(self._block[Word.HITS])

    @property
    def fits_threads(self) -> bool:
        """Whether it has memory for as many threads as there may be now."""
        return not self.spec.parallel or int(self._block[Word.THREADS]) == get_threads()

    def end_run(self) -> None:
        """In a forked child: a run under way in another thread of the parent is none of ours."""
        self._block[Word.BUSY] = 0

    def __del__(self, release: Callable[[int], None] = _RELEASE) -> None:
        for word in self._outputs:
            if self._block[word]:
                release(int(self._block[word]))


_ENTRIES: weakref.WeakSet[NativeEntry] = weakref.WeakSet()


def _end_runs() -> None:
    for entry in list(_ENTRIES):
        entry.end_run()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_runs)


class Chain:
    """The entries of one function, which native code tries in this order."""

    def __init__(self) -> None:
        self.words: Array = np.zeros(CHAIN_LENGTH + 1, np.int64)
        self._entries: dict[int, NativeEntry] = {}

    def __contains__(self, entry: NativeEntry) -> bool:
        return entry.address in self._entries

    def add(self, entry: NativeEntry) -> None:
        """Put an entry first; the last one goes if there are too many."""
        if entry in self:
            return
        self._entries[entry.address] = entry
        self._set([entry.address, *self._addresses()][:CHAIN_LENGTH])

    def remove(self, entry: NativeEntry) -> None:
        """Take an entry out, if it is in."""
        if entry in self:
            self._set([known for known in self._addresses() if known != entry.address])

    def _addresses(self) -> list[int]:
        return [word for word in self.words.tolist() if word]

    def _set(self, addresses: list[int]) -> None:
        """Replace all words at once: native code sees the chain before or after that."""
        self.words[:] = addresses + [0] * (CHAIN_LENGTH + 1 - len(addresses))
        for gone in self._entries.keys() - addresses:
            del self._entries[gone]
