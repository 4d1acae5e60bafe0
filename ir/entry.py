"""`EntrySpec`: what one native entry checks, runs and returns, as plain data.

A native entry is machine code for one specialization called in one way: so many positional
arguments, these keywords. Its code is made from an `EntrySpec` alone, which holds no addresses, so
that equal entries share code. Objects of the process (types, keys, dtypes, shapes, output buffers)
lie in the entry's *context*, a block of 64-bit words; fields called `…word` are places in it.

The code has the C signature `PyObject *(int64_t *context, PyObject *const *args, Py_ssize_t nargs,
PyObject *kwnames)`. It returns a new reference, null with an exception set, or `DECLINED` when the
call is not exactly what the entry is for; then nothing has happened yet.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

DECLINED = 1
"""Returned instead of an object by an entry that does not fit the call."""

ENTRY_SYMBOL = "tapeless_entry"
"""Name of an entry in its object file."""

DISPATCH_SYMBOL = "tapeless_dispatch"
"""Name of the routine that finds the entry for a call, in the object file of the support routines.
It is a `METH_FASTCALL | METH_KEYWORDS` method."""

SUPPORT_SYMBOLS = tuple(
    f"tapeless_{name}" for name in ("array", "disjoint", "drop", "keys", "names", "output", "watch")
)
"""Routines in the same file that entries call."""

SLOW_PATH, ACTIVE_TRACES = "tapeless_slow_path", "tapeless_active_traces"
"""What the support routines refer to: a callable that takes any call, and a count of traces."""

THREADS = "tapeless_threads"
"""What entries of parallel programs refer to: how many threads programs may run on now."""

CHAIN_LENGTH = 8
"""Entries that are tried for one function, most recently used first."""


class Word(enum.IntEnum):
    """The words that every context begins with."""

    CODE = 0  # address of the entry
    OWNER = 1  # the object that keeps code and context alive
    HITS = 2  # calls done
    BUSY = 3  # 1 while the program runs without the interpreter lock
    PROGRAM = 4  # address of the program
    TABLE = 5  # its buffer table
    ARENA = 6  # its arena
    FAILED = 7  # a callable that takes the program's status and raises
    THREADS = 8  # the number of threads that there were to be when table and arena were made
    FIRST = 9  # where the rest begins


class Shape(enum.IntEnum):
    """The words of what an array must be."""

    DESCR = 0  # its dtype object,
    NUMBER = 1  # or one with this number in native byte order (-1: only the object)
    MASK = 2  # which flags count,
    FLAGS = 3  # and what they are
    RANK = 4
    EXTENTS = 5  # the address of its extents
    WORDS = 6


class Output(enum.IntEnum):
    """The words of a new array: the last two made, which of them is next, then its `Shape`."""

    FIRST = 0
    SECOND = 1
    NEXT = 2
    SHAPE = 3


class Region(enum.IntEnum):
    """The words of an array that may overlap one that is updated."""

    BUFFER = 0  # its place in the buffer table
    BYTES = 1
    WRITTEN = 2
    KNOWN = 3  # its address when it was last found disjoint from all others
    WORDS = 4


class Watch(enum.IntEnum):
    """What a watched place is: the first of four words."""

    CELL = 0  # cell, -, value
    ITEM = 1  # dict, key, value
    ENTRY = 2  # list, index, value
    DEFAULTS = 3  # function, -, value
    DICT = 4  # dict, word of its keys and values in turn, their number
    LIST = 5  # list, word of its items, their number


class Number(enum.Enum):
    """A Python number."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class ArrayArgument:
    """A `numpy.ndarray` of the `Shape` at `shape_word`; its address goes into entry `buffer`."""

    leaf: int
    shape_word: int
    buffer: int | None


@dataclass(frozen=True, slots=True)
class NumberArgument:
    """A Python number within `bounds`, stored where entry `buffer` points to."""

    leaf: int
    number: Number
    buffer: int | None
    bounds: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ScalarArgument:
    """A NumPy scalar of the type at `type_word`; its `nbytes` are copied."""

    leaf: int
    type_word: int
    nbytes: int
    buffer: int | None


@dataclass(frozen=True, slots=True)
class ConstantArgument:
    """The very object at `word`: None, or a static value."""

    word: int


@dataclass(frozen=True, slots=True)
class DictArgument:
    """A dict with the keys at `keys_word` in that order. `write` numbers it if it is changed."""

    keys_word: int
    children: tuple[Argument, ...]
    write: int | None = None


@dataclass(frozen=True, slots=True)
class SequenceArgument:
    """A list, or a tuple of the type at `type_word`."""

    type_word: int
    is_list: bool
    children: tuple[Argument, ...]
    write: int | None = None


Argument: TypeAlias = (
    ArrayArgument
    | NumberArgument
    | ScalarArgument
    | ConstantArgument
    | DictArgument
    | SequenceArgument
)


@dataclass(frozen=True, slots=True)
class Captured:
    """An array of a closure or global: the object at `word`, checked like an argument."""

    word: int
    array: ArrayArgument


@dataclass(frozen=True, slots=True)
class NewArray:
    """An array made for entry `buffer`, as the `Output` at `word` says."""

    word: int
    buffer: int


@dataclass(frozen=True, slots=True)
class ArrayResult:
    """Number `new` of the new arrays."""

    new: int


@dataclass(frozen=True, slots=True)
class ScalarResult:
    """A NumPy scalar of the dtype at `word`, read from entry `buffer`."""

    word: int
    buffer: int


@dataclass(frozen=True, slots=True)
class NumberResult:
    """A Python number, read from entry `buffer`."""

    number: Number
    buffer: int


@dataclass(frozen=True, slots=True)
class ArgumentResult:
    """The caller's own object for a leaf."""

    leaf: int


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """The object at `word`."""

    word: int


@dataclass(frozen=True, slots=True)
class ViewResult:
    """What the callable at `word` makes of `of`."""

    word: int
    of: ArrayResult | ArgumentResult


Result: TypeAlias = (
    ArrayResult | ScalarResult | NumberResult | ArgumentResult | ObjectResult | ViewResult
)


@dataclass(frozen=True, slots=True)
class ResultLeaf:
    """Result number `result`."""

    result: int


@dataclass(frozen=True, slots=True)
class ResultDict:
    """A new dict with the keys from `keys_word` on."""

    keys_word: int
    children: tuple[ResultTree, ...]


@dataclass(frozen=True, slots=True)
class ResultSequence:
    """A new list or tuple."""

    is_list: bool
    children: tuple[ResultTree, ...]


@dataclass(frozen=True, slots=True)
class ResultMade:
    """What the callable at `word` makes of a list of `leaves`."""

    word: int
    leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ResultObject:
    """The object at `word`: None."""

    word: int


ResultTree: TypeAlias = ResultLeaf | ResultDict | ResultSequence | ResultMade | ResultObject


@dataclass(frozen=True, slots=True)
class Write:
    """After the run, the key at `key_word`, or `index`, of changed container `container` is
    bound to result `result`."""

    container: int
    key_word: int | None
    index: int
    result: int


@dataclass(frozen=True, slots=True)
class Copy:
    """After the run, `nbytes` go from entry `source` of the buffer table to entry `target`."""

    source: int
    target: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Span:
    """`count` records in the context from `word` on."""

    word: int
    count: int


@dataclass(frozen=True, slots=True)
class EntrySpec:
    """One native entry.

    `arguments` are in the order of the call: `positional` many, then those by keyword, whose names
    are at `names`. `check_word` is a callable that says whether what cannot be compared natively
    still holds. `in_place` pairs entries of the buffer table: the first gets the address in the
    second. `releases_lock` lets other threads run Python code during the program; a `parallel` one
    has scratch memory for a fixed number of threads.
    """

    positional: int
    names: Span
    arguments: tuple[Argument, ...]
    captured: tuple[Captured, ...]
    watched: Span
    check_word: int | None
    regions: Span
    in_place: tuple[tuple[int, int], ...]
    new: tuple[NewArray, ...]
    copies: tuple[Copy, ...]
    results: tuple[Result, ...]
    writes: tuple[Write, ...]
    structure: ResultTree
    releases_lock: bool
    parallel: bool
