"""Whether this interpreter lays out its objects as native entries expect, and where its API lies.

`obstacle()` compares what native code would read from a few objects with what Python says about
them. Where they differ (another Python, a debug or free-threaded build, another NumPy), calls take
the Python path, and `cache_info` says why.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

from ..ir import abi

NUMPY_ABI = 0x02000000
"""`NPY_ABI_VERSION` of NumPy 2."""


class _Probe:
    """An object with a slot, as compiled functions have one."""

    __slots__ = ("slot",)

    def __init__(self) -> None:
        self.slot = object()


def _word(value: object, offset: int) -> int:
    return ctypes.c_int64.from_address(id(value) + offset).value


def _half(value: object, offset: int) -> int:
    return ctypes.c_int32.from_address(id(value) + offset).value


def _word_at(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def _cell_of(value: object) -> Any:
    function: Any = lambda: value  # noqa: E731 - the shortest way to a cell
    return function.__closure__[0]


def _containers() -> Iterator[bool]:
    item, probe = object(), _Probe()
    pair, items = (item, probe), [item, probe, item]
    yield _word(pair, abi.SIZE) == 2
    yield _word(pair, abi.TUPLE_ITEMS + abi.WORD) == id(probe)
    yield _word(items, abi.SIZE) == 3
    yield _word_at(_word(items, abi.LIST_ITEMS) + abi.WORD) == id(probe)
    yield _word(_cell_of(item), abi.CELL_VALUE) == id(item)
    yield _word(probe, abi.SLOT) == id(probe.slot)
    yield _word(probe, abi.TYPE) == id(_Probe)
    others = sys.getrefcount(items) - 1
    yield ctypes.c_int32.from_address(id(items) + abi.REFERENCES).value == others


def _numbers() -> Iterator[bool]:
    bits = struct.unpack("q", struct.pack("d", 0.1))[0]
    yield _word(float("0.1"), abi.SCALAR_VALUE) == bits
    yield _word(np.float64(0.1), abi.SCALAR_VALUE) == bits
    yield _word(np.int64(-7), abi.SCALAR_VALUE) == -7
    yield _half(np.int32(-7), abi.SCALAR_VALUE) == -7
    for truth in (True, False):
        yield _half(np.bool_(truth), abi.SCALAR_VALUE) & 0xFF == truth


def _arrays() -> Iterator[bool]:
    array = np.zeros((3, 5), np.float32)
    view = array[1:]
    yield _word(array, abi.ARRAY_DATA) == array.__array_interface__["data"][0]
    yield _half(array, abi.ARRAY_RANK) == 2
    extents = _word(array, abi.ARRAY_SHAPE)
    yield (_word_at(extents), _word_at(extents + abi.WORD)) == (3, 5)
    yield _word(array, abi.ARRAY_BASE) == 0
    yield _word(view, abi.ARRAY_BASE) == id(array)
    yield _word(array, abi.ARRAY_DESCR) == id(array.dtype)
    yield _half(array, abi.ARRAY_FLAGS) == array.flags.num
    yield array.flags.num & abi.OWNS_DATA == abi.OWNS_DATA == ~view.flags.num & abi.OWNS_DATA
    yield _word(array, abi.ARRAY_WEAK) == 0
    for dtype in (np.dtype("f4"), np.dtype(">i4"), np.dtype("b")):
        order = ctypes.c_char.from_address(id(dtype) + abi.DESCR_BYTE_ORDER).value
        yield order == dtype.byteorder.encode()
        yield _half(dtype, abi.DESCR_NUMBER) == dtype.num
    yield _array_api(0, ctypes.c_uint) == NUMPY_ABI
    yield _table()[2] == id(np.ndarray)


_PROBES: tuple[tuple[str, Callable[[], Iterator[bool]]], ...] = (
    ("containers", _containers),
    ("numbers", _numbers),
    ("arrays", _arrays),
)


@cache
def obstacle() -> str | None:
    """Why native entries cannot be used in this process; None if they can."""
    if sys.implementation.name != "cpython":
        return f"the interpreter is {sys.implementation.name}, not CPython"
    if ctypes.sizeof(ctypes.c_void_p) != abi.WORD or sys.byteorder != "little":
        return "native entries are for little-endian machines with 64-bit addresses"
    if sysconfig.get_config_var("Py_GIL_DISABLED") or sysconfig.get_config_var("Py_DEBUG"):
        return "native entries are for builds of CPython with a global lock and without debugging"
    missing = [name for name in abi.FUNCTIONS if not hasattr(ctypes.pythonapi, name)]
    if missing:
        return f"the interpreter has no {', '.join(missing)}"
    for subject, probe in _PROBES:
        if not all(probe()):
            return f"{subject} lie in memory otherwise than expected"
    return None


@cache
def _table() -> Any:
    """NumPy's table of C functions."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    start = get(_multiarray_umath._ARRAY_API, None)
    return (ctypes.c_size_t * (max(abi.ARRAY_FUNCTIONS.values()) + 1)).from_address(start)


def _array_api(place: int, result: Any) -> Any:
    return ctypes.CFUNCTYPE(result)(_table()[place])()


def addresses() -> dict[str, int]:
    """Addresses of the functions and objects in `ir.abi`, by name."""
    found = {name: id(value) for name, value in abi.OBJECTS.items()}
    found[abi.ARRAY_TYPE] = id(np.ndarray)
    for name in abi.FUNCTIONS:
        function = getattr(ctypes.pythonapi, name)
        found[name] = ctypes.cast(function, ctypes.c_void_p).value or 0
    for name, place in abi.ARRAY_FUNCTIONS.items():
        found[name] = _table()[place]
    return found
