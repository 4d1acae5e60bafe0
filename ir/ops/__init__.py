"""Every op of the IR: one module per family, one declaration per op.

Read this folder to learn what ops exist, their operands, attributes and type rules. Derivative,
batching and lowering rules live with the code that uses them (`compiler/`), keyed by op name.
"""

from . import (
    contraction,
    convolution,
    creation,
    elementwise,
    indexing,
    reduction,
    shaping,
    structure,
)
from .registry import OPS, Family, Op

__all__ = [
    "OPS",
    "Family",
    "Op",
    "contraction",
    "convolution",
    "creation",
    "elementwise",
    "indexing",
    "reduction",
    "shaping",
    "structure",
]
