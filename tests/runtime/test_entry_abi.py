"""What native entries assume about this interpreter is checked against what Python says."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tapeless.ir import abi as offsets
from tapeless.runtime import abi

CPYTHON = sys.implementation.name == "cpython" and sys.version_info >= (3, 11)

pytestmark = pytest.mark.skipif(abi.obstacle() is not None, reason=str(abi.obstacle()))


@pytest.fixture
def fresh_obstacle():
    """`obstacle` without its memory."""
    return abi.obstacle.__wrapped__


def test_nothing_is_in_the_way_here(fresh_obstacle):
    assert CPYTHON
    assert fresh_obstacle() is None


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("TUPLE_ITEMS", "containers"),
        ("SIZE", "containers"),
        ("SLOT", "containers"),
        ("CELL_VALUE", "containers"),
        ("SCALAR_VALUE", "numbers"),
        ("ARRAY_DATA", "arrays"),
        ("ARRAY_RANK", "arrays"),
        ("ARRAY_BASE", "arrays"),
        ("ARRAY_DESCR", "arrays"),
        ("ARRAY_FLAGS", "arrays"),
        ("ARRAY_WEAK", "arrays"),
        ("DESCR_BYTE_ORDER", "arrays"),
        ("DESCR_NUMBER", "arrays"),
    ],
)
def test_a_field_that_lies_elsewhere_is_noticed(name, subject, monkeypatch, fresh_obstacle):
    # Moved back, so that the probe stays inside the object; what lies there is something else.
    monkeypatch.setattr(offsets, name, getattr(offsets, name) - offsets.WORD)
    monkeypatch.setattr(abi, "_PROBES", [p for p in abi._PROBES if p[0] == subject])
    assert fresh_obstacle() == f"{subject} lie in memory otherwise than expected"


def test_a_function_that_is_missing_is_named(monkeypatch, fresh_obstacle):
    monkeypatch.setattr(offsets, "FUNCTIONS", (*offsets.FUNCTIONS, "PyNo_SuchFunction"))
    assert fresh_obstacle() == "the interpreter has no PyNo_SuchFunction"


def test_another_interpreter_is_named(monkeypatch, fresh_obstacle):
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert fresh_obstacle() == "the interpreter is pypy, not CPython"


def test_every_symbol_has_an_address():
    found = abi.addresses()
    names = {*offsets.FUNCTIONS, *offsets.ARRAY_FUNCTIONS, *offsets.OBJECTS, offsets.ARRAY_TYPE}
    assert found.keys() == names
    assert all(found.values())
    assert found[offsets.ARRAY_TYPE] == id(np.ndarray)
