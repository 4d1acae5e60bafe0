"""Lowering: a fused node becomes a kernel in the loop language.

`language.py` defines and prints that language, `builder.py` places its statements, `pull.py` turns
values at indices into statements; `rows.py`, `blocks.py`, `segments.py`, `matmul.py`,
`convolution.py`, `overlap.py` and `serial.py` make the loops, `registers.py` does without any,
`division.py` says how they are shared out among threads, `stages.py` takes long chains of
operations apart. Called by the pipeline; knows nothing of LLVM.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.graph import Graph, Node
from ..target import Target
from .blocks import lower_rows
from .convolution import ConvolutionLowering, reads_windows, sums_along_memory
from .language import Kernel, print_kernel
from .matmul import MatmulLowering, has_prologue
from .overlap import UnwindowLowering
from .registers import RegisterLowering
from .segments import segment_lowering
from .serial import SerialLowering
from .stages import in_stages
from .tile_folds import reduces

__all__ = ["LOWERING", "Kernel", "lower_kernel", "print_kernel"]

Lowering = Callable[[str, Graph, Target], Kernel]


def _rows(kind: str, body: Graph, target: Target) -> Kernel:
    short = segment_lowering(kind, body, target)
    return lower_rows(kind, body, target) if short is None else short.lower()


def _dot(kind: str, body: Graph, target: Target) -> Kernel:
    only_here = has_prologue(body) or reduces(body)
    if reads_windows(body) or (not only_here and sums_along_memory(body, target)):
        return ConvolutionLowering(body, target).lower()
    return MatmulLowering(body, target).lower()


def _registers(kind: str, body: Graph, target: Target) -> Kernel:
    return RegisterLowering(body, target).lower()


def _unwindow(kind: str, body: Graph, target: Target) -> Kernel:
    return UnwindowLowering(body, target).lower()


def _serial(kind: str, body: Graph, target: Target) -> Kernel:
    return SerialLowering(kind, body, target).lower()


LOWERING: dict[str, Lowering] = {
    "map": _rows,
    "rows": _rows,
    "dot": _dot,
    "registers": _registers,
    "cumsum": _serial,
    "unwindow": _unwindow,
    "scatter": _serial,
    "scatter_add": _serial,
}
"""How each kind of fused node becomes loops."""


def lower_kernel(node: Node, target: Target) -> Kernel:
    """The kernel of a `fused` node."""
    kind: str = node.attrs["kind"]
    return in_stages(LOWERING[kind](kind, node.attrs["graph"], target))
