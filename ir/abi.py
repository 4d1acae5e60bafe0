"""Where CPython and NumPy keep what native code reads, and what it calls.

Byte offsets into objects on a 64-bit machine, as their public headers lay them out:
`cpython/tupleobject.h`, `cpython/listobject.h`, `cpython/cellobject.h`, `numpy/ndarraytypes.h`
(`PyArrayObject_fields`, `_PyArray_Descr`) and `numpy/arrayscalars.h`. The generated entry relies
on them; `runtime.abi` refuses to use it in an interpreter where a probe finds something else.
"""

from __future__ import annotations

WORD = 8
"""Bytes of a pointer, and of every entry of a context."""

REFERENCES = 0
TYPE = 8
SIZE = 16
"""`ob_refcnt`, `ob_type` and, in tuples and lists, `ob_size`."""

TUPLE_ITEMS = 24
LIST_ITEMS = 24
"""A tuple's items lie in it; a list points to them."""

CELL_VALUE = 16
"""What a closure's cell is bound to; null when it is empty."""

SLOT = 16
"""The first slot of a class that derives from `object` directly."""

SCALAR_VALUE = 16
"""The value of a NumPy scalar and of a Python float."""

ARRAY_DATA = 16
ARRAY_RANK = 24
ARRAY_SHAPE = 32
ARRAY_BASE = 48
ARRAY_DESCR = 56
ARRAY_FLAGS = 64
ARRAY_WEAK = 72
"""Fields of an array; rank and flags are 32 bits wide."""

DESCR_BYTE_ORDER = 26
DESCR_NUMBER = 28
"""`byteorder`, one character, and the 32-bit `type_num` of a dtype."""

NATIVE_ORDER = ord("="), ord("|")
"""Characters for elements in this machine's byte order."""

C_CONTIGUOUS, OWNS_DATA, ALIGNED, WRITEABLE = 0x0001, 0x0004, 0x0100, 0x0400
WRITEBACK = 0x2000
"""Bits of an array's flags."""

FUNCTIONS = (
    "PyDict_GetItemWithError",
    "PyDict_New",
    "PyDict_Next",
    "PyDict_SetItem",
    "PyDict_Size",
    "PyErr_Clear",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyFloat_FromDouble",
    "PyFunction_GetDefaults",
    "PyList_New",
    "PyList_SetItem",
    "PyLong_AsLongLongAndOverflow",
    "PyLong_FromLongLong",
    "PyMethod_New",
    "PyObject_Call",
    "PyObject_Vectorcall",
    "PyTuple_New",
    "PyUnicode_Compare",
    "Py_DecRef",
    "Py_IncRef",
)
"""Functions of CPython's C API that native entries call."""

ARRAY_FUNCTIONS = {"PyArray_Scalar": 60, "PyArray_NewFromDescr": 94}
"""Functions of NumPy's C API, with their places in its table (`numpy/__multiarray_api.h`)."""

OBJECTS: dict[str, object] = {
    "PyBool_Type": bool,
    "PyDict_Type": dict,
    "PyFloat_Type": float,
    "PyList_Type": list,
    "PyLong_Type": int,
    "PyTuple_Type": tuple,
    "PyUnicode_Type": str,
    "_Py_FalseStruct": False,
    "_Py_NoneStruct": None,
    "_Py_TrueStruct": True,
}
"""Objects of CPython whose addresses native entries compare with."""

ARRAY_TYPE = "PyArray_Type"
"""The same for `numpy.ndarray`."""
