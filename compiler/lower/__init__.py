"""Lowering: a fused node becomes a kernel in the loop language.

`language.py` defines and prints that language, `builder.py` places its statements, `pull.py` turns
values at indices into statements; `rows.py`, `matmul.py` and `serial.py` make the loops. Called by
the pipeline; knows nothing of LLVM.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.graph import Graph, Node
from ..target import Target
from .language import Kernel, print_kernel
from .matmul import MatmulLowering
from .rows import RowLowering
from .serial import SerialLowering

__all__ = ["LOWERING", "Kernel", "lower_kernel", "print_kernel"]

Lowering = Callable[[str, Graph, Target], Kernel]


def _rows(kind: str, body: Graph, target: Target) -> Kernel:
    return RowLowering(kind, body, target).lower()


def _dot(kind: str, body: Graph, target: Target) -> Kernel:
    return MatmulLowering(body, target).lower()


def _serial(kind: str, body: Graph, target: Target) -> Kernel:
    return SerialLowering(kind, body, target).lower()


LOWERING: dict[str, Lowering] = {
    "map": _rows,
    "rows": _rows,
    "dot": _dot,
    "cumsum": _serial,
    "scatter": _serial,
    "scatter_add": _serial,
}
"""How each kind of fused node becomes loops."""


def lower_kernel(node: Node, target: Target) -> Kernel:
    """The kernel of a `fused` node."""
    kind: str = node.attrs["kind"]
    return LOWERING[kind](kind, node.attrs["graph"], target)
