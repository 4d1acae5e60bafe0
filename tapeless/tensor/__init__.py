"""The define-by-run tensor.

NumPy computes; what it was asked to compute is noted; derivatives come from the compiler's table.
"""

from .calls import CALLS, CallInfo
from .function import Context, Function
from .modes import no_grad
from .node import Node
from .tensor import Tensor

__all__ = ["CALLS", "CallInfo", "Context", "Function", "Node", "Tensor", "no_grad"]
