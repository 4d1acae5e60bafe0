"""tapeless: a static-graph compiler with ahead-of-time differentiation for NumPy.

    import numpy as np
    import tapeless as tl

    @tl.compile
    def step(w, x, y):
        loss, gradient = tl.value_and_grad(lambda w: np.mean((x @ w - y) ** 2))(w)
        w -= 0.1 * gradient
        return loss

`compile` turns a plain NumPy function into native code; the transformations (`grad`, `vmap`, …) are
functions of functions and work inside and outside of it. `nn` has layers and losses, `optim`
optimizers, `plot` plots, `errors` what is raised. `build_graph` makes a graph that is run by name,
`draw` pictures. `set_threads` bounds the threads that programs run on.
"""

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

_COLLECTS = gc.isenabled()
try:
    gc.disable()  # of the many objects that are made here none is garbage; looking takes 8 ms
    from . import errors, optim
    from .batching import vmap
    from .checks import check_grads
    from .compiled import CompiledFunction, compile
    from .custom import custom_vjp, stop_gradient
    from .drawing import Drawing
    from .drawing.functions import draw
    from .graphs import StaticGraph, build_graph, run_graph
    from .jacobians import hessian, hvp, jacfwd, jacobian, jacrev
    from .lowered import Cost, Lowered
    from .runtime.threads import get_threads, set_threads
    from .tensor import Function, Tensor, no_grad
    from .transforms import grad, jvp, value_and_grad, vjp
    from .trees import tree_leaves, tree_map
finally:
    if _COLLECTS:
        gc.enable()

if TYPE_CHECKING:
    from . import nn, plot

_ON_DEMAND = ("nn", "plot")
"""Imported when they are first used."""

__version__ = "0.1.0"

__all__ = [
    "CompiledFunction",
    "Cost",
    "Drawing",
    "Function",
    "Lowered",
    "StaticGraph",
    "Tensor",
    "__version__",
    "build_graph",
    "check_grads",
    "compile",
    "custom_vjp",
    "draw",
    "errors",
    "get_threads",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "nn",
    "no_grad",
    "optim",
    "plot",
    "run_graph",
    "set_threads",
    "stop_gradient",
    "tree_leaves",
    "tree_map",
    "value_and_grad",
    "vjp",
    "vmap",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
